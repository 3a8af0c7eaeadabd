from dataclasses import replace

import pytest

from hwnas.search import Objective, Provenance, Value
from hwnas.search._stakes import stakes

OBJECTIVES = (
    Objective("accuracy", "maximize", reference=0.5),
    Objective("p99_ms", "minimize", "device", device="phone", reference=10.0),
)


@pytest.fixture
def make(space, rng, made_up):
    """Make trials of (accuracy, p99, relative sigma); without a sigma the p99 is measured."""

    def trials(*rows, objectives=OBJECTIVES):
        found = []
        for number, (arch, (accuracy, p99, sigma)) in enumerate(zip(space.sample(len(rows), rng), rows, strict=True)):
            how = Provenance.MEASURED if sigma is None else Provenance.PREDICTED
            trial = made_up.trial(number, arch, {"accuracy": accuracy})
            found.append(replace(trial, values={**trial.values, "p99_ms": Value(p99, (sigma or 0.0) * p99, how)}))
        return found

    return trials


def test_nothing_hangs_on_what_was_measured(make):
    assert stakes(OBJECTIVES, make((0.9, 2.0, None), (0.8, 1.0, None))) == {}


def test_what_is_dominated_at_both_ends_changes_nothing(make):
    assert stakes(OBJECTIVES, make((0.9, 1.0, None), (0.8, 4.0, 0.1))) == {}


def test_what_may_enter_the_front_changes_it(make):
    assert list(stakes(OBJECTIVES, make((0.9, 1.0, None), (0.8, 1.2, 0.3)))) == [1]


def test_a_member_of_the_front_changes_it_by_its_whole_interval(make):
    alone = stakes(OBJECTIVES, make((0.9, 1.0, 0.1)))
    assert alone[0] == pytest.approx(2 * 1.959964 * 0.1 / 2.302585, rel=1e-4)  # log(10 / 1) is the front's width


def test_the_place_of_a_member_is_taken_by_what_it_dominates(make):
    with_second = stakes(OBJECTIVES, make((0.9, 1.0, 0.1), (0.9, 1.05, None)))
    alone = stakes(OBJECTIVES, make((0.9, 1.0, 0.1)))
    assert 0 < with_second[0] < alone[0]


def test_the_largest_comes_first(make):
    found = stakes(OBJECTIVES, make((0.9, 2.0, 0.01), (0.7, 1.0, 0.4), (0.95, 4.0, 0.2)))
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert set(found) == {0, 1, 2}


def test_what_is_below_the_reference_counts_nothing(make):
    assert stakes(OBJECTIVES, make((0.9, 1.0, None), (0.4, 0.5, 0.3))) == {}


def test_a_limit_that_may_be_kept_is_at_stake(make):
    limited = (OBJECTIVES[0], replace(OBJECTIVES[1], limit=2.0))
    assert list(stakes(limited, make((0.9, 1.0, None), (0.95, 2.2, 0.1)))) == [1]
    assert stakes(limited, make((0.9, 1.0, None), (0.95, 6.0, 0.1))) == {}


def test_before_anything_counts_everything_that_may_is_at_stake(make):
    assert stakes(OBJECTIVES, make((0.9, 11.0, 0.3))) == {0: float("inf")}
