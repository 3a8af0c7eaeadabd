"""A latency predictor for where no device was ever measured: its sources are machines that never were.

Each is limited by one thing alone: by starting operations, by arithmetic, or by moving data (the ridges of the roofline
model: Williams, Waterman and Patterson, "Roofline: An Insightful Visual Performance Model for Multicore Architectures",
CACM 52(4), 2009). A real device is a mixture of them, and something else besides, which the kernel's other blocks take
up; its own measurements say how much of each. So the first ten measurements of a search are enough to begin with.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import PredictorError
from hwnas.predictor._latency_predictor import LatencyPredictor
from hwnas.predictor._table import LatencyTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwnas.network import Graph
    from hwnas.predictor._features import FeatureBlocks, Featuriser

#: A cost of which an architecture has none still takes this share of the mean.
_LEAST_SHARE = 1e-3


def graph_costs(graphs: Sequence[Graph]) -> dict[str, np.ndarray]:
    """Return what each ideal machine spends on n graphs, `n` each: operations, multiply-accumulates, elements moved."""
    moved = [
        sum(
            sum(prod(shape) for shape in graph.input_shapes(node)) + prod(graph.shapes[node.name])
            for node in graph.nodes
        )
        + graph.params
        for graph in graphs
    ]
    return {
        "starting operations": np.array([len(graph.nodes) for graph in graphs], dtype=np.float64),
        "arithmetic": np.array([graph.macs for graph in graphs], dtype=np.float64),
        "moving data": np.array(moved, dtype=np.float64),
    }


def ideal_predictor(
    features: FeatureBlocks,
    costs: Mapping[str, np.ndarray],
    featuriser: Featuriser | None = None,
    *,
    seed: int = 0,
) -> LatencyPredictor:
    """Return a predictor whose training devices are ideal machines; adapt it as any other.

    Args:
        features: of n architectures spread over the space, n some hundreds.
        costs: by machine, `n` numbers from 0 up that its latency is proportional to; a machine that spends equally on
            all of them is added. See `graph_costs`.
        featuriser: what made the features, so that architectures themselves can be given to what is adapted.
        seed: of the predictor.

    Raises:
        PredictorError: there are too few architectures, or a cost is negative or the same for all.
    """
    shares = {}
    for name, cost in costs.items():
        mean = float(np.mean(cost)) if len(cost) else 0.0
        if not (np.isfinite(cost).all() and (np.asarray(cost) >= 0).all() and mean > 0):
            raise PredictorError(f"the cost {name!r} has no positive mean, or a negative one", "leave that machine out")
        share = np.maximum(np.asarray(cost, dtype=np.float64) / mean, _LEAST_SHARE)
        if np.ptp(share) > 0:
            shares[name] = share
    if not shares:
        raise PredictorError("all architectures cost the same on all ideal machines", "give costs that tell them apart")
    if len(shares) > 1:
        shares["all alike"] = np.mean(list(shares.values()), axis=0)
    table = LatencyTable(
        tuple(str(row) for row in range(len(features))), tuple(shares), np.column_stack(list(shares.values()))
    )
    return LatencyPredictor(featuriser, seed=seed).fit(table, features)
