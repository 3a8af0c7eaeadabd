"""Which architectures a predictor had better see measured, of those that are to be known now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.predictor._features import featurised
from hwnas.predictor._noise import root_noise

if TYPE_CHECKING:
    from hwnas.predictor._device_predictor import DevicePredictor


def doubtful(predictor: DevicePredictor, candidates: Any, *, tolerance: float, sigma_log: float) -> list[int]:
    """Return the indices of the candidates to measure, the most telling first; the others can be predicted.

    A candidate is doubtful where both hold:

    - the standard error of its predicted log latency is above `tolerance`, so that the doubt matters, and
    - a measurement would at least halve the variance of what can be learned of it. What remains besides, the noise of
      measuring and what is peculiar to each network, no other network's measurement takes away.

    One is chosen at a time, and the doubt of the others is what remains once it is measured, which does not depend on
    what the measurement will say: so they can be measured together.

    Args:
        predictor: of the device.
        candidates: architectures, as in training or as `FeatureBlocks`.
        tolerance: standard error of the log latency that does no harm.
        sigma_log: standard error of the log of one measured latency.
    """
    blocks = featurised(predictor.predictor.featuriser, candidates)
    basis = predictor.predictor.basis_(blocks)
    posterior = predictor.posterior
    mean = predictor.centre + predictor.spread * (basis @ posterior.weights)
    root = np.maximum(mean, 0.1 * predictor.centre)  # of latencies near zero the logarithm says nothing
    covariance = basis @ posterior.covariance @ basis.T
    noise = posterior.noise + root_noise(root**2, np.full(len(root), sigma_log)) / predictor.spread**2
    unit = (2 * predictor.spread / root) ** 2  # of the variance of a logarithm
    chosen: list[int] = []
    while len(chosen) < len(root):
        learnable = np.maximum(np.diag(covariance), 0.0)
        wide = np.sqrt(unit * (learnable + posterior.noise)) > tolerance
        score = np.where(wide & (learnable > noise), learnable * unit, 0.0)
        score[chosen] = 0.0
        best = int(score.argmax())
        if score[best] <= 0.0:
            break
        chosen.append(best)
        covariance = covariance - np.outer(covariance[:, best], covariance[best]) / (
            covariance[best, best] + noise[best]
        )
    return chosen
