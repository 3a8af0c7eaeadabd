"""Features of a search space's architectures: those of its networks, and the parameters that decide the network."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hwnas.predictor._cells import CellFeaturiser
from hwnas.predictor._features import FeatureBlocks, Featuriser
from hwnas.predictor._graph_features import GraphFeaturiser, graph_part
from hwnas.predictor._steps import graph_network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.space import Architecture, SearchSpace

_PROBES = 6  # architectures in which each parameter is changed, to see whether the network changes
_REMEMBERED = 20_000

#: Spaces with features of their own, which replace those of their graphs: quicker, and proven better.
_OWN: dict[str, Featuriser] = {"nasbench201": CellFeaturiser()}


def featuriser_of(space: SearchSpace) -> Featuriser:
    """Return what turns the architectures of a space into features."""
    return _OWN.get(space.name) or SpaceFeaturiser(space)


def graph_features(
    space: SearchSpace | None, features: FeatureBlocks, architectures: Sequence[Architecture]
) -> FeatureBlocks | None:
    """Return the features of the networks alone, by `GraphFeaturiser`; `None` where the space makes none.

    Args:
        space: of the architectures.
        features: of n architectures, as the space's own featuriser made them.
        architectures: n.
    """
    if space is None or not space.has_graph:
        return None
    if isinstance(featuriser_of(space), SpaceFeaturiser):
        return graph_part(features)
    return GraphFeaturiser()([space.graph(item) for item in architectures])


class SpaceFeaturiser:
    """The features of the networks (`GraphFeaturiser`), and the encoding of the parameters that change the network.

    A space that makes no graphs has its encoding alone. Thread-safe; it remembers the features of networks it has
    seen, since an architecture's graph takes about a millisecond.
    """

    def __init__(self, space: SearchSpace) -> None:
        """Take the architectures of `space`."""
        self.space = space
        self._rows: dict[str, FeatureBlocks] = {}

    def __repr__(self) -> str:
        """Show the space."""
        return f"SpaceFeaturiser({self.space.name!r})"

    @property
    def name(self) -> str:
        """Return the name, which holds the space and its version."""
        graph = GraphFeaturiser().name if self.space.has_graph else "no graph"
        return f"space {self.space.name}, version {self.space.version}, {graph}"

    def __call__(self, architectures: Sequence[Architecture]) -> FeatureBlocks:
        """Return the features of n architectures.

        Raises:
            SpaceError: one is not of the space, or its network cannot be made.
        """
        encoding = self.space.encode(architectures)[:, self._columns]
        curved = ("encoding",) if encoding.shape[1] <= 24 else ()
        if not self.space.has_graph:
            return FeatureBlocks({"encoding": encoding}, curved=curved)
        new = [item for item in dict.fromkeys(architectures) if item.id not in self._rows]
        if len(self._rows) + len(new) > _REMEMBERED:
            self._rows = {}
            new = list(dict.fromkeys(architectures))
        made = GraphFeaturiser()([self.space.graph(item) for item in new])
        rows = {**self._rows, **{item.id: made[i : i + 1] for i, item in enumerate(new)}}
        self._rows = rows
        blocks = {
            name: np.array([rows[a.id].blocks[name][0] for a in architectures]).reshape(len(architectures), width)
            for name, width in made.widths().items()
        }
        live = np.array([rows[a.id].live[0] for a in architectures], bool)
        return FeatureBlocks({**blocks, "encoding": encoding}, live, curved=(*made.curved, *curved))

    @cached_property
    def _columns(self) -> np.ndarray:
        """The columns of the encoding whose parameter decides the network; a learning rate does not."""
        columns = self.space.columns
        if not self.space.has_graph:
            return np.arange(len(columns))
        rng = np.random.default_rng(0)
        deciding: set[str] = set()
        tried: set[str] = set()
        for base in self.space.sample(min(_PROBES, self.space.size or _PROBES), rng):
            own = _network(self.space, base)
            for other in self.space.neighbours(base, rng, float_moves=2):
                names = {*base.values, *other.values}
                changed = {name for name in names if base.values.get(name) != other.values.get(name)}
                tried |= changed
                if not changed <= deciding and _network(self.space, other) != own:
                    deciding |= changed
        idle = tried - deciding  # what was never tried may decide something
        return np.array([i for i, column in enumerate(columns) if column.parameter not in idle], np.int64)


def _network(space: SearchSpace, architecture: Architecture) -> object:
    network = graph_network(space.graph(architecture))
    return network.steps
