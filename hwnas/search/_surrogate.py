"""The surrogate: a Gaussian process for each outcome, its hyperparameters sampled by NUTS under the SAAS prior.

Symbols: `n` trials, `d` columns, `h` samples of the hyperparameters, `b` other points.

The model is BoTorch's `SaasFullyBayesianSingleTaskGP`; `hwnas.search._nuts` has its source and its fit, and
`hwnas.search._map` the fast one. NUTS that fails numerically falls back to the fast fit, that to a `SingleTaskGP` at
the maximum of its posterior, and a flat outcome to that model's prior.
"""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Float
    from torch import Tensor

    from hwnas.search._config import SaasSettings
    from hwnas.search._data import OutcomeData
    from hwnas.search._nuts import Chain

#: The hyperparameters of the fast mode are fitted to so many trials at most, the most telling ones.
_FIT_MOST = 512

Method = Literal["saas", "saas-map", "map", "prior"]


@dataclass(frozen=True, slots=True)
class Surrogate:
    """The fitted model of one outcome, conditioned on its data; all on the standardised scale.

    Attributes:
        data: what it was fitted to.
        method: `saas` by NUTS, `saas-map` by an ensemble of maxima, `map` where both failed, `prior` where there was
            nothing to fit.
        notice: why it is not what the settings asked for; empty where it is.
        model: BoTorch's model, in evaluation mode.
        X: `n x d`.
        mean: `h`, the constant prior mean.
        L: `h x n x n`, the Cholesky factor of the covariance of the observations.
        alpha: `h x n`, that covariance's inverse times the centred observations.
        chain: of NUTS, where it is by NUTS.
    """

    data: OutcomeData
    method: Method
    notice: str
    model: Any
    X: Float[Tensor, "n d"]
    mean: Float[Tensor, " h"]
    L: Float[Tensor, "h n n"]
    alpha: Float[Tensor, "h n"]
    chain: Chain | None = None

    def kernel(self, A: Float[Tensor, "a d"], B: Float[Tensor, "b d"]) -> Float[Tensor, "h a b"]:
        """Return the prior covariance between two sets of points."""
        base = getattr(self.model.covar_module, "base_kernel", None)
        with torch.no_grad():
            if base is not None and getattr(base, "nu", None) == 2.5:  # Matérn 5/2, without GPyTorch's detours
                K = _matern(A / base.lengthscale, B / base.lengthscale, self.model.covar_module.outputscale)
            else:
                K = self.model.covar_module(A, B).to_dense()
        return K.expand(len(self.mean), len(A), len(B))

    def variance(self) -> Float[Tensor, "h 1"]:
        """Return the prior variance of any one point; the kernels are stationary."""
        return self.kernel(self.X[:1], self.X[:1]).reshape(-1, 1)

    def expand(self, h: int) -> Surrogate:
        """Return the same model as `h` samples of its hyperparameters, where it has one."""
        if len(self.mean) == h:
            return self
        return Surrogate(
            self.data,
            self.method,
            self.notice,
            self.model,
            self.X,
            self.mean.expand(h),
            self.L.expand(h, -1, -1),
            self.alpha.expand(h, -1),
            self.chain,
        )

    def inverse_lengthscales(self) -> Float[np.ndarray, " d"]:
        """Return the median over the samples of 1 / length scale, by column: how much each column matters."""
        return np.asarray(np.median(self.inverse_lengthscale_samples(), axis=0), dtype=np.float64)

    def inverse_lengthscale_samples(self) -> Float[np.ndarray, "h d"]:
        """Return 1 / length scale by sample and column."""
        kernel = getattr(self.model.covar_module, "base_kernel", self.model.covar_module)
        lengthscale = kernel.lengthscale.detach().reshape(-1, self.X.shape[-1])
        return np.asarray((1.0 / lengthscale).numpy(), dtype=np.float64)

    def leave_one_out(self) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Return mean and variance of each observation given all others, mixed over the hyperparameters' samples."""
        means, variances = self.leave_one_out_samples()
        mixed = means.mean(axis=0)
        return mixed, (variances + means**2).mean(axis=0) - mixed**2

    def leave_one_out_samples(self) -> tuple[Float[np.ndarray, "h n"], Float[np.ndarray, "h n"]]:
        """Return mean and variance of each observation given all others, by sample; hyperparameters are kept.

        In closed form from the inverse of the covariance (Rasmussen and Williams, "Gaussian Processes for Machine
        Learning", 2006, section 5.4.2). The variance is that of an observation, noise included.
        """
        precision = torch.cholesky_inverse(self.L).diagonal(dim1=-2, dim2=-1)
        means = torch.as_tensor(self.data.Y) - self.alpha / precision
        return means.numpy(), (1.0 / precision).numpy()

    def predict(self, points: Float[np.ndarray, "b d"]) -> tuple[Float[np.ndarray, "h b"], Float[np.ndarray, "h b"]]:
        """Return mean and variance of observations at `b` new points, by sample; inferred noise included, given not."""
        A = torch.as_tensor(points)
        K = self.kernel(A, self.X)
        solved = torch.linalg.solve_triangular(self.L, K.transpose(-1, -2), upper=False)
        mean = self._mean_of(K)
        variance = (self.variance() - solved.square().sum(dim=-2)).clamp_min(1e-12)
        if self.data.Yvar is None:
            variance = variance + self.model.likelihood.noise.detach().reshape(-1, 1)
        return mean.numpy(), variance.numpy()

    def expected(self, points: Float[np.ndarray, "b d"]) -> Float[np.ndarray, " b"]:
        """Return the mean at `b` points, over all samples: that of `predict`, without the cost of the variance."""
        return self._mean_of(self.kernel(torch.as_tensor(points), self.X)).mean(dim=0).numpy()

    def _mean_of(self, K: Tensor) -> Tensor:
        """Return the mean by sample from the covariances with the data, `h x b x n`."""
        return self.mean[:, None] + (K @ self.alpha[..., None])[..., 0]


def fit_surrogate(data: OutcomeData, settings: SaasSettings, seed: int) -> Surrogate:
    """Return the fitted model of one outcome. It does not fail on numbers: see `Surrogate.method`.

    Args:
        data: what to fit; at least one trial.
        settings: of NUTS.
        seed: for NUTS, and for the restarts of the fall-back.
    """
    name = data.objective.name
    if data.is_flat:
        return _condition(data, "prior", f"{name}: all {len(data.Y)} values are alike, so it guides nothing yet", seed)
    methods: list[Method] = ["saas", "saas-map", "map"] if settings.fit != "map" else ["saas-map", "map"]
    notice = ""
    for method in methods:
        try:
            return _condition(data, method, notice, seed, settings)
        except _numerical_failures() as exc:
            reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
            notice = (
                notice or f"{name}: the SAAS fit failed ({reason}); a fit at the maximum a posteriori is used instead"
            )
    return _condition(data, "prior", f"{notice}, and as that failed too, its prior's hyperparameters", seed)


def fit_map(data: OutcomeData, seed: int) -> Surrogate:
    """Return a `SingleTaskGP` at the maximum of its posterior: what SAAS is compared with. It does not fail on numbers.

    Args:
        data: what to fit; at least one trial.
        seed: for the restarts.
    """
    if data.is_flat:
        return _condition(data, "prior", "", seed)
    try:
        return _condition(data, "map", "", seed)
    except _numerical_failures():
        return _condition(data, "prior", f"{data.objective.name}: the fit failed; its prior is used", seed)


def _condition(
    data: OutcomeData, method: Method, notice: str, seed: int, settings: SaasSettings | None = None
) -> Surrogate:
    """Fit by one method, and condition on the data."""
    X, Y = torch.as_tensor(data.X), torch.as_tensor(data.Y)
    Yvar = None if data.Yvar is None else torch.as_tensor(data.Yvar)
    chain: Chain | None = None
    with quietly():
        if method == "saas" and settings is not None:
            model, chain = _fit_saas(X, Y, Yvar, settings, seed)
        elif method == "saas-map" and settings is not None:
            model = _fit_ensemble(X, Y, Yvar, settings)
        else:
            model = _single_task(X, Y, Yvar, seed, fit=method == "map")
    if chain is not None and not chain.has_mixed:
        notice = f"{data.objective.name}: NUTS has not mixed (R-hat {chain.r_hat:.2f}), so what it says is less sure"
    return conditioned(data, model, method, notice, chain)


def conditioned(
    data: OutcomeData, model: Any, method: Method, notice: str = "", chain: Chain | None = None
) -> Surrogate:
    """Return the surrogate that BoTorch's `model`, in evaluation mode, makes of the data.

    Raises:
        ValueError: a number is not finite.
    """
    X, Y = torch.as_tensor(data.X), torch.as_tensor(data.Y)
    with torch.no_grad():
        mean = model.mean_module.constant.detach().reshape(-1)
        h, n = len(mean), len(X)
        noise = model.likelihood.noise.detach().reshape(h, -1).expand(h, n)
        K = model.covar_module(X).to_dense().expand(h, n, n) + torch.diag_embed(noise)
        L = cholesky(K)
        residual = (Y - mean[:, None])[..., None]
        alpha = torch.cholesky_solve(residual, L)[..., 0]
    if not all(bool(torch.isfinite(part).all()) for part in (mean, L, alpha)):
        raise ValueError("a number that is not finite")
    return Surrogate(data, method, notice, model, X, mean, L, alpha, chain)


def cholesky(K: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    """Return the lower Cholesky factor, with as little jitter as it takes.

    Raises:
        linear_operator.utils.errors.NotPSDError: no small jitter makes it positive definite.
        linear_operator.utils.errors.NanError: `K` holds NaN.
    """
    from linear_operator.utils.cholesky import psd_safe_cholesky

    with quietly():
        L: Tensor = psd_safe_cholesky(K, max_tries=6)
    return L


def _fit_saas(X: Tensor, Y: Tensor, Yvar: Tensor | None, settings: SaasSettings, seed: int) -> tuple[Any, Chain]:
    from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP

    from hwnas.search._nuts import sample_hyperparameters

    model = SaasFullyBayesianSingleTaskGP(X, Y[:, None], None if Yvar is None else Yvar[:, None])
    noise = None if Yvar is None else model.pyro_model.train_Yvar[:, 0].numpy()  # at least BoTorch's floor
    chain = sample_hyperparameters(
        X.numpy(), Y.numpy(), noise, warmup=settings.warmup, samples=settings.samples, seed=seed
    )
    drawn = dict(chain.samples)  # the next line takes some out
    kept = model.pyro_model.postprocess_mcmc_samples(drawn)
    model.train()
    model.load_mcmc_samples({name: value[:: settings.thinning] for name, value in kept.items()})
    return model.eval(), chain


def _fit_ensemble(X: Tensor, Y: Tensor, Yvar: Tensor | None, settings: SaasSettings) -> Any:
    from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP

    from hwnas.search._map import fit_members

    model = SaasFullyBayesianSingleTaskGP(X, Y[:, None], None if Yvar is None else Yvar[:, None])
    noise = None if Yvar is None else model.pyro_model.train_Yvar[:, 0].numpy()  # at least BoTorch's floor
    few = slice(0, _FIT_MOST)
    found = fit_members(X.numpy()[few], Y.numpy()[few], None if noise is None else noise[few], members=settings.members)
    kept = {
        "mean": torch.as_tensor(found.mean),
        "outputscale": torch.as_tensor(found.outputscale),
        "lengthscale": torch.as_tensor(found.inverse_squared).rsqrt(),
    }
    if Yvar is None:
        kept["noise"] = torch.as_tensor(found.noise)
    model.train()
    model.load_mcmc_samples(kept)
    return model.eval()


def _matern(A: Tensor, B: Tensor, outputscale: Tensor) -> Tensor:
    """Return the Matérn 5/2 covariance of scaled points `h x a x d` and `h x b x d`."""
    squared = A.square().sum(-1)[..., :, None] + B.square().sum(-1)[..., None, :] - 2.0 * A @ B.mT
    r = squared.clamp_min_(1e-24).mul_(5.0).sqrt_()
    K: Tensor = (r.square() / 3.0).add_(r).add_(1.0).mul_(r.neg_().exp_())
    return K.mul_(outputscale[:, None, None])


def _single_task(X: Tensor, Y: Tensor, Yvar: Tensor | None, seed: int, *, fit: bool) -> Any:
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    noise = None if Yvar is None else Yvar[:, None].clamp_min(1e-4)
    model = SingleTaskGP(X, Y[:, None], noise, outcome_transform=None)
    if fit:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model.eval()


def _numerical_failures() -> tuple[type[Exception], ...]:
    """Return what fits and decompositions raise when numbers go wrong, by library."""
    from botorch.exceptions.errors import ModelFittingError
    from linear_operator.utils.errors import NanError, NotPSDError

    # RuntimeError: JAX, NumPyro (no valid initial parameters) and torch (LinAlgError); ValueError: NumPyro, torch, and
    # the check in `_condition`.
    return (
        ModelFittingError,
        NanError,
        NotPSDError,
        ArithmeticError,
        RuntimeError,
        ValueError,
    )


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep the libraries' warnings from the user: what matters of them becomes a notice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep PyTorch to one thread: more gain little here, and wait for each other where other programs compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
