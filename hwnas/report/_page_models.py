"""Plots of how well a study's models predict: leave-one-out R² batch by batch, and predicted against observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnas.report._diagnosis import MODELS, history
from hwnas.report._label import number, objective_label
from hwnas.report._page_plot import BLUE, GREY, SHADES, VERMILION, Figure, Plot, axis, layout, level, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwnas.report._page_material import Material
    from hwnas.search import Objective

#: Nobody reads how much worse than the mean a model is.
_LEAST_R2 = -0.25


def course_plot(material: Material) -> Plot | None:
    """Return how the leave-one-out R² of the search's own fits went; `None` where no batch was chosen by a model."""
    fits = history(material.proposals)
    if not fits:
        return None
    names = list(dict.fromkeys(name for fit in fits for name in fit["outcomes"]))
    traces, said = [], []
    for name, colour in zip(names, SHADES * 9, strict=False):
        points = [
            (fit["outcomes"][name]["n"], fit["outcomes"][name]["r2"], fit["batch"])
            for fit in fits
            if name in fit["outcomes"] and fit["outcomes"][name]["r2"] is not None
        ]
        if not points:
            continue
        said.append(f"{name} {points[-1][1]:.2f}")
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": plain(name),
                "x": [n for n, _, _ in points],
                "y": [max(r2, _LEAST_R2) for _, r2, _ in points],
                "hovertext": [f"{plain(name)}, batch {batch}: R² {r2:.3f} from {n} trials" for n, r2, batch in points],
                "hoverinfo": "text",
                "line": {"color": colour, "width": 2},
                "marker": {"size": 7, "color": colour},
            }
        )
    return Plot(
        "course",
        "How the models learned",
        "Line plot: leave-one-out R² of each model over the batches. In the latest batch: "
        f"{', '.join(said) or 'unknown'}.",
        {
            "data": traces,
            "layout": layout(
                360,
                xaxis=axis("trials known to the fit", rangemode="tozero"),
                yaxis=axis("leave-one-out R²", range=[_LEAST_R2 - 0.05, 1.04]),
                shapes=[level(0.0, "no better than the mean", GREY, "dot")],
            ),
        },
        height_px=360,
    )


def model_plots(material: Material) -> list[Plot]:
    """Return predicted against observed of both models of each objective, as the diagnosis has them."""
    if material.diagnosis is None:
        return []
    by_name = {objective.name: objective for objective in material.summary.objectives}
    return [
        _model_plot(by_name[outcome["objective"]], outcome, key, place)
        for place, outcome in enumerate(material.diagnosis["outcomes"])
        if outcome["objective"] in by_name
        for key in ("saas", "plain")
    ]


def _model_plot(objective: Objective, outcome: Mapping[str, Any], key: str, place: int) -> Plot:
    model, observed = outcome[key], outcome["observed"]
    name = MODELS.get(model["method"], model["method"])
    ends = _ends(objective, outcome)
    figures = (
        f"R² {number(model['r2'])}, log likelihood {number(model['log_likelihood'])} a trial, "
        f"{model['coverage']:.0%} within the 95 % intervals"
    )
    words = objective_label(objective)
    scale: Figure = {"type": "log", "tickformat": ".3~r", "nticks": 6} if objective.log else {"nticks": 6}
    return Plot(
        f"model-{place}-{key}",
        f"{words}: {name}, {'leave-one-out' if key == 'saas' else 'cross-validated'}",
        f"Scatter plot: predicted against observed {words} of {len(observed)} trials. {figures}.",
        {
            "data": [_diagonal(ends), _predicted(outcome, key, BLUE if key == "saas" else VERMILION)],
            "layout": layout(
                380,
                xaxis=axis(f"observed {words}", **scale, range=_range(objective, ends)),
                yaxis=axis("predicted from the others", **scale, range=_range(objective, ends)),
                showlegend=False,
            ),
        },
        note=f"{figures}.",
        height_px=380,
    )


def _range(objective: Objective, ends: tuple[float, float]) -> list[float]:
    import math

    return [math.log10(end) for end in ends] if objective.log else list(ends)


def _ends(objective: Objective, outcome: Mapping[str, Any]) -> tuple[float, float]:
    """Return the ends of both axes: what was observed and predicted, without the far ends of intervals."""
    values = [*outcome["observed"], *outcome["saas"]["predicted"], *outcome["plain"]["predicted"]]
    scores = [objective.score(value) for value in values if objective.admits(value)] or [0.0]
    pad = 0.08 * ((max(scores) - min(scores)) or 1.0)
    first, last = sorted((objective.unscore(min(scores) - pad), objective.unscore(max(scores) + pad)))
    return first, last


def _diagonal(ends: tuple[float, float]) -> Figure:
    line = {"color": GREY, "width": 1, "dash": "dot"}
    return {"type": "scatter", "mode": "lines", "x": list(ends), "y": list(ends), "line": line, "hoverinfo": "skip"}


def _predicted(outcome: Mapping[str, Any], key: str, colour: str) -> Figure:
    model, observed = outcome[key], outcome["observed"]
    rows = list(zip(outcome["trials"], observed, model["predicted"], model["low"], model["high"], strict=True))
    return {
        "type": "scatter",
        "mode": "markers",
        "x": observed,
        "y": model["predicted"],
        "hovertext": [
            f"trial {trial}: observed {number(seen)}, predicted {number(said)} ({number(low)} to {number(high)})"
            for trial, seen, said, low, high in rows
        ],
        "hoverinfo": "text",
        "marker": {"color": colour, "size": 6},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [high - said for _, _, said, _, high in rows],
            "arrayminus": [said - low for _, _, said, low, _ in rows],
            "color": colour,
            "thickness": 1,
            "width": 0,
        },
    }
