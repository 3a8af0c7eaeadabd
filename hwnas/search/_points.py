"""Candidates as rows of numbers: their encoding, what is computed of them, and how likely they are to fail.

A row is an encoding of `d` columns; behind it one column for each computed outcome, with its standardised score; and
one with the logarithm of the probability of success, where trials have failed. So what an architecture costs to compute
is paid once, when it becomes a candidate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float
    from torch import Tensor

    from hwnas.search._computed import Computed
    from hwnas.search._data import OutcomeData
    from hwnas.search._feasibility import Feasibility
    from hwnas.search._inputs import Inputs
    from hwnas.search._objective import Objective
    from hwnas.space import Architecture

#: The standardised score of an architecture that has no value: worse than any.
_NONE = -1e12


class Points:
    """Turns architectures into rows, and says what stands in them.

    Attributes:
        inputs: makes the encoding.
        d: how many columns an encoding has. Computed outcomes stand behind them, in their order.
    """

    def __init__(
        self,
        inputs: Inputs,
        computed: Computed | None = None,
        scales: Sequence[OutcomeData] = (),
        feasibility: Feasibility | None = None,
        fronts: Sequence[Sequence[Objective]] = (),
    ) -> None:
        """Say what belongs to a row.

        Args:
            inputs: makes the encoding.
            computed: what is computed of them, if anything.
            scales: for each of its outcomes, the data that give the scale.
            feasibility: says how probably an architecture succeeds; `None` where nothing speaks for failures.
            fronts: the objectives of each front; by default there is one, of all. What keeps to the limits of one of
                them is allowed.
        """
        self.inputs = inputs
        self._computed = computed
        self._scales = list(scales)
        self._feasibility = feasibility
        self.d = inputs.dim
        limits = {
            data.objective.name: (self.d + place, data.standardise(data.objective.score(data.objective.limit)))
            for place, data in enumerate(scales)
            if data.objective.limit is not None
        }
        own = [[objective.name for objective in front] for front in fronts] or [list(limits)]
        self._limits = [[limits[name] for name in names if name in limits] for names in own]

    @property
    def is_limited(self) -> bool:
        """Whether limits can be computed, so that they can rule architectures out."""
        return all(self._limits)

    def rows(self, architectures: Sequence[Architecture]) -> Float[Tensor, "n c"]:
        """Return a row for each architecture."""
        X = self.inputs.encode(architectures).reshape(len(architectures), self.d)
        parts = [X]
        if self._computed is not None:
            scores = self._computed.scores(architectures)
            location, scale = np.array([(data.location, data.scale) for data in self._scales]).T
            parts.append(np.nan_to_num((scores - location) / scale, nan=_NONE))
        if self._feasibility is not None:
            parts.append(self._feasibility.log_probability(X)[:, None])
        return torch.as_tensor(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))

    def allowed(self, rows: Float[Tensor, "n c"]) -> Bool[Tensor, " n"]:
        """Return which rows have all their computed values, within the limits of some front."""
        kept = torch.ones(len(rows), dtype=torch.bool)
        if self._computed is not None:
            kept &= (rows[:, self.d : self.d + len(self._scales)] > _NONE).all(dim=1)
        some = torch.zeros(len(rows), dtype=torch.bool)
        for limits in self._limits:
            within = torch.ones(len(rows), dtype=torch.bool)
            for column, limit in limits:
                within &= rows[:, column] >= limit - 1e-9  # the limit itself is allowed
            some |= within
        return kept & some

    def weighed(self, log_value: Float[Tensor, " n"], rows: Float[Tensor, "n c"]) -> Float[Tensor, " n"]:
        """Return the logarithm of values times the probability of success."""
        return log_value if self._feasibility is None else log_value + rows[:, -1]
