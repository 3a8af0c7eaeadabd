"""Ensembles of SAAS models at the maximum of their posterior: the fast mode.

The model is that of `hwnas.search._nuts`. Its global shrinkage is not fitted but differs between the members of an
ensemble, which lie at quantiles of its prior; so some members believe in few parameters that matter, and others in many
(BoTorch's `EnsembleMapSaasSingleTaskGP` draws it at random). All else is at the maximum of the posterior of the
hyperparameters' logarithms: there the density of a length scale is highest at what the shrinkage says and not at
infinity, and that of a noise variance not at 0, so that a member is about as sure of itself as NUTS samples are.

Gradients are in closed form. With `K` the covariance of the observations, `a = K^-1 (y - mean)` and `G = a a' - K^-1`,
the gradient of the log likelihood with respect to a hyperparameter is half the sum of `G` times the derivative of `K`
(Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, equation 5.9); squared distances, and the sums
over pairs that the length scales need, are products of matrices.

Symbols: `n` trials, `d` columns, `e` members.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

#: The least noise variance that is inferred, BoTorch's `MIN_INFERRED_NOISE_LEVEL`.
LEAST_NOISE = 1e-4
#: The priors of BoTorch's `SaasPyroModel`: gamma of shape and rate, and the half Cauchy scale of the shrinkage.
_OUTPUTSCALE, _NOISE, _SHRINKAGE = (2.0, 0.15), (0.9, 10.0), 0.1
#: Logarithms of hyperparameters stay within this distance of 0.
_BOUND = 15.0
_ROOT5 = math.sqrt(5.0)


@dataclass(frozen=True, slots=True)
class Members:
    """Hyperparameters of an ensemble.

    Attributes:
        mean, outputscale, noise: `e`.
        inverse_squared: `e x d`, the inverse squared length scales.
    """

    mean: Float[np.ndarray, " e"]
    outputscale: Float[np.ndarray, " e"]
    noise: Float[np.ndarray, " e"]
    inverse_squared: Float[np.ndarray, "e d"]


def fit_members(
    X: Float[np.ndarray, "n d"],
    Y: Float[np.ndarray, " n"],
    Yvar: Float[np.ndarray, " n"] | None,
    *,
    members: int,
    steps: int = 100,
) -> Members:
    """Return an ensemble; it depends on nothing but its arguments.

    Args:
        X: inputs in [0, 1].
        Y: standardised observations.
        Yvar: their noise variances; inferred where `None`.
        members: how many.
        steps: of the optimiser, for each member at most.

    Raises:
        ValueError: the posterior cannot be computed anywhere.
    """
    quantiles = (np.arange(members) + 0.5) / members
    shrinkages = _SHRINKAGE * np.tan(0.5 * math.pi * quantiles)
    found: list[Float[np.ndarray, " q"]] = []
    for shrinkage in shrinkages:
        posterior = Posterior(X, Y, Yvar, float(shrinkage))
        found.append(_climb(posterior, [posterior.start(), *found[-1:]], steps))
    theta = np.stack(found)
    return Members(theta[:, 0], np.exp(theta[:, 1]), np.exp(theta[:, 2]), np.exp(theta[:, 3:]))


def _climb(posterior: Posterior, starts: Sequence[Float[np.ndarray, " q"]], steps: int) -> Float[np.ndarray, " q"]:
    """Return where the posterior is highest, seen from the better of some starts."""
    values = [posterior(start)[0] for start in starts]
    best = int(np.argmax(values))
    if not math.isfinite(values[best]):
        raise ValueError("the posterior of the hyperparameters is nowhere finite")

    def negative(theta: Float[np.ndarray, " q"]) -> tuple[float, Float[np.ndarray, " q"]]:
        value, gradient = posterior(theta)
        return (-value, -gradient) if math.isfinite(value) else (1e10, np.zeros_like(gradient))

    bounds = [(-3.0, 3.0), *[(-_BOUND, _BOUND)] * (len(starts[0]) - 1)]
    bounds[2] = (math.log(LEAST_NOISE), 1.0)
    options = {"maxiter": steps, "ftol": 1e-6, "gtol": 1e-3, "maxcor": 20}
    result = minimize(negative, starts[best], jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(result.x, dtype=np.float64)


class Posterior:
    """The logarithm of the hyperparameters' posterior density, given the shrinkage, but for a constant.

    Its argument is `[mean, log outputscale, log noise, log inverse squared length scales]`, of length `3 + d`.
    """

    def __init__(
        self,
        X: Float[np.ndarray, "n d"],
        Y: Float[np.ndarray, " n"],
        Yvar: Float[np.ndarray, " n"] | None,
        shrinkage: float,
    ) -> None:
        """Take the data; see `fit_members`."""
        self._X = np.asarray(X - 0.5, dtype=np.float64, order="F")
        self._squares = self._X**2
        self._Y, self._Yvar = Y, Yvar
        self._shrinkage = shrinkage

    def start(self) -> Float[np.ndarray, " q"]:
        """Return where to begin: all columns matter a little."""
        return np.concatenate([[0.0, 0.0, math.log(0.05)], np.full(self._X.shape[1], math.log(self._shrinkage))])

    def __call__(self, theta: Float[np.ndarray, " q"]) -> tuple[float, Float[np.ndarray, " q"]]:
        """Return the density's logarithm and its gradient; -inf where it cannot be computed."""
        outputscale, noise = math.exp(theta[1]), math.exp(theta[2])
        rho = np.exp(theta[3:])
        scaled = self._X * np.sqrt(rho)
        norms = (scaled**2).sum(axis=1)
        squared = np.maximum(norms[:, None] + norms[None, :] - 2.0 * (scaled @ scaled.T), 0.0)
        r = _ROOT5 * np.sqrt(squared)
        decay = outputscale * np.exp(-r)
        K = (1.0 + r + (5.0 / 3.0) * squared) * decay
        K[np.diag_indices_from(K)] = outputscale + (noise if self._Yvar is None else self._Yvar)
        factor, failed = lapack.dpotrf(K, lower=1, clean=0)
        gradient = np.zeros_like(theta)
        if failed:
            return -math.inf, gradient
        log_det = 2.0 * float(np.log(np.diag(factor)).sum())
        residual = self._Y - theta[0]
        a, _ = lapack.dpotrs(factor, residual, lower=1)
        inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
        lower = np.tril(inverse, -1)
        G = np.multiply.outer(a, a) - (lower + lower.T + np.diag(np.diag(inverse)))
        value = -0.5 * (float(residual @ a) + log_det)
        gradient[0] = a.sum()
        W = G * decay * (1.0 + r)  # -6/5 times G times the derivative of K by the squared distance
        trace = float(np.diag(G) @ (np.zeros(len(a)) + noise)) if self._Yvar is None else 0.0
        gradient[1] = 0.5 * float((G * K).sum() - np.diag(G) @ (np.diag(K) - outputscale))
        gradient[2] = 0.5 * trace
        pairs = 2.0 * (W.sum(axis=1) @ self._squares - ((W @ self._X) * self._X).sum(axis=0))
        gradient[3:] = -(5.0 / 12.0) * pairs * rho
        return self._with_priors(value, gradient, theta)

    def _with_priors(
        self, value: float, gradient: Float[np.ndarray, " q"], theta: Float[np.ndarray, " q"]
    ) -> tuple[float, Float[np.ndarray, " q"]]:
        """Add the priors' densities of the mean and of the logarithms."""
        value -= 0.5 * float(theta[0]) ** 2
        gradient[0] -= theta[0]
        given = self._Yvar is not None
        for place, (shape, rate) in ((1, _OUTPUTSCALE), (2, _NOISE)):
            if place == 2 and given:
                continue
            value += shape * float(theta[place]) - rate * math.exp(theta[place])
            gradient[place] += shape - rate * math.exp(theta[place])
        ratio = np.exp(2.0 * (theta[3:] - math.log(self._shrinkage)))
        value += float((theta[3:] - np.log1p(ratio)).sum())
        gradient[3:] += 1.0 - 2.0 * ratio / (1.0 + ratio)
        return value, gradient
