"""What a figure is called where a person reads it: `p99_ms@pixel7` is "p99 latency on pixel7 (ms)"."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwnas.search import Objective

_WORDS = {
    "p50_ms": "p50 latency (ms)",
    "p90_ms": "p90 latency (ms)",
    "p99_ms": "p99 latency (ms)",
    "peak_memory_mb": "peak memory (MB)",
    "peak_memory_bytes": "peak memory (bytes)",
    "energy_mj": "energy (mJ)",
    "macs": "multiply-accumulates",
    "params": "parameters",
    "size_bytes": "file size (bytes)",
}
#: Stands before a figure that was predicted, not measured.
GUESS = "~"
#: Stands behind a figure that does not differ significantly from the next one.
ALIKE = "≈"
#: From here on a figure has an exponent, and no letter for its size.
_LARGEST = 1e13
#: A lower end below this is none.
_NOTHING = 1e-12
_UNITS = {"ms": "ms", "s": "s", "bytes": "bytes", "mb": "MB", "mj": "mJ"}


def label(name: str, device: str | None = None) -> str:
    """Return the words for a figure, with its unit, and with its device where it has one."""
    metric, _, at = name.partition("@")
    words, unit = _WORDS.get(metric, ""), ""
    if words.endswith(")"):
        words, _, unit = words.removesuffix(")").rpartition(" (")
    elif not words:
        stem, _, suffix = metric.rpartition("_")
        unit = _UNITS.get(suffix, "") if stem else ""
        words = (stem if unit else metric).replace("_", " ")
    place = f" on {device or at}" if device or at else ""
    return f"{words}{place} ({unit})" if unit else f"{words}{place}"


def objective_label(objective: Objective) -> str:
    """Return the words for an objective."""
    return label(objective.name, objective.device)


def number(value: float | None, *, even: bool = False) -> str:
    """Return a figure in at most four significant digits, without an exponent where it can be read without one.

    Args:
        value: the figure; what is unknown or not finite becomes a dash.
        even: keep trailing zeros, so that figures in a column have as many digits.
    """
    if value is None or not math.isfinite(value):
        return "–"
    rounded = abs(float(f"{value:.3e}"))
    if rounded >= _LARGEST:
        return f"{value:.4g}"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if rounded >= size:
            return f"{value / (1e3 if letter == 'k' else size):.4g} {letter}"
    if float(value).is_integer():
        return f"{value:.0f}"
    if rounded < 1e-4:
        return f"{value:.2e}"
    return f"{value:#.4g}".removesuffix(".") if even else f"{value:.4g}"


def interval_text(interval: tuple[float, float] | None) -> str:
    """Return an interval as `0.98 to 1.05`; one without an upper end as `from 0.98`, one without any as `open`."""
    if interval is None:
        return "–"
    low, high = interval
    if math.isfinite(high):
        return f"{number(low, even=True)} to {number(high, even=True)}"
    return f"from {number(low, even=True)}" if low > _NOTHING else "open"
