import numpy as np
import pytest

from hwnas.search import Objective, SaasQnehviStrategy, SaasSettings
from hwnas.search._aims import aims, good_architectures
from hwnas.search._data import outcome_data
from hwnas.search._models import fit_models
from hwnas.search._pareto import hypervolume

ACCURACY = Objective("accuracy", "maximize")
PHONE = Objective("p99_ms@phone", "minimize", "device", device="phone")
WATCH = Objective("p99_ms@watch", "minimize", "device", device="watch")
BOTH = (ACCURACY, PHONE, WATCH)


@pytest.fixture
def trials(space, made_up, rng):
    """Twelve trials; the watch is a hundred times slower, and slow where kernels are large rather than nets deep."""
    found = []
    for number, arch in enumerate(space.sample(12, rng)):
        told = made_up.truth(arch)
        watch = 100.0 * arch["kernel"] / arch["depth"] * (1.0 + 0.01 * number)
        values = {"accuracy": told["accuracy"], "p99_ms@phone": told["p99_ms"], "p99_ms@watch": watch}
        found.append(made_up.trial(number, arch, values))
    return found


def test_each_front_has_its_reference_and_its_hypervolume(trials):
    found = aims(BOTH, trials)
    assert list(found) == ["phone", "watch"]
    for aim, own in zip(found.values(), (PHONE, WATCH), strict=True):
        assert aim.objectives == (ACCURACY, own)
        assert list(aim.reference) == ["accuracy", own.name]
        Y = np.array([[o.score(trial.values[o.name].value) for o in (ACCURACY, own)] for trial in trials])
        assert aim.volume == pytest.approx(hypervolume(Y, np.array(list(aim.reference.values()))))
        assert aim.volume > 0.0
    assert [list(aim.reference) for aim in aims(BOTH, trials, joint=True).values()] == [[o.name for o in BOTH]]


def test_what_an_improvement_counts_does_not_depend_on_units(trials, space):
    """An improvement in standardised scores is worth the share that it is of the front's hypervolume."""
    data = [outcome_data(space, objective, trials) for objective in BOTH]
    for aim in aims(BOTH, trials).values():
        front = aim.front(data, alone=False)
        scales = [one.scale for one, reference in zip(data, front.references, strict=True) if reference is not None]
        assert front.weight * aim.volume == pytest.approx(np.prod(scales))
        assert aim.front(data, alone=True).weight == 1.0
        for one, reference in zip(data, front.references, strict=True):
            if reference is not None:
                assert one.location + one.scale * reference == pytest.approx(aim.reference[one.objective.name])
        assert [data[place].objective for place in front.limited] == list(aim.objectives)


def test_the_good_ones_are_of_all_fronts_in_turn(trials):
    found = aims(BOTH, trials)
    good = [architecture.id for architecture in good_architectures(found, trials)]
    alone = [good_architectures(aims((ACCURACY, own), trials), trials) for own in (PHONE, WATCH)]
    assert set(good) == {arch.id for front in alone for arch in front}
    assert len(good) == len(set(good))
    assert set(good[:4]) >= {front[place].id for front in alone for place in (0, 1)}


def test_where_no_trial_keeps_to_a_limit_those_that_break_it_least_are_good(trials):
    limited = Objective("p99_ms@watch", "minimize", "device", device="watch", limit=1e-3)
    good = good_architectures(aims((ACCURACY, limited), trials), trials)
    fastest = sorted(trials, key=lambda trial: trial.values["p99_ms@watch"].value)
    assert [arch.id for arch in good] == [trial.id for trial in fastest]


def test_a_batch_improves_both_fronts_and_is_fitted_once_an_outcome(space, trials, monkeypatch):
    from hwnas.search import _surrogate

    fitted, fit = [], _surrogate.fit_surrogate

    def counted(data, *args):
        fitted.append(data.objective.name)
        return fit(data, *args)

    monkeypatch.setattr(_surrogate, "fit_surrogate", counted)
    settings = SaasSettings(fit="map", members=2, mc_samples=8, candidates=64)
    proposals = SaasQnehviStrategy(settings).propose(space, BOTH, trials, 4, np.random.default_rng(0))
    assert sorted(fitted) == sorted(objective.name for objective in BOTH)
    assert len({arch.id for arch in proposals.architectures} - {trial.id for trial in trials}) == 4
    assert list(proposals.diagnostics["reference"]) == ["phone", "watch"]
    joint = SaasQnehviStrategy(settings, joint=True).propose(space, BOTH, trials, 4, np.random.default_rng(0))
    assert list(joint.diagnostics["reference"]) == [objective.name for objective in BOTH]


@pytest.fixture
def observed(space, made_up):
    """Return complete trials with these accuracies and latencies."""

    def make(told):
        architectures = space.sample(len(told), np.random.default_rng(0))
        return [
            made_up.trial(n, arch, {"accuracy": accuracy, "p99_ms": p99_ms})
            for n, (arch, (accuracy, p99_ms)) in enumerate(zip(architectures, told, strict=True))
        ]

    return make


def test_the_reference_is_the_given_one_once_something_beats_it(observed):
    told = [(0.5, 1.0), (0.7, 3.0), (0.4, 0.8)]
    trials = observed(told)

    def reference(*objectives):
        (aim,) = aims(objectives, trials).values()
        return dict(aim.reference)

    latency = Objective("p99_ms", "minimize")
    inferred = {"accuracy": 0.4 - 0.1 * 0.3, "p99_ms": -3.0 - 0.1 * 2.2}
    for given, expected in [
        (None, inferred["accuracy"]),
        (0.45, 0.45),
        (0.9, 0.7 - 0.1 * np.std([0.5, 0.7, 0.4])),  # nothing is better: it would see no improvement anywhere
    ]:
        found = reference(Objective("accuracy", "maximize", reference=given), latency)
        assert found == pytest.approx({**inferred, "accuracy": expected})
    limited = Objective("p99_ms", "minimize", limit=2.0)
    assert reference(ACCURACY, limited) == pytest.approx({"accuracy": 0.39, "p99_ms": -1.0 - 0.02})


def test_a_reference_that_nothing_reaches_is_eased_in_all_objectives_alike(observed):
    told = [(0.9, 8.0), (0.7, 4.0), (0.4, 0.8)]
    trials = observed(told)
    objectives = Objective("accuracy", "maximize", reference=0.8), Objective("p99_ms", "minimize", reference=3.0)
    (aim,) = aims(objectives, trials).values()
    accuracies, latencies = np.array(told).T
    assert aim.eased
    by_accuracy = (0.8 - aim.reference["accuracy"]) / accuracies.std()
    by_latency = (-aim.reference["p99_ms"] - 3.0) / latencies.std()
    assert by_accuracy == pytest.approx(by_latency)
    better = (accuracies > aim.reference["accuracy"]) & (-latencies > aim.reference["p99_ms"])
    assert better.tolist() == [False, True, False]  # the one in the middle, and not the ends of the front
    assert aim.volume > 0.0


def test_the_luck_of_a_noisy_trial_reaches_no_reference(space, observed):
    """One of many like trials was observed far above what they all are; the models know better."""
    rng = np.random.default_rng(0)
    accuracies = 0.5 + 0.02 * rng.standard_normal(24)
    accuracies[7] = 0.7
    trials = observed([(float(accuracy), 1.0 + n % 2) for n, accuracy in enumerate(accuracies)])
    objectives = Objective("accuracy", "maximize", reference=0.65), Objective("p99_ms", "minimize")
    settings = SaasSettings(fit="map", members=2)
    models = fit_models(space, objectives, trials, settings, None, np.random.default_rng(0))
    (observed,) = aims(objectives, trials).values()
    (expected,) = aims(objectives, trials, models).values()
    assert not observed.eased
    assert expected.eased
    assert expected.reference["accuracy"] < 0.65
