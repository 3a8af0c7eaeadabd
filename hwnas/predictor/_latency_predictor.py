"""The latency predictor: trained on devices that were measured, adapted to a new one by about ten measurements.

It is a transfer Gaussian process. Training makes one source function a device (`_sources`), and learns which scales
of the kernel's blocks (`_mixture`) are usual: each training device in turn plays the target, with the others as
sources, and votes for scale vectors by its evidence. A new device's prior is a mixture: mostly those votes, and in
part a broad prior that no device voted for. Its own measurements then weigh both: a device like those of the
training keeps the learned scales, an unlike one falls back to the broad prior. No target device ever takes part in
a choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hwnas.errors import PredictorError
from hwnas.predictor._basis import Basis
from hwnas.predictor._device_predictor import DevicePredictor, standardised_roots
from hwnas.predictor._features import FeatureBlocks, Featuriser, MatrixFeaturiser, featurised
from hwnas.predictor._mixture import CONSTANT, greedy_design, log_evidence
from hwnas.predictor._model import Estimator, checked_latencies
from hwnas.predictor._noise import root_noise
from hwnas.predictor._sources import Standard, fit_sources

if TYPE_CHECKING:
    from pathlib import Path

    from hwnas.predictor._table import LatencyTable

_VOTES = 4  # random supports from which a training device votes
_VOTE_SIZE = 30  # measurements in each
_POPULATION = 2000  # architectures over which posterior variance is integrated, at most
_LEAST_LIVE = 20


class LatencyPredictor(Estimator):
    """Predicts the latency of architectures on devices it has hardly seen.

    After `fit`: `devices_` (the sources), `twins_` (devices left out because they repeat another), `basis_`,
    `scales_` (`M x (K + 1)`), `votes_` (`D x M`, of the devices), `log_prior_` (`M`), `log_learned_` (`M`, the share of
    it that devices voted for), `range_` (`2 x F0`, least and greatest value of each feature in the training).
    Thread-safe once fitted.
    """

    def __init__(
        self,
        featuriser: Featuriser | None = None,
        *,
        scale_vectors: int = 1024,
        broad: float = 0.3,
        seed: int = 0,
    ) -> None:
        """Keep the settings.

        Args:
            featuriser: turns architectures into features; without one, architectures are rows of numbers.
            scale_vectors: M, over which the kernel's scales are averaged; a power of two.
            broad: prior probability that a new device is unlike all of the training.
            seed: of scale vectors and votes.
        """
        self.featuriser = MatrixFeaturiser() if featuriser is None else featuriser
        self.scale_vectors, self.broad, self.seed = scale_vectors, broad, seed

    def fit(self, table: LatencyTable, features: FeatureBlocks | None = None) -> Self:
        """Train on the devices of a table; cells may be missing.

        Args:
            table: n architectures on D devices; `table.select(devices=...)` leaves devices out.
            features: of the table's architectures, where the caller has them already.

        Raises:
            PredictorError: a device or the table has too few measurements.
        """
        blocks = featurised(self.featuriser, table.architectures) if features is None else features
        if len(blocks) != len(table):
            raise PredictorError(
                f"features of {len(blocks)} architectures for a table of {len(table)}", "give them in the table's order"
            )
        if blocks.live.sum() < _LEAST_LIVE or not table.devices:
            raise PredictorError(
                f"{blocks.live.sum()} live architectures on {len(table.devices)} devices are too few to learn from",
                f"measure at least {_LEAST_LIVE} architectures on at least one device",
            )
        self.twins_ = tuple(table.twins())
        repeated = {second for _, second in self.twins_}
        self.devices_ = tuple(name for name in table.devices if name not in repeated)
        latencies = table.select(devices=self.devices_).latencies_ms
        alive = np.flatnonzero(blocks.live)
        standard = Standard.of(blocks[alive])
        x = standard(blocks)
        weights, offsets = fit_sources(x, standard.widths, np.sqrt(latencies), seed=self.seed)
        self.basis_ = Basis.of(standard, weights, offsets, x[alive])
        rng = np.random.default_rng(self.seed)
        self.population_ = self.basis_.at(x[np.sort(rng.permutation(alive)[:_POPULATION])])
        self.architectures_ = len(table)
        seen = blocks[alive].stacked()
        self.range_ = np.stack([seen.min(0), seen.max(0)])
        self.scales_ = self.basis_.scale_vectors(self.scale_vectors, self.seed)
        self._learn_prior(x, alive, latencies, rng)
        return self

    def _learn_prior(self, x: np.ndarray, alive: np.ndarray, latencies: np.ndarray, rng: np.random.Generator) -> None:
        """Let each training device vote, as a target whose sources are the others."""
        votes = np.zeros((0, len(self.scales_)))
        for device in range(latencies.shape[1] if latencies.shape[1] > 1 else 0):
            measured = alive[np.isfinite(latencies[alive, device])]
            basis = self.basis_.without(device, x[alive])
            evidence = np.zeros(len(self.scales_))
            for _ in range(_VOTES):
                rows = rng.permutation(measured)[:_VOTE_SIZE]
                y = latencies[rows, device]
                t, _, spread = standardised_roots(np.sqrt(y))
                noise = root_noise(y, None) / spread**2
                evidence += log_evidence(basis.at(x[rows]), basis.widths, self.scales_, t, noise) / _VOTES
            vote = np.exp(evidence - evidence.max())
            votes = np.vstack([votes, vote / vote.sum()])
        self._set_prior(votes)

    def _set_prior(self, votes: np.ndarray) -> None:
        """Mix the devices' votes, `D x M`, with the broad prior."""
        broad = np.full(len(self.scales_), 1 / len(self.scales_))
        self.votes_ = votes
        learned = votes.mean(0) if len(votes) else broad
        prior = (1 - self.broad) * learned + self.broad * broad
        with np.errstate(divide="ignore"):
            self.log_prior_ = np.log(prior)
            self.log_learned_ = np.log((1 - self.broad) * learned) - self.log_prior_

    def without(self, device: str, features: FeatureBlocks) -> LatencyPredictor:
        """Return the predictor that knows nothing of one training device, to hold it out.

        Its source function and its vote are gone. The other devices' votes stay as they are; each was cast with this
        device among its sources, which is what makes holding out cheap.

        Args:
            device: one of `devices_`; there must be another.
            features: of the training architectures.
        """
        self._check_fitted()
        if device not in self.devices_ or len(self.devices_) < 2:
            raise PredictorError(
                f"{device!r} cannot be held out of {len(self.devices_)} training devices", "see predictor.devices_"
            )
        index = self.devices_.index(device)
        other = LatencyPredictor(**self.get_params())
        x = self.basis_.standard(features[np.flatnonzero(features.live)])
        other.basis_ = self.basis_.without(index, x)
        rng = np.random.default_rng(self.seed)
        other.population_ = other.basis_.at(x[np.sort(rng.permutation(len(x))[:_POPULATION])])
        other.devices_ = tuple(name for name in self.devices_ if name != device)
        other.twins_, other.architectures_, other.range_ = self.twins_, self.architectures_, self.range_
        other.scales_ = self.scales_
        other._set_prior(np.delete(self.votes_, index, 0))
        return other

    def adapt(
        self, architectures: Any, latencies_ms: Any, *, sigma_log: Any = None, device: str = ""
    ) -> DevicePredictor:
        """Return the predictor of a new device. Takes 0.05 to 0.3 s on one core.

        Args:
            architectures: n that were measured, n at least 3, as in training or as `FeatureBlocks`.
            latencies_ms: `n`, positive.
            sigma_log: `n`, standard error of the log of each latency (of a p99: from its interval), where known.
            device: its name, for the record.

        Raises:
            PredictorError: a latency is not positive, or there are too few.
        """
        self._check_fitted()
        blocks = featurised(self.featuriser, architectures)
        values = checked_latencies(latencies_ms, len(blocks), least=3, what=f"adapting to {device or 'a device'}")
        errors = None if sigma_log is None else np.asarray(sigma_log, dtype=np.float64)
        if errors is not None and (errors.shape != values.shape or not (errors >= 0).all()):
            raise PredictorError(
                "the standard errors of the latencies do not fit", "give one number, not negative, a latency"
            )
        return DevicePredictor.condition(self, blocks, values, errors, device)

    def suggest_support(self, count: int, candidates: Any) -> list[int]:
        """Return the indices of the candidates to measure first on any new device.

        They are chosen before anything is measured: greedily, the one that most reduces the posterior variance
        integrated over the training architectures. Dead networks are barred.

        Args:
            count: how many, ten say.
            candidates: architectures that can be measured.
        """
        self._check_fitted()
        blocks = featurised(self.featuriser, candidates)
        allowed = np.flatnonzero(blocks.live)
        if count < 1 or len(allowed) < count:
            raise PredictorError(
                f"{count} references from {len(allowed)} live candidates", "ask for fewer, or offer more candidates"
            )
        squares = np.exp(self.log_prior_) @ self.scales_**2
        roots = [
            self.basis_.roots(values, squares[:-1], CONSTANT)
            for values in (self.population_, self.basis_(blocks[allowed]))
        ]
        chosen = greedy_design(roots[0], roots[1], float(squares[-1]), count)
        return [int(allowed[i]) for i in chosen]

    def save(self, folder: Path) -> None:
        """Write `predictor.npz` and `card.json` to a folder, made if absent."""
        from hwnas.predictor._saved import save_predictor

        self._check_fitted()
        save_predictor(self, folder)

    @classmethod
    def load(cls, folder: Path, featuriser: Featuriser | None = None) -> LatencyPredictor:
        """Return the predictor that `save` wrote; nothing in the files is run.

        Args:
            folder: where it was written.
            featuriser: needed where the predictor was trained with one of the user's own.
        """
        from hwnas.predictor._saved import load_predictor

        return load_predictor(folder, featuriser)

    def _check_fitted(self) -> None:
        if not hasattr(self, "basis_"):
            raise PredictorError("this latency predictor is not trained", "call fit(table) first, or load one")
