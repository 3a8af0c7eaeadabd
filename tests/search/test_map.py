"""The fast fit: gradients against differences, the posterior against BoTorch's model, and what it finds."""

import math

import numpy as np
import pytest
import torch

from hwnas.search import Objective, SaasSettings
from hwnas.search._data import OutcomeData
from hwnas.search._map import LEAST_NOISE, Posterior, fit_members
from hwnas.search._surrogate import fit_surrogate


def wave(n, d, seed=0, noise=0.05):
    """Data that depend on the first column alone."""
    rng = np.random.default_rng(seed)
    X = rng.random((n, d))
    Y = np.sin(6 * X[:, 0]) + noise * rng.standard_normal(n)
    return X, (Y - Y.mean()) / Y.std(ddof=1)


@pytest.mark.parametrize("given", [True, False])
def test_the_gradient_is_that_of_differences(given):
    rng = np.random.default_rng(0)
    X, Y = wave(25, 5)
    posterior = Posterior(X, Y, rng.uniform(0.01, 0.2, 25) if given else None, 0.1)
    for _ in range(5):
        theta = 0.7 * rng.standard_normal(8)
        _, gradient = posterior(theta)
        steps = 1e-5 * np.eye(8)
        differences = [(posterior(theta + step)[0] - posterior(theta - step)[0]) / 2e-5 for step in steps]
        assert gradient == pytest.approx(differences, abs=1e-5)


@pytest.mark.parametrize("given", [True, False])
def test_it_is_the_posterior_of_botorchs_model_in_logarithms(given):
    import jax
    import jax.numpy as jnp
    from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP
    from numpyro.infer.util import log_density

    rng = np.random.default_rng(1)
    X, Y = wave(20, 4)
    Yvar = np.full(20, 0.03) if given else None
    noise = None if Yvar is None else torch.as_tensor(Yvar)[:, None]
    model = SaasFullyBayesianSingleTaskGP(torch.as_tensor(X), torch.as_tensor(Y)[:, None], noise).pyro_model
    ours = Posterior(X, Y, Yvar, 0.07)
    differences = []
    with jax.enable_x64(True):
        for _ in range(10):
            theta = 0.7 * rng.standard_normal(7)
            values = {
                "mean": jnp.asarray(theta[0]),
                "outputscale": jnp.asarray(np.exp(theta[1])),
                "kernel_tausq": jnp.asarray(0.07),
                "_kernel_inv_length_sq": jnp.asarray(np.exp(theta[3:]) / 0.07),
            }
            if not given:
                values["noise"] = jnp.asarray(np.exp(theta[2]))
            density = float(log_density(model.sample, (), {}, values)[0])
            density += theta[1] + theta[3:].sum() + (0.0 if given else theta[2])  # of the logarithms
            differences.append(ours(theta)[0] - density)
    assert np.ptp(differences) < (1e-5 if given else 2e-3)  # theirs adds the least noise to what is inferred


def test_members_find_what_matters_and_how_noisy_it_is():
    X, Y = wave(60, 8, noise=0.1)
    found = fit_members(X, Y, None, members=4)
    assert found.inverse_squared.shape == (4, 8)
    assert (found.inverse_squared.argmax(axis=1) == 0).all()
    assert (found.inverse_squared[:, 0] > 20 * found.inverse_squared[:, 1:].max(axis=1)).all()
    truth = (0.1 / np.sin(6 * X[:, 0]).std()) ** 2
    assert (np.abs(np.log(found.noise / truth)) < math.log(3)).all()
    quiet = fit_members(X, wave(60, 8, noise=0.0)[1], None, members=2)
    assert (quiet.noise >= LEAST_NOISE * 0.999).all()


def test_members_believe_in_few_or_in_many_columns():
    X, Y = wave(20, 8)
    rest = fit_members(X, Y, None, members=4).inverse_squared[:, 1:].mean(axis=1)
    assert (np.diff(rest) > 0).all()
    assert rest[-1] > 3 * rest[0]


def test_a_posterior_that_is_nowhere_finite_is_refused():
    with pytest.raises(ValueError, match="nowhere finite"):
        fit_members(np.zeros((3, 2)), np.array([1.0, np.nan, 0.0]), None, members=2)


@pytest.mark.parametrize("given", [True, False])
def test_the_surrogate_of_the_fast_mode_predicts(given):
    X, Y = wave(40, 6)
    Yvar = np.full(40, 0.005) if given else None
    data = OutcomeData(Objective("accuracy", "maximize"), X, Y, Yvar, 0.0, 1.0, 0)
    surrogate = fit_surrogate(data, SaasSettings(fit="map", members=3), 0)
    assert surrogate.method == "saas-map"
    assert surrogate.notice == ""
    assert len(surrogate.mean) == 3
    mean, variance = surrogate.leave_one_out()
    z = (Y - mean) / np.sqrt(variance)
    assert 1 - np.var(Y - mean) > 0.95
    assert 0.5 < z.std() < 2.0
    again = fit_surrogate(data, SaasSettings(fit="map", members=3), 1)
    assert torch.equal(again.alpha, surrogate.alpha)
