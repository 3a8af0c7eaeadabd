"""Reading metrics: the last JSON object in a stream that holds every one of them, and the numbers in it.

On the way the points of a learning curve are found: the objects that say at which epoch they are.

The stream is read in chunks and may be of any length: no more than one line of `LINE_BYTES` is kept.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnas.errors import EvaluationError
from hwnas.evaluation._task import CurvePoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LINE_BYTES = 1_000_000
"""A line longer than this is no line of metrics."""

_SIGMA = "_sigma"
CURVE_KEY = "epoch"
"""What tells the point of a learning curve, unless another key is named."""


@dataclass(frozen=True, slots=True)
class Reported:
    """The numbers of one JSON object: the metrics asked for, their standard errors, and what else was finite."""

    metrics: dict[str, float]
    sigmas: dict[str, float]
    extras: dict[str, float]


class MetricReader:
    """Finds the last line that is a JSON object with every wanted metric. Not thread-safe.

    Lines end with a newline or a carriage return (progress bars overwrite their line). What is not UTF-8 is replaced.

    Attributes:
        found: that object; `None` as long as there was none.
        count: how many such objects there were that are no points of a curve.
        seen: the wanted metrics that some line had that did not have all of them.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        *,
        curve_key: str = CURVE_KEY,
        on_point: Callable[[CurvePoint], None] | None = None,
    ) -> None:
        """Look for these metrics.

        Args:
            metrics: what is wanted.
            curve_key: the name of the epoch in the points of a learning curve.
            on_point: called with each point of the curve.
        """
        self.found: Mapping[str, object] | None = None
        self.count = 0
        self.seen: set[str] = set()
        self._metrics = tuple(metrics)
        self._curve_key = curve_key
        self._on_point = on_point
        names = (*metrics, curve_key) if on_point is not None else metrics
        self._spellings = tuple(spelling for name in names for spelling in _spellings(name))
        self._rest = bytearray()
        self._too_long = False

    def feed(self, chunk: bytes) -> None:
        """Read on."""
        if b"\n" not in chunk and b"\r" not in chunk:
            self._keep(chunk)
            return
        text = chunk if self._too_long else bytes(self._rest) + chunk
        *lines, rest = text.replace(b"\r", b"\n").split(b"\n")
        if any(spelling in text for spelling in self._spellings):  # else there is nothing to look at
            self._look(lines[1:] if self._too_long else lines)
        self._rest, self._too_long = bytearray(), False
        self._keep(rest)

    def end(self) -> None:
        """Read a last line that has no newline."""
        self._look([bytes(self._rest)])
        self._rest, self._too_long = bytearray(), False

    def _keep(self, rest: bytes) -> None:
        """Keep the beginning of a line, unless it is too long already."""
        if not self._too_long:
            self._rest += rest
            if len(self._rest) > LINE_BYTES:
                self._rest, self._too_long = bytearray(), True

    def offer(self, data: Mapping[str, object]) -> None:
        """Take this object if it has every metric, and hand on the point of a curve that it may be."""
        point = curve_point(data, self._curve_key)
        if point is not None and self._on_point is not None:
            self._on_point(point)
        here = {name for name in self._metrics if name in data}
        if len(here) == len(self._metrics):
            self.found = data
            self.count += point is None
        else:
            self.seen |= here

    def _look(self, lines: list[bytes]) -> None:
        for line in lines:
            named = any(spelling in line for spelling in self._spellings)
            if not named or len(line) > LINE_BYTES:  # most lines of a log
                continue
            text = line.decode("utf-8", errors="replace").strip()
            data = parse_object(text) if text.startswith("{") and text.endswith("}") else None
            if data is not None:
                self.offer(data)


def curve_point(data: Mapping[str, object], key: str = CURVE_KEY) -> CurvePoint | None:
    """Return the point of a learning curve that a JSON object is; `None` where it is none."""
    epoch = _finite(data.get(key))
    if epoch is None:
        return None
    found = {name: _finite(item) for name, item in data.items() if name != key and ":" not in name}
    values = {name: value for name, value in found.items() if value is not None}
    return CurvePoint(epoch, values) if values else None


def parse_object(text: str) -> Mapping[str, object] | None:
    """Return a JSON object, or `None` where the text is something else."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def numbers(data: Mapping[str, object], metrics: Sequence[str], *, verb: str = "printed") -> Reported:
    """Return the numbers of a JSON object that has every metric.

    Args:
        data: the object.
        metrics: the names that are wanted.
        verb: how the training gave it, for messages.

    Raises:
        EvaluationError: a metric is not a finite number, or its standard error is not a finite number from 0 up.
    """
    values = {name: _number(name, data[name], verb) for name in metrics}
    sigmas = {}
    for name in metrics:
        key = name + _SIGMA
        if data.get(key) is not None and key not in metrics:
            sigmas[name] = _number(key, data[key], verb)
            if sigmas[name] < 0:
                raise EvaluationError(f"{verb} {key} = {sigmas[name]:g}", "a standard error is a number from 0 up")
    used = {*metrics, *(name + _SIGMA for name in metrics)}
    extras = {name: value for name, item in data.items() if name not in used and (value := _finite(item)) is not None}
    return Reported(values, sigmas, extras)


def _number(name: str, item: object, verb: str) -> float:
    value = _finite(item)
    if value is None:
        shown = json.dumps(item)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        raise EvaluationError(f"{verb} {name} = {shown}, which is not a finite number", _advice(item))
    return value


def _spellings(name: str) -> tuple[bytes, ...]:
    """Return the ways in which a line of JSON may spell a name: with and without escapes."""
    return tuple({json.dumps(name, ensure_ascii=ascii_only).encode() for ascii_only in (True, False)})


def _finite(item: object) -> float | None:
    if isinstance(item, bool) or not isinstance(item, (int, float)):
        return None
    try:
        value = float(item)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def _advice(item: object) -> str:
    if isinstance(item, float):
        return "the training diverged, it seems: lower the learning rate, clip the gradients"
    if isinstance(item, str):
        return "write the number without quotes"
    return "a metric is a JSON number"
