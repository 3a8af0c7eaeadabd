"""Plots of each device's front, with its doubt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hwnas.report._axes import axis_ends
from hwnas.report._label import number, objective_label
from hwnas.report._page_plot import (
    BLUE,
    GREEN,
    GREY,
    PINK,
    VERMILION,
    Figure,
    Plot,
    layout,
    level,
    objective_axis,
    plain,
    upright,
)
from hwnas.search import TrialState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.report._page_material import Material
    from hwnas.report._summary import StudySummary
    from hwnas.search import Objective, Trial

#: Pairs with the first objective that are drawn for one front.
_MOST = 3


def front_plots(material: Material, device: str) -> list[Plot]:
    """Return the plots of one front: the first objective against each other one; none where it is alone."""
    summary = material.fronts[device]
    first, *others = summary.optimised
    return [_pair(material, summary, device, other, first) for other in others[:_MOST]]


def _pair(material: Material, summary: StudySummary, device: str, across: Objective, up: Objective) -> Plot:
    traces = [*_clouds(material, summary, across, up), *_front(summary, across, up), *_again(summary, across, up)]
    if material.baseline is not None:  # on the front or not
        star = {"symbol": "star", "color": GREEN, "size": 13}
        traces.append(points(across, up, [material.baseline], "baseline", **star))
    shapes = _rules(material, summary, across, up)
    names = [objective_label(up), objective_label(across)]
    on = f" on {device}" if device and len(material.fronts) > 1 else ""
    return Plot(
        f"front-{_key(summary, material)}-{summary.optimised.index(across)}",
        f"{names[0]} against {names[1]}",
        f"Scatter plot: {names[0]} against {names[1]} of {len(summary.complete)} complete trials; the front{on} has "
        f"{len(summary.front)} members. The table below has their figures.",
        {
            "data": traces,
            "layout": layout(
                500,
                xaxis=objective_axis(across, axis_ends(across, summary)),
                yaxis=objective_axis(up, axis_ends(up, summary)),
                shapes=shapes,
            ),
        },
        note=_beyond(summary, across, up),
        height_px=500,
    )


def _key(summary: StudySummary, material: Material) -> int:
    return next(place for place, found in enumerate(material.fronts.values()) if found is summary)


def _beyond(summary: StudySummary, across: Objective, up: Objective) -> str:
    """Say how many trials lie outside the axes."""
    outside = 0
    ends = [(objective, axis_ends(objective, summary)) for objective in (across, up)]
    for trial in summary.complete:
        values = [(trial.values[o.name].value, found) for o, found in ends if found is not None]
        outside += any(not low <= value <= high for value, (low, high) in values)
    if not outside:
        return ""
    trials = "1 poorer trial lies" if outside == 1 else f"{outside} poorer trials lie"
    return f"{trials} beyond these axes: a double click on the plot shows all."


def _clouds(material: Material, summary: StudySummary, across: Objective, up: Objective) -> list[Figure]:
    """Return all trials with both figures: by how they came about, and predicted ones hollow."""
    sorts: dict[str, tuple[str, str, list[Trial]]] = {}
    apart = {*summary.front, *([] if material.baseline is None else [material.baseline.number])}
    for trial in summary.trials:
        if trial.number in apart or any(o.name not in trial.values for o in (across, up)):
            continue
        if trial.state == TrialState.ABANDONED:
            name, symbol, colour = "given up", "triangle-down-open", PINK
        elif trial.state != TrialState.COMPLETE:
            name, symbol, colour = "not complete", "circle-open-dot", GREY
        elif not summary.feasible(trial):
            name, symbol, colour = "breaks a limit", "x-thin-open", PINK
        else:
            guess = summary.predicted(trial)
            symbol, colour = "circle-open" if guess else "circle", GREY if trial.origin == "sobol" else BLUE
            name = trial.origin + (", predicted" if guess else "")
        sorts.setdefault(name, (symbol, colour, []))[2].append(trial)
    return [
        points(across, up, trials, f"{name} ({len(trials)})", symbol=symbol, color=colour, opacity=0.75)
        for name, (symbol, colour, trials) in sorts.items()
    ]


def points(across: Objective, up: Objective, trials: Sequence[Trial], name: str, **marker: Any) -> Figure:
    edge = {"line": {"width": 1.6}} if str(marker.get("symbol", "")).endswith("open") else {}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": plain(name),
        "x": [trial.values[across.name].value for trial in trials],
        "y": [trial.values[up.name].value for trial in trials],
        "customdata": [trial.number for trial in trials],
        "hoverinfo": "text",
        "marker": {"size": 7, **edge, **marker},
    }


def _front(summary: StudySummary, across: Objective, up: Objective) -> list[Figure]:
    """Return the front: its step line, what is measured and what is predicted, with 95 % intervals."""
    members = sorted(summary.front_trials, key=lambda trial: trial.values[across.name].value)
    traces = []
    if len(summary.optimised) == 2 and members:
        step = "hv" if across.direction == "minimize" else "vh"
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [trial.values[across.name].value for trial in members],
                "y": [trial.values[up.name].value for trial in members],
                "line": {"shape": step, "color": VERMILION, "width": 1.6},
                "hoverinfo": "skip",
                "showlegend": False,
            }
        )
    for guess in (False, True):
        some = [trial for trial in members if summary.predicted(trial) == guess]
        if not some:
            continue
        name = f"front{', predicted' if guess else ''} ({len(some)})"
        symbol = "diamond-open" if guess else "diamond"
        trace = points(across, up, some, name, symbol=symbol, color=VERMILION, size=9)
        traces.append({**trace, "error_x": bars(summary, across, some), "error_y": bars(summary, up, some)})
    return traces


def bars(summary: StudySummary, objective: Objective, trials: Sequence[Trial]) -> Figure:
    """Return the error bars of 95 % intervals; an end that the samples do not bound has none."""
    above, below = [], []
    for trial in trials:
        value = trial.values[objective.name]
        low, high = summary.interval(objective, value) or (value.value, value.value)
        above.append(high - value.value if math.isfinite(high) else 0.0)
        below.append(value.value - low if low > 0 or not objective.log else 0.0)
    found = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    return {**found, "visible": any(above) or any(below), "color": VERMILION, "thickness": 1.1, "width": 3}


def _again(summary: StudySummary, across: Objective, up: Objective) -> list[Figure]:
    """Return where the front's members are by their second measurement, and where they were predicted to be."""
    traces = []
    for name, attribute, symbol in (
        ("measured again", "again", "cross-thin"),
        ("as predicted before", "foretold", "y-up"),
    ):
        some = [t for t in summary.front_trials if any(o.name in getattr(t, attribute) for o in (across, up))]
        if not some:
            continue
        places = [[(getattr(t, attribute).get(o.name) or t.values[o.name]).value for t in some] for o in (across, up)]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": places[0],
                "y": places[1],
                "hovertext": [
                    f"trial {trial.number}, {name}: {number(x)}" for trial, x in zip(some, places[0], strict=True)
                ],
                "hoverinfo": "text",
                "marker": {"symbol": f"{symbol}-open", "size": 9, "color": VERMILION, "line": {"width": 1.6}},
            }
        )
    return traces


def _rules(material: Material, summary: StudySummary, across: Objective, up: Objective) -> list[Figure]:
    """Return the lines of limits, of the reference point and of the baseline."""
    shapes = []
    for objective, line in ((across, upright), (up, level)):
        if objective.limit is not None:
            shapes.append(line(objective.limit, "limit", PINK, "dash"))
        if material.baseline is not None:
            shapes.append(line(material.baseline.values[objective.name].value, "baseline", GREEN, "dot"))
        elif summary.reference is not None and objective.name in summary.reference:
            shapes.append(line(summary.reference[objective.name], "reference", GREY, "dot"))
    return shapes
