"""What all plots of the report page share: colours, axes, hover texts; a plot is plain data that plotly.js draws.

Figures are dictionaries in the form of plotly.js, made without the Python classes of Plotly: loading those takes a
second, and the page needs their JSON alone. A test lets Plotly's own validators read each of them.

Colours are Okabe and Ito's ("Color Universal Design", 2008), as in `front.png`; those that stand for something differ
in shape or weight too. Text and grid lines get theirs from the page's style sheet, so that they follow light and dark.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwnas.report._label import GUESS, interval_text, number, objective_label
from hwnas.report._summary import is_guess

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hwnas.report._summary import StudySummary
    from hwnas.search import Objective, Trial

Figure = dict[str, Any]

BLUE, VERMILION, GREEN, PINK, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
GREY = "#8A8F94"
SHADES = (BLUE, VERMILION, GREEN, PINK, ORANGE, SKY)
#: Parameters on one line of a hover text.
_A_LINE = 3
#: What is longer is cut in a plot; the tables have all of it.
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of the page.

    Attributes:
        id: unique in the page; letters, digits and `-`.
        title: its heading; plain text.
        alt: what it shows, in words, for those who do not see it.
        figure: `data` and `layout` for plotly.js.
        note: a sentence below it.
        height_px: of the plot.
        least_px: a width below which it is not squeezed; it scrolls in its own box then.
        switch: names of the sets of traces of which one is shown at a time, `meta` of each trace; the first at first.
    """

    id: str
    title: str
    alt: str
    figure: Figure
    note: str = ""
    height_px: int = 420
    least_px: int = 0
    switch: tuple[str, ...] = ()


def plain(text: object) -> str:
    """Return text as a plot shows it literally: what Plotly would take for markup is escaped, and the long is cut."""
    words = " ".join(str(text).split())
    return html.escape(words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…", quote=False)


def lines(curves: Iterable[tuple[int, Sequence[tuple[float, float]]]]) -> Figure:
    """Return the lines of some trials as one trace, with a gap between two of them.

    Args:
        curves: of each trial its number, and its points.
    """
    x: list[float | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    for trial, points in curves:
        x += [*(across for across, _ in points), None]
        y += [*(up for _, up in points), None]
        numbers += [*(trial for _ in points), None]
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "customdata": numbers}


def layout(height_px: int, **more: Any) -> Figure:
    """Return the layout that all plots share."""
    return {
        "height": height_px,
        "autosize": True,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 12.5, "color": GREY},
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "namelength": -1, "font": {"size": 12}},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
        "showlegend": True,
        "dragmode": "zoom",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": BLUE},
        **more,
    }


def axis(title: str = "", **more: Any) -> Figure:
    """Return an axis; its title is taken literally."""
    return {
        "title": {"text": html.escape(title, quote=False), "standoff": 10, "font": {"size": 13}},
        "automargin": True,
        "gridcolor": "rgba(128,128,128,0.22)",
        "zeroline": False,
        "linecolor": GREY,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": "rgba(128,128,128,0.5)",
        **more,
    }


def objective_axis(objective: Objective, ends: tuple[float, float] | None = None) -> Figure:
    """Return the axis of an objective, logarithmic where it is modelled so; `ends` are in its unit."""
    better = "more" if objective.direction == "maximize" else "less"
    scale: Figure = {"type": "log", "tickformat": ".3~r", "nticks": 8} if objective.log else {"nticks": 8}
    if ends is not None:
        scale["range"] = [math.log10(end) for end in ends] if objective.log else list(ends)
    return axis(f"{objective_label(objective)}, {better} is better", **scale)


def upright(x: float, name: str, colour: str, dash: str) -> Figure:
    """Return a vertical line across the whole plot, with its name at its top."""
    return _rule({"x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "y domain"}, name, colour, dash, "end")


def level(y: float, name: str, colour: str, dash: str) -> Figure:
    """Return a horizontal line across the whole plot, with its name at its left end."""
    return _rule({"y0": y, "y1": y, "x0": 0, "x1": 1, "xref": "x domain"}, name, colour, dash, "start")


def _rule(where: Figure, name: str, colour: str, dash: str, end: str) -> Figure:
    label = {"text": plain(name), "textposition": end, "font": {"size": 11, "color": GREY}, "textangle": 0}
    return {
        "type": "line",
        "layer": "below",
        "line": {"color": colour, "width": 1.2, "dash": dash},
        "label": {
            **label,
            "xanchor": "left" if end == "start" else "right",
            "yanchor": "bottom" if end == "start" else "top",
        },
        **where,
    }


def trial_text(summary: StudySummary, trial: Trial, extra: Iterable[str] = ()) -> str:
    """Return what hovering over a trial says: its figures with their doubt, and its architecture."""
    lines = [f"<b>trial {trial.number}</b>, {plain(trial.origin)}, batch {trial.batch}, {trial.state}"]
    for objective in summary.objectives:
        value = trial.values.get(objective.name)
        if value is None:
            continue
        doubt = interval_text(summary.interval(objective, value))
        verdict = "" if value.trace_id is None else summary.verdicts.get(value.trace_id, "")
        notes = [] if doubt == "–" else [f"95 %: {doubt}"]
        notes += [str(value.provenance)] + ([verdict] if verdict else [])
        guess = GUESS if is_guess(value) else ""
        figure = f"{guess}{number(value.value, even=True)}"
        lines.append(f"{plain(objective_label(objective))}: <b>{figure}</b> ({', '.join(notes)})")
    lines += [plain(line) for line in extra]
    return "<br>".join([*lines, *_architecture_lines(trial.architecture.values)])


def _architecture_lines(values: Mapping[str, Any]) -> list[str]:
    words = [f"{plain(name)}={plain(shown(value))}" for name, value in values.items()]
    return ["  ".join(words[start : start + _A_LINE]) for start in range(0, len(words), _A_LINE)]


def shown(value: object) -> str:
    """Return a parameter's value as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, float) else str(value)
