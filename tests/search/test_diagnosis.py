import threading
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hwnas.errors import StoppedError, StudyError
from hwnas.search import Objective, SaasSettings, Trial, TrialState, Value, diagnose
from hwnas.search import _surrogate as surrogates
from hwnas.search._data import OutcomeData
from hwnas.search._diagnosis import cross_validated, leave_one_out, relevance
from hwnas.search._surrogate import fit_map, fit_surrogate
from hwnas.space import Categorical, Float, SearchSpace

FAST = SaasSettings(fit="map", members=2)
SPACE = SearchSpace("four", [Float(f"x{i}", 0.0, 1.0) for i in range(4)])
SCORE = Objective("score", "maximize")
P99 = Objective("p99_ms", "minimize", log=True)


def data_of(n=30, *, noise=0.0, Yvar=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.random((n, 4))
    Y = np.sin(4 * X[:, 0]) + noise * rng.normal(size=n)
    return OutcomeData(SCORE, X, (Y - Y.mean()) / Y.std(), Yvar, float(Y.mean()), float(Y.std()), 0)


def trials_of(function, n=24, objective=SCORE, seed=0):
    rng = np.random.default_rng(seed)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Trial(i, arch, TrialState.COMPLETE, 0, "sobol", now, {objective.name: Value(function(arch.values, rng))})
        for i, arch in enumerate(SPACE.sample(n, rng))
    ]


@pytest.mark.parametrize("noise", [None, np.full(30, 0.01)])
def test_predictions_at_new_points_are_the_models(noise):
    surrogate = fit_map(data_of(noise=0.1, Yvar=noise), 0)
    C = np.random.default_rng(1).random((5, 4))
    with torch.no_grad():
        theirs = surrogate.model.posterior(torch.as_tensor(C), observation_noise=noise is None)
    means, variances = surrogate.predict(C)
    assert means.shape == variances.shape == (1, 5)
    assert means[0] == pytest.approx(theirs.mean[:, 0].detach().numpy(), abs=1e-6)
    assert variances[0] == pytest.approx(theirs.variance[:, 0].detach().numpy(), rel=1e-4, abs=1e-8)


def test_what_matters_is_predicted_and_found():
    surrogate = fit_surrogate(data_of(noise=0.05), FAST, 0)
    found = leave_one_out(surrogate)
    assert found.method == "saas-map"
    assert found.r2 > 0.9
    assert found.log_likelihood > -0.5
    assert (found.low < found.predicted).all()
    assert (found.predicted < found.high).all()
    assert next(iter(relevance(SPACE, surrogate))) == "x0"


def test_samples_that_explain_an_observation_best_weigh_least():
    """A sample fitted to the observation that is left out must not make the prediction look good."""
    means = np.array([[0.0, 0.0], [3.0, 0.0]])
    data = SimpleNamespace(Y=np.array([3.0, 0.0]), objective=SCORE, location=0.0, scale=1.0)
    fitted = SimpleNamespace(data=data, method="saas", leave_one_out_samples=lambda: (means, np.ones((2, 2))))
    found = leave_one_out(fitted)
    assert found.predicted[0] < 1.0  # the plain mixture would say 1.5
    assert found.predicted[1] == 0.0


def test_the_plain_model_never_sees_what_it_predicts(monkeypatch):
    data = data_of(noise=0.1)
    seen = []

    def fit(part, seed):
        seen.append({tuple(row) for row in part.X})
        return fit_map(part, seed)

    monkeypatch.setattr(surrogates, "fit_map", fit)
    found = cross_validated(data, np.random.default_rng(0))
    assert found.method == "map"
    assert found.r2 > 0.8
    rows = [tuple(row) for row in data.X]
    assert len(seen) == 8
    assert all(sum(row not in kept for kept in seen) == 1 for row in rows)


def test_a_categorical_matters_by_its_two_most_different_choices():
    space = SearchSpace("two", [Float("x", 0, 1), Categorical("op", ("a", "b", "c"))])
    inverse = np.array([[2.0, 3.0, 4.0, 1.0]])
    found = relevance(space, SimpleNamespace(inverse_lengthscale_samples=lambda: inverse))
    assert list(found) == ["op", "x"]
    assert found["op"] == pytest.approx((5.0, 5.0, 5.0))
    assert found["x"] == pytest.approx((2.0, 2.0, 2.0))


def test_figures_are_in_the_objectives_own_unit():
    trials = trials_of(lambda v, rng: float(np.exp(3 * v["x1"] + 0.05 * rng.normal())), objective=P99)
    (found,) = diagnose(SPACE, [P99], trials, FAST, np.random.default_rng(0))
    assert found.trials == tuple(range(24))
    assert found.observed == pytest.approx([trial.values["p99_ms"].value for trial in trials])
    for model in (found.saas, found.plain):
        assert (model.low > 0).all()
        assert model.r2 > 0.8
    assert next(iter(found.relevance)) == "x1"
    assert found.notes == ()


def test_a_model_that_knows_nothing_is_warned_of():
    trials = trials_of(lambda _, rng: float(rng.normal()), n=20, seed=4)
    (found,) = diagnose(SPACE, [SCORE], trials, FAST, np.random.default_rng(0))
    assert "score: the model predicts no better than the mean" in found.notes[0]
    assert "20 trials" in found.notes[0]


def test_too_few_trials_and_a_stop_are_said():
    trials = trials_of(lambda v, _: v["x0"], n=4)
    with pytest.raises(StudyError, match="only 4 trials have a value of score"):
        diagnose(SPACE, [SCORE], trials, FAST, np.random.default_rng(0))
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        diagnose(SPACE, [SCORE], trials_of(lambda v, _: v["x0"]), FAST, np.random.default_rng(0), cancelled=stop)
