"""Plots of how much each parameter matters to the models of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnas.report._label import number, objective_label
from hwnas.report._page_plot import BLUE, GREY, Figure, Plot, axis, layout, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwnas.report._page_material import Material
    from hwnas.space import Parameter

#: Parameters shown by how much they matter.
_MOST = 14


def relevance(material: Material) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Return by objective how much each parameter matters: quartiles of its inverse length scale, greatest first.

    From the diagnosis where there is one; else from the latest batch that a model chose, of which the median alone is
    kept.
    """
    if material.diagnosis is not None:
        return {
            outcome["objective"]: {name: tuple(found) for name, found in outcome["relevance"].items()}
            for outcome in material.diagnosis["outcomes"]
        }
    for record in reversed(material.proposals):
        outcomes: Mapping[str, Any] = record.diagnostics.get("outcomes", {})
        if outcomes:
            modelled = {name: outcome for name, outcome in outcomes.items() if "inverse_lengthscales" in outcome}
            return {name: _ordered(outcome["inverse_lengthscales"]) for name, outcome in modelled.items()}
    return {}


def _ordered(inverse: Mapping[str, float]) -> dict[str, tuple[float, float, float]]:
    found = sorted(inverse.items(), key=lambda item: -item[1])
    return {name: (value, value, value) for name, value in found}


def sorted_parameters(material: Material) -> list[Parameter]:
    """Return the parameters, those that matter most first; in the space's order where nothing tells."""
    weight: dict[str, float] = {}
    for found in relevance(material).values():
        most = max((median for _, median, _ in found.values()), default=0.0)
        for name, (_, median, _) in found.items():
            weight[name] = max(weight.get(name, 0.0), median / most if most > 0 else 0.0)
    return sorted(material.study.space.parameters, key=lambda parameter: -weight.get(parameter.name, 0.0))


def importance_plots(material: Material) -> list[Plot]:
    """Return one bar plot an objective: the parameters that matter most to its model."""
    plots = []
    by_name = {objective.name: objective for objective in material.summary.objectives}
    for place, (name, found) in enumerate(relevance(material).items()):
        if name not in by_name or not found:
            continue
        words = objective_label(by_name[name])
        shown_ones = list(found.items())[:_MOST]
        left = len(found) - len(shown_ones)
        first = ", ".join(parameter for parameter, _ in shown_ones[:3])
        height = 70 + 26 * len(shown_ones)
        plots.append(
            Plot(
                f"importance-{place}",
                words,
                f"Bar plot: inverse length scales of the model of {words}. What matters most: {first}.",
                {"data": [_bar(shown_ones[::-1])], "layout": _bar_layout(height)},
                note=f"{left} more matter less." if left else "",
                height_px=height,
            )
        )
    return plots


def _bar(found: Sequence[tuple[str, tuple[float, float, float]]]) -> Figure:
    medians = [quartiles[1] for _, quartiles in found]
    above = [high - median for _, (_, median, high) in found]
    below = [median - low for _, (low, median, _) in found]
    return {
        "type": "bar",
        "orientation": "h",
        "y": [plain(name) for name, _ in found],
        "x": medians,
        "marker": {"color": BLUE},
        "hovertext": [f"{plain(name)}: {number(quartiles[1])}" for name, quartiles in found],
        "hoverinfo": "text",
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": above,
            "arrayminus": below,
            "visible": any(above) or any(below),
            "color": GREY,
            "thickness": 1.4,
            "width": 0,
        },
    }


def _bar_layout(height_px: int) -> Figure:
    return layout(
        height_px,
        xaxis=axis("inverse length scale", rangemode="tozero", nticks=6),
        yaxis=axis(ticklen=0, gridcolor="rgba(0,0,0,0)"),
        showlegend=False,
        bargap=0.35,
        dragmode=False,
    )
