"""Samples of the SAAS model's hyperparameters by NUTS, compiled once for many fits.

The model is BoTorch's `SaasPyroModel` (Eriksson and Jankowiak, "High-Dimensional Bayesian Optimization with Sparse
Axis-Aligned Subspaces", UAI 2021), and so are the settings of NUTS: dense mass matrix, trees of depth 6. What differs
is how it is computed, so that it costs a fraction:

- BoTorch's own fit compiles its sampler anew for every data set, which takes twice as long as the sampling. Here the
  data are arguments of the compiled function, and their number is rounded up: rows are added whose noise is so large
  that they say nothing. All outcomes of a study share one compilation, and so do batches until the number of trials
  outgrows it; compiled code is kept in the user's cache folder for other processes.
- The gradient of the likelihood is in closed form, see `hwnas.search._likelihood`, and in single precision.
- A chain begins where the posterior is highest, with the curvature there for its mass matrix. That is known within a
  tenth of a second, depends on the data alone, so that a search that goes on after a stop proposes what it would have
  proposed, and does better than a mass matrix estimated from the steps of a warm-up: a quarter of the steps will do
  before samples are kept, and trees are half as deep.
- A chain that has not mixed goes on, twice as long.

A noise variance is sampled also where the noise is given, and not used then; the other hyperparameters do not depend on
it.

Symbols: `n` trials, `d` columns, `p >= n` rows with those added.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float

#: The number of rows is a multiple of the one, and no less than the other.
_ROWS, _LEAST_ROWS = 32, 64
#: The noise variance of added rows, on the standardised scale; what they say of others is below rounding errors.
_SILENT = 1e8
_TREE_DEPTH = 6
#: The variance of the logarithm of a half Cauchy variable.
_PRIOR_VARIANCE = math.pi**2 / 4.0
#: A chain has mixed where the split R-hat of its watched quantities is below the one, and their effective sample size
#: above the other (Gelman et al., "Bayesian Data Analysis", 3rd edition, 2013, section 11.4). Quantities are few, and
#: eight samples are kept of a chain.
_R_HAT, _LEAST_ESS = 1.2, 8.0
#: How often a chain that has not mixed goes on.
_RERUNS = 2
#: The step size that adaptation begins with.
_FIRST_STEP = 0.3
#: Compiled functions, by settings and shapes; and the turn of the thread that compiles.
_READY: dict[tuple[Any, ...], tuple[Callable[..., Any], Callable[..., Any]]] = {}
_COMPILING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Chain:
    """What a chain has come to.

    Attributes:
        samples: hyperparameters by name, as NumPyro has them; `s` first.
        r_hat, ess: the worst split R-hat and effective sample size of the watched quantities: the posterior's density,
            and the logarithms of output scale and shrinkage.
        reruns: how often it went on because it had not mixed.
        divergences: steps that diverged, of those kept.
        end: where it ended, an inverse mass matrix from its samples, and its step size, for a chain that goes on.
    """

    samples: dict[str, np.ndarray]
    r_hat: float
    ess: float
    reruns: int
    divergences: int
    end: Any

    @property
    def has_mixed(self) -> bool:
        """Whether its samples can be taken for the posterior's."""
        return self.r_hat < _R_HAT and self.ess >= _LEAST_ESS


def sample_hyperparameters(
    X: Float[np.ndarray, "n d"],
    Y: Float[np.ndarray, " n"],
    Yvar: Float[np.ndarray, " n"] | None,
    *,
    warmup: int,
    samples: int,
    seed: int,
) -> Chain:
    """Return samples of the hyperparameters.

    Args:
        X: inputs in [0, 1].
        Y: standardised observations.
        Yvar: their noise variances; inferred where `None`.
        warmup: steps before samples are kept, in which step size and mass matrix are adapted.
        samples: steps kept.
        seed: of the chain.

    Raises:
        RuntimeError: NumPyro finds no valid start.
    """
    import jax

    rows = max(_LEAST_ROWS, -(-len(X) // _ROWS) * _ROWS)
    data = _padded(X, Y, Yvar, rows)
    key = jax.random.PRNGKey(seed)
    start, metric = _laplace(X, Y, Yvar)
    chain = _run(data, key, start, metric, _FIRST_STEP, warmup, samples)
    reruns = 0
    while not chain.has_mixed and reruns < _RERUNS:
        reruns += 1
        key = jax.random.fold_in(key, reruns)
        last, metric, step_size = chain.end
        chain = _run(data, key, last, metric, step_size, warmup, 2 * samples)
    kept = chain.samples
    if Yvar is not None:
        kept = {name: value for name, value in kept.items() if name != "noise"}
    kept = {name: value[:: len(value) // samples] for name, value in kept.items()}
    return replace(chain, samples=kept, reruns=reruns)


def _laplace(
    X: Float[np.ndarray, "n d"], Y: Float[np.ndarray, " n"], Yvar: Float[np.ndarray, " n"] | None
) -> tuple[dict[str, np.ndarray], Float[np.ndarray, "q q"]]:
    """Return where the posterior is highest, in logarithms of the hyperparameters, and its covariance around there.

    The covariance is that of a Gaussian with the same curvature, bounded by the prior's. It has the sites in the order
    of their names. A column that matters has a length scale that the data know, whatever the shrinkage is: its factor
    `_kernel_inv_length_sq` goes down as the shrinkage goes up.
    """
    from hwnas.search._map import Posterior, fit_members

    found = fit_members(X, Y, Yvar, members=1)
    d, shrinkage = X.shape[1], 0.1  # the prior's median, which the one member has
    top = np.concatenate([found.mean, np.log(found.outputscale), np.log(found.noise), np.log(found.inverse_squared[0])])
    posterior = Posterior(X, Y, Yvar, shrinkage)
    steps = 1e-3 * np.eye(3 + d)
    curvature = np.stack([(posterior(top - step)[1] - posterior(top + step)[1]) / 2e-3 for step in steps])
    values, vectors = np.linalg.eigh(0.5 * (curvature + curvature.T))
    covariance = (vectors / np.maximum(values, 1.0 / _PRIOR_VARIANCE)) @ vectors.T
    known = 1.0 - np.clip(np.diag(covariance)[3:] / _PRIOR_VARIANCE, 0.0, 1.0)
    size = 4 + d  # sites: _kernel_inv_length_sq, kernel_tausq, mean, noise, outputscale
    order = [*range(3, 3 + d), 0, 2, 1]  # of the posterior's arguments, the shrinkage left out
    place = [*range(d), d + 1, d + 2, d + 3]
    metric = np.zeros((size, size))
    metric[np.ix_(place, place)] = covariance[np.ix_(order, order)]
    along = np.zeros(size)
    along[:d], along[d] = -known, 1.0
    metric += 0.5 * np.outer(along, along)
    start = {
        "_kernel_inv_length_sq": top[3:] - math.log(shrinkage),
        "kernel_tausq": np.log(shrinkage),
        "mean": top[0],
        "noise": top[2],
        "outputscale": top[1],
    }
    return start, metric


def _run(
    data: tuple[Any, ...], key: Any, start: Any, metric: np.ndarray, step_size: float, warmup: int, samples: int
) -> Chain:
    """Run a chain from logarithms of hyperparameters, with an inverse mass matrix and a first step size."""
    import jax

    single = jax.tree.map(lambda value: np.asarray(value, dtype=np.float32), (start, metric, step_size))
    first = key, *single, data
    begin, draw = _compiled(warmup, samples, first)
    end, drawn, potential, diverging = draw(begin(*first), data)
    drawn = {name: np.asarray(value, dtype=np.float64) for name, value in drawn.items()}
    r_hat, ess = _mixing([np.asarray(potential, dtype=np.float64), drawn["outputscale"], drawn["kernel_tausq"]])
    hyper = {name: value if name == "mean" else np.exp(value) for name, value in drawn.items()}
    hyper["kernel_inv_length_sq"] = hyper["kernel_tausq"][:, None] * hyper["_kernel_inv_length_sq"]
    last = {name: value[-1] for name, value in drawn.items()}
    after = (last, _metric(drawn, metric), float(end.adapt_state.step_size))
    return Chain(hyper, r_hat, ess, 0, int(np.asarray(diverging).sum()), after)


def _metric(drawn: dict[str, np.ndarray], before: np.ndarray) -> np.ndarray:
    """Return an inverse mass matrix: the covariance of samples, shrunk towards that of the chain before."""
    flat = np.concatenate([drawn[name].reshape(len(drawn[name]), -1) for name in sorted(drawn)], axis=1)
    weight = len(flat) / (len(flat) + 2.0 * flat.shape[1])
    covariance = np.atleast_2d(np.cov(flat, rowvar=False))
    mixed: np.ndarray = weight * covariance + (1.0 - weight) * (np.diag(np.diag(covariance)) + 0.05 * before)
    return mixed


def _mixing(watched: list[np.ndarray]) -> tuple[float, float]:
    """Return the worst split R-hat and effective sample size of quantities, each of one chain."""
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    if len(watched[0]) < 8 or not all(np.isfinite(values).all() and np.ptp(values) > 0 for values in watched):
        return math.inf, 0.0
    r_hat = max(float(split_gelman_rubin(values[None])) for values in watched)
    return r_hat, min(float(effective_sample_size(values[None])) for values in watched)


def _padded(
    X: Float[np.ndarray, "n d"], Y: Float[np.ndarray, " n"], Yvar: Float[np.ndarray, " n"] | None, rows: int
) -> tuple[np.ndarray, ...]:
    """Return `X` (`p x d`), `Y` and given noise (`p`; NaN where it is inferred), and which rows are real."""
    n, d = X.shape
    whole_X, whole_Y = np.full((rows, d), 0.5, dtype=np.float32), np.zeros(rows, dtype=np.float32)
    noise = np.full(rows, np.nan, dtype=np.float32)
    whole_X[:n], whole_Y[:n] = X, Y
    if Yvar is not None:
        noise[:n] = Yvar
    return whole_X, whole_Y, noise, np.arange(rows) < n


def padded_model() -> Callable[..., None]:
    """Return BoTorch's SAAS model as a NumPyro model of `X`, `Y`, noise and `real`; see `_padded`."""
    import jax.numpy as jnp
    import numpyro
    from botorch.models.fully_bayesian import SaasPyroModel

    from hwnas.search._likelihood import log_likelihood

    def model(X: Any, Y: Any, given: Any, real: Any) -> None:
        priors = SaasPyroModel()
        priors.train_Yvar_jax = None
        outputscale = priors.sample_outputscale(2.0, 0.15)
        mean = priors.sample_mean()
        inferred = priors.sample_noise()
        noise = jnp.where(real, jnp.where(jnp.isnan(given), inferred, given), _SILENT)
        lengthscale = priors.sample_lengthscale(X.shape[-1])
        numpyro.factor("Y", log_likelihood()(X, Y, lengthscale**-2, outputscale, mean, noise))

    return model


def _compiled(warmup: int, samples: int, first: tuple[Any, ...]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return what makes a first state, and what draws from one, compiled for the shapes of `first`, its arguments.

    NumPyro keeps what it is tracing in one place for all threads, so one thread compiles at a time.
    """
    import jax

    shapes = warmup, samples, tuple(np.shape(leaf) for leaf in jax.tree.leaves(first))
    with _COMPILING:
        if shapes not in _READY:
            begin, draw = _functions(warmup, samples)
            made = jax.jit(begin).lower(*first).compile()
            _READY[shapes] = made, jax.jit(draw).lower(made(*first), first[-1]).compile()
        return _READY[shapes]


def _functions(warmup: int, samples: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return what makes a first state, and what draws from one."""
    import jax
    import jax.numpy as jnp
    from numpyro.infer import NUTS
    from numpyro.infer.hmc_util import dual_averaging

    kernel = NUTS(padded_model(), dense_mass=True, max_tree_depth=_TREE_DEPTH, adapt_mass_matrix=False)

    def begin(key: Any, start: Any, metric: Any, step_size: Any, data: tuple[Any, ...]) -> Any:
        state = kernel.init(key, warmup, start, data, {})
        adapt = state.adapt_state
        ((sites, _),) = adapt.inverse_mass_matrix.items()
        inverse = jnp.linalg.cholesky(metric[::-1, ::-1])[::-1, ::-1].T
        root = jax.scipy.linalg.solve_triangular(inverse, jnp.eye(len(metric)), lower=True)
        adapt = adapt._replace(
            step_size=step_size,
            inverse_mass_matrix={sites: metric},
            mass_matrix_sqrt={sites: root},
            mass_matrix_sqrt_inv={sites: inverse},
            ss_state=dual_averaging()[0](jnp.log(10.0 * step_size)),
        )
        return state._replace(adapt_state=adapt)

    def draw(state: Any, data: tuple[Any, ...]) -> Any:
        def step(state: Any, _: None) -> tuple[Any, Any]:
            state = kernel.sample(state, data, {})
            return state, (state.z, state.potential_energy, state.diverging)

        state = jax.lax.fori_loop(0, warmup, lambda _, state: kernel.sample(state, data, {}), state)
        state, (drawn, potential, diverging) = jax.lax.scan(step, state, None, length=samples)
        return state, drawn, potential, diverging

    return begin, draw
