"""The page in a real browser: nothing is complained of, nothing is fetched, every plot is drawn, nothing sticks out."""

import json

import pytest

from hwnas.report import report_html

from . import pages
from .browser import CHROMIUM, Browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")

DRAWN = "[...document.querySelectorAll('.plot')].map((plot) => [plot.id, plot.querySelectorAll('.main-svg').length])"
WIDTH = "document.querySelector('#front-0-1 .main-svg').getBoundingClientRect().width"
#: Elements that reach beyond the window, without those in a box that scrolls by itself.
BEYOND = """
[...document.querySelectorAll("body *")]
  .filter((found) => !found.closest(".scroll, pre, svg, nav") && found.getBoundingClientRect().right > innerWidth + 1)
  .map((found) => found.outerHTML.slice(0, 80))
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def written(store, tmp_path):
    """Write the page of a study and return its path."""

    def make(fill, *, diagnosed=False):
        study = fill(store)
        if diagnosed:
            (tmp_path / "diagnosis.json").write_text(json.dumps(pages.diagnosis(study)))
        path = tmp_path / "report.html"
        path.write_text(report_html(study, tmp_path), encoding="utf-8")
        return path

    return make


@pytest.mark.parametrize("fill", pages.ALL)
def test_the_page_draws_all_its_plots_and_complains_of_nothing(browser, written, fill):
    """On a wide window and on a phone's, where nothing sticks out."""
    path = written(fill, diagnosed=fill is pages.modelled)
    browser.visit(path)
    drawn = dict(browser.run(DRAWN))
    assert all(drawn.values()), drawn
    assert ("parallel" in drawn) == (fill not in (pages.empty, pages.unlucky))
    for width in (1280, 390):
        browser.resize(width)
        assert browser.run("innerWidth") == width
        assert browser.run("document.documentElement.scrollWidth") == width
        assert browser.run(BEYOND) == []
        if "front-0-1" in drawn:
            assert 0.7 * width < browser.wait(f"{WIDTH} <= {width} && {WIDTH}") <= width
    assert browser.messages == []
    assert browser.requests == [path.as_uri()]


def test_what_a_reader_does_with_it(browser, written, tmp_path):
    browser.visit(written(pages.usual))
    shown = "document.getElementById('parallel').data.filter((t) => t.visible === true).map((t) => t.meta)"
    assert set(browser.run(shown)) == {"accuracy"}
    browser.run("document.querySelectorAll('.switch button')[1].click()")
    assert set(browser.run(shown)) == {"p99 latency on phone (ms)"}

    seen = []
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        title = "getComputedStyle(document.querySelector('#front-0-1 .xtitle')).fill"
        colours = browser.run(f"[getComputedStyle(document.body).backgroundColor, {title}]")
        assert contrast(*colours) > 7.0, colours
        seen.append(colours)
    assert seen[0] != seen[1]

    browser.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    assert browser.wait(f"{WIDTH} > 800"), "after printing the plots have the window's width again"
    assert browser.messages == []


def test_a_script_that_was_put_in_does_not_run(browser, written):
    path = written(pages.empty)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("</main>", "<script>window.evil = 1</script></main>"), encoding="utf-8")
    browser.visit(path)
    assert browser.run("typeof window.evil") == "undefined"
    assert any("Content Security Policy" in message for message in browser.messages)


def contrast(first, second):
    """The contrast of two CSS colours, as WCAG 2.1 has it."""

    def luminance(colour):
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, bright = sorted((luminance(first), luminance(second)))
    return (bright + 0.05) / (dark + 0.05)
