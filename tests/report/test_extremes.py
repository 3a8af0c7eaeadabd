"""Figures as large as numbers get, and doubts larger than any figure."""

import json
import math

import pytest

from hwnas._json import json_text
from hwnas.report import (
    compare,
    comparison_data,
    comparison_figure,
    front_data,
    front_table,
    interval_text,
    report_html,
    summarise,
    write_front_json,
    write_front_png,
)
from hwnas.search import Objective, Provenance, SearchSettings, Study, Value
from hwnas.space import Int, SearchSpace

from .conftest import ACCURACY, make_summary, make_trial

HUGE = [(1e308, -1e308), (-1e308, 1e308), (0.0, 0.0), (1.0, 1.0)]


def make_study(store, name, rows, *, log=False):
    space = SearchSpace("toy", [Int("width", 1, 64)])
    objectives = [Objective("accuracy", "maximize"), Objective("cost", "minimize", log=log)]
    settings = SearchSettings(name=name, trials=len(rows), batch=4, start=len(rows), strategy="sobol")
    study = Study.create(store, settings, space, objectives, baseline=space.architecture({"width": 8}))
    left = iter(rows)
    while trials := study.ask(4):
        for trial in trials:
            accuracy, cost = next(left)
            study.tell(trial, {"accuracy": accuracy, "cost": cost})
    return study


def test_a_doubt_of_a_logarithm_beyond_all_numbers_is_open():
    cost = Objective("cost", "minimize", log=True)
    value = Value(1e-5, 1e5, Provenance.REPORTED)
    summary = make_summary((ACCURACY, cost), [make_trial(0, {"accuracy": 0.5, "cost": 1e-5}, sigmas={"cost": 1e5})])
    assert summary.interval(cost, value) == (0.0, math.inf)
    assert interval_text(summary.interval(cost, value)) == "open"
    assert front_data(summary)["front"][0]["values"]["cost"]["interval_95"] == [0.0, None]


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize(
    "rows", [HUGE, [(abs(a), abs(c) or 1.5) for a, c in HUGE], [(0.5, 1e-5), (0.6, Value(1e-3, 1e300))]]
)
@pytest.mark.parametrize("log", [False, True])
def test_all_outputs_survive_figures_at_the_edge_of_numbers(store, tmp_path, rows, log):
    rows = [
        (accuracy, min(max(cost, 1e-250), 1e250) if log and isinstance(cost, float) else cost)
        for accuracy, cost in rows
    ]
    study = make_study(store, "huge", rows, log=log)
    summary = summarise(study)
    assert write_front_png(summary, tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(write_front_json(summary, tmp_path / "front.json").read_text())["study"]["name"] == "huge"
    assert front_table(summary, relative=True)
    assert "<h1>huge</h1>" in report_html(study, tmp_path)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_studies_with_such_figures_are_compared(store, tmp_path):
    found = compare([summarise(make_study(store, name, HUGE)) for name in ("one", "other")])
    comparison_figure(found).savefig(tmp_path / "both.png")
    assert json.loads(json_text(comparison_data(found)))["baseline"]["values"] == {"accuracy": 1e308, "cost": -1e308}


def test_a_letter_that_the_font_lacks_is_drawn_without_a_word(tmp_path, summary):
    """Warnings are errors in these tests."""
    from dataclasses import replace

    assert write_front_png(replace(summary, name="探索"), tmp_path / "front.png").exists()
