"""Quantiles and their intervals from raw samples.

n           samples, in the order in which they were taken
p           the quantile's probability, 0.99 for p99
x_(k)       the k-th smallest sample, k from 1 to n
inflation   by how much the samples' dependence grows the variance of an empirical distribution; 1 if independent
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CONFIDENCE = 0.95
_LEAST_GROUPS = 3


def harrell_davis(ordered: NDArray[np.float64], p: float) -> float:
    """Return the Harrell-Davis estimate of a quantile.

    A weighted mean of all order statistics; the weights are those of a Beta((n + 1) p, (n + 1)(1 - p)) distribution
    over ranks (Harrell and Davis 1982, "A new distribution-free quantile estimator", equation 2).

    Args:
        ordered: `float64[n]`, sorted, n at least 1.
        p: in (0, 1).
    """
    first, weights = _harrell_davis_weights(ordered.size, p)
    return float(weights @ ordered[first : first + weights.size])


@lru_cache(maxsize=64)
def _harrell_davis_weights(n: int, p: float) -> tuple[int, NDArray[np.float64]]:
    """Return the index of the first weight that counts, and the weights from there on; they sum to one."""
    from scipy.special import betainc

    edges = betainc((n + 1) * p, (n + 1) * (1 - p), np.arange(n + 1) / n)
    weights = np.diff(edges)
    counting = np.flatnonzero(weights > 1e-15)
    first, last = int(counting[0]), int(counting[-1])
    kept = weights[first : last + 1] / weights[first : last + 1].sum()
    kept.flags.writeable = False
    return first, kept


@lru_cache(maxsize=1024)
def order_statistic_ranks(n: int, p: float, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """Return the ranks l < u for which [x_(l), x_(u)] covers the quantile with at least `confidence`.

    Distribution-free, each side with half of the doubt: how many samples lie below the quantile is binomial, whatever
    the distribution (David and Nagaraja 2003, "Order Statistics", section 7.1). For p99 at 95 %: n = 1000 gives 983
    and 997; the upper rank exists from n = 368.

    Args:
        n: at least 1.
        p: in (0, 1).
        confidence: of both sides together.

    Returns:
        The two ranks; l = 0 and u = n + 1 where no sample bounds that side.
    """
    from scipy.special import bdtr

    doubt = (1.0 - confidence) / 2.0
    below = bdtr(np.arange(n, dtype=float), n, p)  # P(at most k samples lie below), k = 0 .. n - 1
    lower = int(np.searchsorted(below, doubt, side="right"))
    upper = int(np.searchsorted(below, 1.0 - doubt, side="left")) + 1
    return lower, upper


def interval(ordered: NDArray[np.float64], p: float, *, inflation: float = 1.0) -> tuple[float, float]:
    """Return the 95 % interval of a quantile by order statistics.

    Dependent samples count as fewer: as n / inflation independent ones, whose ranks are stretched to n.

    Args:
        ordered: `float64[n]`, sorted, n at least 1.
        p: in (0, 1).
        inflation: at least 1.

    Returns:
        Both ends; 0 and infinity where the samples are too few to bound that side.
    """
    n = ordered.size
    effective = max(1, math.floor(n / inflation))
    lower, upper = order_statistic_ranks(effective, p)
    stretch = n / effective
    low = 0.0 if lower == 0 else float(ordered[max(1, math.floor(lower * stretch)) - 1])
    high = math.inf if upper > effective else float(ordered[min(n, math.ceil(upper * stretch)) - 1])
    return low, high


def inflation(samples: NDArray[np.float64], sizes: Sequence[int], threshold: float) -> float:
    """Return how much the samples' dependence grows the variance of the share that lies above `threshold`.

    Were the samples independent, the counts above the threshold would be binomial in every block. The ratio of their
    Pearson dispersion to what that implies is the inflation: batch means on the indicator of the quantile (Asmussen
    and Glynn 2007, "Stochastic Simulation", section IV.5, with the blocks as batches). It sees dependence within a
    block and drift between blocks alike, and is never taken below 1.

    Args:
        samples: `float64[n]`, in order.
        sizes: how many samples each block has; they sum to n.
        threshold: the quantile that the interval is for.
    """
    counts = np.asarray(sizes, dtype=float)
    if counts.size < 2:
        return 1.0
    above = samples > threshold
    share = float(above.mean())
    if share in (0.0, 1.0):
        return 1.0
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(int)
    seen = np.add.reduceat(above.astype(float), starts)
    expected, spread = counts * share, counts * share * (1.0 - share)
    return max(1.0, float(((seen - expected) ** 2 / spread).sum() / (counts.size - 1)))


def interval_between(groups: Sequence[NDArray[np.float64]], p: float) -> tuple[float, float]:
    """Return the 95 % interval of a quantile by how far groups of samples differ.

    Each process of a network has a level of its own, and so has each moment of a busy machine. Order statistics within
    the samples see nothing of that; leaving one process out at a time does: the jackknife over groups, with Student's
    t (Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans", chapter 3), on the quantile's logarithm.

    Args:
        groups: the samples of each process, `float64[n_i]`, positive.
        p: in (0, 1).

    Returns:
        Both ends; for fewer than three groups, which tell nothing, the estimate itself twice.
    """
    from scipy.special import stdtrit

    whole = math.log(harrell_davis(np.sort(np.concatenate(groups)), p))
    count = len(groups)
    if count < _LEAST_GROUPS:
        return math.exp(whole), math.exp(whole)
    without = [np.concatenate([*groups[:index], *groups[index + 1 :]]) for index in range(count)]
    logs = np.log([harrell_davis(np.sort(samples), p) for samples in without])
    error = math.sqrt((count - 1) / count * float(((logs - logs.mean()) ** 2).sum()))
    reach = float(stdtrit(count - 1, 0.5 + CONFIDENCE / 2.0)) * error
    return math.exp(whole - reach), math.exp(whole + reach)
