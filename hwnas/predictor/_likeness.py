"""Which devices are alike: rank correlations between what a predictor says of each over its space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.predictor._device_predictor import DevicePredictor
    from hwnas.predictor._latency_predictor import LatencyPredictor


@dataclass(frozen=True, slots=True, eq=False)
class DeviceMap:
    """Devices and their likeness.

    Attributes:
        devices: D names, those of the training first.
        trained: how many of them are of the training.
        correlation: `D x D`, Spearman's rank correlation of predicted latencies over the training architectures.
        places: `D x 2`, in a plane where like devices lie near each other: classical scaling of the distances
            sqrt(1 - correlation) (Torgerson 1952).
    """

    devices: tuple[str, ...]
    trained: int
    correlation: np.ndarray
    places: np.ndarray


def device_map(predictor: LatencyPredictor, adapted: Sequence[DevicePredictor] = ()) -> DeviceMap:
    """Return the likeness of a predictor's training devices, and of devices that it was adapted to."""
    from scipy.stats import rankdata

    basis, population = predictor.basis_, predictor.population_
    columns = _sources(population, len(basis.offsets), basis.difference_factor)
    columns += [population @ item.posterior.weights for item in adapted]
    ranks = np.stack([rankdata(column) for column in columns])
    correlation = np.atleast_2d(np.corrcoef(ranks))
    squared = np.maximum(1 - correlation, 0.0)
    count = len(columns)
    centring = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(-0.5 * centring @ squared @ centring)
    top = np.argsort(-values)[:2]
    places = vectors[:, top] * np.sqrt(np.maximum(values[top], 0.0))
    places = np.hstack([places, np.zeros((count, 2 - places.shape[1]))])
    names = (*predictor.devices_, *(item.device for item in adapted))
    return DeviceMap(names, len(predictor.devices_), correlation, places)


def _sources(population: np.ndarray, count: int, difference_factor: float) -> list[np.ndarray]:
    """Return the standardised source functions over the population, out of the basis they are part of."""
    mean = population[:, 0]
    if difference_factor == 0:
        return [mean] * count
    return [mean + population[:, 1 + j] / difference_factor for j in range(count)]
