"""The noise between trainings, and best estimates, against what they are drawn from."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from hwnas.search import Objective, Provenance, Value
from hwnas.search._noise import best_estimate, pooled_noise

ACCURACY = Objective("accuracy", "maximize")
PERPLEXITY = Objective("perplexity", "minimize", log=True)


@pytest.fixture
def drawn(made_up, space, rng):
    """Make trials, each trained so often that there is one more than `replicas` says, from normal noise."""

    def make(name, means, sigma, replicas, *, log=False):
        trials = []
        for number, (arch, mean, more) in enumerate(
            zip(space.sample(len(means), rng), means, replicas, strict=True),
        ):
            figures = mean + sigma * rng.standard_normal(1 + more)
            figures = np.exp(figures) if log else figures
            trial = made_up.trial(number, arch, {name: float(figures[0])})
            further = tuple({name: Value(float(figure))} for figure in figures[1:])
            trials.append(replace(trial, replicas=further))
        return trials

    return make


def test_the_pooled_variance_is_that_of_the_noise(drawn):
    variances = [
        pooled_noise(ACCURACY, drawn("accuracy", [0.5, 0.9, 0.7, 0.1], 0.02, [1, 2, 0, 3])).sigma ** 2
        for _ in range(400)
    ]
    # a chi-squared variable of 6 degrees of freedom over 6: mean 1, standard deviation sqrt(1/3)
    assert np.mean(variances) / 0.02**2 == pytest.approx(1.0, abs=4 * math.sqrt(1 / 3 / 400))


def test_a_logarithm_has_noise_as_a_share(drawn):
    noise = pooled_noise(PERPLEXITY, drawn("perplexity", [1.0, 3.0, 5.0] * 10, 0.1, [2] * 30, log=True))
    assert (noise.relative, noise.dof) == (True, 60)
    assert noise.sigma == pytest.approx(0.1, rel=0.3)
    assert noise.at(20.0) == pytest.approx(20 * noise.sigma)


def test_without_repetitions_and_without_any_difference_it_is_not_known(drawn):
    assert pooled_noise(ACCURACY, []) is None
    assert pooled_noise(ACCURACY, drawn("accuracy", [0.5, 0.9], 0.02, [0, 0])) is None
    assert pooled_noise(ACCURACY, drawn("accuracy", [0.5, 0.9], 0.0, [2, 2])) is None


def test_one_erratic_architecture_does_not_set_the_noise_of_all(drawn):
    trials = drawn("accuracy", [0.9] * 6, 0.003, [2] * 6)
    diverged = replace(trials[0], replicas=({"accuracy": Value(0.1)}, {"accuracy": Value(0.9)}))
    noise = pooled_noise(ACCURACY, [diverged, *trials[1:]])
    assert noise.dof == 10
    assert noise.sigma < 0.01
    assert noise.at(0.9, 0) == pytest.approx(np.std([trials[0].values["accuracy"].value, 0.1, 0.9], ddof=1))
    assert (noise.dof_of(0), noise.dof_of(1)) == (2, 10)
    assert best_estimate(diverged, "accuracy", noise).sigma > 0.2


def test_equal_noise_is_hardly_ever_called_erratic(drawn):
    found = [bool(pooled_noise(ACCURACY, drawn("accuracy", [0.5] * 8, 0.02, [2] * 8)).erratic) for _ in range(300)]
    assert sum(found) <= 1


def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says(drawn):
    held = 0
    for _ in range(1000):
        trials = drawn("accuracy", [0.5, 0.7, 0.9], 0.02, [2, 2, 1])
        noise = pooled_noise(ACCURACY, trials)
        value = best_estimate(trials[0], "accuracy", noise)
        held += abs(value.value - 0.5) <= stats.t.ppf(0.975, noise.dof_of(0)) * value.sigma
    assert held / 1000 == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 1000))


def test_a_single_training_has_the_noise_of_the_others(drawn):
    trials = drawn("accuracy", [0.5, 0.9], 0.02, [0, 3])
    noise = pooled_noise(ACCURACY, trials)
    first = trials[0].values["accuracy"].value
    assert best_estimate(trials[0], "accuracy", noise) == Value(first, noise.sigma)
    assert trials[0].best_estimate("accuracy") == Value(first)
    own = trials[1].best_estimate("accuracy")
    assert own == best_estimate(trials[1], "accuracy", noise)


def test_what_a_training_reports_of_itself_counts_where_it_is_more(made_up, space, rng):
    (arch,) = space.sample(1, rng)
    trial = replace(
        made_up.trial(0, arch, {"accuracy": 0.9}),
        values={"accuracy": Value(0.9, 0.04)},
        replicas=({"accuracy": Value(0.9, 0.04)}, {"accuracy": Value(0.9, 0.04)}, {"accuracy": Value(0.9, 0.04)}),
    )
    assert trial.best_estimate("accuracy").value == pytest.approx(0.9)
    assert trial.best_estimate("accuracy").sigma == pytest.approx(0.02)
    bare = replace(trial, values={"accuracy": Value(0.9)}, replicas=({"accuracy": Value(0.9)},))
    assert bare.best_estimate("accuracy") == Value(0.9, None, Provenance.AVERAGED)


def test_two_measurements_weigh_as_they_are_sure_of_themselves(made_up, space, rng):
    (arch,) = space.sample(1, rng)

    def estimate(first, second):
        trial = made_up.trial(0, arch, {"p99_ms": 1.0})
        return replace(trial, values={"p99_ms": first}, again={"p99_ms": second}).best_estimate("p99_ms")

    measured = Provenance.MEASURED
    agree = estimate(Value(1.0, 0.1, measured, 7), Value(1.1, 0.05, measured, 8))
    assert agree.value == pytest.approx((100 * 1.0 + 400 * 1.1) / 500)
    assert agree.sigma == pytest.approx(math.sqrt(1 / 500))
    assert (agree.provenance, agree.trace_id) == (Provenance.AVERAGED, None)
    apart = estimate(Value(1.0, 0.1, measured), Value(2.0, 0.05, measured))
    assert apart.sigma == pytest.approx(math.sqrt(1 / 500) / math.hypot(0.1, 0.05))
    assert estimate(Value(1.0), Value(2.0, 0.1)) == Value(1.5, 0.5, Provenance.AVERAGED)
    assert estimate(Value(1.0), Value(1.0)) == Value(1.0, None, Provenance.AVERAGED)


def test_a_prediction_keeps_its_own_doubt(made_up, space, rng, drawn):
    (arch,) = space.sample(1, rng)
    guess = Value(0.8, 0.005, Provenance.PREDICTED)
    trial = replace(made_up.trial(0, arch, {"accuracy": 0.8}), values={"accuracy": guess})
    noise = pooled_noise(ACCURACY, drawn("accuracy", [0.5, 0.9], 0.02, [3, 3]))
    assert best_estimate(trial, "accuracy", noise) == guess


def test_after_selection_the_interval_of_the_mean_still_holds_the_truth(made_up, space):
    """Of 64 networks the 8 best are trained twice again; their first trainings were lucky ones."""
    rng = np.random.default_rng(5)
    archs = space.sample(8, rng)
    lucky, held, left = [], [], []
    for _ in range(200):
        truth = 0.9 + 0.01 * rng.standard_normal(64)
        first = truth + 0.01 * rng.standard_normal(64)
        best = np.argsort(-first)[:8]
        trials = []
        for number, (arch, place) in enumerate(zip(archs, best, strict=True)):
            more = truth[place] + 0.01 * rng.standard_normal(2)
            trial = made_up.trial(number, arch, {"accuracy": float(first[place])})
            trials.append(replace(trial, replicas=tuple({"accuracy": Value(float(value))} for value in more)))
        noise = pooled_noise(ACCURACY, trials)
        reach = stats.t.ppf(0.975, noise.dof)
        estimates = [best_estimate(trial, "accuracy", noise) for trial in trials]
        errors = np.array([estimate.value for estimate in estimates]) - truth[best]
        lucky.append((first[best] - truth[best]).mean())
        left.append(errors.mean())
        held.append(np.mean(np.abs(errors) <= reach * estimates[0].sigma))
    assert np.mean(lucky) > 0.01  # more than one standard deviation
    assert np.mean(left) == pytest.approx(np.mean(lucky) / 3, rel=0.1)
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)
