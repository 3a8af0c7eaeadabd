"""Train a predictor on what is known of a space, hold out each device in turn, and keep it in a workspace."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from hwnas.predictor._corpus import LEAST_MEASURED, Corpus
from hwnas.predictor._features import featurised
from hwnas.predictor._graph_features import GraphFeaturiser
from hwnas.predictor._latency_predictor import LatencyPredictor
from hwnas.predictor._scores import Scores, hold_out
from hwnas.predictor._space_features import SpaceFeaturiser, graph_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.predictor._features import FeatureBlocks
    from hwnas.predictor._library import PredictorLibrary
    from hwnas.predictor._stored import StoredPredictor
    from hwnas.predictor._training_space import TrainingSpace

HELD_OUT_WITH = 10
_GRAPHS = 300  # networks that the predictor of any network learns from, where making their graphs takes time
_HOW = (
    "each training device in turn is left out (its source function and its vote on the scales; the other devices' "
    "votes stay as they were cast), adapted with measurements chosen before any was seen, and scored on the rest"
)


def train_predictor(
    library: PredictorLibrary,
    name: str,
    space: TrainingSpace,
    corpus: Corpus,
    *,
    metric: str,
    devices: Sequence[str] = (),
    replace: bool = False,
    seed: int = 0,
) -> StoredPredictor:
    """Return the predictor that was trained and kept under a name; its card has the held-out scores.

    Args:
        library: of the workspace.
        name: see `PredictorLibrary.add`.
        space: whose architectures it is to predict.
        corpus: what is known of them.
        metric: what the latencies are: `p99_ms`, ...
        devices: those to learn from; all that have enough measurements by default.
        replace: whether a predictor of that name may be replaced.
        seed: of the training.

    Raises:
        PredictorError: the name is taken, or there are too few measurements.
    """
    library.check_new(name, replace=replace)
    chosen = corpus.for_training(devices)
    began = time.process_time()
    features = featurised(space.featuriser, chosen.table.architectures)
    featurised_s = time.process_time() - began
    main = LatencyPredictor(space.featuriser, seed=seed).fit(chosen.table, features)
    trained_s = time.process_time() - began - featurised_s
    graph = _of_any_network(space, features, chosen, seed)
    latencies = chosen.table.select(devices=main.devices_).latencies_ms
    held_out = hold_out(main, features, latencies, samples=HELD_OUT_WITH)
    trained = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "space": space.to_json(),
        "metric": metric,
        "sources": list(chosen.sources),
        "notes": list(chosen.notes),
        "networks": {name: int(np.isfinite(chosen.table.column(name)).sum()) for name in chosen.table.devices},
        "cpu_s": {"features": round(featurised_s, 3), "training": round(trained_s, 3)},
        "held_out": {
            "how": _HOW,
            "measurements": HELD_OUT_WITH,
            "devices": {device: scores.to_json() for device, scores in held_out.items()},
            "mean": mean_scores(list(held_out.values())),
        },
    }
    return library.add(name, main, graph, trained, replace=replace)


def _of_any_network(
    space: TrainingSpace, features: FeatureBlocks, corpus: Corpus, seed: int
) -> LatencyPredictor | None:
    """Return the predictor by graph features alone; `None` where the space makes no networks."""
    if space.space is None or not space.space.has_graph:
        return None
    table = corpus.table
    if not isinstance(space.featuriser, SpaceFeaturiser) and len(table) > _GRAPHS:  # their graphs are yet to be made
        rows = np.sort(np.random.default_rng(seed).permutation(len(table))[:_GRAPHS])
        if np.isfinite(table.latencies_ms[rows]).sum(0).min() >= LEAST_MEASURED:
            table, features = table.select(rows=rows), features[rows]
    found = graph_features(space.space, features, table.architectures)
    return None if found is None else LatencyPredictor(GraphFeaturiser(), seed=seed).fit(table, found)


def mean_scores(scores: Sequence[Scores]) -> dict[str, float | None] | None:
    """Return the means over devices; `None` where nothing was held out."""
    if not scores:
        return None
    names = ("spearman", "median_error", "within_10", "coverage")
    known = {name: [value for item in scores if (value := getattr(item, name)) is not None] for name in names}
    return {name: float(np.mean(values)) if values else None for name, values in known.items()}
