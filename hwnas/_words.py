"""How counts and durations are said, in the terminal and in reports."""

from __future__ import annotations

import math


def plural(count: int, noun: str) -> str:
    """Return `1 trial`, `2 trials`."""
    return f"{count} {noun}" + ("" if count == 1 else "es" if noun.endswith(("s", "x", "ch")) else "s")


def duration(seconds: float | None) -> str:
    """Return seconds as a person says them: `0.4 s`, `12 s`, `3 min 05 s`, `1 h 12 min`."""
    if seconds is None or not math.isfinite(seconds):
        return "?"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
