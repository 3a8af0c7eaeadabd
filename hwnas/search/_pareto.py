"""Fronts, hypervolumes and reference points of plain arrays, without torch.

Throughout, `Y` is `n x m` float64 scores, and more is better in every column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

#: How far beyond the worst of the front an inferred reference point lies, as a share of the front's range.
_MARGIN = 0.1


def non_dominated(Y: Float[np.ndarray, "n m"]) -> Bool[np.ndarray, " n"]:
    """Return which rows no other row dominates; of equal rows all are kept.

    A row dominates another where it is at least as good in every column and better in one.
    """
    if len(Y) == 0:
        return np.zeros(0, dtype=bool)
    if Y.shape[1] == 2:
        return _sweep(Y)
    at_least = (Y[:, None, :] >= Y[None, :, :]).all(axis=-1)
    better = (Y[:, None, :] > Y[None, :, :]).any(axis=-1)
    return np.asarray(~(at_least & better).any(axis=0))


def _sweep(Y: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
    """Return the same for two columns, in one pass over the rows in the order of the first."""
    order = np.lexsort((-Y[:, 1], -Y[:, 0]))
    first, second = Y[order].T
    head = np.r_[True, first[1:] < first[:-1]]  # where rows that are equal in the first column begin
    best = np.maximum.accumulate(second)  # of a run of equal rows, its head has the best in the second column
    before = np.r_[-np.inf, best[:-1]][head]  # the best of all that are better in the first column
    run = np.cumsum(head) - 1
    kept = np.empty(len(Y), dtype=bool)
    kept[order] = (second == second[head][run]) & (second > before[run])
    return kept


def hypervolume(Y: Float[np.ndarray, "n m"], reference: Float[np.ndarray, " m"]) -> float:
    """Return the volume that the rows dominate above `reference`; rows that do not exceed it count nothing.

    Slices along the last column and sums the volumes of the slices, one dimension down (Fonseca, Paquete and
    López-Ibáñez, "An Improved Dimension-Sweep Algorithm for the Hypervolume Indicator", CEC 2006, section III). It is
    meant for fronts of hundreds of rows in up to four columns.
    """
    Y = Y[(reference < Y).all(axis=1)]
    if len(Y) == 0:
        return 0.0
    if Y.shape[1] == 1:
        return float(Y.max() - reference[0])
    Y = Y[np.argsort(-Y[:, -1], kind="stable")]
    bottoms = np.append(Y[1:, -1], reference[-1])
    if Y.shape[1] == 2:
        best = np.maximum.accumulate(Y[:, 0])
        return float(((best - reference[0]) * (Y[:, 1] - bottoms)).sum())
    volume = 0.0
    for end, (top, bottom) in enumerate(zip(Y[:, -1], bottoms, strict=True), start=1):
        if top > bottom:
            part = Y[:end, :-1]
            volume += hypervolume(part[non_dominated(part)], reference[:-1]) * (top - bottom)
    return float(volume)


def infer_reference(Y: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " m"]:
    """Return a reference point for trials whose scores are `Y`: somewhat worse than the worst of their front.

    In each column it lies below the front's worst by a tenth of the front's range (Ishibuchi et al., "How to Specify a
    Reference Point in Hypervolume Calculation for Fair Performance Comparison", Evolutionary Computation 26(3), 2018;
    the rule of BoTorch's `infer_reference_point`). A front of one row has no range; that of all rows is taken instead,
    and 1 where they are all alike.
    """
    front = Y[non_dominated(Y)]
    span = np.ptp(front, axis=0)
    span = np.where(span > 0, span, np.ptp(Y, axis=0))
    span = np.where(span > 0, span, 1.0)
    return np.asarray(front.min(axis=0) - _MARGIN * span)
