"""The acquisition against BoTorch's, and its parts against brute force."""

import math
import warnings

import numpy as np
import pytest
import torch
from scipy.stats import norm, spearmanr

from hwnas.search import Objective
from hwnas.search import _acquisition as module
from hwnas.search import _improvement as parts
from hwnas.search._acquisition import Acquisition, Outcome
from hwnas.search._data import OutcomeData
from hwnas.search._improvement import Front, undominated_boxes
from hwnas.search._surrogate import _condition

REFERENCE = (-0.6, -0.4)


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch):
    """BoTorch's acquisition compiles an extension on first use, where it can; the plain one gives the same values."""
    monkeypatch.setattr("botorch.acquisition.multi_objective.logei._load_attempted", True)


def functions(X):
    return {
        "a": np.sin(4 * X[:, 0]) + X[:, 1],
        "b": -np.cos(3 * X[:, 0]) - X[:, 2] ** 2,
        "c": X[:, 3] - X[:, 0],
    }


@pytest.fixture(scope="module")
def state():
    """Three outcomes fitted to 20 points, three pending points, and candidates."""
    rng = np.random.default_rng(4)
    X = rng.random((20, 4))
    surrogates = []
    for name, Y in functions(X).items():
        noisy = Y + 0.05 * rng.standard_normal(len(Y))
        data = OutcomeData(
            Objective(name, "maximize"), X, (noisy - noisy.mean()) / noisy.std(ddof=1), None, 0.0, 1.0, 0
        )
        surrogates.append(_condition(data, "map", "", 0))
    return surrogates, torch.as_tensor(X), torch.as_tensor(rng.random((3, 4))), torch.as_tensor(rng.random((60, 4)))


def theirs(surrogates, X, pending, candidates, *, reference, constraints=None, objective=None, draws=1024):
    """Return BoTorch's log value of each candidate, and a function that adds a pending point."""
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.models import ModelListGP
    from botorch.sampling import SobolQMCNormalSampler

    acquisition = qLogNoisyExpectedHypervolumeImprovement(
        ModelListGP(*[surrogate.model for surrogate in surrogates]),
        list(reference),
        X,
        SobolQMCNormalSampler(torch.Size([draws]), seed=1),
        objective=objective,
        constraints=constraints,
        eta=1e-4,
        X_pending=pending,
        prune_baseline=True,
    )
    with torch.no_grad():
        return acquisition(candidates[:, None, :])


def ours(outcomes, X, pending, candidates, *, draws=256, room=2):
    acquisition = Acquisition(outcomes, X, pending, draws=draws, room=room, seed=3)
    return acquisition, acquisition.project(candidates)


def assert_close(mine, other, *, within):
    """Compare values that matter: those within a hundredth of the best."""
    a, b = mine.exp(), other.exp()
    matter = b > b.max() / 100
    assert matter.sum() >= 3
    assert torch.allclose(a[matter], b[matter], rtol=within, atol=within * float(b.max()) / 10)
    assert np.corrcoef(a, b)[0, 1] > 0.999
    assert a.argmax() == b.argmax() or b[a.argmax()] > 0.97 * b.max()


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BoTorch's jitter
        yield


def test_it_is_qnehvi_with_pending_points(state, quiet):
    surrogates, X, pending, C = state
    two = surrogates[:2]
    outcomes = [Outcome(surrogate, edge, None) for surrogate, edge in zip(two, REFERENCE, strict=True)]
    acquisition, seen = ours(outcomes, X, pending, C)
    value = acquisition.log_value(seen)
    assert_close(value, theirs(two, X, pending, C, reference=REFERENCE), within=0.05)

    best = int(value.argmax())
    seen = acquisition.add(seen, best)
    after = acquisition.log_value(seen)
    rest = torch.arange(len(C)) != best
    both = torch.cat([pending, C[best : best + 1]])
    assert_close(after[rest], theirs(two, X, both, C, reference=REFERENCE)[rest], within=0.05)
    assert after[best] < value[best] - 2.0


def test_it_is_qnehvi_under_limits_on_an_objective_and_beside_it(state, quiet):
    surrogates, X, pending, C = state
    limits = (0.2, None, 0.1)
    outcomes = [
        Outcome(surrogate, edge, limit)
        for surrogate, edge, limit in zip(surrogates, (*REFERENCE, None), limits, strict=True)
    ]
    from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective

    acquisition, seen = ours(outcomes, X, pending, C)
    expected = theirs(
        surrogates,
        X,
        pending,
        C,
        reference=REFERENCE,
        objective=IdentityMCMultiOutputObjective(outcomes=[0, 1], num_outcomes=3),
        constraints=[lambda Y: 0.2 - Y[..., 0], lambda Y: 0.1 - Y[..., 2]],
        draws=2048,
    )
    assert_close(acquisition.log_value(seen), expected, within=0.1)


def test_it_is_qnehvi_for_three_objectives(state, quiet):
    surrogates, X, pending, C = state
    reference = (*REFERENCE, -0.5)
    outcomes = [Outcome(surrogate, edge, None) for surrogate, edge in zip(surrogates, reference, strict=True)]
    acquisition, seen = ours(outcomes, X, pending, C[:30], draws=64)
    expected = theirs(surrogates, X, pending, C[:30], reference=reference, draws=64)
    assert_close(acquisition.log_value(seen), expected, within=0.2)


def test_the_values_of_several_fronts_add_with_their_weights(state, quiet):
    """The first outcome is of both fronts, as an accuracy is; each front is valued by BoTorch alone."""
    surrogates, X, pending, C = state
    edges, weights = ((-0.6, -0.4, None), (-0.9, None, -0.5)), (0.25, 4.0)
    outcomes = [Outcome(surrogate, None, None) for surrogate in surrogates]
    fronts = [Front(edge, range(3), weight) for edge, weight in zip(edges, weights, strict=True)]
    acquisition = Acquisition(outcomes, X, pending, draws=256, room=2, seed=3, fronts=fronts)
    seen = acquisition.project(C)

    def expected(pending):
        total = 0.0
        for edge, weight in zip(edges, weights, strict=True):
            own = [surrogate for surrogate, reference in zip(surrogates, edge, strict=True) if reference is not None]
            reference = [reference for reference in edge if reference is not None]
            total += weight * theirs(own, X, pending, C, reference=reference).exp()
        return total.log()

    value = acquisition.log_value(seen)
    assert_close(value, expected(pending), within=0.05)
    best = int(value.argmax())
    after = acquisition.log_value(acquisition.add(seen, best))
    rest = torch.arange(len(C)) != best
    assert_close(after[rest], expected(torch.cat([pending, C[best : best + 1]]))[rest], within=0.05)


def test_a_limit_of_one_front_keeps_nothing_off_another(state):
    surrogates, X, pending, C = state
    outcomes = [Outcome(surrogates[0], None, None), *(Outcome(surrogate, None, 0.3) for surrogate in surrogates[1:])]
    first, second = Front((-0.6, -0.4, None), (0, 1)), Front((-0.6, None, -0.5), (0, 2))

    def value(*fronts):
        acquisition = Acquisition(outcomes, X, pending, draws=512, room=1, seed=3, fronts=fronts)
        return acquisition.log_value(acquisition.project(C)).exp()

    assert torch.allclose(value(first, second), value(first) + value(second), rtol=0.1, atol=0.02)
    alone = [Outcome(surrogates[0], -0.6, None), Outcome(surrogates[1], -0.4, 0.3)]
    acquisition = Acquisition(alone, X, pending, draws=512, room=1, seed=3)
    assert torch.allclose(value(first), acquisition.log_value(acquisition.project(C)).exp(), rtol=0.1, atol=0.02)


def test_one_front_that_is_named_is_the_front_of_all_outcomes(state):
    surrogates, X, pending, C = state
    outcomes = [Outcome(surrogate, edge, 0.1) for surrogate, edge in zip(surrogates, (*REFERENCE, None), strict=True)]
    fronts = [Front((*REFERENCE, None), (0, 1, 2))]
    acquisition, seen = ours(outcomes, X, pending, C)
    named = Acquisition(outcomes, X, pending, draws=256, room=2, seed=3, fronts=fronts)
    assert torch.equal(acquisition.log_value(seen), named.log_value(named.project(C)))


def test_it_is_noisy_expected_improvement_for_one_objective(state, quiet):
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.sampling import SobolQMCNormalSampler

    surrogates, X, pending, C = state
    acquisition, seen = ours([Outcome(surrogates[0], -5.0, None)], X, pending, C)
    # BoTorch counts what the batch and the pending points gain together, so pending points go to the baseline.
    other = qLogNoisyExpectedImprovement(
        surrogates[0].model,
        torch.cat([X, pending]),
        SobolQMCNormalSampler(torch.Size([1024]), seed=1),
    )
    with torch.no_grad():
        expected = other(C[:, None, :])
    assert_close(acquisition.log_value(seen), expected, within=0.1)


def test_without_a_feasible_point_it_leads_towards_the_limit(state):
    surrogates, X, _, C = state
    limit = 3.0  # no standardised value comes near it
    outcomes = [Outcome(surrogates[0], -0.6, None), Outcome(surrogates[2], None, limit)]
    acquisition, seen = ours(outcomes, X, X[:0], C)
    assert acquisition.baseline_size <= 1
    value = acquisition.log_value(seen)
    assert torch.isfinite(value).all()
    z = (seen[1].mean.mean(dim=(0, 1)) - limit) / seen[1].variance[0].sqrt()
    first = Acquisition(outcomes, X[:0], X[:0], draws=256, room=2, seed=3)  # as nothing is on the front
    gain = Acquisition(outcomes[:1], X[:0], X[:0], draws=256, room=2, seed=3)
    weight = first.log_value(first.project(C)) - gain.log_value(gain.project(C))
    assert spearmanr(weight, z).statistic > 0.95
    assert torch.allclose(value, first.log_value(first.project(C)), atol=0.5)


def test_no_candidates_have_no_values(state):
    surrogates, X, pending, C = state
    acquisition, seen = ours([Outcome(surrogates[0], -0.6, None)], X, pending, C[:0])
    assert len(acquisition.log_value(seen)) == 0


def test_pieces_do_not_change_values(state, monkeypatch):
    surrogates, X, pending, C = state
    outcomes = [Outcome(surrogate, edge, None) for surrogate, edge in zip(surrogates[:2], REFERENCE, strict=True)]
    acquisition, seen = ours(outcomes, X, pending, C)
    whole = acquisition.log_value(seen)
    monkeypatch.setattr(module, "_CHUNK", 1)
    assert torch.allclose(acquisition.log_value(seen), whole)


# the boxes


@pytest.mark.parametrize("m", [1, 2, 3])
def test_boxes_are_disjoint_and_cover_what_is_undominated(m):
    rng = np.random.default_rng(m)
    F = torch.as_tensor(rng.integers(0, 6, (12, 7, m)).astype(float))
    kept = torch.as_tensor(rng.random((12, 7)) < 0.8)
    kept[0] = False
    reference = torch.full((m,), 1.0, dtype=torch.float64)
    lower, upper = undominated_boxes(F, kept, reference)
    probes = torch.as_tensor(np.stack(np.meshgrid(*[np.arange(0.5, 8.0)] * m), axis=-1).reshape(-1, m))
    inside = ((probes[:, None] > lower[:, None]) & (probes[:, None] < upper[:, None])).all(dim=-1).sum(dim=-1)
    dominated = ((F[:, None] > probes[:, None]).all(dim=-1) & kept[:, None]).any(dim=-1)
    expected = (probes > reference).all(dim=-1)[None] & ~dominated
    assert torch.equal(inside, expected.long())


def test_strips_are_those_of_botorch():
    from botorch.utils.multi_objective.box_decompositions import FastNondominatedPartitioning

    F = torch.as_tensor(np.random.default_rng(0).standard_normal((8, 30, 2)))
    reference = torch.tensor([-0.5, -0.2], dtype=torch.float64)
    lower, upper = undominated_boxes(F, torch.ones(8, 30, dtype=torch.bool), reference)
    for draw in range(8):
        bounds = FastNondominatedPartitioning(reference, Y=F[draw]).get_hypercell_bounds()
        mine = {
            tuple(np.round([*low, *high], 9))
            for low, high in zip(lower[draw].numpy(), upper[draw].numpy(), strict=True)
            if (high > low).all()
        }
        others = {
            tuple(np.round([*low, *high], 9))
            for low, high in zip(bounds[0].numpy(), bounds[1].numpy(), strict=True)
            if (high > low).all()
        }
        assert mine == others


# the integrals


@pytest.mark.parametrize("limit", [None, -1.0, 0.3, 2.0])
@pytest.mark.parametrize("upper", [1.1, math.inf])
def test_the_expected_length_is_that_of_draws(limit, upper):
    mean, sd, lower = 0.4, 0.7, 0.1
    numbers = [torch.tensor([number], dtype=torch.float64) for number in (mean, sd, lower, upper)]
    y = mean + sd * np.random.default_rng(0).standard_normal(2_000_000)
    gained = np.maximum(np.minimum(y, upper) - lower, 0.0) * (y >= (-math.inf if limit is None else limit))
    assert float(parts._expected_length(*numbers, limit)) == pytest.approx(gained.mean(), abs=2e-3)


def excess(*u):
    one = torch.ones(1, dtype=torch.float64)
    return parts._expected_excess(torch.tensor(u, dtype=torch.float64), one, 0 * one)


def test_the_excess_is_accurate_well_below_the_edge():
    u = -7.9
    exact = math.exp(norm.logpdf(u)) * (1 / u**2 - 3 / u**4 + 15 / u**6 - 105 / u**8)
    assert float(excess(u)) == pytest.approx(exact, rel=1e-3)


def test_what_is_next_to_impossible_still_has_an_order():
    falling = excess(-7.9, -7.99999, -8.00001, -9.0, -50.0, -1e6)
    assert (falling.diff() < 0.0).all()
    assert (falling > 0.0).all()
    assert float(falling[1] / falling[2]) == pytest.approx(1.0, abs=1e-2)
    assert float(falling[0]) < 1e-15
    assert excess(-math.inf) == 0.0
