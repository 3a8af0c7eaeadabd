"""A Gaussian process whose kernel is a sum of linear kernels over blocks, averaged over the scales of the blocks.

Model, for one device, with t the standardised square root of latency:

    t(x) = c + sum over blocks b of s_b * phi_b(x) . w_b + noise,   w_b ~ N(0, a I),  c ~ N(0, a * CONSTANT)

The overall amplitude a has an inverse gamma prior and is integrated out, so the marginal likelihood is Student's t;
the scales s are averaged over a fixed set of vectors by that likelihood times a prior (`log_prior`). A measurement
may also be an outlier: hypotheses with none, one or two of them, each with a large additional variance, are averaged
in the same sum; they cost no further factorisation. Since every kernel is linear, the average collapses to one weight
vector and one covariance of weights, exactly, whatever the number of scales: predicting is two matrix products.

Symbols: n measurements, K blocks, W columns in all blocks and the constant, M scale vectors, H hypotheses.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

CONSTANT = 10.0  # prior variance of c
_SHAPE, _RATE = 2.0, 1.0  # inverse gamma prior of the amplitude: mean 1
_OUTLIER = 0.05  # prior probability that one measurement is; of .02 and .05, by leaving out one training device
_OUTLIER_VARIANCE = 9.0  # its additional variance; the measurements themselves have variance 1
_COMPONENTS = 96  # of the average that are kept: the rest weighs less than a thousandth each


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """What n measurements say of one device, in the standardised unit.

    Attributes:
        weights: `W`, mean.
        covariance: `W x W`.
        noise: variance of one measurement, what is known of its error left out.
        amplitude: what the known errors' variances are multiplied by, as all others of the model are.
        scale_weights: `M`, posterior probability of each scale vector.
        outlier_probability: `n`, that a measurement is an outlier.
    """

    weights: np.ndarray
    covariance: np.ndarray
    noise: float
    amplitude: float
    scale_weights: np.ndarray
    outlier_probability: np.ndarray

    def at(self, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance, without the noise, at `basis` (`m x W`)."""
        variance = np.einsum("ij,ij->i", basis @ self.covariance, basis)
        return basis @ self.weights, np.maximum(variance, 0.0)


def grams(basis: np.ndarray, widths: tuple[int, ...]) -> np.ndarray:
    """Return the kernel of each block, `K x n x n`; `basis` is `n x W`, its last column the constant."""
    edges = np.cumsum([0, *widths])
    return np.stack([basis[:, a:b] @ basis[:, a:b].T for a, b in pairwise(edges)])


def kernels(basis: np.ndarray, widths: tuple[int, ...], scales: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the covariance of the measurements for each scale vector, `M x n x n`.

    Args:
        basis: `n x W`.
        widths: of the K blocks.
        scales: `M x (K + 1)`; the last one is the noise's standard deviation.
        noise: `n`, known additional variances (rounding, the measurement's own interval).
    """
    out: np.ndarray = np.einsum("mk,kij->mij", scales[:, :-1] ** 2, grams(basis, widths)) + CONSTANT
    diagonal = np.arange(len(basis))
    out[:, diagonal, diagonal] += scales[:, -1:] ** 2 + noise
    return out


def log_evidence(
    basis: np.ndarray, widths: tuple[int, ...], scales: np.ndarray, t: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """Return the log marginal likelihood of t for each scale vector, `M`, up to a constant."""
    lower = np.linalg.cholesky(kernels(basis, widths, scales, noise))
    half = np.linalg.solve(lower, np.broadcast_to(t[:, None], (len(lower), len(t), 1)))[..., 0]
    log_root = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(1)
    return _student((half**2).sum(1), log_root, len(t))


def _student(squares: np.ndarray, log_root: np.ndarray, count: int) -> np.ndarray:
    out: np.ndarray = -log_root - (_SHAPE + count / 2) * np.log(_RATE + squares / 2)
    return out


def condition(
    basis: np.ndarray,
    widths: tuple[int, ...],
    scales: np.ndarray,
    log_prior: np.ndarray,
    t: np.ndarray,
    noise: np.ndarray,
) -> Posterior:
    """Return the posterior, averaged over scales and outlier hypotheses.

    Args:
        basis: `n x W`, of the measured architectures.
        widths: of the K blocks; `W` is their sum plus one.
        scales: `M x (K + 1)`.
        log_prior: `M`, of the scale vectors.
        t: `n`, standardised square roots.
        noise: `n`, known additional variances in the same unit.
    """
    count = len(t)
    covariances = kernels(basis, widths, scales, noise)
    sets, log_weight = _hypotheses(covariances, t)
    joint = log_weight + log_prior[:, None]
    probability = np.exp(joint - joint.max())
    probability /= probability.sum()
    outliers = np.array([probability[:, [i in s for s in sets]].sum() for i in range(count)])
    flat = probability.ravel()
    top = np.argsort(-flat, kind="stable")[:_COMPONENTS]
    top = top[flat[top] > flat[top[0]] * 1e-3]
    share = flat[top] / flat[top].sum()
    means, spread, variance, scale = [], np.zeros((basis.shape[1],) * 2), 0.0, 0.0
    for index, part in zip(top, share, strict=True):
        m, h = divmod(int(index), len(sets))
        prior = np.append(np.repeat(scales[m, :-1] ** 2, widths), CONSTANT)
        inside = covariances[m].copy()
        inside[sets[h], sets[h]] += _OUTLIER_VARIANCE
        inverse = np.linalg.inv(inside)
        pulled = basis * prior
        means.append(pulled.T @ (inverse @ t))
        amplitude = (_RATE + t @ inverse @ t / 2) / (_SHAPE + count / 2 - 1)
        spread += part * amplitude * (np.diag(prior) - pulled.T @ inverse @ pulled)
        variance += part * amplitude * scales[m, -1] ** 2
        scale += part * amplitude
    stacked = np.array(means)
    mean = share @ stacked
    spread += (stacked - mean).T @ ((stacked - mean) * share[:, None])
    return Posterior(mean, spread, float(variance), float(scale), probability.sum(1), outliers)


def _hypotheses(covariances: np.ndarray, t: np.ndarray) -> tuple[list[list[int]], np.ndarray]:
    """Return the sets of outliers considered, and the log evidence of each with each scale vector, `M x H`.

    Additional variance on one or two measurements changes the inverse by a matrix of rank one or two, so determinant
    and quadratic form follow from the inverse that is there (Sherman, Morrison and Woodbury).
    """
    count = len(t)
    inverse = np.linalg.inv(covariances)
    log_root = np.linalg.slogdet(covariances)[1] / 2
    pull = inverse @ t
    square = (pull * t).sum(1)
    own = np.diagonal(inverse, axis1=1, axis2=2)
    v, rare = _OUTLIER_VARIANCE, np.log(_OUTLIER)
    none = _student(square[:, None], log_root[:, None], count)
    one = rare + _student(
        square[:, None] - pull**2 * v / (1 + v * own), log_root[:, None] + 0.5 * np.log1p(v * own), count
    )
    i, j = np.triu_indices(count, 1)
    a, b, c = 1 / v + own[:, i], 1 / v + own[:, j], inverse[:, i, j]
    det = a * b - c**2
    drop = (b * pull[:, i] ** 2 - 2 * c * pull[:, i] * pull[:, j] + a * pull[:, j] ** 2) / det
    two = 2 * rare + _student(square[:, None] - drop, log_root[:, None] + 0.5 * np.log(det * v * v), count)
    sets = [[], *([k] for k in range(count)), *([int(x), int(y)] for x, y in zip(i, j, strict=True))]
    return sets, np.hstack([none, one, two])


def greedy_design(
    population: np.ndarray, candidates: np.ndarray, noise: float, count: int, weight: np.ndarray | None = None
) -> list[int]:
    """Return the candidates that most reduce the integrated posterior variance, one after the other.

    Args:
        population: `m x W`, roots of the prior covariance applied to the space: its inner products are covariances.
        candidates: `k x W`, the same for those that can be measured.
        noise: variance of a measurement.
        count: how many to choose, at most k.
        weight: `m`, what a unit of variance costs at each architecture of the population.
    """
    cross = population @ candidates.T
    own = np.einsum("ij,ij->i", candidates, candidates)  # each candidate's own variance; the rest row by row, as needed
    costs = np.ones(len(population)) if weight is None else weight
    chosen: list[int] = []
    seen: list[np.ndarray] = []  # what each choice took from the covariance: its outer product with itself
    for _ in range(min(count, len(candidates))):
        gain = (costs @ cross**2) / (np.maximum(own, 0.0) + noise)
        gain[chosen] = -1.0
        best = int(gain.argmax())
        chosen.append(best)
        row = candidates @ candidates[best]
        for past in seen:
            row -= past[best] * past
        scale = np.sqrt(row[best] + noise)
        row /= scale
        cross -= np.outer(cross[:, best] / scale, row)
        own -= row**2
        seen.append(row)
    return chosen
