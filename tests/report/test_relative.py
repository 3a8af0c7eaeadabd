import pytest

from hwnas.report import Gain, ratio
from hwnas.search import Objective, TrialState

from .conftest import ACCURACY, P99, PHONE, WATCH, make_summary, make_trial


def beside(*rows, objectives=(ACCURACY, P99), sigma=0.01):
    """A summary of a baseline of (0.9, 2 ms) and these trials; every latency with the same relative error."""
    trials = [
        make_trial(
            number,
            {"accuracy": accuracy, "p99_ms": p99_ms},
            origin="sobol" if number else "baseline",
            sigmas={"p99_ms": sigma * p99_ms},
        )
        for number, (accuracy, p99_ms) in enumerate([(0.9, 2.0), *rows])
    ]
    return make_summary(objectives, trials)


def only(summary):
    (found,) = summary.beaten().values()
    return found


def test_better_is_no_worse_in_all_and_better_in_one():
    found = only(beside((0.9, 2.0), (0.9, 1.5), (0.91, 2.0), (0.95, 2.1), (0.89, 1.0), (0.92, 1.0)))
    assert (found.baseline, found.better, found.compared) == (0, (2, 3, 6), 6)


def test_significantly_is_by_more_than_the_interval_and_not_where_nothing_is_known():
    found = only(beside((0.9, 1.98), (0.9, 1.9), (0.95, 2.0)))
    assert found.better == (1, 2, 3)
    assert found.surely == (2,)  # no accuracy has a standard error


def test_what_breaks_a_limit_beats_nothing():
    limited = Objective("p99_ms", "minimize", "device", "host", limit=1.2)
    assert only(beside((0.95, 1.5), (0.95, 1.0), objectives=(ACCURACY, limited))).better == (2,)


def test_the_gain_is_the_best_figure_at_no_loss_of_the_first():
    found = only(beside((0.9, 1.5), (0.93, 1.0), (0.89, 0.1), (0.99, 3.0)))
    assert found.gains == (Gain("p99_ms", "accuracy", 2, 0.5),)
    assert only(beside((0.8, 1.5))).gains == ()
    assert only(beside((0.95, 3.0))).gains == (Gain("p99_ms", "accuracy", 1, 1.5),)


def test_each_device_has_its_own(devices):
    found = devices.beaten()
    assert list(found) == ["phone", "watch"]
    for (device, beaten), objective in zip(found.items(), (PHONE, WATCH), strict=True):
        base = devices.baseline
        expected = {
            trial.number
            for trial in devices.trials[1:]
            if trial.values["accuracy"].value >= base.values["accuracy"].value
            and trial.values[objective.name].value <= base.values[objective.name].value
        }
        assert set(beaten.better) == expected, device
    assert found["phone"].better != found["watch"].better


def test_without_a_complete_baseline_nothing_is_beaten():
    trials = [make_trial(0, {"accuracy": 0.9, "p99_ms": 1.0})]
    assert make_summary((ACCURACY, P99), trials).beaten() == {}
    failed = make_trial(1, {}, origin="baseline", state=TrialState.FAILED)
    assert make_summary((ACCURACY, P99), [*trials, failed]).beaten() == {}


@pytest.mark.parametrize(("base", "expected"), [(2.0, 0.5), (0.0, None), (-1.0, None)])
def test_a_ratio_needs_a_positive_figure(base, expected):
    score = Objective("score", "maximize")
    assert ratio(score, make_trial(0, {"score": 1.0}), make_trial(1, {"score": base})) == expected
    assert ratio(score, make_trial(0, {}), make_trial(1, {"score": 1.0})) is None
