"""`front.png`: all trials, the front with its doubt, the reference point, and the hypervolume over evaluations.

Colours are Okabe and Ito's ("Color Universal Design", 2008), which people with any common colour vision tell apart;
what matters differs in shape too.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal

from hwnas.errors import HwnasError
from hwnas.report._axes import divisible, limits, mark_beyond, relative_axis, scale
from hwnas.report._label import number, objective_label
from hwnas.report._picture import save_picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hwnas.report._summary import StudySummary
    from hwnas.search import Objective, Trial

_START, _CHOSEN, _FRONT, _LIMIT, _BASELINE = "#999999", "#0072B2", "#D55E00", "#CC79A7", "#009E73"
_INK = "#333333"
_INTERVAL = "95 % interval"
#: Panels at most; further objectives are in `front.json`.
_MOST = 3


def write_front_png(summary: StudySummary, path: Path) -> Path:
    """Draw the study to a PNG file and return its path.

    One panel for the first objective against each other one (against the number of the trial where there is one alone),
    and one for the hypervolume. With several devices each has its panels, and each figure of two of them has one that
    shows it on the one against that on the other. Where the study has a baseline, the axes at the top and on the right
    say how many times its figures a value is, so that it stands at (1, 1).

    Raises:
        HwnasError: the file cannot be written.
    """
    figure = front_figure(summary)
    try:
        save_picture(figure, path)
    except OSError as exc:
        raise HwnasError(f"cannot write {path}: {exc.strerror or exc}", "check the folder and the free space") from exc
    return path


def front_figure(summary: StudySummary) -> Figure:
    """Return the figure that `write_front_png` writes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if len(summary.by_device()) > 1:
        from hwnas.report._device_plot import device_figure

        return device_figure(summary)
    first, *others = summary.optimised
    others = others[:_MOST]
    panels = max(1, len(others))
    figure = Figure(figsize=(6.8 * panels + 4.6, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels + 1, width_ratios=[6.8] * panels + [4.6])
    if others:
        for axis, other in zip(axes, others, strict=False):
            draw_pair(axis, summary, other, first)
    else:
        _draw_single(axes[0], summary, first)
    draw_history(axes[-1], summary)
    if summary.complete:
        axes[0].legend(loc="best", fontsize=8, framealpha=0.9)
    else:
        axes[0].annotate("no trial is complete yet", (0.5, 0.5), xycoords="axes fraction", ha="center", color="#666666")
    figure.suptitle(figure_title(summary, f"{len(summary.front)} on the front"), x=0.01, ha="left", fontsize=12)
    return figure


def figure_title(summary: StudySummary, fronts: str) -> str:
    """Return the title of the figure, which says how many trials are on which front."""
    counts = summary.counts()
    title = f"{summary.name}: {counts['complete']} of {summary.planned} trials, {fronts}"
    lost = [f", {counts[state]} {state}" for state in ("failed", "abandoned") if counts[state]]
    return title + "".join(lost)


def draw_pair(axis: Axes, summary: StudySummary, across: Objective, up: Objective) -> None:
    """Draw one objective against another, with the front."""
    trials = summary.complete
    scale(axis, "x", across)
    scale(axis, "y", up)
    limits(axis, "x", across, summary)
    limits(axis, "y", up, summary)
    _draw_trials(axis, summary, trials, across, up)
    _draw_front(axis, summary, across, up)
    reference = summary.reference
    if reference is not None:
        point = reference[across.name], reference[up.name]
        axis.plot(*point, "X", color=_INK, markersize=9, label="reference point", zorder=5, clip_on=True)
    for objective, draw in ((across, axis.axvline), (up, axis.axhline)):
        if objective.limit is not None:
            sign = "≥" if objective.direction == "maximize" else "≤"
            text = f"limit: {objective.name} {sign} {number(objective.limit)}"
            draw(objective.limit, color=_LIMIT, linestyle="--", linewidth=1.5, label=text, zorder=1)
    _draw_baseline(axis, summary, across, up)
    mark_beyond(axis, [_point(trial, across, up) for trial in trials])
    axis.set_xlabel(axis_label(across, "←", "→"))
    axis.set_ylabel(axis_label(up, "↓", "↑"))
    tidy(axis)


def _draw_baseline(axis: Axes, summary: StudySummary, across: Objective, up: Objective) -> None:
    """Draw the baseline, and axes on which it stands at 1."""
    baseline = summary.baseline
    if baseline is None:
        return
    point = _point(baseline, across, up)
    star: dict[str, Any] = {"markersize": 15, "markeredgecolor": "white", "zorder": 6, "linestyle": "none"}
    axis.plot(
        *point, "*", color=_BASELINE, label="baseline, at (1, 1)" if all(map(divisible, point)) else "baseline", **star
    )
    if divisible(point[0]):
        relative_axis(axis, "x", across, point[0])
    if divisible(point[1]):
        relative_axis(axis, "y", up, point[1])


def _draw_single(axis: Axes, summary: StudySummary, objective: Objective) -> None:
    """Draw the only objective over the trials, with the best so far."""
    trials = summary.complete
    scale(axis, "y", objective)
    for group, style in _groups(summary, trials):
        axis.plot(
            [trials.index(trial) + 1 for trial in group],
            [trial.values[objective.name].value for trial in group],
            **style,
        )
    best: float | None = None
    places, heights = [], []
    for place, trial in enumerate(trials, start=1):
        value = trial.values[objective.name].value
        if summary.feasible(trial) and (best is None or objective.sign * value > objective.sign * best):
            best = value
        if best is not None:
            places.append(place)
            heights.append(best)
    axis.step(places, heights, where="post", color=_FRONT, linewidth=2, label="best so far")
    axis.set_xlabel("completed trials")
    axis.set_ylabel(axis_label(objective, "↓", "↑"))
    tidy(axis)


def _groups(summary: StudySummary, trials: Sequence[Trial]) -> list[tuple[list[Trial], dict[str, Any]]]:
    """Return the trials by how they are drawn: what filled the space, what the strategy chose, what broke a limit."""
    trials = [trial for trial in trials if trial is not summary.baseline]
    good = [trial for trial in trials if summary.feasible(trial)]
    start = [trial for trial in good if trial.origin == "sobol"]
    chosen = [trial for trial in good if trial.origin != "sobol"]
    beyond = [trial for trial in trials if not summary.feasible(trial)]
    dot: dict[str, Any] = {"linestyle": "none", "markersize": 6, "markeredgewidth": 0.6, "zorder": 2}
    names = ", ".join(dict.fromkeys(trial.origin for trial in chosen))
    kinds = [
        (
            start,
            {**dot, "marker": "s", "color": _START, "markeredgecolor": "white", "label": "sobol", "markersize": 5.5},
        ),
        (chosen, {**dot, "marker": "o", "color": _CHOSEN, "markeredgecolor": "white", "label": names}),
        (beyond, {**dot, "marker": "x", "color": _LIMIT, "markeredgewidth": 1.2, "label": "breaks a limit"}),
    ]
    groups = []
    for group, style in kinds:
        measured = [trial for trial in group if not summary.predicted(trial)]
        guessed = [trial for trial in group if summary.predicted(trial)]
        hollow = {**style, "markerfacecolor": "none", "markeredgecolor": style["color"], "markeredgewidth": 1.2}
        if style["marker"] == "x":  # it has no inside
            hollow["alpha"] = 0.5
        groups += [(measured, style), (guessed, {**hollow, "label": f"{style['label']}, predicted"})]
    return [(group, {**style, "label": f"{style['label']} ({len(group)})"}) for group, style in groups if group]


def _draw_trials(axis: Axes, summary: StudySummary, trials: Sequence[Trial], across: Objective, up: Objective) -> None:
    for group, style in _groups(summary, trials):
        points = [_point(trial, across, up) for trial in group]
        axis.plot([x for x, _ in points], [y for _, y in points], **style)


def _draw_front(axis: Axes, summary: StudySummary, across: Objective, up: Objective) -> None:
    """Draw the front's members with their intervals; a step line where these two objectives are all there is."""
    members = sorted(summary.front_trials, key=lambda trial: trial.values[across.name].value)
    if not members:
        return
    counting = [_point(trial, across, up) for trial in members if trial in summary.beyond_reference()]
    if len(summary.optimised) == 2 and summary.reference is not None and counting:
        draw_step(axis, counting, (summary.reference[across.name], summary.reference[up.name]), across.sign)
    for trial in members:
        _draw_bars(axis, summary, across, up, trial)
    style: dict[str, Any] = {"marker": "D", "linestyle": "none", "markersize": 7, "zorder": 4}
    filled: dict[str, Any] = {"color": _FRONT, "markeredgecolor": "white"}
    hollow: dict[str, Any] = {"color": "none", "markeredgecolor": _FRONT}
    for guessed, look, name in ((False, filled, "front"), (True, hollow, "front, predicted")):
        points = [_point(trial, across, up) for trial in members if summary.predicted(trial) == guessed]
        if points:
            axis.plot(*zip(*points, strict=True), **look, **style, label=name)
    _draw_foretold(axis, members, across, up)
    again = [
        (trial.again[across.name].value, trial.values[up.name].value) for trial in members if across.name in trial.again
    ]
    if again:
        twice: dict[str, Any] = {**style, "marker": "+", "markersize": 9, "markeredgewidth": 1.6}
        axis.plot(*zip(*again, strict=True), color=_FRONT, label="front, measured again", **twice)


def _draw_foretold(axis: Axes, members: Sequence[Trial], across: Objective, up: Objective) -> None:
    """Draw where members were predicted to be, with a line to where they were measured."""
    label: str | None = "front, as predicted before"
    for trial in members:
        if across.name not in trial.foretold and up.name not in trial.foretold:
            continue
        x, y = _point(trial, across, up)
        before = [trial.foretold.get(objective.name, trial.values[objective.name]).value for objective in (across, up)]
        axis.plot([x, before[0]], [y, before[1]], ":", color=_FRONT, linewidth=1.0, zorder=3)
        axis.plot(*before, "o", markerfacecolor="none", markeredgecolor=_FRONT, markersize=5, zorder=3, label=label)
        label = None


def draw_step(
    axis: Axes,
    points: Sequence[tuple[float, float]],
    reference: tuple[float, float],
    sign_across: float,
    colour: str = _FRONT,
) -> None:
    """Draw the edge of what the front dominates, and shade its area up to the reference point.

    `points` ascend in the first objective. Where less of it is better, a member's other value holds from its place
    onwards, else up to its place.
    """
    where: Literal["pre", "post"] = "post" if sign_across < 0 else "pre"
    xs, ys = [x for x, _ in points], [y for _, y in points]
    if sign_across < 0:
        xs, ys = [*xs, reference[0]], [*ys, ys[-1]]
    else:
        xs, ys = [reference[0], *xs], [ys[0], *ys]
    axis.step(xs, ys, where=where, color=colour, linewidth=1.8, zorder=3)
    axis.fill_between(xs, ys, reference[1], step=where, color=colour, alpha=0.07, linewidth=0, zorder=0)


def _draw_bars(axis: Axes, summary: StudySummary, across: Objective, up: Objective, trial: Trial) -> None:
    """Draw a trial's 95 % intervals in both objectives, within the axes."""
    x, y = _point(trial, across, up)
    for objective, ends in ((across, axis.get_xlim()), (up, axis.get_ylim())):
        found = summary.interval(objective, trial.values[objective.name])
        if found is None:
            continue
        bar = max(found[0], min(ends)), min(found[1], max(ends))
        points = (bar, (y, y)) if objective is across else ((x, x), bar)
        label = None if _has_label(axis, _INTERVAL) else _INTERVAL
        axis.plot(*points, color=_FRONT, linewidth=3.5, alpha=0.35, solid_capstyle="butt", zorder=3, label=label)


def _has_label(axis: Axes, label: str) -> bool:
    return label in axis.get_legend_handles_labels()[1]


def draw_history(axis: Axes, summary: StudySummary) -> None:
    """Draw the hypervolume over the completed trials, one line a device, the space-filling start shaded."""
    started, count = summary.started, len(summary.hypervolume)
    if 0 < started < count:
        axis.axvspan(0, started, color=_START, alpha=0.18, linewidth=0, label="sobol start")
    own = summary.by_device()
    for (device, part), colour in zip(own.items(), itertools.cycle((_CHOSEN, _FRONT, _BASELINE, _LIMIT))):
        style: dict[str, Any] = {"color": colour, "linewidth": 2, "label": device if len(own) > 1 else None}
        axis.step(range(count + 1), (0.0, *part.hypervolume), where="post", **style)
    if axis.get_legend_handles_labels()[1]:
        axis.legend(loc="lower right", fontsize=8, framealpha=0.9)
    axis.set_xlim(0, max(count, 1))
    axis.set_ylim(bottom=0)
    axis.set_xlabel("completed trials")
    logs = dict.fromkeys(objective.metric for objective in summary.optimised if objective.log)
    axis.set_ylabel("hypervolume" + (f" ({', '.join(logs)} as a logarithm)" if logs else ""))
    tidy(axis)


def axis_label(objective: Objective, less: str, more: str) -> str:
    """Return the words for an axis: the objective, and which way is better."""
    better = f"{less} less is better" if objective.direction == "minimize" else f"more is better {more}"
    return f"{objective_label(objective)}   {better}"


def _point(trial: Trial, across: Objective, up: Objective) -> tuple[float, float]:
    return trial.values[across.name].value, trial.values[up.name].value


def tidy(axis: Axes) -> None:
    """Draw a grid behind the data, and no frame."""
    axis.grid(visible=True, which="major", color="#DDDDDD", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
