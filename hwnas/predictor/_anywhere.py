"""Predictions for networks that are not of the space that a predictor was trained on.

Inside the training networks' range of features the Gaussian process answers alone. Outside it, its products of
features run away; there a line through the device's own measurements answers more and more: so much a launched
operation, so much a multiply-accumulate, so much an element moved, none of them negative. The doubt holds what the
two disagree by, and half of the answer at full distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hwnas.predictor._baselines import LookupTable
from hwnas.predictor._graph_features import GRAPH_BLOCKS, TOTALS, GraphFeaturiser
from hwnas.predictor._model import Prediction
from hwnas.predictor._steps import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.network import Graph
    from hwnas.predictor._device_predictor import DevicePredictor
    from hwnas.predictor._features import FeatureBlocks
    from hwnas.predictor._steps import StepNetwork

_LINE = [TOTALS.index(name) for name in ("steps", "macs", "traffic")]
_AT_FULL_DISTANCE = 0.5  # of the answer, added to the doubt where the line alone answers


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a network is from those of the training.

    Attributes:
        inside: the weight of the Gaussian process in the answer, 1 where every feature lies in the training's range.
        unknown: kinds of operation that no training network has.
        beyond: totals that lie outside the range of the training, with their ratio to its nearer end.
    """

    inside: float
    unknown: tuple[str, ...]
    beyond: dict[str, float]

    def __str__(self) -> str:
        """Say it in a sentence; empty where nothing is to be said."""
        parts = [f"{name} {ratio:.2g} times the nearest trained" for name, ratio in self.beyond.items()]
        if self.unknown:
            parts.append("never trained on: " + ", ".join(self.unknown))
        return "; ".join(parts)


@dataclass(frozen=True)
class AnyNetworkPredictor:
    """Predicts any network on one device. Thread-safe.

    Attributes:
        device: the predictor by `GraphFeaturiser`, adapted to the device.
    """

    device: DevicePredictor

    def predict(self, networks: Sequence[Graph | StepNetwork]) -> Prediction:
        """Return the predicted latencies of n networks; doubt grows with their distance from the training."""
        return self.explained(networks)[0]

    def explained(self, networks: Sequence[Graph | StepNetwork]) -> tuple[Prediction, list[Distance]]:
        """Return the predicted latencies of n networks, and the distance of each from the training."""
        blocks = GraphFeaturiser()(networks)
        near, far = self.device.predict(self._clipped(blocks)), self._line.predict(blocks.blocks["totals"][:, _LINE])
        process = self.device.predict(blocks)
        distances = [self._distance(blocks, row) for row in range(len(blocks))]
        w = np.array([item.inside for item in distances])
        # Outside, the process goes no further than from its own answer at the edge of the training to the line's.
        edges = np.minimum(near.mean_ms, far.mean_ms), np.maximum(near.mean_ms, far.mean_ms)
        gp = np.where(w < 1, np.clip(process.mean_ms, *edges), process.mean_ms)
        mean = w * gp + (1 - w) * far.mean_ms
        between = w * (gp - mean) ** 2 + (1 - w) * (far.mean_ms - mean) ** 2
        wide = ((1 - w) * _AT_FULL_DISTANCE * mean) ** 2
        inside = w * np.where(w < 1, near.std_ms, process.std_ms) ** 2
        return Prediction(mean, np.sqrt(inside + (1 - w) * far.std_ms**2 + between + wide)), distances

    @cached_property
    def _line(self) -> LookupTable:
        features = self.device.support.blocks["totals"][:, _LINE]
        return LookupTable(shrinkage=1e-4).fit(features, self.device.support_ms)

    def _clipped(self, blocks: FeatureBlocks) -> FeatureBlocks:
        low, high = self.device.predictor.range_
        clipped = np.clip(blocks.stacked(), low, high)
        edges = np.cumsum(list(GRAPH_BLOCKS.values()))[:-1]
        parts = dict(zip(GRAPH_BLOCKS, np.split(clipped, edges, axis=1), strict=True))
        return type(blocks)(parts, blocks.live, blocks.curved)

    def _distance(self, blocks: FeatureBlocks, row: int) -> Distance:
        low, high = self.device.predictor.range_
        values = blocks[row : row + 1].stacked()[0]
        spread = high - low
        varied = spread > 1e-9 * (1 + np.abs(high))
        excess = np.maximum(np.maximum(values - high, low - values), 0.0)
        worst = float((excess[varied] / spread[varied]).max(initial=0.0))
        counts = slice(0, len(KINDS))
        unknown = np.flatnonzero((values[counts] > 0) & (high[counts] == 0))
        unknown_share = float(values[counts][unknown].sum() / max(values[counts].sum(), 1.0))
        beyond = {}
        first = len(values) - len(TOTALS)
        for i, name in enumerate(TOTALS, start=first):
            if excess[i] > 1e-9 * (1 + abs(high[i])):
                beyond[name] = float(values[i] / (high[i] if values[i] > high[i] else low[i]))
        inside = float(np.exp(-worst) * (1 - unknown_share))
        return Distance(inside, tuple(KINDS[i] for i in unknown), beyond)
