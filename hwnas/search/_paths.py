"""Joint draws of an outcome's posterior at the points of the front, and the posterior elsewhere given each draw.

Symbols: `n` trials, `h` samples of the hyperparameters, `s` draws for each, `r` base points (what may be on the front,
and what is pending), `N` candidates.

With `S` the posterior covariance of the base points, `R` its Cholesky factor and `z` white noise, a draw is `f = mu + R
z`. For a candidate with posterior mean `m`, variance `v` and covariance `c` with the base points, let `w = R^-1 c`.
Given the draw it is Gaussian with mean `m + w'z` and variance `v - w'w`. So nothing is ever drawn at a candidate, and a
new base point extends `R` and every `w` by one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hwnas.search._surrogate import cholesky

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from hwnas.search._surrogate import Surrogate

#: Variances below this, on the standardised scale, are numerical noise.
LEAST_VARIANCE = 1e-10


@dataclass(frozen=True, slots=True)
class Projection:
    """Candidates as seen from the data and from the draws of one outcome.

    Attributes:
        X: `N x d`; what stands in further columns is carried along.
        v: `h x n x N`, whitened covariance with the observations.
        w: `h x r x N`, whitened covariance with the base points.
        mean: `h x s x N`, given each draw.
        variance: `h x N`, given any draw.
    """

    X: Float[Tensor, "N d"]
    v: Float[Tensor, "h n N"]
    w: Float[Tensor, "h r N"]
    mean: Float[Tensor, "h s N"]
    variance: Float[Tensor, "h N"]

    def take(self, index: Tensor) -> Projection:
        """Return some of the candidates."""
        return Projection(
            self.X[index], self.v[..., index], self.w[..., index], self.mean[..., index], self.variance[..., index]
        )

    def glance(self, index: Tensor) -> Projection:
        """Return some of the candidates with mean and variance alone: enough to value them, and no large copy."""
        nothing = self.v[:, :0, :0]
        return Projection(self.X[index], nothing, nothing, self.mean[..., index], self.variance[..., index])

    @classmethod
    def concatenate(cls, parts: Sequence[Projection]) -> Projection:
        """Return the candidates of all parts."""
        return cls(
            torch.cat([part.X for part in parts]),
            *(torch.cat([getattr(part, name) for part in parts], dim=-1) for name in ("v", "w", "mean", "variance")),
        )


class Paths:
    """Draws of one outcome at base points that may grow.

    Attributes:
        surrogate: the outcome's model.
        f: `h x s x r`, the draws.
    """

    def __init__(self, surrogate: Surrogate, X: Float[Tensor, "r d"], noise: Float[Tensor, "h s R"]) -> None:
        """Draw at `X`.

        Args:
            surrogate: the outcome's model, with `h` samples.
            X: base points; there may be none.
            noise: standard normal; `R >= r` leaves room for base points to come.
        """
        self.surrogate = surrogate
        self._noise = noise
        self._d = surrogate.X.shape[1]
        self._X = X = X[:, : self._d]
        self._v, mu = self._observed(X)
        S = surrogate.kernel(X, X) - self._v.mT @ self._v
        self._R = cholesky(S) if len(X) else S
        self.f = mu[:, None, :] + noise[..., : len(X)] @ self._R.mT

    def _observed(self, X: Float[Tensor, "N d"]) -> tuple[Float[Tensor, "h n N"], Float[Tensor, "h N"]]:
        """Return the whitened covariance with the observations, and the posterior mean."""
        model = self.surrogate
        k = model.kernel(model.X, X)
        v = torch.linalg.solve_triangular(model.L, k, upper=False)
        return v, model.mean[:, None] + (model.alpha[:, None, :] @ k)[:, 0, :]

    def project(self, X: Float[Tensor, "N d"]) -> Projection:
        """Return candidates as seen from here."""
        inputs = X[:, : self._d]
        v, mu = self._observed(inputs)
        c = self.surrogate.kernel(self._X, inputs) - self._v.mT @ v
        w = torch.linalg.solve_triangular(self._R, c, upper=False) if len(self._X) else c
        mean = mu[:, None, :] + self._noise[..., : len(self._X)] @ w
        variance = self.surrogate.variance() - v.square().sum(dim=1) - w.square().sum(dim=1)
        return Projection(X, v, w, mean, variance.clamp_min(LEAST_VARIANCE))

    def add(self, candidates: Projection, chosen: int) -> Projection:
        """Make a candidate a base point, draw there, and return all candidates as seen with it."""
        one = candidates.take(torch.tensor([chosen]))
        root = one.variance[:, :, None].sqrt()  # h x 1 x 1
        noise = self._noise[..., len(self._X)][..., None]  # h x s x 1
        drawn = one.mean + noise * root
        X = candidates.X[:, : self._d]
        row = (
            self.surrogate.kernel(X[chosen : chosen + 1], X) - one.v.mT @ candidates.v - one.w.mT @ candidates.w
        ) / root  # h x 1 x N
        below = torch.cat([one.w.mT, root], dim=-1)
        right = torch.zeros(*self._R.shape[:-1], 1, dtype=self._R.dtype)
        self._R = torch.cat([torch.cat([self._R, right], dim=-1), below], dim=-2)
        self._v = torch.cat([self._v, one.v], dim=-1)
        self._X = torch.cat([self._X, X[chosen : chosen + 1]])
        self.f = torch.cat([self.f, drawn], dim=-1)
        return Projection(
            candidates.X,
            candidates.v,
            torch.cat([candidates.w, row], dim=1),
            candidates.mean + noise * row,
            (candidates.variance - row.square().squeeze(1)).clamp_min(LEAST_VARIANCE),
        )
