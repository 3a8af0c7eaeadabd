"""Parallel coordinates: which values good trials have, with parameters that are not active shown as such.

Drawn as lines in SVG, not by Plotly's own kind of trace: that one needs WebGL, which is blank in print and missing on
some machines, and knows no value that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.report._label import number, objective_label
from hwnas.report._page_parameters import sorted_parameters
from hwnas.report._page_plot import BLUE, GREY, ORANGE, VERMILION, Figure, Plot, layout, lines, plain, shown
from hwnas.space import Float, Int

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwnas.report._page_material import Material
    from hwnas.report._summary import StudySummary
    from hwnas.search import Objective, Trial
    from hwnas.space import Parameter

#: Where a parameter that is not active in a trial is drawn: below the axes, whose ends are 0 and 1.
_INACTIVE = -0.13
#: Values of a parameter that are named beside its axis, at most.
_NAMED = 7
_AXIS_PX = 84
_HEIGHT_PX = 470
#: The classes of trials by their rank in an objective: name, share of the trials that are better, colour, width.
_CLASSES = (
    ("lower half", 0.5, GREY, 0.7),
    ("upper half", 0.25, BLUE, 1.0),
    ("best quarter", 0.1, ORANGE, 1.5),
    ("best tenth", 0.0, VERMILION, 2.2),
)


@dataclass(frozen=True, slots=True)
class _Scale:
    """One axis: its name, its labels by their place from 0 to 1, and where each trial is, by number."""

    name: str
    labels: tuple[tuple[float, str], ...]
    places: Mapping[int, float]


def parallel_plot(material: Material) -> Plot | None:
    """Return the parallel coordinates of all complete trials; `None` where there are fewer than two.

    Objectives come first, then parameters, those that matter most to the models first.
    """
    summary = material.summary
    trials = summary.complete
    if len(trials) < 2:
        return None
    parameters = sorted_parameters(material)
    scales = [_objective_scale(objective, trials) for objective in summary.objectives]
    scales += [_parameter_scale(parameter, trials) for parameter in parameters]
    traces = [
        trace
        for place, objective in enumerate(summary.optimised)
        for trace in _classes(summary, objective, scales, shown_first=place == 0)
    ]
    return Plot(
        "parallel",
        "Parameters and objectives of every trial",
        f"Parallel coordinates of {len(trials)} complete trials over {len(parameters)} parameters. The tables of the "
        "fronts have the best ones' values.",
        {"data": traces, "layout": _layout(scales)},
        note="A line is a trial; objectives have their better end above. A click on a class in the legend hides it. A "
        "line at the foot of an axis: the parameter is not active there. What matters most to the models stands first; "
        "on paper the rest is left out.",
        height_px=_HEIGHT_PX,
        least_px=_AXIS_PX * len(scales) + 40,
        switch=tuple(objective_label(objective) for objective in summary.optimised),
    )


def _objective_scale(objective: Objective, trials: Sequence[Trial]) -> _Scale:
    """Return the axis of an objective: its modelled scale, better above."""
    scores = np.array([objective.score(trial.values[objective.name].value) for trial in trials])
    low, span = float(scores.min()), float(np.ptp(scores)) or 1.0
    labels = tuple((place, number(objective.unscore(low + place * span))) for place in (0.0, 0.25, 0.5, 0.75, 1.0))
    places = {trial.number: (score - low) / span for trial, score in zip(trials, scores.tolist(), strict=True)}
    return _Scale(objective_label(objective), labels, places)


def _parameter_scale(parameter: Parameter, trials: Sequence[Trial]) -> _Scale:
    """Return the axis of a parameter: the positions of a range, or one place a value."""
    values: dict[int, Any] = {
        trial.number: trial.architecture.values[parameter.name]
        for trial in trials
        if parameter.name in trial.architecture.values
    }
    if isinstance(parameter, (Float, Int)):
        ends = [0.0, 0.5, 1.0] if (parameter.count or _NAMED + 1) > 2 else [0.0, 1.0]
        named = parameter.nearest(np.array(ends))
        at = parameter.position(np.array([float(value) for value in named])).tolist()
        found = parameter.position(np.array([float(value) for value in values.values()])).tolist()
        places = dict(zip(values, found, strict=True))
    else:
        domain = list(parameter.domain())
        step = 1.0 / max(1, len(domain) - 1)
        every = -(-len(domain) // _NAMED)
        named, at = domain[::every], [place * step for place in range(0, len(domain), every)]
        places = {trial: domain.index(value) * step for trial, value in values.items()}
    labels = tuple((float(place), shown(value)) for place, value in zip(at, named, strict=True))
    return _Scale(parameter.name, labels, places)


def _classes(
    summary: StudySummary, objective: Objective, scales: Sequence[_Scale], *, shown_first: bool
) -> list[Figure]:
    """Return the lines of all trials, a trace a class of rank in the objective, the best on top."""
    order = sorted(summary.complete, key=lambda trial: -objective.score(trial.values[objective.name].value))
    share = {trial.number: place / len(order) for place, trial in enumerate(order)}
    traces = []
    for (name, low, colour, width), high in zip(_CLASSES, (1.1, 0.5, 0.25, 0.1), strict=True):
        some = [trial for trial in order if low <= share[trial.number] < high]
        if some:
            traces.append(
                {
                    **_lines(some, scales),
                    "name": f"{name} ({len(some)})",
                    "line": {"color": colour, "width": width},
                    "opacity": 0.45 if low == 0.5 else 0.85,
                    "meta": objective_label(objective),
                    "visible": shown_first,
                }
            )
    return traces


def _lines(trials: Sequence[Trial], scales: Sequence[_Scale]) -> Figure:
    """Return the lines of some trials as one trace."""
    curves = (
        (trial.number, [(x, round(scale.places.get(trial.number, _INACTIVE), 4)) for x, scale in enumerate(scales)])
        for trial in trials
    )
    return {**lines(curves), "hoverinfo": "text"}


def _layout(scales: Sequence[_Scale]) -> Figure:
    ends = [-0.25, len(scales) - 0.1]
    rails = any(len(scale.places) < len(scales[0].places) for scale in scales)
    shapes = [
        {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": {"color": GREY, "width": 1}, "layer": "below"}
        for x in range(len(scales))
    ]
    marks = [_mark(x, place, text) for x, scale in enumerate(scales) for place, text in scale.labels]
    names = [
        {**_mark(x, 1.07, scale.name), "textangle": -28, "yanchor": "bottom", "xshift": -2, "font": {"size": 12}}
        for x, scale in enumerate(scales)
    ]
    foot = [_mark(0, _INACTIVE, "not active")] if rails else []
    return layout(
        _HEIGHT_PX,
        xaxis={"visible": False, "range": ends, "fixedrange": True},
        yaxis={"visible": False, "range": [_INACTIVE - 0.05 if rails else -0.06, 1.5], "fixedrange": True},
        shapes=shapes,
        annotations=[*marks, *names, *foot],
        dragmode=False,
        hoverdistance=12,
        meta={"range": ends},
    )


def _mark(x: float, y: float, text: str) -> Figure:
    """Return a text just right of a place."""
    place = {"x": x, "y": y, "xanchor": "left", "yanchor": "middle", "xshift": 3, "showarrow": False}
    return {**place, "text": plain(text), "font": {"size": 10.5}, "align": "left"}
