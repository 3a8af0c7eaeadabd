"""Axes that show what matters: logarithmic where the objective is, cut off where poor trials would hide the rest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from hwnas.report._label import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.axes._secondary_axes import SecondaryAxis

    from hwnas.report._summary import StudySummary
    from hwnas.search import Objective

Which = Literal["x", "y"]

#: An axis begins this share of the range between the reference point and the best trial beyond the reference point.
_MARGIN = 0.5
_PAD = 0.04
#: The widest ratio of ends at which a logarithmic axis still has evenly spaced labels.
_NARROW = 12.0
#: No axis reaches further, on either side of 1: sums and products of its ends must be numbers still.
_FURTHEST = 1e150


def scale(axis: Axes, which: Which, objective: Objective) -> None:
    """Make the axis logarithmic where the objective is modelled as a logarithm."""
    if objective.log:
        (axis.set_xscale if which == "x" else axis.set_yscale)("log")


def limits(axis: Axes, which: Which, objective: Objective, summary: StudySummary) -> None:
    """Set the ends of an axis to those of `axis_ends`; `mark_beyond` shows the trials beyond them at the edge."""
    ends = axis_ends(objective, summary)
    if ends is None:
        return
    (axis.set_xlim if which == "x" else axis.set_ylim)(*ends)
    if objective.log:
        label_log(axis, which, *ends)


def axis_ends(objective: Objective, summary: StudySummary) -> tuple[float, float] | None:
    """Return the ends of an axis that has the front, its intervals, the reference point and the limit within.

    Where trials are much poorer than the reference point, the axis ends before them. `None` without a complete trial.
    """
    values = [trial.values[objective.name].value for trial in summary.complete]
    if not values:
        return None
    scores = np.array([objective.score(value) for value in values])
    best = low = float(scores.max())
    if summary.reference is not None and objective.name in summary.reference:
        reference = objective.score(summary.reference[objective.name])
        low = min(best, reference - _MARGIN * abs(best - reference))
    low = max(float(scores.min()), low)
    return _padded(objective, [best, low, *(objective.score(value) for value in _needed(objective, summary))])


def whole_ends(objective: Objective, summary: StudySummary) -> tuple[float, float] | None:
    """Return the ends of an axis that has every complete trial within; `None` without one."""
    scores = [objective.score(trial.values[objective.name].value) for trial in summary.complete]
    return _padded(objective, scores) if scores else None


def _padded(objective: Objective, scores: Sequence[float]) -> tuple[float, float]:
    """Return values somewhat beyond the least and the greatest of these scores, in ascending order."""
    furthest = math.log(_FURTHEST) if objective.log else _FURTHEST
    low, high = (min(max(score, -furthest), furthest) for score in (min(scores), max(scores)))
    pad = _PAD * (high - low) or 0.05 * abs(high) or 0.05
    first, last = sorted((objective.unscore(low - pad), objective.unscore(high + pad)))
    return first, last


def divisible(base: float) -> bool:
    """Say whether figures can be shown relative to this one: it is positive, and neither next to nothing nor huge."""
    return 1.0 / _FURTHEST < base < _FURTHEST


def relative_axis(axis: Axes, which: Which, objective: Objective, base: float) -> None:
    """Add an axis on the other side that says how many times the baseline's figure a value is."""
    there, back = (lambda value: value / base), (lambda times: times * base)
    pair = there, back
    beside = (
        axis.secondary_xaxis("top", functions=pair) if which == "x" else axis.secondary_yaxis("right", functions=pair)
    )
    low, high = sorted(axis.get_xlim() if which == "x" else axis.get_ylim())
    if objective.log:
        label_log(beside, which, low / base, high / base)
    beside.tick_params(labelsize=8, colors="#666666")
    (beside.set_xlabel if which == "x" else beside.set_ylabel)("relative to the baseline", fontsize=8, color="#666666")


def mark_beyond(axis: Axes, points: Sequence[tuple[float, float]], color: str = "#999999") -> None:
    """Show the trials that lie outside the axes as small arrows at the edge."""
    (left, right), (bottom, top) = sorted(axis.get_xlim()), sorted(axis.get_ylim())
    beyond: dict[str, list[tuple[float, float]]] = {}
    for x, y in points:
        arrow = "v" if y < bottom else "^" if y > top else "<" if x < left else ">" if x > right else None
        if arrow is not None:
            beyond.setdefault(arrow, []).append((min(max(x, left), right), min(max(y, bottom), top)))
    label: str | None = f"poorer, beyond the edge ({sum(map(len, beyond.values()))})"
    for arrow, found in beyond.items():
        across, up = zip(*found, strict=True)
        axis.plot(across, up, arrow, color=color, markersize=4.5, clip_on=False, zorder=2, label=label)
        label = None


def _needed(objective: Objective, summary: StudySummary) -> list[float]:
    """Return the values that an axis must show."""
    found = []
    for trial in summary.beyond_reference():
        value = trial.values[objective.name]
        found += [value.value, *(summary.interval(objective, value) or ())]
        if objective.name in trial.again:
            found.append(trial.again[objective.name].value)
        if objective.name in trial.foretold:
            found.append(trial.foretold[objective.name].value)
    if summary.baseline is not None:
        found.append(summary.baseline.values[objective.name].value)
    if summary.reference is not None and objective.name in summary.reference:
        found.append(summary.reference[objective.name])
    if objective.limit is not None:
        found.append(objective.limit)
    return [value for value in found if math.isfinite(value) and objective.admits(value)]


def label_log(axis: Axes | SecondaryAxis, which: Which, low: float, high: float) -> None:
    """Label a logarithmic axis between two values with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    ticks = axis.xaxis if which == "x" else axis.yaxis
    narrow = high / low < _NARROW
    ticks.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]) if narrow else LogLocator(subs=(1.0, 2.0, 5.0)))
    ticks.set_major_formatter(FuncFormatter(lambda value, _position: number(value)))
    ticks.set_minor_formatter(NullFormatter())
