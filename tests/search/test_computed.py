"""What is computed of architectures, and whether it is relied on."""

from dataclasses import replace

import numpy as np
import pytest

from hwnas.errors import SpaceError
from hwnas.search import Objective, Provenance, SobolStrategy, Value
from hwnas.search import _computed as module
from hwnas.search._computed import NetworkOracle, Oracles, Remembered, trusted, within_limits
from hwnas.space import SearchSpace, get_space

PARAMS = Objective("params", "minimize", "network", log=True)
MACS = Objective("macs", "minimize", "network")


@pytest.fixture(scope="module")
def digits():
    return get_space("digits")


@pytest.fixture
def trials(digits, made_up):
    """Ten trials that were told what their networks count."""
    found = []
    for number, arch in enumerate(digits.sample(10, np.random.default_rng(0))):
        graph = digits.graph(arch)
        values = {"accuracy": 0.5, "params": float(graph.params), "macs": float(graph.macs)}
        found.append(made_up.trial(number, arch, values))
    return found


class Fixed:
    """An oracle with one answer for all, which counts what it is asked."""

    names = ("ms",)

    def __init__(self, value=1.0, each_s=0.0):
        self.value, self.asked, self.each_s = value, [], each_s

    def values(self, architectures):
        self.asked += [arch.id for arch in architectures]
        return np.full((len(architectures), 1), self.value)


def test_networks_are_counted_exactly(digits):
    archs = digits.sample(5, np.random.default_rng(2))
    graphs = [digits.graph(arch) for arch in archs]
    assert NetworkOracle(digits, [PARAMS, MACS]).values(archs).tolist() == [[g.params, g.macs] for g in graphs]


def test_an_architecture_without_a_network_has_no_value(digits, made_up):
    def fails(arch):
        raise SpaceError("no network", "none")

    broken = SearchSpace("broken", digits.parameters, digits.constraints, graph=fails)
    archs = broken.sample(2, np.random.default_rng(0))
    assert np.isnan(NetworkOracle(broken, [PARAMS]).values(archs)).all()
    computed, _ = Oracles().computed(broken, (PARAMS,), [])
    assert np.isnan(computed.scores(archs)).all()


def test_each_architecture_is_asked_about_once(digits):
    archs = digits.sample(6, np.random.default_rng(2))
    oracle = Fixed()
    remembered = Remembered(oracle)
    assert remembered.values(archs[:4]).shape == (4, 1)
    assert remembered.values([archs[5], archs[0], archs[5]]).shape == (3, 1)
    assert oracle.asked == [arch.id for arch in (*archs[:4], archs[5])]
    assert remembered.values([]).shape == (0, 1)


def test_scores_are_on_the_modelled_scale(digits, trials):
    computed, notices = Oracles().computed(digits, (Objective("accuracy", "maximize"), PARAMS, MACS), trials)
    assert notices == []
    assert [objective.name for objective in computed.objectives] == ["params", "macs"]
    scores = computed.scores([trial.architecture for trial in trials])
    assert scores[:, 0].tolist() == [-np.log(trial.values["params"].value) for trial in trials]
    assert scores[:, 1].tolist() == [-trial.values["macs"].value for trial in trials]


def test_figures_that_come_from_elsewhere_are_modelled_and_that_is_said_once(digits, trials):
    other = [replace(t, values={**t.values, "params": Value(t.values["params"].value + 1)}) for t in trials]
    oracles = Oracles()
    computed, notices = oracles.computed(digits, (PARAMS, MACS), other)
    assert [objective.name for objective in computed.objectives] == ["macs"]
    assert len(notices) == 1
    assert notices[0].startswith("params: trial 2 was told ")
    assert oracles.computed(digits, (PARAMS, MACS), other)[1] == []


def test_what_takes_too_long_is_modelled_and_that_is_said(trials, monkeypatch):
    oracle = Remembered(Fixed())
    assert trusted(oracle, trials) == ([0], [])
    monkeypatch.setattr(Remembered, "each_s", 0.1)
    assert trusted(oracle, trials) == (
        [],
        ["ms: computing it takes 100 ms a network, too long: it is modelled instead"],
    )


def test_an_answer_is_timed_without_the_first_one(digits, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(module.time, "thread_time", lambda: float(next(clock)))
    remembered = Remembered(Fixed())
    archs = digits.sample(5, np.random.default_rng(2))
    remembered.values(archs[:1])
    assert remembered.each_s == 0.0
    remembered.values(archs)
    assert remembered.each_s == 0.25


def test_a_predictor_says_what_was_predicted_and_measured_values_are_not_compared(digits, trials):
    ms = Objective("ms", "minimize", log=True)
    kinds = [Provenance.PREDICTED, Provenance.MEASURED]
    told = [replace(t, values={"ms": Value(1.0 + t.number % 2, 0.1, kinds[t.number % 2])}) for t in trials]
    oracles = Oracles()
    oracles.add(Fixed(1.0))
    computed, notices = oracles.computed(digits, (ms,), told)
    assert computed.scores([trials[0].architecture]).tolist() == [[0.0]]
    assert notices == []


def test_a_space_without_networks_and_objectives_of_others_are_left_to_the_models(digits, trials, space):
    assert Oracles().computed(SearchSpace.from_json(digits.to_json()), (PARAMS,), trials) == (None, [])
    assert Oracles().computed(digits, (Objective("size_bytes", "minimize", "network"),), trials) == (None, [])
    assert Oracles().computed(digits, (Objective("params", "minimize"),), trials) == (None, [])
    oracles = Oracles()
    oracles.add(Fixed())  # of an objective that is not the study's
    assert oracles.computed(space, (Objective("accuracy", "maximize"),), []) == (None, [])


def test_a_start_keeps_to_a_limit_and_goes_on_where_it_was(digits, made_up):
    objectives = (Objective("accuracy", "maximize"), replace(PARAMS, limit=40_000.0, optimize=False))
    within = within_limits(digits, objectives, [])
    plain = SobolStrategy(3).propose(digits, (), [], 64, None).architectures
    expected = [arch for arch, ok in zip(plain, within(plain), strict=True) if ok]
    assert 8 < len(expected) < 40
    first = SobolStrategy(3).propose(digits, objectives, [], 5, None)
    assert list(first.architectures) == expected[:5]
    assert first.notices == ()
    trials = [made_up.trial(number, arch, {}) for number, arch in enumerate(first.architectures)]
    assert list(SobolStrategy(3).propose(digits, objectives, trials, 3, None).architectures) == expected[5:8]
    assert within_limits(digits, (PARAMS,), []) is None


def test_a_start_that_finds_nothing_within_a_limit_says_so(digits):
    objectives = (Objective("accuracy", "maximize"), replace(PARAMS, limit=10.0, optimize=False))
    made = SobolStrategy(3).propose(digits, objectives, [], 2, None)
    assert len(made.architectures) == 2
    assert made.notices == ("2 of the proposals break a limit that is computed: nothing within all limits was found",)
