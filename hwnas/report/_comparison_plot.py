"""`compare.png`: the configurations of several studies relative to the baseline, their fronts and hypervolumes.

As in the comparison of SAAS and qNEHVI with Sobol points by Eriksson et al., "Latency-Aware Neural Architecture Search
with Multi-Objective Bayesian Optimization", 2021.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from hwnas.report._axes import axis_ends, divisible, label_log, mark_beyond, scale, whole_ends
from hwnas.report._comparison import strategies
from hwnas.report._label import objective_label
from hwnas.report._plot import axis_label, draw_step, tidy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hwnas.report._axes import Which
    from hwnas.report._comparison import Comparison
    from hwnas.report._summary import StudySummary
    from hwnas.search import Objective, Trial

#: Okabe and Ito's colours, and shapes, for each study.
_LOOKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"))
_INK, _START = "#333333", "#999999"
#: Objectives beside the first that have a panel.
_MOST = 3


def comparison_figure(comparisons: Sequence[Comparison]) -> Figure:
    """Return the figure: for each device the configurations of all studies, and their hypervolumes.

    Where there are two objectives, one panel shows every configuration, and one what is near the fronts and the
    baseline; where there are more, each other one has the latter.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    both = all(len(_others(one)) == 1 for one in comparisons)
    width = 1 + (2 if both else max(len(_others(one)) for one in comparisons))
    figure = Figure(figsize=(6.2 * width, 5.4 * len(comparisons)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(comparisons), width, squeeze=False)
    for row, one in zip(grid, comparisons, strict=True):
        panels = [(other, False) for other in _others(one)]
        panels = [(panels[0][0], True), *panels] if both else panels
        for axis, (other, whole) in zip(row, panels, strict=False):
            _draw_pair(axis, one, other, _optimised(one)[0], whole=whole)
        if panels:
            row[0].legend(loc="best", fontsize=8, framealpha=0.9)
        for axis in row[len(panels) : -1]:
            axis.set_visible(False)
        _draw_history(row[-1], one)
    figure.suptitle(_title(comparisons), x=0.01, ha="left", fontsize=12)
    return figure


def _title(comparisons: Sequence[Comparison]) -> str:
    names = " and ".join(study.name for study in comparisons[0].studies)
    return names if comparisons[0].baseline is None else f"{names}, relative to the baseline at (1, 1)"


def _draw_pair(axis: Axes, one: Comparison, across: Objective, up: Objective, *, whole: bool) -> None:
    """Draw one objective against another, of all studies; the `whole` of them, or what is near the fronts."""
    bases = _base(one, across), _base(one, up)
    _set_ends(axis, one, across, up, bases, whole=whole)
    for study, (colour, marker) in zip(one.studies, itertools.cycle(_LOOKS)):
        points = [_point(trial, across, up, bases) for trial in study.complete]
        style: dict[str, Any] = {"linestyle": "none", "markersize": 6, "markeredgecolor": "white", "zorder": 3}
        axis.plot(
            [x for x, _ in points], [y for _, y in points], marker, color=colour, label=_label(one, study), **style
        )
        _draw_front(axis, study, across, up, bases, colour)
        mark_beyond(axis, points, colour)
    if one.baseline is not None:
        star: dict[str, Any] = {"markersize": 16, "markeredgecolor": "white", "zorder": 6, "linestyle": "none"}
        for draw in (axis.axvline, axis.axhline):
            draw(1.0, color=_INK, linewidth=0.9, linestyle=":", zorder=1)
        axis.plot(1.0, 1.0, "*", color=_INK, label="baseline", **star)
    for objective, put, arrows in ((across, axis.set_xlabel, ("←", "→")), (up, axis.set_ylabel, ("↓", "↑"))):
        put(_words(one, objective, arrows))
    words = f"{one.device}: " if one.device else ""
    axis.set_title(f"{words}{'all configurations' if whole else 'near the fronts'}", loc="left", fontsize=10)
    tidy(axis)


def _draw_front(
    axis: Axes, study: StudySummary, across: Objective, up: Objective, bases: tuple[float, float], colour: str
) -> None:
    """Draw the line of a study's front, where these two objectives are all there is."""
    reference = study.reference
    counting = study.beyond_reference()
    if len(study.optimised) != 2 or reference is None or not counting:
        return
    points = sorted(_point(trial, across, up, bases) for trial in counting)
    corner = reference[across.name] / bases[0], reference[up.name] / bases[1]
    draw_step(axis, points, corner, across.sign, colour)


def _draw_history(axis: Axes, one: Comparison) -> None:
    """Draw the hypervolumes over the completed trials, above one reference point."""
    started = min(study.started for study in one.studies)
    if 0 < started < max(len(study.hypervolume) for study in one.studies):
        axis.axvspan(0, started, color=_START, alpha=0.18, linewidth=0, label="start")
    for study, (colour, _) in zip(one.studies, itertools.cycle(_LOOKS)):
        heights = (0.0, *study.hypervolume)
        axis.step(range(len(heights)), heights, where="post", color=colour, linewidth=2, label=study.name)
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("completed trials")
    axis.set_ylabel("hypervolume above one reference point")
    axis.legend(loc="lower right", fontsize=8, framealpha=0.9)
    tidy(axis)


def _set_ends(
    axis: Axes, one: Comparison, across: Objective, up: Objective, bases: tuple[float, float], *, whole: bool
) -> None:
    pooled = one.pooled()
    sides: tuple[tuple[Which, Objective, float], ...] = (("x", across, bases[0]), ("y", up, bases[1]))
    for which, objective, base in sides:
        scale(axis, which, objective)
        ends = whole_ends(objective, pooled) if whole else axis_ends(objective, pooled)
        if ends is None:
            continue
        low, high = (end / base for end in ends)
        (axis.set_xlim if which == "x" else axis.set_ylim)(low, high)
        if objective.log:
            label_log(axis, which, low, high)


def _label(one: Comparison, study: StudySummary) -> str:
    found = one.beaten(study)
    better = "" if found is None else f", {len(found.better)} beat the baseline"
    told = ", ".join(strategies(study))
    return f"{study.name} ({told}): {len(study.complete)} trials{better}"


def _words(one: Comparison, objective: Objective, arrows: tuple[str, str]) -> str:
    if math.isclose(_base(one, objective), 1.0) and one.baseline is None:
        return axis_label(objective, *arrows)
    words = objective_label(objective).partition(" (")[0]
    better = f"{arrows[0]} less is better" if objective.direction == "minimize" else f"more is better {arrows[1]}"
    return f"{words}, relative to the baseline   {better}"


def _base(one: Comparison, objective: Objective) -> float:
    """Return what an objective's figures are divided by: the baseline's, where there is one and it is positive."""
    found = 0.0 if one.baseline is None else one.baseline.mean(objective.name)
    return found if divisible(found) else 1.0


def _point(trial: Trial, across: Objective, up: Objective, bases: tuple[float, float]) -> tuple[float, float]:
    return trial.mean(across.name) / bases[0], trial.mean(up.name) / bases[1]


def _optimised(one: Comparison) -> list[Objective]:
    return [objective for objective in one.objectives if objective.optimize]


def _others(one: Comparison) -> list[Objective]:
    return _optimised(one)[1 : 1 + _MOST]
