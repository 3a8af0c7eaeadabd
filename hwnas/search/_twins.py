"""Trials that differ only in what does not matter: a few of them tell about the noise, more of them tell nothing new.

A model leaves some doubt about every parameter, also about those that it has found not to matter. Under noise that
doubt alone can look worth a trial: an architecture that is like one of the front in all that matters, and unlike it in
the rest, might be better after all. There are many of them, and without a bound a search spends a large part of its
trials on them. So of twins, which agree in every column that matters to some model, and in all that is computed of
them, no more than a few are proposed while there is anything else.

A column matters where its inverse length scale is a tenth of the largest or more, for some outcome: while nothing is
known yet, every column does, and nothing has a twin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from hwnas.search._surrogate import Surrogate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from hwnas.search._models import Models
    from hwnas.space import Architecture

#: The least inverse length scale of a column that matters, as a share of the largest.
_MATTERS = 0.1
#: By how much twins may differ in a column.
_ALIKE = 0.02
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
        computed = range(points.d, points.d + points.computed)
        self._columns = torch.tensor([*np.flatnonzero(matters).tolist(), *computed], dtype=torch.long)
        self._tried = points.rows(architectures)[:, self._columns]

    def add(self, row: Float[Tensor, "1 c"]) -> None:
        """Count an architecture from now on."""
        self._tried = torch.cat([self._tried, row[:, self._columns]])

    def discount(self, rows: Float[Tensor, "n c"]) -> Float[Tensor, " n"]:
        """Return what the logarithms of candidates' values are too high by: nothing where they have few twins."""
        counts = [
            ((part[:, None] - self._tried).abs() <= _ALIKE).all(dim=-1).sum(dim=-1)
            for part in torch.split(rows[:, self._columns], _CHUNK)
        ]
        return _OFF * (torch.cat(counts) >= _MOST).double() if counts else torch.empty(0, dtype=torch.float64)
