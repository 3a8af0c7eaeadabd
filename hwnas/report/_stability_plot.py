"""A stability report as a picture: every network's p50 and p99 over time, campaign by campaign."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from hwnas.errors import HwnasError
from hwnas.measurement import Verdict
from hwnas.report._picture import save_picture

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hwnas.measurement import StabilityReport

# Okabe and Ito's ("Color Universal Design", 2008).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
_SECONDS_PER_MINUTE = 60.0


def write_stability_png(report: StabilityReport, path: Path) -> Path:
    """Draw a stability report to a PNG file and return its path.

    One panel for p50 and one for p99, each network's value of each campaign with its 95 % interval over time; filled
    where the verdict is `ok`, hollow where not.

    Raises:
        HwnasError: the file cannot be written.
    """
    figure = stability_figure(report)
    try:
        save_picture(figure, path)
    except (OSError, ValueError) as exc:
        raise HwnasError(f"cannot write {path}: {exc}", "give a name that ends in .png, in a folder of yours") from exc
    return path


def stability_figure(report: StabilityReport) -> Figure:
    """Return the figure that `write_stability_png` writes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharex=True)
    _panel(panels[0], report, "p50")
    _panel(panels[1], report, "p99")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(f"{report.profile.name}: {len(report.campaigns)} campaigns of fresh processes")
    return figure


def _panel(axes: Axes, report: StabilityReport, name: Literal["p50", "p99"]) -> None:
    begin = min(m.created_at for row in report.campaigns for m in row)
    for index, network in enumerate(report.networks):
        series = [row[index] for row in report.campaigns]
        minutes = [(m.created_at - begin).total_seconds() / _SECONDS_PER_MINUTE for m in series]
        estimates = [getattr(m, name) for m in series]
        values = [estimate.value_ms for estimate in estimates]
        colour = _COLOURS[index % len(_COLOURS)]
        below = [estimate.value_ms - max(estimate.low_ms, 0.5 * estimate.value_ms) for estimate in estimates]
        above = [
            (2.0 * estimate.value_ms if math.isinf(estimate.high_ms) else estimate.high_ms) - estimate.value_ms
            for estimate in estimates
        ]
        axes.errorbar(minutes, values, yerr=[below, above], color=colour, linewidth=1, capsize=2, label=network)
        for minute, value, measurement in zip(minutes, values, series, strict=True):
            fill = colour if measurement.verdict is Verdict.OK else "white"
            axes.plot(minute, value, "o", color=colour, markerfacecolor=fill, markersize=5)
    metric: Literal["p50_ms", "p99_ms"] = "p50_ms" if name == "p50" else "p99_ms"
    worst = float(max(report.variation(metric)))
    kept = report.rank_stability(metric)
    axes.set(
        yscale="log",
        xlabel="minutes (hollow: the verdict is not ok)",
        ylabel=f"{name} (ms)",
        title=f"{name}: varies by up to {worst:.1%}, {kept:.0%} of pairs keep their order",
    )
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="y", which="minor", labelsize=7)
    axes.grid(visible=True, alpha=0.25)
