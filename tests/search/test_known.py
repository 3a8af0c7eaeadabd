"""Outcomes that are computed, in the acquisition: against BoTorch's with a deterministic model."""

import warnings

import numpy as np
import pytest
import torch

from hwnas.search import Objective
from hwnas.search._acquisition import Acquisition, Outcome
from hwnas.search._data import OutcomeData
from hwnas.search._known import Known, KnownPaths
from hwnas.search._surrogate import _condition


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch):
    monkeypatch.setattr("botorch.acquisition.multi_objective.logei._load_attempted", True)


def cost(X):
    return -X[:, 0] - 0.5 * X[:, 1] ** 2


@pytest.fixture
def state():
    """One outcome fitted to 20 points, another that is computed, two pending points and 80 candidates."""
    rng = np.random.default_rng(4)
    X = rng.random((20, 3))
    Y = np.sin(4 * X[:, 0]) + X[:, 1] + 0.05 * rng.standard_normal(20)
    data = OutcomeData(Objective("a", "maximize"), X, (Y - Y.mean()) / Y.std(ddof=1), None, 0.0, 1.0, 0)
    surrogate = _condition(data, "map", "", 0)
    known = OutcomeData(Objective("b", "maximize"), X, cost(X), None, 0.0, 1.0, 0)
    points = [torch.as_tensor(part) for part in (X, rng.random((2, 3)), rng.random((80, 3)))]
    return surrogate, Known.at(3, known), points


def with_cost(X):
    return torch.cat([X, cost(X)[:, None]], dim=1)


@pytest.mark.parametrize("limit", [None, -0.9])
def test_it_is_qnehvi_with_a_deterministic_outcome(state, limit):
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.models import ModelList
    from botorch.models.deterministic import GenericDeterministicModel
    from botorch.sampling import SobolQMCNormalSampler
    from botorch.sampling.index_sampler import IndexSampler
    from botorch.sampling.list_sampler import ListSampler

    surrogate, known, (X, pending, C) = state
    outcomes = [Outcome(surrogate, -0.6, None), Outcome(known, -1.2, limit)]
    acquisition = Acquisition(outcomes, with_cost(X), with_cost(pending), draws=512, room=1, seed=3)
    mine = acquisition.log_value(acquisition.project(with_cost(C))).exp()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BoTorch's jitter
        size = torch.Size([1024])
        theirs = qLogNoisyExpectedHypervolumeImprovement(
            ModelList(surrogate.model, GenericDeterministicModel(lambda X: cost_of(X)[..., None], num_outputs=1)),
            [-0.6, -1.2],
            X,
            ListSampler(SobolQMCNormalSampler(size, seed=1), IndexSampler(size, seed=1)),
            constraints=None if limit is None else [lambda Z: limit - Z[..., 1]],
            eta=1e-4,
            X_pending=pending,
            prune_baseline=False,
        )
        with torch.no_grad():
            other = theirs(C[:, None, :]).exp()
    matter = other > other.max() / 100
    assert matter.sum() >= 3
    assert torch.allclose(mine[matter], other[matter], rtol=0.06, atol=0.006 * float(other.max()))
    assert np.corrcoef(mine, other)[0, 1] > 0.999
    if limit is not None:
        assert (mine[cost(C) < limit] < other.max() * 1e-6).all()


def cost_of(X):
    return -X[..., 0] - 0.5 * X[..., 1] ** 2


def test_it_has_its_value_in_every_draw_and_nothing_of_it_is_in_doubt(state):
    _, known, (X, _, C) = state
    paths = KnownPaths(known.expand(2), with_cost(X), torch.zeros(2, 5, 24, dtype=torch.float64))
    assert torch.equal(paths.f, cost(X).expand(2, 5, 20))
    seen = paths.project(with_cost(C))
    assert torch.equal(seen.mean, cost(C).expand(2, 5, 80))
    assert float(seen.variance.max()) < 1e-9
    assert paths.add(seen, 7) is seen
    assert torch.equal(paths.f[..., -1], cost(C)[7].expand(2, 5))
    assert seen.take(torch.tensor([3, 4])).mean.shape == (2, 5, 2)


def test_a_search_of_nothing_but_computed_outcomes_finds_what_improves(state):
    _, known, (X, _, C) = state
    outcomes = [Outcome(known, float(cost(X).min()), None)]
    acquisition = Acquisition(outcomes, with_cost(X), with_cost(X[:0]), draws=8, room=1, seed=0)
    value = acquisition.log_value(acquisition.project(with_cost(C)))
    assert int(value.argmax()) == int(cost(C).argmax())
