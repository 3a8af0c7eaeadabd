"""The log likelihood of a Gaussian process with a Matérn 5/2 kernel, and its gradient in closed form, for JAX.

Automatic differentiation through a Cholesky decomposition costs several times as much as the decomposition. With `K`
the covariance of the observations, `a = K^-1 (y - mean)` and `G = a a' - K^-1`, the gradient with respect to a
hyperparameter is half the sum of `G` times the derivative of `K` (Rasmussen and Williams, "Gaussian Processes for
Machine Learning", 2006, equation 5.9). It comes with the value at little more than the price of `K^-1`; NUTS needs both
at every step.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@lru_cache(maxsize=1)
def log_likelihood() -> Callable[..., Any]:
    """Return a function of `X`, `Y`, inverse squared length scales, output scale, mean and noise.

    Their shapes are `n x d`, `n`, `d`, none, none and `n`. It is differentiable in the last four, once.
    """
    import jax
    import jax.numpy as jnp

    def both(X: Any, Y: Any, rho: Any, outputscale: Any, mean: Any, noise: Any) -> tuple[Any, Any]:
        centred = X - 0.5
        scaled = centred * jnp.sqrt(rho)
        norms = (scaled**2).sum(axis=1)
        squared = jnp.maximum(norms[:, None] + norms[None, :] - 2.0 * scaled @ scaled.T, 0.0)
        r = jnp.sqrt(5.0 * squared)
        decay = jnp.exp(-r)
        correlation = (1.0 + r + r * r / 3.0) * decay
        eye = jnp.eye(len(Y), dtype=X.dtype)
        factor = jnp.linalg.cholesky(outputscale * correlation + jnp.diag(noise))
        root = jax.scipy.linalg.solve_triangular(factor, eye, lower=True)
        inverse = root.T @ root
        residual = Y - mean
        a = inverse @ residual
        value = -0.5 * residual @ a - jnp.log(jnp.diag(factor)).sum() - 0.5 * len(Y) * math.log(2.0 * math.pi)
        G = jnp.outer(a, a) - inverse
        W = G * decay * (1.0 + r)
        pairs = 2.0 * (W.sum(axis=1) @ centred**2 - ((W @ centred) * centred).sum(axis=0))
        gradient = (
            -(5.0 / 12.0) * outputscale * pairs,
            0.5 * (G * correlation).sum(),
            a.sum(),
            0.5 * jnp.diag(G),
        )
        return value, gradient

    def value_of(X: Any, Y: Any, rho: Any, outputscale: Any, mean: Any, noise: Any) -> Any:
        return both(X, Y, rho, outputscale, mean, noise)[0]

    def forward(X: Any, Y: Any, *hyper: Any) -> tuple[Any, Any]:
        value, gradient = both(X, Y, *hyper)
        return value, (X, Y, gradient)

    def backward(kept: Any, cotangent: Any) -> tuple[Any, ...]:
        X, Y, gradient = kept
        return (jnp.zeros_like(X), jnp.zeros_like(Y), *(cotangent * part for part in gradient))

    function: Any = jax.custom_vjp(value_of)
    function.defvjp(forward, backward)
    made: Callable[..., Any] = function
    return made
