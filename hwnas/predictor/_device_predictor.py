"""A latency predictor adapted to one device: predictions, and the next architecture to measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.predictor._features import FeatureBlocks, featurised
from hwnas.predictor._mixture import Posterior, condition, greedy_design
from hwnas.predictor._model import Prediction
from hwnas.predictor._noise import root_noise

if TYPE_CHECKING:
    from hwnas.predictor._latency_predictor import LatencyPredictor

_CHUNK = 8192  # architectures predicted at once


def standardised_roots(roots: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Return roots of latencies with mean 0 and variance 1, the mean, and the standard deviation.

    Both come from values cut at three robust standard deviations, so that one outlier does not set the unit.
    """
    middle = float(np.median(roots))
    reach = 3 * 1.4826 * float(np.median(np.abs(roots - middle)))
    cut = np.clip(roots, middle - reach, middle + reach) if reach > 0 else roots
    spread = float(cut.std())
    spread = spread if spread > 1e-6 * middle else 1e-3 * middle  # all alike: nothing to rank, but a scale is needed
    return (roots - cut.mean()) / spread, float(cut.mean()), spread


@dataclass(frozen=True, slots=True, eq=False)
class DevicePredictor:
    """Predicts the latency of any architecture on one device. Thread-safe; `observe` returns a new one.

    Attributes:
        predictor: what it was adapted from.
        device: its name, may be empty.
        support: features of the n measured architectures.
        support_ms: `n`, their latencies.
        sigma_log: `n`, their standard errors in log, or `None`.
        posterior: of the standardised square root of latency.
        centre: of the square root of latency, in sqrt(ms).
        spread: of the same.
    """

    predictor: LatencyPredictor
    device: str
    support: FeatureBlocks
    support_ms: np.ndarray
    sigma_log: np.ndarray | None
    posterior: Posterior
    centre: float
    spread: float

    @classmethod
    def condition(
        cls,
        predictor: LatencyPredictor,
        support: FeatureBlocks,
        support_ms: np.ndarray,
        sigma_log: np.ndarray | None,
        device: str,
    ) -> DevicePredictor:
        """Return the predictor for a device with these (checked) measurements."""
        t, centre, spread = standardised_roots(np.sqrt(support_ms))
        noise = root_noise(support_ms, sigma_log) / spread**2
        basis = predictor.basis_
        posterior = condition(basis(support), basis.widths, predictor.scales_, predictor.log_prior_, t, noise)
        return cls(predictor, device, support, support_ms, sigma_log, posterior, centre, spread)

    def predict(self, architectures: Any, *, measuring: bool = True) -> Prediction:
        """Return the predicted latencies of n architectures, as in training or as `FeatureBlocks`.

        The doubt is that about one measurement: of the latency, and the error of measuring it, which is taken to be
        like that of the median reference.

        Args:
            architectures: the n.
            measuring: `False` leaves the error of measuring out, where it is known of the references: doubt of the
                latency alone.
        """
        blocks = featurised(self.predictor.featuriser, architectures)
        error = self._measuring_sigma_log if measuring else 0.0
        means, variances = [np.zeros(0)], [np.zeros(0)]
        for begin in range(0, len(blocks), _CHUNK):
            mean, variance = self.posterior.at(self.predictor.basis_(blocks[begin : begin + _CHUNK]))
            means.append(self.centre + self.spread * mean)
            variances.append(self.spread**2 * (variance + self.posterior.noise))
        found = Prediction.from_root(np.concatenate(means), np.concatenate(variances))
        return Prediction(found.mean_ms, np.hypot(found.std_ms, error * found.mean_ms))

    @property
    def _measuring_sigma_log(self) -> float:
        """Return the standard error of the log of a measurement, as the references have it."""
        if self.sigma_log is None:
            return 0.0
        return float(np.median(self.sigma_log) * np.sqrt(self.posterior.amplitude))

    def observe(self, architectures: Any, latencies_ms: Any, *, sigma_log: Any = None) -> DevicePredictor:
        """Return the predictor after further measurements."""
        blocks = featurised(self.predictor.featuriser, architectures)
        joined = {name: np.vstack([block, blocks.blocks[name]]) for name, block in self.support.blocks.items()}
        both = FeatureBlocks(joined, np.concatenate([self.support.live, blocks.live]), self.support.curved)
        values = np.concatenate([self.support_ms, np.asarray(latencies_ms, dtype=np.float64)])
        errors = None
        if self.sigma_log is not None or sigma_log is not None:
            before = np.zeros(len(self.support)) if self.sigma_log is None else self.sigma_log
            after = np.zeros(len(blocks)) if sigma_log is None else np.asarray(sigma_log, dtype=np.float64)
            errors = np.concatenate([before, after])
        return self.predictor.adapt(both, values, sigma_log=errors, device=self.device)

    @property
    def expected_error(self) -> float:
        """Return the median relative error expected of predictions over the space, measurement noise left out."""
        mean, variance = self.posterior.at(self.predictor.population_)
        root = np.maximum(self.centre + self.spread * mean, 1e-6)
        return float(np.median(2 * 0.6745 * self.spread * np.sqrt(variance) / root))

    @property
    def likeness(self) -> float:
        """Return the probability that the device's scales are those learned from the training devices."""
        return float(self.posterior.scale_weights @ np.exp(self.predictor.log_learned_))

    def outliers(self, probability: float = 0.5) -> list[int]:
        """Return the measurements that are probably wrong: worth taking again. They hardly count in predictions."""
        return [int(i) for i in np.flatnonzero(self.posterior.outlier_probability > probability)]

    def next_support(self, candidates: Any, *, tolerance: float | None = None) -> int | None:
        """Return the index of the candidate to measure next, or `None` where measuring may stop.

        It is the one that most reduces the variance of relative errors, integrated over the space, given what was
        measured on this device.

        Args:
            candidates: architectures that can be measured; those already measured are passed over.
            tolerance: stop once `expected_error` is at most this (0.03: three per cent).
        """
        if tolerance is not None and self.expected_error <= tolerance:
            return None
        blocks = featurised(self.predictor.featuriser, candidates)
        known = {row.tobytes() for row in self.support.stacked()}
        fresh = [row.tobytes() not in known for row in blocks.stacked()]
        allowed = np.flatnonzero(blocks.live & np.array(fresh, bool))
        if not len(allowed):
            return None
        values, vectors = np.linalg.eigh(self.posterior.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        population = self.predictor.population_
        mean = self.centre + self.spread * (population @ self.posterior.weights)
        weight = 1 / np.maximum(mean, 0.1 * self.centre) ** 2
        basis = self.predictor.basis_(blocks[allowed])
        chosen = greedy_design(population @ root, basis @ root, self.posterior.noise, 1, weight)
        return int(allowed[chosen[0]])
