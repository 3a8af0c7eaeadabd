"""A few figures of an architecture's network, for models that are to learn from few trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnas.network import simplified
from hwnas.predictor._cells import LABELS as CELL_LABELS
from hwnas.predictor._cells import CellFeaturiser
from hwnas.predictor._graph_features import LABELS as GRAPH_LABELS
from hwnas.predictor._graph_features import GraphFeaturiser
from hwnas.predictor._space_features import featuriser_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from hwnas.space import Architecture, SearchSpace


class NetworkFigures:
    """Totals and counts of the networks of a space: how deep and how large they are, and what they are made of.

    They are of the network that is left when dead parts are taken away. The cells of
    NAS-Bench-201 have features of their own, and give the low-dimensional ones of these.

    Attributes:
        names: of the figures, in words.
    """

    def __init__(self, space: SearchSpace) -> None:
        """Take a space that makes graphs."""
        self._space = space
        featuriser = featuriser_of(space)
        self._own = featuriser if isinstance(featuriser, CellFeaturiser) else None
        self._labels = GRAPH_LABELS if self._own is None else CELL_LABELS
        self.names = tuple(name for names in self._labels.values() for name in names)

    def __call__(self, architectures: Sequence[Architecture]) -> Float[np.ndarray, "n k"]:
        """Return the figures of n architectures, none of them negative.

        Raises:
            HwnasError: one is not of the space, or its network cannot be made.
        """
        if self._own is None:
            features = GraphFeaturiser()([simplified(self._space.graph(item)) for item in architectures])
        else:
            features = self._own(architectures)
        return np.hstack([features.blocks[name] for name in self._labels])
