"""Tables of latencies in a file, Parquet or CSV by its ending: `docs/measurements.md` describes the format.

A column `latency_ms.DEVICE` holds a device's latencies in milliseconds; an empty cell, `NA` or `nan` is one that was
not measured. `architecture`, where there is such a column, is the architecture; else every other column but `index` is,
together. What remains and is numeric in every row (accuracy, MACs, ...) is kept as a fact.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas._files import replaced
from hwnas._toml import closest
from hwnas.errors import MeasurementError, PredictorError
from hwnas.predictor._table import LatencyTable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hwnas.measurement._measurement import Quantile
    from hwnas.predictor._table import Duplicates

#: How the name of a column of latencies begins.
PREFIX = "latency_ms."
_MISSING = {"", "na", "nan", "none", "null"}


def read_table(
    path: Path, *, architecture: Sequence[str] | None, duplicates: Duplicates, metric: Quantile
) -> LatencyTable:
    """Return the table in a file; see `LatencyTable.read`."""
    from hwnas.measurement import holds_measurements

    header, rows = _read(path)
    if holds_measurements(header):
        return _measured(path, metric)
    latency = [i for i, name in enumerate(header) if name.startswith(PREFIX)]
    if not latency:
        raise PredictorError(
            f"{path}: no column of latencies", f"name a device's column {PREFIX}DEVICE; the unit is milliseconds"
        )
    own = _architecture_columns(path, header, architecture)
    values = np.array([[_number(path, line, header[i], row[i]) for i in latency] for line, row in rows])
    names: list[Any] = [_name(path, line, header, row, own) for line, row in rows]
    facts = {}
    for i in _rest(header, own):
        column = _all_numbers([row[i] for _, row in rows])
        if column is not None:
            facts[header[i]] = column
    devices = [header[i].removeprefix(PREFIX) for i in latency]
    columns = tuple(header[i] for i in own)
    try:
        return LatencyTable.merged(
            names, devices, values.reshape(len(rows), len(latency)), facts, duplicates=duplicates, columns=columns
        )
    except PredictorError as exc:
        raise PredictorError(f"{path}: {exc.message}", exc.hint) from exc


def _measured(path: Path, metric: Quantile) -> LatencyTable:
    from hwnas.measurement import read_records

    try:
        return LatencyTable.of_measurements((cells for _, cells in read_records(path)), metric=metric)
    except MeasurementError as exc:
        raise PredictorError(exc.message, exc.hint) from exc


def write_table(table: LatencyTable, path: Path) -> None:
    """Write a table as Parquet; see `LatencyTable.write`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [(name,) if isinstance(name, str) else name for name in table.architectures]
    if not all(isinstance(part, tuple) and all(isinstance(text, str) for text in part) for part in parts):
        raise PredictorError(f"{path}: this table's architectures are no text", "export the measurements instead")
    names = [*table.columns, *table.facts, *(PREFIX + device for device in table.devices)]
    columns = [pa.array([part[i] for part in parts], pa.string()) for i in range(len(table.columns))]
    columns += [pa.array(values) for values in table.facts.values()]
    columns += [pa.array(values, from_pandas=True) for values in table.latencies_ms.T.copy()]
    try:
        with replaced(path) as partial:
            pq.write_table(pa.table(columns, names), partial, compression="zstd")
    except OSError as exc:
        raise PredictorError(
            f"{path} cannot be written: {exc.strerror or exc}", "check the folder and the space"
        ) from exc


def header(path: Path) -> list[str]:
    """Return the names of a file's columns."""
    return _read(path)[0]


def left_out(path: Path, table: LatencyTable) -> tuple[str, ...]:
    """Return which columns of a file its table does not have: no latencies, no architecture, and not all numbers."""
    used = {*table.columns, *table.facts, "index"}
    return tuple(name for name in _read(path)[0] if name not in used and not name.startswith(PREFIX))


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[Any]]]]:
    """Return the columns' names, and the cells of each row with its number in the file."""
    try:
        header, rows = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    except FileNotFoundError as exc:
        raise PredictorError(f"{path}: no such file", "check the path") from exc
    except (OSError, EOFError, ValueError, csv.Error, zlib.error) as exc:  # pyarrow's are OSError and ValueError
        text = " ".join(str(exc).split())
        raise PredictorError(
            f"{path}: cannot be read: {text}", "a latency table is UTF-8 text, that in .gz, or Parquet"
        ) from exc
    if not header or not rows:
        raise PredictorError(f"{path}: no rows", "the first line names the columns, each other is an architecture")
    for line, row in rows:
        if len(row) != len(header):
            raise PredictorError(
                f"{path}: line {line} has {len(row)} cells, the first line {len(header)}", "mend that line"
            )
    return header, rows


def _read_csv(path: Path) -> tuple[list[str], list[tuple[int, list[Any]]]]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    reader = csv.reader(io.StringIO(text))
    header = next(reader, [])
    return header, [(reader.line_num, list(row)) for row in reader if row]


def _read_parquet(path: Path) -> tuple[list[str], list[tuple[int, list[Any]]]]:
    import pyarrow.parquet as pq

    from hwnas.measurement import holds_measurements

    header = list(pq.read_schema(path).names)
    if holds_measurements(header):
        return header, [(1, [None] * len(header))]  # they are read by themselves
    columns = [column.to_pylist() for column in pq.read_table(path).columns]
    return header, [(number, list(row)) for number, row in enumerate(zip(*columns, strict=True), start=1)]


def _architecture_columns(path: Path, header: list[str], wanted: Sequence[str] | None) -> list[int]:
    if wanted is None:
        own = [i for i, name in enumerate(header) if not name.startswith(PREFIX) and name != "index"]
        own = [header.index("architecture")] if "architecture" in header else own
        if not own:
            raise PredictorError(f"{path}: no column of architectures", "add a column named architecture")
        return own
    for name in wanted:
        if name not in header:
            raise PredictorError(f"{path}: no column {name!r}{closest(name, header)}", "name columns of the file")
    return [header.index(name) for name in wanted]


def _rest(header: list[str], own: list[int]) -> list[int]:
    return [i for i, name in enumerate(header) if i not in own and not name.startswith(PREFIX) and name != "index"]


def _name(path: Path, line: int, header: list[str], row: list[Any], own: list[int]) -> str | tuple[str, ...]:
    parts = tuple("" if row[i] is None else str(row[i]) for i in own)
    if not any(part.strip() for part in parts):
        raise PredictorError(
            f"{path}: line {line} names no architecture: {', '.join(header[i] for i in own)} empty", "mend that line"
        )
    return parts[0] if len(parts) == 1 else parts


def _number(path: Path, line: int, column: str, cell: Any) -> float:
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in _MISSING):
        return math.nan
    try:
        value = float(cell)
    except (ValueError, TypeError) as exc:
        raise PredictorError(
            f"{path}: line {line}, {column}: {cell!r} is not a number",
            "leave the cell empty where nothing was measured",
        ) from exc
    if not 0.0 < value < math.inf and not math.isnan(value):
        raise PredictorError(
            f"{path}: line {line}, {column}: {cell} ms is not a positive number",
            "leave the cell empty where a measurement failed",
        )
    return value


def _all_numbers(cells: Sequence[Any]) -> np.ndarray | None:
    try:
        return np.array([float(cell) for cell in cells])
    except (ValueError, TypeError):
        return None
