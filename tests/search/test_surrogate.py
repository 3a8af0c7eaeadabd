import numpy as np
import pytest
import torch

from hwnas.search import Objective, SaasSettings
from hwnas.search import _surrogate as module
from hwnas.search._data import OutcomeData
from hwnas.search._surrogate import fit_surrogate

X = np.random.default_rng(0).random((20, 6))
QUICK = SaasSettings(warmup=48, samples=32, thinning=8)


def data_of(X, score, *, Yvar=None):
    score = np.asarray(score, dtype=np.float64)
    location, scale = score.mean(), score.std(ddof=1) or 1.0
    Y = (score - location) / scale
    return OutcomeData(Objective("accuracy", "maximize"), X, Y, Yvar, location, scale, 0)


@pytest.fixture(scope="module")
def saas():
    """A SAAS fit of a function of the first column alone, noise given."""
    return fit_surrogate(data_of(X, np.sin(6 * X[:, 0]), Yvar=np.full(20, 1e-3)), QUICK, seed=3)


def test_saas_finds_the_column_that_matters(saas):
    assert saas.method == "saas"
    assert saas.notice == ""
    assert len(saas.mean) == 4
    inverse = saas.inverse_lengthscales()
    assert inverse.shape == (6,)
    assert inverse.argmax() == 0
    assert inverse[0] > 3 * inverse[1:].max()


def test_the_posterior_is_that_of_the_model(saas):
    C = torch.as_tensor(np.random.default_rng(1).random((7, 6)))
    with torch.no_grad():
        theirs = saas.model.posterior(C)
    v = torch.linalg.solve_triangular(saas.L, saas.kernel(saas.X, C), upper=False)
    mean = saas.mean[:, None] + (saas.alpha[:, None, :] @ saas.kernel(saas.X, C))[:, 0]
    covariance = saas.kernel(C, C) - v.mT @ v
    assert torch.allclose(mean, theirs.mean.squeeze(-1), atol=1e-6)
    assert torch.allclose(covariance, theirs.distribution.covariance_matrix, atol=1e-5)
    assert torch.allclose(saas.variance(), saas.kernel(C, C).diagonal(dim1=-2, dim2=-1)[:, :1])


def test_leave_one_out_is_what_leaving_one_out_gives(saas):
    mean, variance = saas.leave_one_out()
    Y = torch.as_tensor(saas.data.Y)
    noise = saas.L @ saas.L.mT - saas.kernel(saas.X, saas.X)
    for left in (0, 7, 19):
        rest = torch.arange(20) != left
        K = (saas.kernel(saas.X[rest], saas.X[rest])) + noise[:, rest][:, :, rest]
        k = saas.kernel(saas.X[rest], saas.X[left : left + 1])
        solved = torch.linalg.solve(K, k)[..., 0]
        means = saas.mean + (solved * (Y[rest] - saas.mean[:, None])).sum(dim=1)
        variances = saas.variance()[:, 0] + noise[:, left, left] - (solved * k[..., 0]).sum(dim=1)
        assert mean[left] == pytest.approx(float(means.mean()), abs=1e-6)
        mixed = float((variances + means.square()).mean() - means.mean().square())
        assert variance[left] == pytest.approx(mixed, rel=1e-4)


def test_one_sample_can_stand_for_many(saas):
    single = module._condition(saas.data, "prior", "", 0)
    assert len(single.mean) == 1
    many = single.expand(5)
    assert many.L.shape == (5, 20, 20)
    assert many.kernel(many.X, many.X).shape == (5, 20, 20)
    assert saas.expand(4) is saas


@pytest.mark.parametrize("error", [RuntimeError("cannot find valid initial parameters"), ValueError("NaN")])
def test_a_failed_fit_falls_back_and_says_so(monkeypatch, error):
    def fails(*_args):
        raise error

    monkeypatch.setattr(module, "_fit_saas", fails)
    surrogate = fit_surrogate(data_of(X, np.sin(6 * X[:, 0])), QUICK, seed=3)
    assert surrogate.method == "saas-map"
    assert "accuracy: the SAAS fit failed" in surrogate.notice
    assert str(error) in surrogate.notice
    mean, _ = surrogate.leave_one_out()
    assert np.corrcoef(mean, surrogate.data.Y)[0, 1] > 0.9


def test_a_fit_that_gives_numbers_that_are_none_falls_back(monkeypatch):
    fit = module._single_task

    def poisoned(*args):
        model = fit(*args[:3], 0, fit=False)
        model.mean_module.constant.data.fill_(float("nan"))
        return model, None

    monkeypatch.setattr(module, "_fit_saas", poisoned)
    assert fit_surrogate(data_of(X, np.sin(6 * X[:, 0])), QUICK, seed=3).method == "saas-map"


def test_where_all_fits_fail_the_prior_is_left(monkeypatch):
    def fails(*_args, fit=True):
        if fit:
            raise ValueError("no luck")
        return single(*_args, fit=False)

    single = module._single_task
    monkeypatch.setattr(module, "_fit_saas", fails)
    monkeypatch.setattr(module, "_fit_ensemble", fails)
    monkeypatch.setattr(module, "_single_task", fails)
    surrogate = fit_surrogate(data_of(X, X[:, 0]), QUICK, seed=3)
    assert surrogate.method == "prior"
    assert "as that failed too" in surrogate.notice


def test_flat_values_are_not_fitted():
    surrogate = fit_surrogate(data_of(X, np.full(20, 0.5)), QUICK, seed=3)
    assert surrogate.method == "prior"
    assert "all 20 values are alike" in surrogate.notice
    assert torch.isfinite(surrogate.alpha).all()


def test_a_fit_leaves_global_random_numbers_and_precision_alone(monkeypatch):
    import jax

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)

    def fails(*_args):
        raise ValueError("no luck")

    monkeypatch.setattr(module, "_fit_saas", fails)
    fit_surrogate(data_of(X, np.sin(6 * X[:, 0])), QUICK, seed=3)
    assert torch.equal(torch.rand(3), expected)
    assert not jax.config.jax_enable_x64
