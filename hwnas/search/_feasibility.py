"""How probably an architecture succeeds, where trials have failed: learned from which ones did.

A training that runs out of memory, or a network that a runtime cannot load, seldom fails by chance: failures cluster.
What is expected of a candidate counts only if it succeeds, so the acquisition is multiplied by that probability, as for
an unknown constraint (Gelbart, Snoek and Adams, "Bayesian Optimization with Unknown Constraints", UAI 2014).

The model is least-squares classification (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006,
section 6.5): the sparse Gaussian process of the fast mode, fitted to 1 for success and 0 for failure, and behind it a
cumulative Gaussian, `p = Phi((slope mean + offset) / sqrt(1 + slope² variance))`, whose two numbers are fitted to the
leave-one-out predictions. Where failures have no pattern its slope is 0: all candidates are as likely to fail, and the
choice is what it would be without it.

Symbols: `n` trials, `d` columns, `h` members of the ensemble.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr

from hwnas.search._data import OutcomeData
from hwnas.search._objective import Objective
from hwnas.search._trial import TrialState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from hwnas.search._config import SaasSettings
    from hwnas.search._inputs import Inputs
    from hwnas.search._surrogate import Surrogate
    from hwnas.search._trial import Trial

#: So many failures, and so many successes, before there is a pattern to see.
_LEAST = 3
#: The latest trials that are looked at, at most.
_MOST = 1024
#: Bounds of slope and offset; a slope of 20 beside a variance of .1 is as steep as the model is sure.
_BOUNDS = ((0.0, 20.0), (-4.0, 4.0))
_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True, slots=True)
class Feasibility:
    """A model of success.

    Attributes:
        surrogate: of 1 and 0, standardised.
        slope, offset: of the cumulative Gaussian behind it.
        failed, succeeded: how many trials it has seen.
    """

    surrogate: Surrogate
    slope: float
    offset: float
    failed: int
    succeeded: int

    def log_probability(self, X: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Return the logarithm of the probability that each of some encoded architectures succeeds."""
        if not len(X):
            return np.empty(0)
        mean, variance = self.surrogate.predict(X)
        probability = ndtr(_argument(mean, variance, self.slope, self.offset)).mean(axis=0)
        return np.asarray(np.log(np.maximum(probability, _LEAST_PROBABILITY)))

    def describe(self, inputs: Inputs, architectures: Sequence[Any]) -> dict[str, Any]:
        """Return what it says of itself and of what was chosen, as JSON data."""
        matters: dict[str, float] = {}
        for column, value in zip(inputs.columns, self.surrogate.inverse_lengthscales(), strict=True):
            matters[column.parameter] = max(matters.get(column.parameter, 0.0), float(value))
        chosen = np.exp(self.log_probability(inputs.encode(architectures).reshape(len(architectures), inputs.dim)))
        return {
            "failed": self.failed,
            "succeeded": self.succeeded,
            "slope": self.slope,
            "inverse_lengthscales": matters,
            "success_probability": [float(p) for p in chosen],
        }


def feasibility(inputs: Inputs, trials: Sequence[Trial], settings: SaasSettings) -> Feasibility | None:
    """Return the model of which trials succeed; `None` where fewer than three failed, or fewer than three did not.

    Trials that failed for good count, and those that are complete. What was abandoned on purpose says nothing of
    failing, and a device that cannot be used fails no trial.
    """
    ended = [trial for trial in trials if trial.state in {TrialState.COMPLETE, TrialState.FAILED}][-_MOST:][::-1]
    success = np.array([trial.state == TrialState.COMPLETE for trial in ended], dtype=bool)
    succeeded, failed = int(success.sum()), int((~success).sum())
    if min(succeeded, failed) < _LEAST:
        return None
    from hwnas.search._surrogate import fit_surrogate, quietly

    X = inputs.encode([trial.architecture for trial in ended])
    y = success.astype(np.float64)
    location, scale = float(y.mean()), float(y.std(ddof=1))
    data = OutcomeData(Objective("success", "maximize"), X, (y - location) / scale, None, location, scale, 0)
    with quietly():
        surrogate = fit_surrogate(data, settings.model_copy(update={"fit": "map"}), seed=0)
    slope, offset = _calibrated(surrogate, success)
    return Feasibility(surrogate, slope, offset, failed, succeeded)


def _calibrated(surrogate: Surrogate, success: np.ndarray) -> tuple[float, float]:
    """Return slope and offset at which the leave-one-out predictions tell best which trials succeeded."""
    mean, variance = surrogate.leave_one_out_samples()
    sign = np.where(success, 1.0, -1.0)

    def loss(theta: np.ndarray) -> float:
        logs = log_ndtr(sign * _argument(mean, variance, float(theta[0]), float(theta[1])))
        return -float(np.logaddexp.reduce(logs, axis=0).sum() - len(sign) * np.log(len(logs)))

    starts = ([0.5, 0.0], [5.0, 0.0])
    found = min((minimize(loss, start, method="L-BFGS-B", bounds=_BOUNDS) for start in starts), key=lambda r: r.fun)
    return float(found.x[0]), float(found.x[1])


def _argument(mean: np.ndarray, variance: np.ndarray, slope: float, offset: float) -> np.ndarray:
    return np.asarray((slope * mean + offset) / np.sqrt(1.0 + slope**2 * variance))
