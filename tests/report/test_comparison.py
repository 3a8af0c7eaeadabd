import json

import pytest

from hwnas.errors import StudyError
from hwnas.report import compare, comparison_data, comparison_table
from hwnas.search import Objective
from hwnas.search._front import hypervolume_history

from .conftest import ACCURACY, P99, PHONE, WATCH, make_summary, make_trial

BASE = (0.9, 2.0)


def study(name, *rows, origin="sobol", objectives=(ACCURACY, P99), baseline=BASE):
    """A study whose first trial is a baseline, unless there is none; the others are of these figures."""
    rows = rows if baseline is None else (baseline, *rows)
    trials = [
        make_trial(
            number,
            {"accuracy": accuracy, "p99_ms": p99_ms},
            origin="baseline" if baseline is not None and number == 0 else origin,
            sigmas={"p99_ms": 0.01 * p99_ms},
        )
        for number, (accuracy, p99_ms) in enumerate(rows)
    ]
    return make_summary(objectives, trials, name=name)


@pytest.fixture
def two():
    return compare(
        [
            study("a", (0.92, 1.0), (0.95, 3.0), origin="saas-qnehvi"),
            study("b", (0.91, 2.5), (0.93, 1.9), (0.8, 0.5)),
        ]
    )


def test_hypervolumes_are_above_one_reference_point(two):
    (one,) = two
    pooled = [trial for part in one.studies for trial in part.trials]
    for part in one.studies:
        assert part.reference == one.reference
        expected = hypervolume_history((ACCURACY, P99), part.trials, one.reference)
        assert part.hypervolume == pytest.approx(tuple(expected))
    worst = max(trial.values["p99_ms"].value for trial in pooled)
    assert one.reference["p99_ms"] >= worst


def test_a_row_a_study_with_what_beats_the_baseline(two):
    columns, rows = comparison_table(two)
    assert columns[:5] == ["study", "strategy", "complete>", "on the front>", "hypervolume>"]
    assert columns[5:] == ["beat the baseline>", "significantly>", "p99_ms at no loss>"]
    assert [(row[0], row[1], row[2], *row[5:]) for row in rows] == [
        ("a", "saas-qnehvi", "3", "1", "1", "0.500"),
        ("b", "sobol", "4", "1", "1", "0.950"),
    ]


def test_the_data_hold_every_trial_relative_to_the_baseline(two):
    data = json.loads(json.dumps(comparison_data(two), allow_nan=False))
    assert (data["format"], data["version"]) == ("hwnas-compare", 1)
    assert data["baseline"] == {"study": "a", "trial": 0, "values": {"accuracy": 0.9, "p99_ms": 2.0}}
    first, second = data["devices"]["host"]["studies"]
    assert [trial["relative"]["p99_ms"] for trial in first["trials"]] == [1.0, 0.5, 1.5]
    assert second["beaten"]["better"] == [2]
    assert second["hypervolume"]["now"] == second["hypervolume"]["history"][-1]


def test_the_baseline_is_of_the_first_study_that_has_one():
    (one,) = compare([study("a", (0.5, 9.0), (0.92, 1.0), baseline=None), study("b", baseline=(0.9, 4.0)), study("c")])
    assert (one.owner, one.baseline.values["p99_ms"].value) == ("b", 4.0)
    assert one.beaten(one.studies[0]).better == (1,)


def test_without_a_baseline_nothing_is_relative():
    found = compare([study("a", (0.92, 1.0), baseline=None), study("b", (0.91, 0.9), baseline=None)])
    assert comparison_table(found)[0][-1] == "hypervolume>"
    data = comparison_data(found)
    assert data["baseline"] is None
    assert "relative" not in data["devices"]["host"]["studies"][0]["trials"][0]


def test_several_devices_have_a_comparison_each(devices):
    from dataclasses import replace

    found = compare([devices, replace(devices, name="other", trials=devices.trials[:20])])
    assert [one.device for one in found] == ["phone", "watch"]
    columns, rows = comparison_table(found)
    assert columns[:3] == ["study", "device", "strategy"]
    assert [row[:2] for row in rows] == [["toy", "phone"], ["other", "phone"], ["toy", "watch"], ["other", "watch"]]
    assert list(comparison_data(found)["devices"]) == ["phone", "watch"]


def test_a_study_that_has_just_begun():
    (one,) = compare([study("a", (0.92, 1.0)), study("b", baseline=None)])
    assert one.studies[1].hypervolume == ()
    assert comparison_table([one])[1][1][4] == "–"
    (neither,) = compare([study("a", baseline=None), study("b", baseline=None)])
    assert neither.reference is None


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ((ACCURACY, PHONE), "'p99_ms' is an objective of 'a' and none of 'b'"),
        ((ACCURACY, P99, WATCH), "'p99_ms@watch' is an objective of 'b' and none of 'a'"),
        ((Objective("accuracy", "minimize"), P99), "direction of 'accuracy' differs: maximize and minimize"),
        ((ACCURACY, Objective("p99_ms", "minimize", "device", "pi")), "device of 'p99_ms' differs: host and pi"),
        (
            (ACCURACY, Objective("p99_ms", "minimize", "device", "host", limit=9.0)),
            "limit of 'p99_ms' differs: None and 9",
        ),
    ],
)
def test_other_objectives_are_refused_and_what_differs_is_named(other, said):
    with pytest.raises(StudyError, match=said):
        compare([study("a"), make_summary(other, [], name="b")])


def test_a_reference_may_differ():
    with_reference = (Objective("accuracy", "maximize", reference=0.5), P99)
    assert len(compare([study("a"), study("b", objectives=with_reference)])) == 1


def test_one_study_or_the_same_twice_is_nothing_to_compare():
    with pytest.raises(StudyError, match="nothing to compare with"):
        compare([study("a")])
    with pytest.raises(StudyError, match="'a' is named twice"):
        compare([study("a"), study("a")])
