"""The columns of measurements in a file: one row a measurement, with all the evidence behind it.

Format 1. `docs/measurements.md` describes every column, and a test holds the two together. The same columns stand in
Parquet, typed, and in CSV, as text: moments as ISO 8601 in UTC, what is composed as JSON, what is not known as nothing.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from hwnas.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Grows when a column changes its meaning; what is newer than this is refused.
FORMAT_VERSION = 1

Kind = Literal["text", "hash", "integer", "number", "flag", "moment", "texts", "json", "series"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: in the file.
        kind: what a cell holds. `json` is text that is JSON; `series` is a list of whole numbers, in Parquet alone.
        optional: whether a cell may be empty.
    """

    name: str
    kind: Kind
    optional: bool = False


COLUMNS: tuple[Column, ...] = (
    Column("format_version", "integer"),
    Column("store", "text"),
    Column("created_at", "moment"),
    Column("started_at", "moment"),
    Column("network_hash", "hash"),
    Column("network_name", "text"),
    Column("network_format", "text"),
    Column("size_bytes", "integer"),
    Column("macs", "integer", optional=True),
    Column("params", "integer", optional=True),
    Column("space", "text", optional=True),
    Column("space_version", "text", optional=True),
    Column("architecture_id", "text", optional=True),
    Column("architecture", "json", optional=True),
    Column("device", "text"),
    Column("device_hash", "hash"),
    Column("profile_hash", "hash"),
    Column("protocol_hash", "hash"),
    Column("transport", "text"),
    Column("runtime", "text"),
    Column("threads", "integer"),
    Column("n", "integer"),
    Column("blocks_kept", "integer"),
    Column("blocks_repeated", "integer"),
    *(
        Column(f"{quantile}_{part}ms", "number")
        for quantile in ("p50", "p90", "p99")
        for part in ("", "low_", "high_", "undisturbed_")
    ),
    Column("verdict", "text"),
    Column("reasons", "texts"),
    Column("peak_memory_bytes", "integer", optional=True),
    Column("baseline_memory_bytes", "integer", optional=True),
    Column("energy_mj", "number", optional=True),
    Column("estimated_from", "text", optional=True),
    Column("steady", "flag"),
    Column("ended", "text"),
    Column("estimator", "integer"),
    Column("profile", "json"),
    Column("facts", "json"),
    Column("versions", "json"),
    Column("protocol", "json"),
    Column("before", "json", optional=True),
    Column("after", "json", optional=True),
)

#: What `--samples` adds: every sample, in nanoseconds. The first three hold what counts, n each; `disturbed_...` the
#: same of the blocks that were done again. `blocks` tells their order. All are empty where the samples are not known.
SERIES: tuple[Column, ...] = (
    Column("samples_ns", "series", optional=True),
    Column("cpu_ns", "series", optional=True),
    Column("involuntary_switches", "series", optional=True),
    Column("disturbed_samples_ns", "series", optional=True),
    Column("disturbed_cpu_ns", "series", optional=True),
    Column("disturbed_involuntary_switches", "series", optional=True),
    Column("reference_ns", "series", optional=True),
    Column("warmup_ns", "series", optional=True),
    Column("blocks", "json", optional=True),
)

#: By these a file is known to hold measurements.
MARKS = frozenset({"format_version", "network_hash", "device_hash", "protocol_hash", "p99_ms"})


def parse(column: Column, cell: Any) -> Any:
    """Return a cell's value; `cell` is text from CSV, or what Parquet holds.

    Raises:
        MeasurementError: it is none of the column's kind.
    """
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        if column.optional:
            return None
        raise MeasurementError(f"{column.name} is empty", "this column is needed in every row")
    try:
        return _PARSERS[column.kind](cell)
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as exc:
        shown = repr(cell) if len(repr(cell)) <= 60 else repr(cell)[:57] + "..."
        raise MeasurementError(f"{column.name}: {shown} is no {_WORDS[column.kind]}", "mend that cell") from exc


def as_text(column: Column, value: Any) -> str:
    """Return a value as a cell of CSV."""
    if value is None:
        return ""
    match column.kind:
        case "moment":
            return str(value.isoformat())
        case "texts":
            return json.dumps(value, ensure_ascii=False)
        case "flag":
            return "true" if value else "false"
        case "number":
            return repr(float(value))
        case _:
            return str(value)


_TOO_LARGE = 2**63  # for a column of whole numbers


def _integer(cell: Any) -> int:
    value = int(cell) if isinstance(cell, str) else cell
    if isinstance(value, bool) or value != int(value) or not 0 <= value < _TOO_LARGE:
        raise ValueError
    return int(value)


def _number(cell: Any) -> float:
    value = float(cell)
    if math.isnan(value):
        raise ValueError
    return value


def _flag(cell: Any) -> bool:
    if isinstance(cell, bool):
        return cell
    return _FLAGS[cell.strip().lower()]


def _moment(cell: Any) -> datetime:
    value = cell if isinstance(cell, datetime) else datetime.fromisoformat(cell)
    if value.tzinfo is None:
        raise ValueError
    return value.astimezone(UTC)


def _hash(cell: Any) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", cell):
        raise ValueError
    return str(cell)


def _text(cell: Any) -> str:
    if not isinstance(cell, str):
        raise TypeError
    return _writable(cell)


def _writable(text: str) -> str:
    """Return a text that a file can hold: half of a surrogate pair is none."""
    text.encode()
    return text


def _texts(cell: Any) -> list[str]:
    found = json.loads(cell) if isinstance(cell, str) else list(cell)
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise ValueError
    return [_writable(item) for item in found]


def _json(cell: Any) -> str:
    found = json.loads(_writable(cell))
    if not isinstance(found, dict | list):
        raise ValueError  # noqa: TRY004  a cell of the wrong kind, as the others
    _writable(json.dumps(found, ensure_ascii=False))
    return str(cell)


def _series(cell: Any) -> list[int]:
    return [_integer(item) for item in cell]


_FLAGS = {"true": True, "false": False}
_PARSERS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "hash": _hash,
    "integer": _integer,
    "number": _number,
    "flag": _flag,
    "moment": _moment,
    "texts": _texts,
    "json": _json,
    "series": _series,
}
_WORDS = {
    "text": "text",
    "hash": "sha256 of 64 hex digits",
    "integer": "whole number",
    "number": "number",
    "flag": "true or false",
    "moment": "moment with its time zone",
    "texts": "list of texts",
    "json": "JSON",
    "series": "list of whole numbers",
}
