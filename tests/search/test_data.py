from dataclasses import replace

import numpy as np
import pytest

from hwnas.search import Objective, TrialState, Value
from hwnas.search._data import complete_trials, most_telling, outcome_data, pending_trials

ACCURACY = Objective("accuracy", "maximize")
LATENCY = Objective("p99_ms", "minimize", log=True)


@pytest.fixture
def architectures(space, rng):
    return space.sample(30, rng)


def told(made_up, architectures, name, values, **how):
    return [
        made_up.trial(number, arch, {name: value}, **how)
        for number, (arch, value) in enumerate(zip(architectures, values, strict=False))
    ]


def test_scores_are_standardised_on_the_modelled_scale_and_more_is_better(space, architectures, made_up):
    values = np.geomspace(0.5, 8.0, 12)
    data = outcome_data(space, LATENCY, told(made_up, architectures, "p99_ms", values))
    assert data.X.shape == (12, space.dim)
    assert data.Y.mean() == pytest.approx(0.0)
    assert data.Y.std(ddof=1) == pytest.approx(1.0)
    assert (np.diff(data.Y) < 0).all()
    assert data.location + data.scale * data.Y == pytest.approx(-np.log(values))
    assert data.standardise(-np.log(values[3])) == pytest.approx(data.Y[3])


def test_noise_is_given_where_every_trial_has_a_standard_error(space, architectures, made_up):
    values = np.geomspace(0.5, 8.0, 12)
    trials = told(made_up, architectures, "p99_ms", values, sigma=0.05)
    data = outcome_data(space, LATENCY, trials)
    assert pytest.approx((0.05 / data.scale) ** 2) == data.Yvar
    without = [*trials[:-1], made_up.trial(11, architectures[11], {"p99_ms": 8.0})]
    assert outcome_data(space, LATENCY, without).Yvar is None


def test_noise_between_trainings_is_given_once_it_is_known_well_enough(space, architectures, made_up):
    def repeated(count):
        trials = told(made_up, architectures, "accuracy", np.linspace(0.5, 0.9, 12))
        for number in range(count):
            more = tuple({"accuracy": Value(trials[number].values["accuracy"].value + gap)} for gap in (0.02, -0.02))
            trials[number] = replace(trials[number], replicas=more)
        return trials

    assert outcome_data(space, ACCURACY, repeated(3)).Yvar is None
    data = outcome_data(space, ACCURACY, repeated(4))
    variance = 4 * 2 * 0.02**2 / 8
    assert data.Yvar * data.scale**2 == pytest.approx([variance / 3] * 4 + [variance] * 8)
    lucky = repeated(4)
    lucky[11] = replace(lucky[11], replicas=({"accuracy": Value(0.5)}, {"accuracy": Value(0.5)}))
    assert outcome_data(space, ACCURACY, lucky).Y.argmax() == 10


def test_every_known_value_serves_whatever_became_of_its_trial(space, architectures, made_up):
    trials = [
        made_up.trial(0, architectures[0], {"accuracy": 0.5, "p99_ms": 1.0}),
        made_up.trial(1, architectures[1], {"p99_ms": 2.0}, state=TrialState.FAILED),
        made_up.trial(2, architectures[2], {"p99_ms": 3.0}, state=TrialState.RUNNING),
        made_up.trial(3, architectures[3], {}, state=TrialState.PROPOSED),
    ]
    assert len(outcome_data(space, LATENCY, trials).Y) == 3
    assert len(outcome_data(space, ACCURACY, trials).Y) == 1
    assert [trial.number for trial in complete_trials(trials)] == [0]
    assert [trial.number for trial in pending_trials(trials)] == [2, 3]


def test_one_diverged_training_does_not_set_the_scale(space, architectures, made_up):
    values = [*np.linspace(0.90, 0.98, 20), 0.1]
    data = outcome_data(space, ACCURACY, told(made_up, architectures, "accuracy", values))
    assert data.raised == 1
    assert data.Y.argmin() == 20
    assert np.ptp(data.Y[:20]) > 1.9
    plain = outcome_data(space, ACCURACY, told(made_up, architectures, "accuracy", values[:20]))
    assert plain.raised == 0


def test_the_good_side_and_what_keeps_to_a_limit_are_left_alone(space, architectures, made_up):
    high = [*np.linspace(0.1, 0.2, 20), 0.99]
    assert outcome_data(space, ACCURACY, told(made_up, architectures, "accuracy", high)).raised == 0
    limited = Objective("accuracy", "maximize", limit=0.3)
    low = [*np.linspace(0.90, 0.98, 20), 0.5, 0.1]
    data = outcome_data(space, limited, told(made_up, architectures, "accuracy", low))
    assert data.raised == 1
    assert data.location + data.scale * data.Y[20:] == pytest.approx([0.5, 0.3])


@pytest.mark.parametrize("values", [[0.5] * 9, [0.5], []])
def test_what_is_all_alike_is_flat(space, architectures, made_up, values):
    data = outcome_data(space, ACCURACY, told(made_up, architectures, "accuracy", values))
    assert data.is_flat
    assert data.scale == 1.0
    assert np.isfinite(data.Y).all()


def test_the_most_telling_are_the_best_layers_and_the_latest(space, made_up, rng):
    objectives = (Objective("a", "maximize"), Objective("b", "maximize"))
    rows = [(0, 4), (1, 3), (3, 1), (4, 0), (0, 3), (1, 1), (0, 0), (0.1, 0.1), (0.2, 0.2), (0.3, 0.3)]
    trials = [
        made_up.trial(number, arch, dict(zip("ab", map(float, row), strict=True)))
        for number, (arch, row) in enumerate(zip(space.sample(11, rng), rows, strict=False))
    ]
    pending = made_up.trial(10, space.sample(1, rng)[0], {})
    assert [t.number for t in most_telling(objectives, [*trials, pending], 10)] == list(range(11))
    kept = [trial.number for trial in most_telling(objectives, [*trials, pending], 8)]
    assert kept == [0, 1, 2, 3, 9, 8, 7, 6, 10]
    assert [trial.number for trial in most_telling(objectives, trials, 4)] == [0, 1, 9, 8]
