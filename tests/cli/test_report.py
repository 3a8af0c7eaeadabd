import pytest

from hwnas.search import Objective, SearchSettings, Study
from hwnas.space import Int, SearchSpace


@pytest.fixture
def studied(store):
    """A small study that is finished."""
    settings = SearchSettings(name="toy", trials=4, batch=4, start=4)
    study = Study.create(store, settings, SearchSpace("toy", [Int("width", 1, 8)]), [Objective("accuracy", "maximize")])
    for trial in study.ask(4):
        study.tell(trial, {"accuracy": 1 - 1 / trial.architecture["width"]})
    return study


def test_the_page_lies_beside_the_front(hwnas, studied, workspace):
    said = hwnas("report", "toy")
    path = workspace.searches / "toy" / "report.html"
    assert said.code == 0
    assert said.out == ""
    assert f"wrote {path}" in said.err
    assert "<h1>toy</h1>" in path.read_text(encoding="utf-8")


def test_a_program_is_told_where(hwnas, studied, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = hwnas("report", "toy", "--output", "page.html", "--json")
    path = tmp_path / "page.html"
    assert said.data == {"report": str(path), "study": "toy", "trials": 4, "size_bytes": path.stat().st_size}


def test_no_such_study(refused, studied, workspace):
    assert "no study 'tyo' (did you mean 'toy'?)" in refused("report", "tyo")
    assert not (workspace.searches / "tyo").exists()


def test_a_page_that_cannot_be_written(refused, studied, tmp_path):
    assert "cannot write" in refused("report", "toy", "--output", tmp_path / "gone" / "page.html")
    (tmp_path / "folder").mkdir()
    assert "cannot write" in refused("report", "toy", "--output", tmp_path / "folder")


def test_too_few_trials_for_a_diagnosis(refused, studied):
    assert "accuracy" in refused("report", "toy", "--diagnose")


def test_the_browser_shows_it(hwnas, studied, workspace, monkeypatch):
    import typer

    opened = []
    monkeypatch.setattr(typer, "launch", lambda url: opened.append(url) or 0)
    assert hwnas("report", "toy", "--open").code == 0
    assert opened == [(workspace.searches / "toy" / "report.html").as_uri()]
    monkeypatch.setattr(typer, "launch", lambda url: 1)
    said = hwnas("report", "toy", "--open")
    assert said.code == 0
    assert "no browser could be started" in said.err
