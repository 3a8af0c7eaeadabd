"""Plots over the course of a search: the hypervolume, and the only objective where there is one alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hwnas.report._label import number, objective_label
from hwnas.report._page_fronts import bars, points
from hwnas.report._page_plot import (
    BLUE,
    PINK,
    SHADES,
    VERMILION,
    Figure,
    Plot,
    axis,
    layout,
    level,
    objective_axis,
    plain,
)

if TYPE_CHECKING:
    from hwnas.report._page_material import Material
    from hwnas.report._summary import StudySummary


def hypervolume_plot(material: Material) -> Plot:
    """Return the plot of the hypervolume of each front after each complete trial."""
    traces, most = [], 0
    for colour, (device, summary) in zip(SHADES * 9, material.fronts.items(), strict=False):
        count = len(summary.hypervolume)
        most = max(most, count)
        complete = summary.complete
        said = ["before any trial", *(f"after trial {trial.number}, {plain(trial.origin)}" for trial in complete)]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": plain(device or material.summary.name),
                "x": list(range(count + 1)),
                "y": [0.0, *summary.hypervolume],
                "hovertext": said[: count + 1],
                "hoverinfo": "x+y+text",
                "line": {"shape": "hv", "color": colour, "width": 2.2},
            }
        )
    return Plot(
        "hypervolume",
        "Hypervolume over evaluations",
        "Line plot: the hypervolume of the front after each complete trial. " + _course(material),
        {
            "data": traces,
            "layout": layout(
                340,
                xaxis=axis("complete trials", rangemode="tozero", range=[0, max(most, 1)]),
                yaxis=axis("hypervolume", rangemode="tozero"),
                shapes=start_band(material.summary),
                showlegend=len(traces) > 1,
            ),
        },
        note="The volume that the front dominates above the reference point, latencies as logarithms. "
        "Shaded: the space-filling start.",
        height_px=340,
    )


def _course(material: Material) -> str:
    said = []
    for device, summary in material.fronts.items():
        if summary.hypervolume:
            place = f" on {device}" if device else ""
            said.append(f"{number(summary.hypervolume[-1])}{place} after {len(summary.hypervolume)} trials.")
    return " ".join(said) or "No trial is complete yet."


def start_band(summary: StudySummary) -> list[Figure]:
    started = sum(trial.origin == "sobol" for trial in summary.complete)
    if not 0 < started < len(summary.complete):
        return []
    band = {"type": "rect", "x0": 0, "x1": started, "y0": 0, "y1": 1, "yref": "y domain", "layer": "below"}
    return [{**band, "fillcolor": "rgba(128,128,128,0.13)", "line": {"width": 0}}]


def single_plot(summary: StudySummary, id_: str) -> Plot:
    """Return the plot of the only objective over the trials, with the best so far."""
    (objective,) = summary.optimised
    complete = summary.complete
    good = [trial for trial in complete if summary.feasible(trial)]
    places = {trial.number: place for place, trial in enumerate(complete, start=1)}
    best, so_far = [], -math.inf
    for trial in good:
        so_far = max(so_far, objective.score(trial.values[objective.name].value))
        best.append(objective.unscore(so_far))
    traces = []
    for fits, name, symbol, colour in (
        (True, "within limits", "circle", BLUE),
        (False, "breaks a limit", "x-thin-open", PINK),
    ):
        some = [trial for trial in complete if summary.feasible(trial) == fits]
        if some:
            trace = points(objective, objective, some, f"{name} ({len(some)})", symbol=symbol, color=colour)
            traces.append({**trace, "x": [places[t.number] for t in some], "error_y": bars(summary, objective, some)})
    traces.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": "best so far",
            "x": [places[trial.number] for trial in good],
            "y": best,
            "line": {"shape": "hv", "color": VERMILION, "width": 2},
            "hoverinfo": "skip",
        }
    )
    limits = [] if objective.limit is None else [level(objective.limit, "limit", PINK, "dash")]
    return Plot(
        id_,
        f"{objective_label(objective)} over the trials",
        f"Scatter plot: {objective_label(objective)} of {len(complete)} complete trials, and the best so far.",
        {
            "data": traces,
            "layout": layout(
                440,
                xaxis=axis("complete trials"),
                yaxis=objective_axis(objective),
                shapes=[*limits, *start_band(summary)],
            ),
        },
        height_px=440,
    )
