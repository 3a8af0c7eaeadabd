"""Pictures of a predictor: predicted against measured, error by number of references, and which devices are alike.

Colours are Okabe and Ito's, as in `front.png`; what matters differs in shape too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import HwnasError
from hwnas.report._picture import save_picture

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hwnas.predictor import Curve, DeviceMap, Prediction, Scores

_BLUE, _ORANGE, _GREY, _INK, _GREEN = "#0072B2", "#D55E00", "#999999", "#333333", "#009E73"
_NUMBERS_UP_TO = 16  # devices whose correlations are written into the map


def write_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG and return its path.

    Raises:
        HwnasError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_picture(figure, path)
    except OSError as exc:
        raise HwnasError(f"cannot write {path}: {exc.strerror or exc}", "check the folder and the free space") from exc
    return path


def predicted_figure(
    prediction: Prediction,
    measured_ms: np.ndarray,
    scores: Scores,
    *,
    device: str,
    metric: str = "p99",
    support: tuple[np.ndarray, np.ndarray] | None = None,
) -> Figure:
    """Return the figure of predicted against measured latencies.

    Args:
        prediction: of n networks.
        measured_ms: `n`.
        scores: of those.
        device: its name.
        metric: what was measured, for the axes.
        support: predicted and measured latencies of the networks that adapted it, which are drawn apart.
    """
    figure = _figure(6.4, 6.0)
    axis = figure.subplots()
    low, high = prediction.interval_ms(0.95)
    inside = (low <= measured_ms) & (measured_ms <= high)
    for mask, colour, marker, text in (
        (inside, _BLUE, "o", "measured inside the 95 % interval"),
        (~inside, _ORANGE, "^", "measured outside"),
    ):
        if mask.any():
            axis.vlines(measured_ms[mask], low[mask], high[mask], color=colour, alpha=0.25, linewidth=1)
            points = axis.plot(measured_ms[mask], prediction.mean_ms[mask], marker, color=colour, label=text)
            points[0].set(markersize=4, alpha=0.6, markeredgewidth=0)
    if support is not None:
        axis.plot(support[1], support[0], "s", markerfacecolor="none", color=_INK, markersize=7, label="references")
    every = np.concatenate([measured_ms, prediction.mean_ms, *(support or ())])
    ends = np.array([every.min() / 1.08, every.max() * 1.08])
    axis.plot(ends, ends, color=_INK, linewidth=1, label="identity")
    axis.fill_between(ends, 0.9 * ends, 1.1 * ends, color=_GREY, alpha=0.2, linewidth=0, label="within 10 %")
    _scaled(axis, ends)
    axis.set_xlabel(f"measured {metric}, ms")
    axis.set_ylabel(f"predicted {metric}, ms, with its 95 % interval")
    rank = "" if scores.spearman is None else f"Spearman {scores.spearman:.3f}, "
    figure.suptitle(
        f"{device}: {scores.n} networks not used for adapting\n{rank}median error {scores.median_error:.1%}, "
        f"{scores.within_10:.0%} within 10 %, coverage {scores.coverage:.0%}",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    _tidy(axis)
    axis.legend(loc="upper left", fontsize=8, framealpha=0.9)
    return figure


def reference_figure(curve: Curve, *, device: str) -> Figure:
    """Return the figure of error and rank correlation by number of references."""
    figure = _figure(9.6, 4.4)
    left, right = figure.subplots(1, 2)
    counts = np.array(curve.counts)
    designed = 100 * np.array([item.median_error for item in curve.designed])
    random = 100 * np.array(curve.random).reshape(len(curve.random), len(counts))
    if len(random):
        left.fill_between(counts, random.min(0), random.max(0), color=_GREY, alpha=0.3, linewidth=0)
        left.plot(counts, random.mean(0), "--", color=_GREY, label=f"drawn at random ({len(random)} draws)")
    left.plot(counts, designed, "o-", color=_BLUE, label="chosen by the predictor")
    left.set_ylabel("median error, %")
    left.set_ylim(bottom=0)
    left.legend(fontsize=8)
    known = [(n, item.spearman) for n, item in zip(counts, curve.designed, strict=True) if item.spearman is not None]
    right.plot([n for n, _ in known], [value for _, value in known], "o-", color=_BLUE, label="Spearman")
    right.plot(counts, [item.coverage for item in curve.designed], "s--", color=_GREEN, label="95 % coverage")
    right.axhline(0.95, color=_INK, linewidth=0.8, linestyle=":")
    right.set_ylim(top=1.01)
    right.legend(fontsize=8, loc="lower right")
    for axis in (left, right):
        axis.set_xlabel("networks measured on the device")
        _tidy(axis)
    figure.suptitle(f"{device}: how many references are enough", x=0.01, ha="left", fontsize=11)
    return figure


def device_figure(found: DeviceMap) -> Figure:
    """Return the figure of which devices are alike: rank correlations, and a map of them."""
    count = len(found.devices)
    size = max(4.6, 0.42 * count + 2.2)
    figure = _figure(2.2 * size, size)
    left, right = figure.subplots(1, 2, width_ratios=[1.1, 1])
    order = _neighbours(found.correlation)
    values = found.correlation[np.ix_(order, order)]
    lowest = min(0.5, float(values.min()))
    image = left.imshow(values, cmap="cividis", vmin=lowest, vmax=1)
    names = [found.devices[i] + (" *" if i >= found.trained else "") for i in order]
    left.set_xticks(range(count), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    left.set_yticks(range(count), names, fontsize=8)
    if count <= _NUMBERS_UP_TO:
        for (i, j), value in np.ndenumerate(values):
            shade = "black" if value > lowest + 0.6 * (1 - lowest) else "white"
            left.text(j, i, f"{value:.2f}".removeprefix("0"), ha="center", va="center", fontsize=7, color=shade)
    figure.colorbar(image, ax=left, label="rank correlation of predicted latencies", shrink=0.8)
    for mask, marker, colour, text in (
        (np.arange(count) < found.trained, "o", _BLUE, "trained on"),
        (np.arange(count) >= found.trained, "*", _ORANGE, "adapted to"),
    ):
        if mask.any():
            right.plot(*found.places[mask].T, marker, color=colour, markersize=9, label=text)
    _name_places(right, found)
    right.set_aspect("equal", adjustable="datalim")
    right.margins(0.2)
    right.set_xticks([])
    right.set_yticks([])
    right.legend(fontsize=8, loc="best")
    right.set_title("near: alike", fontsize=9)
    _tidy(right, grid=False)
    figure.suptitle("which devices are alike, over the training networks", x=0.01, ha="left", fontsize=11)
    return figure


def _name_places(axis: Axes, found: DeviceMap) -> None:
    """Write each device's name where it covers the fewest points and names; crowded ones get a line to their point."""
    size = np.maximum(np.ptp(found.places, axis=0).max(), 1e-9)
    taken = [tuple(place / size) for place in found.places]
    for name, place in zip(found.devices, found.places, strict=True):
        width = 0.011 * len(name)
        options = [(0.02 + width / 2, 0.02), (-0.02 - width / 2, 0.02), (0.0, 0.05), (0.0, -0.05)]
        options += [(0.03 + width / 2, 0.1), (0.03 + width / 2, -0.1), (-0.03 - width / 2, -0.1), (0.0, -0.16)]
        spots = [(place[0] / size + dx, place[1] / size + dy) for dx, dy in options]
        cost = [
            sum(abs(x - a) < width / 2 + 0.06 and abs(y - b) < 0.035 for a, b in taken) + 0.1 * index
            for index, (x, y) in enumerate(spots)
        ]
        best = int(np.argmin(cost))
        taken.append(spots[best])
        line = {"arrowstyle": "-", "color": _GREY, "linewidth": 0.6} if best > 1 else None
        spot = (spots[best][0] * size, spots[best][1] * size)
        axis.annotate(name, place, xytext=spot, fontsize=8, ha="center", va="center", arrowprops=line)


def _neighbours(correlation: np.ndarray) -> list[int]:
    """Return an order in which like devices stand beside each other."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(correlation) < 3:
        return list(range(len(correlation)))
    distance = np.maximum(1 - correlation, 0.0)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return [int(i) for i in leaves_list(tree)]


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _scaled(axis: Axes, ends: np.ndarray) -> None:
    """Use logarithms where latencies span more than a factor of eight."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if ends[1] > 8 * ends[0]:
        axis.set_xscale("log")
        axis.set_yscale("log")
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            side.set_minor_formatter(NullFormatter())
    axis.set_xlim(*ends)
    axis.set_ylim(*ends)
    axis.set_aspect("equal")


def _tidy(axis: Axes, *, grid: bool = True) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    if grid:
        axis.grid(alpha=0.25, linewidth=0.6)
