"""Outcomes that need no model: what is computed of an architecture is known exactly, before anything is tried.

In the acquisition such an outcome stands beside the modelled ones, with the same value in every draw and next to no
variance. Its scores travel with the candidates: a row of candidates is an encoding of `d` columns, and behind it one
column for each known outcome.

Symbols: `h` samples of the hyperparameters, `s` draws for each, `r` base points, `N` candidates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from hwnas.search._paths import LEAST_VARIANCE, Paths, Projection
from hwnas.search._surrogate import Surrogate

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from hwnas.search._data import OutcomeData


@dataclass(frozen=True, slots=True)
class Known:
    """An outcome whose value every candidate carries, in place of a surrogate.

    Attributes:
        data: what the trials have shown of it; gives the scale.
        column: of a candidate's row, where its standardised score stands.
        mean: `h` zeros; only their number matters.
    """

    data: OutcomeData
    column: int
    mean: Float[Tensor, " h"]

    @classmethod
    def at(cls, column: int, data: OutcomeData) -> Known:
        """Return the outcome whose scores stand in a column."""
        return cls(data, column, torch.zeros(1, dtype=torch.float64))

    def expand(self, h: int) -> Known:
        """Return the same beside models of `h` samples."""
        return replace(self, mean=self.mean[:1].expand(h))


class KnownPaths:
    """Draws of a known outcome, all alike; the interface is that of `Paths`.

    Attributes:
        f: `h x s x r`, the draws at the base points.
    """

    def __init__(self, known: Known, X: Float[Tensor, "r c"], noise: Float[Tensor, "h s R"]) -> None:
        """Read the base points' values off `X`; of the noise only the shape matters."""
        self._column = known.column
        self._shape = noise.shape[:2]
        self.f = X[:, self._column].expand(*self._shape, len(X))

    def project(self, X: Float[Tensor, "N c"]) -> Projection:
        """Return candidates as seen from here: each at its own value, whatever is drawn elsewhere."""
        h, s = self._shape
        nothing = X.new_empty(h, 0, len(X))
        variance = X.new_full((h, len(X)), LEAST_VARIANCE)
        return Projection(X, nothing, nothing, X[:, self._column].expand(h, s, len(X)), variance)

    def add(self, candidates: Projection, chosen: int) -> Projection:
        """Make a candidate a base point; it tells nothing of the others."""
        self.f = torch.cat([self.f, candidates.mean[..., chosen : chosen + 1]], dim=-1)
        return candidates


def paths_of(model: Surrogate | Known, X: Float[Tensor, "r c"], noise: Float[Tensor, "h s R"]) -> Paths | KnownPaths:
    """Return the draws of an outcome at base points; see `Paths`."""
    return Paths(model, X, noise) if isinstance(model, Surrogate) else KnownPaths(model, X, noise)
