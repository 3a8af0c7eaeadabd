"""The compiled sampler against BoTorch's model and BoTorch's fit."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP
from numpyro.infer.util import log_density

from hwnas.search import _nuts as module
from hwnas.search._likelihood import log_likelihood
from hwnas.search._nuts import padded_model, sample_hyperparameters


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.random((20, 5))
    Y = np.sin(6 * X[:, 0]) + 0.1 * rng.standard_normal(20)
    return X, (Y - Y.mean()) / Y.std(ddof=1), np.full(20, 1e-2)


@pytest.mark.parametrize("given", [True, False])
def test_the_padded_model_is_botorchs_model_but_for_a_constant(data, given):
    X, Y, Yvar = data
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        noise = torch.as_tensor(Yvar)[:, None] if given else None
        whole = SaasFullyBayesianSingleTaskGP(torch.as_tensor(X), torch.as_tensor(Y)[:, None], noise).pyro_model
        padded = padded_model()
        rows = [np.asarray(part, dtype=np.float64) for part in module._padded(X, Y, Yvar if given else None, 32)[:3]]
        differences = []
        for _ in range(20):
            values = {
                "outputscale": jnp.asarray(rng.gamma(2.0)),
                "mean": jnp.asarray(rng.standard_normal()),
                "kernel_tausq": jnp.asarray(rng.gamma(1.0)),
                "_kernel_inv_length_sq": jnp.asarray(rng.gamma(1.0, size=5)),
            }
            noise = {"noise": jnp.asarray(0.05 if given else rng.gamma(0.9) / 10)}
            theirs, _ = log_density(whole.sample, (), {}, values if given else values | noise)
            ours, _ = log_density(padded, (*rows, np.arange(32) < 20), {}, values | noise)
            differences.append(float(ours - theirs))
    assert np.ptp(differences) < 1e-3  # data are kept in single precision
    assert abs(np.mean(differences)) > 1.0  # the constant of the added rows: they are there


def test_the_closed_gradient_is_that_of_differences(data):
    X, Y, _ = data
    rng = np.random.default_rng(2)
    with jax.enable_x64(True):
        function = log_likelihood()
        hyper = [rng.gamma(1.0, size=5), 1.3, 0.2, rng.uniform(0.05, 0.2, 20)]
        gradient = jax.grad(function, argnums=(2, 3, 4, 5))(X, Y, *map(jnp.asarray, hyper))
        for place, part in enumerate(hyper):
            for index in np.ndindex(np.shape(part)):
                step = np.zeros(np.shape(part))
                step[index] = 1e-5
                up, down = (
                    float(function(X, Y, *hyper[:place], jnp.asarray(part + sign * step), *hyper[place + 1 :]))
                    for sign in (1, -1)
                )
                assert float(np.asarray(gradient[place])[index]) == pytest.approx(
                    (up - down) / 2e-5, rel=1e-4, abs=1e-4
                )


def test_samples_have_the_shapes_that_botorch_loads_and_find_the_column_that_matters(data):
    X, Y, Yvar = data
    chain = sample_hyperparameters(X, Y, Yvar, warmup=48, samples=32, seed=0)
    drawn = chain.samples
    assert drawn["_kernel_inv_length_sq"].shape == (32, 5)
    assert {"mean", "outputscale", "kernel_tausq"} <= drawn.keys()
    assert "noise" not in drawn
    ours = np.median(np.log(drawn["kernel_inv_length_sq"]), axis=0)
    assert ours.argmax() == 0
    assert ours[1:].max() < ours[0] - 1.5
    assert chain.has_mixed
    assert chain.divergences <= 2


def test_a_seed_fixes_the_samples_and_data_of_another_size_compile_nothing(data):
    X, Y, Yvar = data

    def draw(n, seed):
        return sample_hyperparameters(X[:n], Y[:n], Yvar[:n], warmup=48, samples=32, seed=seed).samples["mean"]

    first = draw(20, 1)
    size = len(module._READY)
    assert np.array_equal(draw(20, 1), first)
    assert not np.array_equal(draw(20, 2), first)
    draw(12, 1)
    other = sample_hyperparameters(X, X[:, 3] - X[:, 3].mean(), None, warmup=48, samples=32, seed=0).samples
    assert np.median(other["kernel_inv_length_sq"], axis=0).argmax() == 3
    assert other.keys() >= {"noise"}
    assert len(module._READY) == size
    assert not jax.config.jax_enable_x64


def test_two_threads_that_fit_at_once_compile_one_after_the_other(data, monkeypatch):
    X, Y, _ = data
    made, functions = [], module._functions
    monkeypatch.setattr(module, "_READY", {})
    monkeypatch.setattr(module, "_functions", lambda *sizes: made.append(sizes) or functions(*sizes))
    starts = threading.Barrier(2)

    def fit(seed):
        starts.wait()
        return sample_hyperparameters(X, Y, None, warmup=16, samples=16, seed=seed).samples["mean"]

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(fit, [1, 2]))
    assert sorted(set(made)) == sorted(made)
    assert (16, 16) in made
    starts = SimpleNamespace(wait=lambda: None)
    assert all(np.array_equal(fit(seed), mean) for seed, mean in zip([1, 2], together, strict=True))


def test_a_chain_that_has_not_mixed_goes_on_longer(data, monkeypatch):
    runs = []

    def run(data, key, start, metric, step_size, warmup, samples):
        runs.append((samples, float(step_size)))
        drawn = {"mean": np.arange(samples, dtype=float), "noise": np.ones(samples)}
        return module.Chain(drawn, 1.5 if len(runs) < 3 else 1.0, 20.0, 0, 0, (start, metric, 0.1 * len(runs)))

    monkeypatch.setattr(module, "_run", run)
    chain = sample_hyperparameters(*data, warmup=48, samples=32, seed=0)
    assert runs == [(32, module._FIRST_STEP), (64, 0.1), (64, 0.2)]
    assert chain.reruns == 2
    assert len(chain.samples["mean"]) == 32
    assert chain.samples["mean"][-1] == 62


def test_mixing_tells_a_drifting_chain_from_a_still_one():
    rng = np.random.default_rng(0)
    still = rng.standard_normal(128)
    r_hat, ess = module._mixing([still])
    assert r_hat < 1.1
    assert ess > 60
    assert module._mixing([still, still + np.linspace(0, 5, 128)])[0] > module._R_HAT
    assert module._mixing([np.full(128, 1.0)]) == (np.inf, 0.0)
