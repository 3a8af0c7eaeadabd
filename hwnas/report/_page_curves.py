"""Plots of the learning curves that trainings report: what was trained to the end, and what was ended early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.report._label import objective_label
from hwnas.report._page_plot import BLUE, GREY, PINK, VERMILION, Figure, Plot, axis, layout, lines, objective_axis
from hwnas.search import TrialState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.report._page_material import Material
    from hwnas.search import Objective


def curve_plots(material: Material) -> list[Plot]:
    """Return the learning curves of each objective of which trainings report any."""
    plots = []
    for place, objective in enumerate(material.summary.objectives):
        found = {
            number: [(point.epoch, point.values[objective.name]) for point in curve if objective.name in point.values]
            for number, curve in material.curves.items()
        }
        found = {number: points for number, points in found.items() if len(points) > 1}
        if found:
            plots.append(_plot(material, objective, place, found))
    return plots


def _plot(material: Material, objective: Objective, place: int, found: dict[int, list[tuple[float, float]]]) -> Plot:
    sorts: dict[str, list[int]] = {"trained": [], "given up": [], "not complete": [], "front": []}
    front = {trial.number for trial in material.members}
    by_number = {trial.number: trial for trial in material.summary.trials}
    for number in found:
        state = by_number[number].state
        given_up = state == TrialState.ABANDONED
        name = "given up" if given_up else "trained" if state == TrialState.COMPLETE else "not complete"
        sorts["front" if number in front else name].append(number)
    styles = {"trained": (BLUE, 0.9), "given up": (PINK, 1.2), "not complete": (GREY, 0.9), "front": (VERMILION, 2.0)}
    words = objective_label(objective)
    counts = ", ".join(f"{len(some)} {name}" for name, some in sorts.items() if some)
    return Plot(
        f"curves-{place}",
        f"Learning curves: {words}",
        f"Line plot: {words} over the epochs of {len(found)} trainings ({counts}).",
        {
            "data": [_lines(name, some, found, *styles[name]) for name, some in sorts.items() if some],
            "layout": layout(400, xaxis=axis("epoch"), yaxis=objective_axis(objective)),
        },
        note="Of each trial the latest attempt.",
        height_px=400,
    )


def _lines(
    name: str, some: Sequence[int], found: dict[int, list[tuple[float, float]]], colour: str, width: float
) -> Figure:
    """Return the curves of some trials as one trace."""
    return {
        **lines((number, found[number]) for number in some),
        "name": f"{name} ({len(some)})",
        "hoverinfo": "x+y+text",
        "line": {"color": colour, "width": width},
        "opacity": 0.75,
    }
