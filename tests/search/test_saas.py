"""The strategy as a whole: what it proposes, and that it is worth its cost."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from hwnas.errors import SpaceError, StoppedError
from hwnas.search import Objective, SaasQnehviStrategy, SaasSettings, SobolStrategy, TrialState, _surrogate, diagnose
from hwnas.search._front import hypervolume_history
from hwnas.space import Float, Int, SearchSpace, get_space

QUICK = SaasSettings(warmup=48, samples=32, thinning=8, mc_samples=16, candidates=128)
FAST = QUICK.model_copy(update={"fit": "map", "members": 2})
REFERENCE = {"accuracy": 0.0, "p99_ms": 1.0}


@pytest.fixture
def by_map(monkeypatch):
    """Fit at the maximum a posteriori, in a tenth of a second."""

    def fit(data, settings, seed):
        return _surrogate._condition(data, "prior" if data.is_flat else "map", "", seed)

    monkeypatch.setattr(_surrogate, "fit_surrogate", fit)


@pytest.fixture
def trials(space, made_up):
    return made_up.complete(space.sample(14, np.random.default_rng(3)), sigma=0.02)


@pytest.fixture
def strategy():
    return SaasQnehviStrategy(QUICK)


def test_proposals_are_new_distinct_and_valid_and_the_same_again(strategy, space, objectives, trials, by_map, made_up):
    trials[3] = replace(trials[3], state=TrialState.FAILED, values={})
    trials[4] = replace(trials[4], state=TrialState.RUNNING, values={"p99_ms": trials[4].values["p99_ms"]})
    trials[5] = replace(trials[5], state=TrialState.PROPOSED, values={})
    before = [trial.id for trial in trials]
    made = strategy.propose(space, objectives, trials, 8, np.random.default_rng(0))
    assert made.origin == "saas-qnehvi"
    assert made.fit_s > 0.0
    assert made.acquisition_s > 0.0
    ids = [architecture.id for architecture in made.architectures]
    assert len(set(ids)) == 8
    assert not set(ids) & set(before)
    for architecture in made.architectures:
        space.validate(architecture.values)
    again = strategy.propose(space, objectives, trials, 8, np.random.default_rng(0))
    assert [architecture.id for architecture in again.architectures] == ids
    other = strategy.propose(space, objectives, trials, 8, np.random.default_rng(1))
    assert [architecture.id for architecture in other.architectures] != ids


def towards(space, trials):
    """Propose where measured trials broke a limit and none was trained."""
    limited = Objective("p99_ms", "minimize", "device", "phone", limit=1e-3)
    measured = [
        replace(trial, state=TrialState.ABANDONED, values={"p99_ms": trial.values["p99_ms"]}) for trial in trials
    ]
    return SaasQnehviStrategy(FAST).propose(space, [limited], measured, 2, np.random.default_rng(0))


@pytest.mark.parametrize(
    "compute",
    [
        lambda space, goals, trials: SaasQnehviStrategy(FAST).propose(
            space, goals, trials, 2, np.random.default_rng(0)
        ),
        lambda space, goals, trials: diagnose(space, goals, trials, FAST, np.random.default_rng(0)),
        lambda space, goals, trials: towards(space, trials),
    ],
    ids=["propose", "diagnose", "towards limits"],
)
def test_models_compute_in_one_thread_and_leave_the_number_as_it_was(space, objectives, trials, monkeypatch, compute):
    import torch

    seen, threads, conditioned = [], torch.get_num_threads(), _surrogate._condition

    def condition(*args):
        seen.append(torch.get_num_threads())
        return conditioned(*args)

    monkeypatch.setattr(_surrogate, "_condition", condition)
    torch.set_num_threads(2)
    try:
        compute(space, objectives, trials)
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_batch_spreads_and_what_is_pending_counts(strategy, space, objectives, trials, by_map, made_up):
    first = strategy.propose(space, objectives, trials, 4, np.random.default_rng(0)).architectures
    pending = [made_up.trial(100 + place, arch, {}, state=TrialState.RUNNING) for place, arch in enumerate(first)]
    then = strategy.propose(space, objectives, [*trials, *pending], 4, np.random.default_rng(0))
    first_value = strategy.propose(space, objectives, trials, 4, np.random.default_rng(0)).diagnostics
    assert then.diagnostics["log_acquisition"][0] < first_value["log_acquisition"][0] - 0.2
    assert first_value["log_acquisition"][-1] < first_value["log_acquisition"][0]


def test_diagnostics_tell_what_matters(strategy, space, objectives, trials, by_map):
    told = strategy.propose(space, objectives, trials, 2, np.random.default_rng(0)).diagnostics
    outcomes = told["outcomes"]
    assert outcomes.keys() == {"accuracy", "p99_ms"}
    for outcome in outcomes.values():
        assert outcome["inverse_lengthscales"].keys() == {parameter.name for parameter in space.parameters}
        assert outcome["n"] == 14
        assert outcome["loo_r2"] <= 1.0
        assert np.isfinite(outcome["loo_log_likelihood"])
    assert outcomes["p99_ms"]["noise"] == "given"
    assert len(told["log_acquisition"]) == 2
    assert told["valued"] > 128


def test_it_says_what_it_cost_in_processor_time(strategy, space, objectives, trials, by_map):
    made = strategy.propose(space, objectives, trials, 2, np.random.default_rng(0))
    assert made.fit_cpu_s > 0.0
    assert made.acquisition_cpu_s > 0.0
    assert made.diagnostics["cpu_s"] == {"fit": made.fit_cpu_s, "acquisition": made.acquisition_cpu_s}


def test_past_a_size_the_fast_mode_takes_over_and_says_so_once(space, objectives, trials):
    strategy = SaasQnehviStrategy(QUICK.model_copy(update={"fit": "auto", "nuts_trials": 10}))
    assert strategy.name == "saas-qnehvi"
    first, second = (strategy.propose(space, objectives, trials, 2, np.random.default_rng(0)) for _ in range(2))
    methods = {name: outcome["method"] for name, outcome in first.diagnostics["outcomes"].items()}
    assert methods == {"accuracy": "saas-map", "p99_ms": "saas-map"}
    assert [notice.split(":")[0] for notice in first.notices] == ["14 trials and 7 columns"]
    assert 'fit = "nuts"' in first.notices[0]
    assert second.notices == ()
    assert second.architectures == first.architectures
    assert SaasQnehviStrategy(QUICK.model_copy(update={"fit": "map"})).name == "saas-map"


def test_a_search_in_a_conditional_space_proposes_nothing_invalid_and_nothing_twice(wide, objectives, made_up):
    strategy = SaasQnehviStrategy(SaasSettings(fit="map", mc_samples=8, candidates=64, members=2))
    found = run(strategy, wide, objectives, made_up, start=32, batches=13, batch=16)
    assert len(found) == 240
    assert len({trial.id for trial in found}) == 240
    for trial in found:
        wide.validate(trial.architecture.values)
    assert len({frozenset(trial.architecture.values) for trial in found}) > 3  # conditions were met and not met


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_trials_give_sobol_points_and_a_notice(strategy, space, objectives, trials, count):
    made = strategy.propose(space, objectives, trials[:count], 3, np.random.default_rng(0))
    assert made.origin == "sobol"
    assert len(made.architectures) == 3
    assert made.notices == (f"only {count} trials are complete, too few to model: Sobol points are proposed",)


def test_numbers_that_go_wrong_give_sobol_points_and_a_notice(strategy, space, objectives, trials, by_map, monkeypatch):
    from linear_operator.utils.errors import NotPSDError

    def fails(*_args):
        raise NotPSDError("not positive definite")

    monkeypatch.setattr("hwnas.search._paths.cholesky", fails)
    made = strategy.propose(space, objectives, trials, 3, np.random.default_rng(0))
    assert made.origin == "sobol"
    assert len({architecture.id for architecture in made.architectures} - {trial.id for trial in trials}) == 3
    assert made.notices == ("the acquisition failed (not positive definite): Sobol points are proposed",)


def test_a_flat_objective_does_not_stop_it(strategy, space, objectives, trials, made_up):
    flat = [
        made_up.trial(trial.number, trial.architecture, {"accuracy": 0.5, "p99_ms": 1.0}, sigma=0.01)
        for trial in trials
    ]
    made = strategy.propose(space, objectives, flat, 3, np.random.default_rng(0))
    assert len({architecture.id for architecture in made.architectures}) == 3
    assert "accuracy: all 14 values are alike, so it guides nothing yet" in made.notices


def test_one_objective_and_a_constraint_alone_will_do(strategy, space, trials, by_map):
    objectives = (
        Objective("accuracy", "maximize"),
        Objective("p99_ms", "minimize", log=True, limit=0.4, optimize=False),
    )
    made = strategy.propose(space, objectives, trials, 3, np.random.default_rng(0))
    assert len(made.architectures) == 3
    assert made.diagnostics["reference"].keys() == {"accuracy"}


def test_a_space_is_used_up_to_the_last_architecture(strategy, by_map, made_up):
    space = SearchSpace("tiny", [Int("depth", 1, 6)])
    whole = space.sample(6, np.random.default_rng(0))
    objectives = (Objective("accuracy", "maximize"),)

    def told(count):
        return [made_up.trial(n, arch, {"accuracy": 0.1 * arch["depth"]}) for n, arch in enumerate(whole[:count])]

    assert len(strategy.propose(space, objectives, told(4), 8, np.random.default_rng(0)).architectures) == 2
    with pytest.raises(SpaceError):
        strategy.propose(space, objectives, told(6), 8, np.random.default_rng(0))


def test_it_stops_when_told(strategy, space, objectives, trials, by_map):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(StoppedError):
        strategy.propose(space, objectives, trials, 2, np.random.default_rng(0), cancelled=cancelled)


def run(strategy, space, objectives, made_up, *, start, batches, batch, seed=0):
    """Return trials of a search: `start` Sobol points, then batches of the strategy."""
    trials = made_up.complete(SobolStrategy(seed).propose(space, (), [], start, None).architectures)
    for number in range(batches):
        proposals = strategy.propose(space, objectives, trials, batch, np.random.default_rng([seed, number]))
        assert proposals.notices == ()
        for architecture in proposals.architectures:
            trials.append(made_up.trial(len(trials), architecture, made_up.truth(architecture)))
    return trials


@pytest.fixture
def wide(space):
    """The small space with parameters that do nothing: what SAAS is for."""
    junk = [Float(f"junk{number}", 0.0, 1.0) for number in range(4)]
    return SearchSpace("wide", [*space.parameters, *junk], space.constraints)


def test_it_beats_three_times_as_many_sobol_points(wide, objectives, made_up):
    objectives = [replace(objective, reference=REFERENCE[objective.name]) for objective in objectives]
    found = run(SaasQnehviStrategy(QUICK), wide, objectives, made_up, start=10, batches=2, batch=6)
    sobol = made_up.complete(SobolStrategy(0).propose(wide, objectives, [], 66, None).architectures)
    assert hypervolume_history(objectives, found)[-1] > hypervolume_history(objectives, sobol)[-1]


def test_it_keeps_to_a_limit_more_often_than_sobol(wide, objectives, made_up, by_map):
    limited = (objectives[0], replace(objectives[1], limit=0.3))
    found = run(SaasQnehviStrategy(QUICK), wide, limited, made_up, start=10, batches=3, batch=6)
    sobol = made_up.complete(SobolStrategy(0).propose(wide, limited, [], 28, None).architectures)

    def share(trials):
        return np.mean([limited[1].feasible(trial.values["p99_ms"].value) for trial in trials])

    assert share(found[10:]) > share(sobol[10:]) + 0.2
    best = max(t.values["accuracy"].value for t in found if limited[1].feasible(t.values["p99_ms"].value))
    others = max(t.values["accuracy"].value for t in sobol if limited[1].feasible(t.values["p99_ms"].value))
    assert best > others


def share_that_fails(space, objectives, made_up, *, batches):
    """Return the share of proposals after the start whose training fails: those with inverted bottlenecks."""
    strategy = SaasQnehviStrategy(SaasSettings(fit="map", mc_samples=8, candidates=64, members=2))
    trials, told = [], []
    proposed = SobolStrategy(0).propose(space, (), [], 16, None).architectures
    for number in range(batches + 1):
        for arch in proposed:
            failed = arch["block"] == "mbconv"
            values = {} if failed else made_up.truth(arch)
            state = TrialState.FAILED if failed else TrialState.COMPLETE
            trials.append(made_up.trial(len(trials), arch, values, state=state))
        made = strategy.propose(space, objectives, trials, 8, np.random.default_rng(number))
        told.append(made.diagnostics)
        proposed = made.architectures
    return np.mean([trial.state == TrialState.FAILED for trial in trials[16:]]), told


def test_what_is_like_the_trials_that_failed_is_seldom_proposed(wide, objectives, made_up, monkeypatch):
    from hwnas.search import _models

    share, told = share_that_fails(wide, objectives, made_up, batches=4)
    assert told[0]["feasibility"]["failed"] >= 3
    assert max(told[-1]["feasibility"]["inverse_lengthscales"].items(), key=lambda item: item[1])[0] == "block"
    monkeypatch.setattr(_models, "feasibility", lambda *_: None)
    wasted, untold = share_that_fails(wide, objectives, made_up, batches=4)
    assert "feasibility" not in untold[-1]
    assert share < 0.1
    assert wasted > share + 0.2


@pytest.fixture
def counted(made_up):
    """The digits space, objectives with a limit on parameters, and trials that keep to it or not."""
    space = get_space("digits")
    objectives = (
        Objective("accuracy", "maximize"),
        Objective("params", "minimize", "network", log=True, limit=60_000.0),
    )

    def tell(number, arch):
        params = float(space.graph(arch).params)
        accuracy = 1.0 - 2.0 / np.sqrt(params) - 0.1 * (np.log10(arch["learning_rate"]) + 2.0) ** 2
        return made_up.trial(number, arch, {"accuracy": accuracy, "params": params})

    return space, objectives, tell


def test_what_can_be_computed_is_not_modelled_and_its_limit_is_never_broken(counted, by_map):
    space, objectives, tell = counted
    trials = [tell(number, arch) for number, arch in enumerate(space.sample(12, np.random.default_rng(0)))]
    assert any(trial.values["params"].value > 60_000 for trial in trials)
    strategy = SaasQnehviStrategy(QUICK)
    for number in range(2):
        made = strategy.propose(space, objectives, trials, 8, np.random.default_rng(number))
        assert made.diagnostics["outcomes"]["params"] == {"method": "computed", "n": len(trials)}
        assert made.diagnostics["outcomes"]["accuracy"]["method"] == "map"
        assert made.notices == ()
        assert all(space.graph(arch).params <= 60_000 for arch in made.architectures)
        trials += [tell(len(trials) + place, arch) for place, arch in enumerate(made.architectures)]


def test_a_limit_that_nothing_keeps_to_is_told(counted, by_map):
    space, objectives, tell = counted
    trials = [tell(number, arch) for number, arch in enumerate(space.sample(6, np.random.default_rng(0)))]
    hopeless = (objectives[0], replace(objectives[1], limit=10.0))
    made = SaasQnehviStrategy(QUICK).propose(space, hopeless, trials, 2, np.random.default_rng(0))
    assert made.notices == ("2 of the proposals break a limit that is computed: nothing within all limits was found",)


def test_a_limit_that_little_keeps_to_is_climbed_to(counted, by_map):
    space, objectives, tell = counted
    trials = [tell(number, arch) for number, arch in enumerate(space.sample(6, np.random.default_rng(0)))]
    least = min(trial.values["params"].value for trial in trials)
    tight = (objectives[0], replace(objectives[1], limit=1_300.0))
    assert least > 1_300.0
    made = SaasQnehviStrategy(QUICK).propose(space, tight, trials, 3, np.random.default_rng(0))
    assert made.notices == ()
    assert all(space.graph(arch).params <= 1_300 for arch in made.architectures)


def test_computing_finds_no_less_than_modelling(counted, monkeypatch):
    from hwnas.search import _computed

    space, objectives, tell = counted
    objectives = (
        replace(objectives[0], reference=0.5),
        replace(objectives[1], limit=None, reference=100_000.0),
    )

    def volume(seed):
        strategy = SaasQnehviStrategy(SaasSettings(fit="map", mc_samples=16, candidates=128, members=2))
        trials = [
            tell(n, arch) for n, arch in enumerate(SobolStrategy(seed).propose(space, (), [], 10, None).architectures)
        ]
        for number in range(3):
            made = strategy.propose(space, objectives, trials, 6, np.random.default_rng([seed, number]))
            trials += [tell(len(trials) + place, arch) for place, arch in enumerate(made.architectures)]
        return hypervolume_history(objectives, trials)[-1]

    computed = np.mean([volume(seed) for seed in range(2)])
    monkeypatch.setattr(_computed.Oracles, "computed", lambda *_: (None, []))
    modelled = np.mean([volume(seed) for seed in range(2)])
    assert computed > 0.97 * modelled
