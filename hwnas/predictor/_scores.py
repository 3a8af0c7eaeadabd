"""How good predictions were: the figures by which predictors are compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import PredictorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.predictor._device_predictor import DevicePredictor
    from hwnas.predictor._features import FeatureBlocks
    from hwnas.predictor._latency_predictor import LatencyPredictor
    from hwnas.predictor._model import Prediction

_LEAST = 5  # networks below which a rank correlation says nothing


@dataclass(frozen=True, slots=True)
class Scores:
    """Predictions against n measurements that had no part in them.

    Attributes:
        n: how many.
        spearman: rank correlation; `None` for fewer than five networks, or where all are alike.
        median_error: median of |predicted / measured - 1|.
        within_10: share of the predictions within 10 % of the measurement.
        coverage: share of the measurements inside the 95 % interval.
    """

    n: int
    spearman: float | None
    median_error: float
    within_10: float
    coverage: float

    @classmethod
    def of(cls, prediction: Prediction, measured_ms: np.ndarray) -> Scores:
        """Return the scores of n predictions.

        Raises:
            PredictorError: there is nothing to compare with.
        """
        if not len(measured_ms):
            raise PredictorError("no measured network is left to evaluate on", "measure some more on this device")
        error = np.abs(prediction.mean_ms / measured_ms - 1)
        low, high = prediction.interval_ms(0.95)
        return cls(
            len(measured_ms),
            rank_correlation(prediction.mean_ms, measured_ms),
            float(np.median(error)),
            float(np.mean(error < 0.1)),
            float(np.mean((low <= measured_ms) & (measured_ms <= high))),
        )

    def to_json(self) -> dict[str, float | int | None]:
        """Return the scores as JSON data."""
        return asdict(self)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return Spearman's rank correlation; `None` where there are too few numbers, or one side is constant."""
    from scipy.stats import spearmanr

    if len(first) < _LEAST or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(spearmanr(first, second)[0])


def hold_out(
    predictor: LatencyPredictor, features: FeatureBlocks, latencies_ms: np.ndarray, *, samples: int = 10
) -> dict[str, Scores]:
    """Return the scores of each training device, held out and adapted with `samples` of its own measurements.

    The measurements are chosen among those of the device before any is looked at; all others are scored. See
    `LatencyPredictor.without` for what holding out leaves in.

    Args:
        predictor: trained on the features and latencies given.
        features: n architectures.
        latencies_ms: `n x D`, a column for each of `predictor.devices_`.
        samples: measurements that adapt.
    """
    found: dict[str, Scores] = {}
    for index, device in enumerate(predictor.devices_ if len(predictor.devices_) > 1 else ()):
        measured = np.flatnonzero(np.isfinite(latencies_ms[:, index]))
        blocks, y = features[measured], latencies_ms[measured, index]
        if blocks.live.sum() < samples + _LEAST:
            continue
        other = predictor.without(device, features)
        rows = other.suggest_support(samples, blocks)
        rest = np.setdiff1d(np.arange(len(y)), rows)
        found[device] = Scores.of(other.adapt(blocks[rows], y[rows], device=device).predict(blocks[rest]), y[rest])
    return found


@dataclass(frozen=True, slots=True)
class Curve:
    """Scores by the number of references.

    Attributes:
        counts: how many references.
        designed: scores with references that were chosen.
        random: median errors with references drawn at random, a row a draw.
    """

    counts: tuple[int, ...]
    designed: tuple[Scores, ...]
    random: tuple[tuple[float, ...], ...]


def reference_curve(
    predictor: LatencyPredictor,
    features: FeatureBlocks,
    latencies_ms: np.ndarray,
    *,
    counts: Sequence[int] = (3, 5, 7, 10, 15, 20, 30),
    draws: int = 5,
    seed: int = 0,
) -> Curve:
    """Return how the error falls with the number of references on one device.

    Args:
        predictor: not adapted to the device, and not trained on it.
        features: n measured architectures.
        latencies_ms: `n`.
        counts: numbers of references; those that leave fewer than five networks to score are left out.
        draws: of random references.
        seed: of those draws.
    """
    live = np.flatnonzero(features.live)
    used = tuple(count for count in counts if count + _LEAST <= len(live))
    order = predictor.suggest_support(max(used), features) if used else []

    def score(rows: np.ndarray | list[int]) -> Scores:
        rest = np.setdiff1d(np.arange(len(latencies_ms)), rows)
        adapted = predictor.adapt(features[np.asarray(rows)], latencies_ms[rows])
        return Scores.of(adapted.predict(features[rest]), latencies_ms[rest])

    rng = np.random.default_rng(seed)
    orders = [rng.permutation(live) for _ in range(draws)]
    random = tuple(tuple(score(drawn[:count]).median_error for count in used) for drawn in orders)
    return Curve(used, tuple(score(order[:count]) for count in used), random)


def without_support(features: FeatureBlocks, adapted: DevicePredictor) -> np.ndarray:
    """Return the rows whose network had no part in adapting: another with the same features had its part, too."""
    known = {row.tobytes() for row in adapted.support.stacked()}
    return np.array([i for i, row in enumerate(features.stacked()) if row.tobytes() not in known], np.int64)
