"""What is learned of which architectures fail."""

import numpy as np
import pytest

from hwnas.search import SaasSettings, TrialState
from hwnas.search import _feasibility as module
from hwnas.search._feasibility import feasibility
from hwnas.space import Categorical, Float, SearchSpace

SETTINGS = SaasSettings(members=2)


@pytest.fixture
def mixed():
    return SearchSpace("mixed", [Categorical("kind", ("a", "b", "c")), *(Float(f"x{i}", 0.0, 1.0) for i in range(6))])


@pytest.fixture
def told(mixed, made_up):
    """Return trials of Sobol points, of which those fail that a function says."""

    def make(fails, n=40):
        states = {True: TrialState.FAILED, False: TrialState.COMPLETE}
        return [
            made_up.trial(number, arch, {}, state=states[bool(fails(number, arch))])
            for number, arch in enumerate(mixed.sample(n, np.random.default_rng(1)))
        ]

    return make


def test_it_learns_which_choice_fails(mixed, told):
    found = feasibility(mixed, told(lambda _, arch: arch["kind"] == "b"), SETTINGS)
    new = mixed.sample(90, np.random.default_rng(9))
    probability = np.exp(found.log_probability(mixed.encode(new)))
    fails = np.array([arch["kind"] == "b" for arch in new])
    assert probability[fails].max() < 0.2
    assert probability[~fails].min() > 0.8
    told_of_it = found.describe(mixed, new[:2])
    assert max(told_of_it["inverse_lengthscales"], key=told_of_it["inverse_lengthscales"].get) == "kind"
    assert told_of_it["failed"] + told_of_it["succeeded"] == 40
    assert told_of_it["success_probability"] == pytest.approx(probability[:2])


def test_it_learns_where_a_number_is_too_large(mixed, told):
    found = feasibility(mixed, told(lambda _, arch: arch["x2"] > 0.7), SETTINGS)
    new = mixed.sample(90, np.random.default_rng(9))
    probability = np.exp(found.log_probability(mixed.encode(new)))
    x = np.array([arch["x2"] for arch in new])
    assert probability[x > 0.85].mean() < 0.25
    assert probability[x < 0.55].mean() > 0.85


def test_failures_without_a_pattern_leave_all_alike(mixed, told):
    chance = np.random.default_rng(5).random(40) < 0.25
    found = feasibility(mixed, told(lambda number, _: chance[number]), SETTINGS)
    probability = np.exp(found.log_probability(mixed.encode(mixed.sample(90, np.random.default_rng(9)))))
    assert np.ptp(probability) < 0.3
    assert probability.mean() == pytest.approx(1 - chance.mean(), abs=0.15)


@pytest.mark.parametrize(("failed", "seen"), [(0, False), (2, False), (3, True), (37, True), (38, False)])
def test_few_failures_and_few_successes_say_nothing(mixed, told, failed, seen):
    assert (feasibility(mixed, told(lambda number, _: number < failed), SETTINGS) is not None) == seen


def test_what_was_abandoned_or_is_not_over_does_not_count(mixed, told, made_up):
    trials = told(lambda *_: False)
    others = [TrialState.ABANDONED, TrialState.PROPOSED, TrialState.RUNNING]
    trials = [made_up.trial(t.number, t.architecture, {}, state=others[t.number % 3]) for t in trials[:20]] + trials[
        20:
    ]
    assert feasibility(mixed, trials, SETTINGS) is None


def test_no_candidates_have_no_probabilities(mixed, told):
    found = feasibility(mixed, told(lambda number, _: number % 4 == 0), SETTINGS)
    assert found.log_probability(np.empty((0, mixed.dim))).shape == (0,)
    assert 0.0 <= found.slope <= module._BOUNDS[0][1]
