"""`front.png` of a study of several devices: each one's front, and what devices make of each other's networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hwnas.report._axes import limits, scale
from hwnas.report._plot import axis_label, draw_history, draw_pair, figure_title, tidy
from hwnas.report._tradeoff import tradeoffs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hwnas.report._summary import StudySummary
    from hwnas.report._tradeoff import Tradeoff

#: Panels of each device at most, and of pairs of devices.
_MOST, _PAIRS = 2, 4
_ALL, _ONE, _OTHER, _BASELINE = "#999999", "#D55E00", "#0072B2", "#009E73"


def device_figure(summary: StudySummary) -> Figure:
    """Return a figure with each device's front, each pair of devices, and the hypervolume of each front."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    own = summary.by_device()
    pairs = [(device, part, other) for device, part in own.items() for other in part.optimised[1 : 1 + _MOST]]
    between = tradeoffs(summary)[:_PAIRS]
    panels = len(pairs) + len(between) + 1
    rows = math.ceil(panels / 2)
    figure = Figure(figsize=(13.6, 5.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 2, squeeze=False).flatten()
    for axis, (device, part, other) in zip(axes, pairs, strict=False):
        draw_pair(axis, part, other, part.optimised[0])
        axis.set_title(f"{device}: {len(part.front)} on its front", loc="left", fontsize=10)
    for axis, tradeoff in zip(axes[len(pairs) :], between, strict=False):
        _draw_tradeoff(axis, summary, tradeoff)
    draw_history(axes[panels - 1], summary)
    axes[panels - 1].set_title("hypervolume of each front", loc="left", fontsize=10)
    for axis in axes[panels:]:
        axis.set_visible(False)
    if summary.complete:
        axes[0].legend(loc="best", fontsize=8, framealpha=0.9)
    else:
        axes[0].annotate("no trial is complete yet", (0.5, 0.5), xycoords="axes fraction", ha="center", color="#666666")
    fronts = ", ".join(f"{len(part.front)} on {device}'s front" for device, part in own.items())
    figure.suptitle(figure_title(summary, fronts), x=0.01, ha="left", fontsize=12)
    return figure


def _draw_tradeoff(axis: Axes, summary: StudySummary, tradeoff: Tradeoff) -> None:
    """Draw one figure on a device against the same on another, with the members of both fronts."""
    across, up = tradeoff.across, tradeoff.up
    scale(axis, "x", across)
    scale(axis, "y", up)
    limits(axis, "x", across, summary)
    limits(axis, "y", up, summary)
    own = summary.by_device()

    def draw(trials: tuple[Any, ...], marker: str, label: str, **style: Any) -> None:
        points = [(trial.mean(across.name), trial.mean(up.name)) for trial in trials]
        if points:
            axis.plot(*zip(*points, strict=True), marker, linestyle="none", label=f"{label} ({len(points)})", **style)

    draw(summary.complete, "o", "all trials", color=_ALL, markersize=4, alpha=0.7, zorder=2)
    for objective, marker, colour, size in ((across, "D", _ONE, 9), (up, "s", _OTHER, 5)):
        front = own[objective.device or ""].front_trials
        draw(front, marker, f"front of {objective.device}", color=colour, markersize=size, zorder=3 + (objective is up))
    if summary.baseline is not None:
        draw((summary.baseline,), "*", "baseline", color=_BASELINE, markersize=14, markeredgecolor="white", zorder=5)
    axis.set_xlabel(axis_label(across, "←", "→"))
    axis.set_ylabel(axis_label(up, "↓", "↑"))
    found = tradeoff.rank_correlation
    rank = "" if found is None else f": rank correlation {found:.2f}"
    axis.set_title(f"{across.device} and {up.device}{rank}", loc="left", fontsize=10)
    if summary.complete:
        axis.legend(loc="best", fontsize=8, framealpha=0.9)
    tidy(axis)
