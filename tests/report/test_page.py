import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from hwnas.errors import HwnasError
from hwnas.report import report_html, write_report

from . import pages

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """A parsed page: its elements, its visible text, and what its scripts hold."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.html = html
        self.tags, self.texts, self.scripts, self._open = [], [], [], []
        self.feed(html)
        assert self._open == [], "elements that are not closed"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)
        elif self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    @property
    def figures(self):
        return json.loads(self.scripts[0])["plots"]

    @property
    def rows(self):
        """Each table's rows by its caption."""
        found = {}
        for caption, body in re.findall(r"<caption>(.*?)</caption>.*?<tbody>(.*?)</tbody>", self.html, re.DOTALL):
            lines = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
            found[caption] = [re.findall(r"<td[^>]*>(.*?)</td>", line, re.DOTALL) for line in lines]
        return found


@pytest.fixture
def page(store, tmp_path):
    """Make the page of a study."""

    def make(fill):
        return Page(report_html(fill(store), tmp_path))

    return make


@pytest.mark.parametrize("fill", pages.ALL)
def test_every_plot_is_one_that_plotly_takes(page, fill):
    from plotly import graph_objects

    figures = page(fill).figures
    for figure in figures.values():
        graph_objects.Figure(figure["data"], figure["layout"])
    assert ("hypervolume" in figures) == (fill not in (pages.empty, pages.unlucky))


@pytest.mark.parametrize("fill", pages.ALL)
def test_what_others_said_is_text_and_no_markup(page, fill):
    found = page(fill)
    assert [tag for tag, _ in found.tags if tag == "script"] == ["script"] * 3
    assert not any(tag == "img" or any(name.startswith("on") for name in attrs) for tag, attrs in found.tags)
    assert "<script>alert" not in found.html
    assert "<img src=x" not in found.html
    words = found.scripts[0]
    assert "<" not in words
    texts = json.loads(words)["texts"].values()
    for said in [*texts, *(json.dumps(figure) for figure in found.figures.values())]:
        assert "<script" not in said
        assert "<img" not in said


def test_reasons_of_failures_are_shown_whole(page):
    found = page(pages.troubled)
    rows = {row[0]: row for row in found.rows["Failed, given up and interrupted"]}
    assert rows["0"][1:3] == ["failed", "2"]
    assert rows["0"][3] == "exit code 1: &lt;script&gt;alert(1)&lt;/script&gt;\nlook at log.txt"
    assert rows["1"][1] == "abandoned"
    assert rows["1"][4] == "p99_ms 3"
    assert rows["2"][1] == "failed, now complete"
    assert rows["2"][3] == "killed by the kernel for its memory"
    assert pages.EVIL in found.text


def test_learning_curves_are_drawn_where_trainings_report_any(page):
    found = page(pages.troubled)
    (curve,) = found.figures["curves-0"]["data"]
    assert curve["x"] == [1, 2, 3, None]
    assert curve["y"][:3] == pytest.approx([0.2, 0.4, 0.6])
    assert curve["customdata"] == [2, 2, 2, None]
    assert curve["name"] == "trained (1)"


def test_nothing_is_fetched_and_only_its_own_scripts_run(page):
    found = page(pages.usual)
    policy = next(attrs["content"] for _, attrs in found.tags if "content-security-policy" in str(attrs).lower())
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    _, library, script = found.scripts
    assert {base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in (library, script)} == allowed
    for _, attrs in found.tags:
        for name in ("src", "href"):
            assert not str(attrs.get(name, "")).startswith(("http", "//"))
    assert "://" not in found.html.replace(library, "")
    assert found.html.count("plotly.js v") == 1


def test_the_front_has_its_figures_and_its_intervals(page):
    found = page(pages.usual)
    front = [row for caption, rows in found.rows.items() if caption.startswith("The front") for row in rows]
    names = [trace["name"] for trace in found.figures["front-0-1"]["data"] if "name" in trace]
    assert f"front ({len(front)})" in names
    bars = next(trace for trace in found.figures["front-0-1"]["data"] if trace.get("name") == f"front ({len(front)})")
    assert bars["error_x"]["visible"] is True
    assert not bars["error_y"]["visible"]
    assert all(" to " in row[3] for row in front)


def test_predictions_are_marked(page):
    found = page(pages.troubled)
    names = [trace.get("name", "") for trace in found.figures["front-0-1"]["data"]]
    assert any("predicted" in name for name in names)
    assert any(name.startswith("given up") for name in names) is False, "its accuracy is not known"


def test_a_study_of_two_devices_has_two_fronts(page):
    found = page(pages.two_devices)
    titles = [attrs["id"] for tag, attrs in found.tags if tag == "section"]
    assert titles[:2] == ["front-of-0", "front-of-1"]
    captions = [caption for caption in found.rows if caption.startswith("The front on ")]
    assert [caption.split()[3].rstrip(":") for caption in captions] == ["phone", "watch"]
    first, second = ([row[0] for row in found.rows[caption]] for caption in captions)
    assert first != second
    assert len(found.figures["hypervolume"]["data"]) == 2


def test_figures_are_told_relative_to_the_baseline(page):
    found = page(pages.against_baseline)
    rows = next(rows for caption, rows in found.rows.items() if caption.startswith("The front"))
    trace = next(t for t in found.figures["front-0-1"]["data"] if t.get("name", "").startswith("baseline"))
    accuracy, p99_ms = trace["y"][0], trace["x"][0]
    assert len(rows) > 2
    for row in rows:
        assert float(row[1]) == pytest.approx(float(row[3]) / accuracy, rel=2e-3)
        assert float(row[2]) == pytest.approx(float(row[4]) / p99_ms, rel=2e-3)
    assert "against the baseline's" in found.text
    rules = [shape["label"]["text"] for shape in found.figures["front-0-1"]["layout"]["shapes"]]
    assert rules == ["baseline", "baseline"]


def test_the_evidence_names_the_measurement(page):
    found = page(pages.two_devices)
    devices = {row[0]: row for row in found.rows["Devices"]}
    assert "8 cores" in devices["phone"][1]
    assert "graph_optimization all" in devices["phone"][2]
    assert devices["phone"][-1] == "1 ok"
    assert devices["watch"][1] == "not measured yet"
    assert "SECRET-SERIAL" not in found.html


def test_repeated_trainings_tell_what_is_told_apart(page):
    found = page(pages.repeated)
    caption = next(caption for caption in found.rows if caption.startswith("Neighbours"))
    said = [row[-1] for row in found.rows[caption]]
    assert len(said) > 3
    assert set(said) <= {"nothing", "accuracy", "p99_ms", "accuracy, p99_ms"}
    assert all(row[1].endswith(")") and "unknown" not in row[1] for row in found.rows[caption])
    evidence = found.rows["The evidence behind the figures of the front"]
    assert sum(row[2].startswith("training ") for row in evidence) >= 4
    bars = next(t for t in found.figures["front-0-1"]["data"] if t.get("name", "").startswith("front ("))
    assert bars["error_y"]["visible"] is True


def test_inactive_parameters_are_drawn_below_the_axes(page):
    lines = page(pages.usual).figures["parallel"]["data"]
    assert {trace["visible"] for trace in lines} == {True, False}
    some = [y for trace in lines for y in trace["y"] if y is not None]
    assert min(some) < -0.1
    assert max(some) == pytest.approx(1.0, abs=1e-3)
    assert all(0 <= y <= 1 or y == min(some) for y in some)


def test_parameters_that_matter_stand_first(page):
    found = page(pages.modelled)
    (bar,) = found.figures["importance-0"]["data"]
    assert bar["y"][::-1][:3] == ["depth", "width", "block"]
    assert len(found.figures["course"]["data"]) == 2
    assert "predicts no better than the mean (R² 0.05" in found.text
    assert "hwnas report page --diagnose" in found.text


@pytest.mark.parametrize(
    "part", ["objective", "trials", "observed", "relevance", "saas", "plain.method", "saas.low", "plain.coverage"]
)
def test_a_diagnosis_that_lacks_a_part_is_said_and_left_out(store, tmp_path, part):
    study = pages.modelled(store)
    data = pages.diagnosis(study)
    *above, last = part.split(".")
    for outcome in data["outcomes"]:
        del (outcome[above[0]] if above else outcome)[last]
    (tmp_path / "diagnosis.json").write_text(json.dumps(data))
    assert f"diagnosis.json cannot be read (KeyError: {last!r})" in Page(report_html(study, tmp_path)).text


def test_a_diagnosis_is_shown_and_one_that_is_late_or_broken_is_said(store, tmp_path):
    study = pages.modelled(store)
    data = pages.diagnosis(study)
    (tmp_path / "diagnosis.json").write_text(json.dumps(data))
    found = Page(report_html(study, tmp_path))
    assert {"model-0-saas", "model-0-plain", "model-1-saas"} <= set(found.figures)
    assert [bar["error_x"]["visible"] for bar in found.figures["importance-0"]["data"]] == [True]
    for outcome in data["outcomes"]:
        outcome["trials"] = outcome["trials"][:10]
        for key in ("observed",):
            outcome[key] = outcome[key][:10]
        for model in ("saas", "plain"):
            for key in ("predicted", "low", "high"):
                outcome[model][key] = outcome[model][key][:10]
    (tmp_path / "diagnosis.json").write_text(json.dumps(data))
    assert "They are of 10 trials, and 16 are complete by now" in Page(report_html(study, tmp_path)).text
    (tmp_path / "diagnosis.json").write_text('{"format": "hwnas-diagnosis", "version": 99}')
    assert "of another version" in Page(report_html(study, tmp_path)).text
    (tmp_path / "diagnosis.json").write_text("{")
    assert "cannot be read" in Page(report_html(study, tmp_path)).text


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (pages.empty, "No trial is complete yet."),
        (pages.unlucky, "No trial is complete yet."),
        (pages.running, "A search is at work on this study"),
    ],
)
def test_what_is_not_there_is_said(page, fill, said):
    assert said in page(fill).text


def test_the_page_is_whole_or_not_there(store, tmp_path):
    study = pages.usual(store)
    written = write_report(study, tmp_path / "page.html", tmp_path)
    assert written.read_text(encoding="utf-8").endswith("</html>\n")
    assert [path.name for path in tmp_path.glob("*.html*")] == ["page.html"]
    with pytest.raises(HwnasError, match="cannot write"):
        write_report(study, tmp_path / "gone" / "page.html", tmp_path)
