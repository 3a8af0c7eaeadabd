"""The strategies without a model: one contract for all, and that they search."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from hwnas.errors import SpaceError, StoppedError
from hwnas.search import (
    LocalSearchStrategy,
    Nsga2Strategy,
    Objective,
    RandomStrategy,
    SearchSettings,
    SobolStrategy,
    TrialState,
)
from hwnas.search._evolution import ranked
from hwnas.search._front import hypervolume_history
from hwnas.search._strategy import strategy_from_settings
from hwnas.space import Int, SearchSpace

ALL = [RandomStrategy, Nsga2Strategy, LocalSearchStrategy, SobolStrategy]
LEARNING = [Nsga2Strategy, LocalSearchStrategy]


@pytest.fixture
def trials(space, made_up):
    made = made_up.complete(space.sample(12, np.random.default_rng(1)))
    made[2] = replace(made[2], state=TrialState.FAILED, values={})
    made[5] = replace(made[5], state=TrialState.RUNNING, values={})
    return made


@pytest.mark.parametrize("kind", ALL)
def test_proposals_are_new_distinct_and_valid_and_the_same_again(kind, space, objectives, trials):
    made = kind().propose(space, objectives, trials, 16, np.random.default_rng(3))
    assert made.origin == kind.name
    ids = {architecture.id for architecture in made.architectures}
    assert len(ids) == 16
    assert not ids & {trial.id for trial in trials}
    for architecture in made.architectures:
        space.validate(architecture.values)
    assert kind().propose(space, objectives, trials, 16, np.random.default_rng(3)).architectures == made.architectures


@pytest.mark.parametrize("kind", ALL)
def test_without_trials_it_begins(kind, space, objectives):
    assert len(kind().propose(space, objectives, [], 5, np.random.default_rng(0)).architectures) == 5


@pytest.mark.parametrize("kind", ALL)
def test_a_space_is_used_up_to_the_last_architecture(kind, made_up):
    space = SearchSpace("tiny", [Int("depth", 1, 8)])
    whole = space.sample(8, np.random.default_rng(0))
    objectives = (Objective("accuracy", "maximize"),)
    trials = [made_up.trial(n, arch, {"accuracy": 0.1 * arch["depth"]}) for n, arch in enumerate(whole)]
    left = kind().propose(space, objectives, trials[:5], 8, np.random.default_rng(0)).architectures
    assert {arch.id for arch in left} == {arch.id for arch in whole[5:]}
    with pytest.raises(SpaceError):
        kind().propose(space, objectives, trials, 8, np.random.default_rng(0))


@pytest.mark.parametrize("kind", ALL)
def test_one_word_in_the_settings_names_it(kind):
    assert isinstance(strategy_from_settings(SearchSettings(name="a", strategy=kind.name)), kind)


@pytest.mark.parametrize("kind", LEARNING)
def test_it_stops_when_told(kind, space, objectives, trials):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(StoppedError):
        kind().propose(space, objectives, trials, 2, np.random.default_rng(0), cancelled=cancelled)


def test_the_best_come_first_and_what_breaks_a_limit_last(space, made_up):
    rows = [(0.5, 2.0), (0.9, 9.0), (0.8, 3.0), (0.4, 1.0), (0.3, 3.0), (0.95, 20.0)]
    objectives = (Objective("accuracy", "maximize"), Objective("p99_ms", "minimize", log=True, limit=5.0))
    trials = [
        made_up.trial(number, arch, {"accuracy": accuracy, "p99_ms": p99_ms})
        for number, (arch, (accuracy, p99_ms)) in enumerate(
            zip(space.sample(6, np.random.default_rng(0)), rows, strict=True)
        )
    ]
    order = [trial.number for trial in ranked(objectives, trials)]
    assert sorted(order[:3]) == [0, 2, 3]
    assert order[3:] == [4, 1, 5]


@pytest.mark.parametrize("kind", LEARNING)
def test_it_finds_more_than_chance(kind, space, objectives, made_up):
    def search(strategy, seed):
        rng = np.random.default_rng(seed)
        trials = made_up.complete(SobolStrategy(seed).propose(space, (), [], 16, rng).architectures)
        for _ in range(6):
            for architecture in strategy.propose(space, objectives, trials, 16, rng).architectures:
                trials.append(made_up.trial(len(trials), architecture, made_up.truth(architecture)))
        return trials

    point = {"accuracy": 0.0, "p99_ms": 1.0}
    gains = [
        hypervolume_history(objectives, search(kind(), seed), point)[-1]
        - hypervolume_history(objectives, search(RandomStrategy(), seed), point)[-1]
        for seed in range(3)
    ]
    assert np.mean(gains) > 0.0
