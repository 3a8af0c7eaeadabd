import itertools
from datetime import UTC, datetime, timedelta

import pytest

from hwnas.report._page_material import read_material
from hwnas.report._page_time import Clock, Span, cost_rows, spans, timeline_plot

from . import pages

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def span(start_s, end_s, kind="complete"):
    return Span("trials 1", kind, BEGAN + timedelta(seconds=start_s), BEGAN + timedelta(seconds=end_s), "text", 0)


def test_pauses_are_cut_out_and_short_ones_are_not():
    clock = Clock([span(0, 100), span(130, 200), span(4000, 4100), span(50, 90)])
    assert clock.seconds(BEGAN + timedelta(seconds=150)) == 150
    assert clock.seconds(BEGAN + timedelta(seconds=4050)) == 250
    assert clock.pauses() == [(200, 3800)]


def test_what_ran_side_by_side_has_rows_of_its_own(store, tmp_path):
    found = spans(read_material(pages.usual(store), tmp_path))
    assert len({one.row for one in found}) == 4, "batches of four are asked for at once, and told one by one"
    assert len(found) == 16
    for row in {one.row for one in found}:
        own = sorted((one for one in found if one.row == row), key=lambda one: one.start)
        assert all(before.end <= after.start for before, after in itertools.pairwise(own))


def test_attempts_are_told_by_how_they_ended(store, tmp_path):
    found = spans(read_material(pages.troubled(store), tmp_path))
    kinds = [one.kind for one in found if one.trial == 0]
    assert kinds == ["failed", "failed"]
    assert {one.kind for one in found} == {"failed", "abandoned", "interrupted", "complete"}
    assert any("is over its limit" in one.text for one in found)


def test_fits_and_acquisitions_stand_before_their_batch(store, tmp_path):
    found = [one for one in spans(read_material(pages.modelled(store), tmp_path)) if one.row == "choosing"]
    assert [one.kind for one in found] == ["fit", "acquisition"] * 3
    assert [round(one.duration_s, 3) for one in found] == [3.0, 1.0] * 3


def test_the_costs_are_the_sums():
    rows = cost_rows([span(0, 30), span(0, 60), span(60, 70, "failed")])
    assert [row[1:] for row in rows] == [["2", "1 min 30 s", "90%"], ["1", "10 s", "10%"]]


@pytest.mark.parametrize(("end_s", "unit"), [(50, "seconds"), (600, "minutes"), (9000, "hours")])
def test_the_axis_has_a_unit_that_suits(end_s, unit):
    assert timeline_plot([span(0, end_s)]).figure["layout"]["xaxis"]["title"]["text"] == f"{unit} of work"


def test_nothing_took_time():
    assert timeline_plot([]) is None
