"""Whether a difference is told from chance, against draws whose truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from hwnas.errors import StudyError
from hwnas.search import Objective, Provenance, Value, compare_trials, difference
from hwnas.search._noise import Noise, pooled_noise
from hwnas.search._significance import t_quantile

ACCURACY = Objective("accuracy", "maximize")
P99 = Objective("p99_ms", "minimize", "device", "phone")


@pytest.fixture
def pair(made_up, space, rng):
    """Make trials 0, 1, ... of given figures, one sequence a trial: its trainings."""

    def make(*figures):
        trials = []
        for number, (arch, own) in enumerate(zip(space.sample(len(figures), rng), figures, strict=True)):
            trial = made_up.trial(number, arch, {"accuracy": float(own[0])})
            trials.append(replace(trial, replicas=tuple({"accuracy": Value(float(value))} for value in own[1:])))
        return trials

    return make


def measured(trial, first, second=None):
    again = {} if second is None else {"p99_ms": Value(*second, Provenance.MEASURED)}
    return replace(trial, values={"p99_ms": Value(*first, Provenance.MEASURED)}, again=again)


def test_means_are_compared_with_the_pooled_noise(pair):
    trials = pair((0.90, 0.92, 0.94), (0.80, 0.82), (0.5,))
    noise = pooled_noise(ACCURACY, trials)
    assert noise.dof == 3
    told = difference(ACCURACY, trials[0], trials[1], noise)
    reach = stats.t.ppf(0.975, 3) * noise.sigma * math.sqrt(1 / 3 + 1 / 2)
    assert told.value == pytest.approx(0.11)
    assert (told.low, told.high) == (pytest.approx(0.11 - reach), pytest.approx(0.11 + reach))
    assert told.significant is True
    assert not told.relative
    back = difference(ACCURACY, trials[1], trials[0], noise)
    assert (back.value, back.low) == (pytest.approx(-told.value), pytest.approx(-told.high))
    once = difference(ACCURACY, trials[1], trials[2], noise)
    assert once.high - once.value == pytest.approx(stats.t.ppf(0.975, 3) * noise.sigma * math.sqrt(1 / 2 + 1))


def test_equal_networks_differ_significantly_as_seldom_as_it_says_and_the_interval_holds_the_truth(pair):
    rng = np.random.default_rng(3)
    false = held = 0
    for _ in range(600):
        noise = rng.normal(scale=0.01, size=(5, 3))
        trials = pair(*(noise + np.array([[0.9], [0.9], [0.95], [0.8], [0.7]])))
        pooled = pooled_noise(ACCURACY, trials)
        false += difference(ACCURACY, trials[0], trials[1], pooled).significant
        other = difference(ACCURACY, trials[2], trials[0], pooled)
        held += other.low <= 0.05 <= other.high
    spread = 4 * math.sqrt(0.95 * 0.05 / 600)
    assert false / 600 == pytest.approx(0.05, abs=spread)
    assert held / 600 == pytest.approx(0.95, abs=spread)


def test_an_erratic_trial_has_its_own_variance_and_welchs_degrees_of_freedom(pair):
    trials = pair((0.9, 0.5, 0.1), (0.80, 0.81, 0.79))
    noise = Noise(0.01, 20, erratic={0: (0.4, 2)})
    told = difference(ACCURACY, trials[0], trials[1], noise)
    a, b = 0.4**2 / 3, 0.01**2 / 3
    dof = (a + b) ** 2 / (a**2 / 2 + b**2 / 20)
    assert told.high - told.value == pytest.approx(stats.t.ppf(0.975, dof) * math.sqrt(a + b))
    assert told.significant is False


def test_latencies_are_compared_by_their_ratio(made_up, space, rng):
    slow, fast = (made_up.trial(number, arch, {}) for number, arch in enumerate(space.sample(2, rng)))
    told = difference(P99, measured(slow, (4.0, 0.2)), measured(fast, (2.0, 0.1)))
    reach = t_quantile(math.inf) * math.hypot(0.05, 0.05)
    assert told.relative
    assert told.value == pytest.approx(2.0)
    assert (told.low, told.high) == (pytest.approx(2 * math.exp(-reach)), pytest.approx(2 * math.exp(reach)))
    assert told.significant is True
    assert difference(P99, measured(slow, (2.1, 0.2)), measured(fast, (2.0, 0.2))).significant is False
    twice = difference(P99, measured(slow, (4.0, 0.2), (4.0, 0.2)), measured(fast, (2.0, 0.1), (2.0, 0.1)))
    assert math.log(twice.high / twice.value) == pytest.approx(reach / math.sqrt(2))


def test_without_any_standard_error_nothing_is_said(pair):
    a, b = pair((0.9,), (0.5,))
    told = difference(ACCURACY, a, b)
    assert (told.significant, told.low, told.high) == (None, -math.inf, math.inf)
    assert told.value == pytest.approx(0.4)


def test_exact_figures_differ_where_they_are_not_the_same(made_up, space, rng):
    params = Objective("params", "minimize", "network")
    a, b = (made_up.trial(number, arch, {}) for number, arch in enumerate(space.sample(2, rng)))

    def counted(trial, count):
        return replace(trial, values={"params": Value(count, 0.0, Provenance.COMPUTED)})

    assert difference(params, counted(a, 100), counted(b, 101)).significant is True
    assert difference(params, counted(a, 100), counted(b, 100)).significant is False


def test_trials_of_a_study_are_compared_as_they_are_in_the_store(make_study):
    study = make_study()
    for trial, accuracy in zip(study.ask(2), (0.9, 0.5), strict=True):
        study.tell(trial, {"accuracy": accuracy, "p99_ms": Value(2.0, 0.1, Provenance.MEASURED)})
    assert compare_trials(study, 0, 1, "accuracy").significant is None
    study.record_replica(0, {"accuracy": 0.88})
    study.record_replica(1, {"accuracy": 0.52})
    study.record_replica(1, {"accuracy": 0.51})
    told = compare_trials(study, study.trial(0), 1, "accuracy")
    assert told.value == pytest.approx(0.38)
    assert told.significant is True
    assert compare_trials(study, 0, 1, "p99_ms").significant is False
    for bad, said in (((0, 1, "loss"), "'loss' is no objective"), ((0, 7, "accuracy"), "the study has no trial 7")):
        with pytest.raises(StudyError, match=said):
            compare_trials(study, *bad)
    study.ask(1)
    with pytest.raises(StudyError, match="trial 2 has no accuracy yet"):
        compare_trials(study, 2, 0, "accuracy")
