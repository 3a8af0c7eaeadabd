"""Trials that differ only in what does not matter: a few of them tell about the noise, more of them tell nothing new.

A model leaves some doubt about every parameter, also about those that it has found not to matter. Under noise that
doubt alone can look worth a trial: an architecture that is like one of the front in all that matters, and unlike it in
the rest, might be better after all. There are many of them, and without a bound a search spends a large part of its
trials on them. So of twins, which agree in every choice that matters to some model, and in all figures of the network
and all that is computed of them, no more than a few are proposed while there is anything else.

A choice matters where the inverse length scale of its column is a tenth of the largest or more, for some outcome: while
nothing is known yet, every choice does, and nothing has a twin. Figures of the network stand for choices, whose own
columns then matter less; so they always count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from hwnas.search._inputs import FIGURE
from hwnas.search._surrogate import Surrogate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from hwnas.search._models import Models
    from hwnas.space import Architecture

#: The least inverse length scale of a choice that matters, as a share of the largest of all columns.
_MATTERS = 0.1
#: By how much twins may differ in the column of a choice, and in that of a figure.
_ALIKE, _SAME = 0.02, 1e-9
#: How many twins there may be, tried or about to be.
_MOST = 3
#: What is taken off the logarithm of a further twin's value: more than candidates that improve anything differ by.
_OFF = 20.0
#: How many candidates are compared with all trials at a time.
_CHUNK = 512


class Twins:
    """Says how much less a candidate is worth for the twins that it has.

    Rows are those of `Points`: `c` columns, the encoding first.
    """

    def __init__(self, models: Models, architectures: Sequence[Architecture]) -> None:
        """Take what was tried, or is about to be; what matters is as the models see it."""
        points = models.points
        matters = np.zeros(points.d, dtype=bool)
        for model in models.outcomes:
            if isinstance(model, Surrogate):
                inverse = model.inverse_lengthscales()
                matters |= inverse >= _MATTERS * inverse.max()
        figures = np.array([column.parameter.startswith(FIGURE) for column in points.inputs.columns])
        exact = [*np.flatnonzero(figures).tolist(), *range(points.d, points.d + points.computed)]
        alike = np.flatnonzero(matters & ~figures).tolist()
        self._columns = torch.tensor([*alike, *exact], dtype=torch.long)
        self._apart = torch.tensor([_ALIKE] * len(alike) + [_SAME] * len(exact), dtype=torch.float64)
        self._tried = points.rows(architectures)[:, self._columns]

    def add(self, row: Float[Tensor, "1 c"]) -> None:
        """Count an architecture from now on."""
        self._tried = torch.cat([self._tried, row[:, self._columns]])

    def discount(self, rows: Float[Tensor, "n c"]) -> Float[Tensor, " n"]:
        """Return what the logarithms of candidates' values are too high by: nothing where they have few twins."""
        counts = [
            ((part[:, None] - self._tried).abs() <= self._apart).all(dim=-1).sum(dim=-1)
            for part in torch.split(rows[:, self._columns], _CHUNK)
        ]
        return _OFF * (torch.cat(counts) >= _MOST).double() if counts else torch.empty(0, dtype=torch.float64)
