"""Measurements in a file, Parquet or CSV by its ending: written whole or not at all, read with every error in place."""

from __future__ import annotations

import csv
import gzip
import itertools
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hwnas._files import replaced
from hwnas.errors import MeasurementError
from hwnas.measurement._columns import COLUMNS, MARKS, SERIES, as_text, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    import pyarrow as pa

    from hwnas.measurement._columns import Column

_ROWS_AT_ONCE = 500
ENDINGS = (".parquet", ".csv", ".csv.gz")


def ending(path: Path) -> str:
    """Return which of `ENDINGS` a file has.

    Raises:
        MeasurementError: none of them.
    """
    found = next((known for known in ENDINGS if path.name.lower().endswith(known)), None)
    if found is None:
        raise MeasurementError(
            f"{path}: what kind of file is that?", f"let its name end in one of {', '.join(ENDINGS)}"
        )
    return found


def columns_of(*, samples: bool) -> tuple[Column, ...]:
    """Return the columns of a file with or without samples."""
    return COLUMNS + SERIES if samples else COLUMNS


def write_records(path: Path, records: Iterable[Mapping[str, Any]], *, samples: bool) -> int:
    """Write records, and return how many; they come one after the other, so that any number fits into memory.

    Raises:
        MeasurementError: the file cannot be written, or is CSV and samples are wanted.
    """
    kind = ending(path)
    if samples and kind != ".parquet":
        raise MeasurementError(f"{path}: samples go into Parquet alone", "let its name end in .parquet")
    try:
        with replaced(path) as partial:
            if kind == ".parquet":
                return _write_parquet(partial, records, columns_of(samples=samples))
            opened = gzip.open if kind == ".csv.gz" else open
            with opened(partial, "wt", encoding="utf-8", newline="") as file:
                return _write_csv(file, records)
    except OSError as exc:
        raise MeasurementError(
            f"{path} cannot be written: {exc.strerror or exc}", "check the folder, its permissions and the free space"
        ) from exc


def _write_parquet(path: Path, records: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([pa.field(column.name, _types()[column.kind]) for column in columns])
    count, rest = 0, iter(records)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while batch := list(itertools.islice(rest, _ROWS_AT_ONCE)):
            arrays = [pa.array([item.get(field.name) for item in batch], field.type) for field in schema]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(batch)
    return count


def _types() -> dict[str, pa.DataType]:
    import pyarrow as pa

    text = pa.string()
    return {
        "text": text,
        "hash": text,
        "json": text,
        "integer": pa.int64(),
        "number": pa.float64(),
        "flag": pa.bool_(),
        "moment": pa.timestamp("us", tz="UTC"),
        "texts": pa.list_(text),
        "series": pa.list_(pa.int64()),
    }


def _write_csv(file: TextIO, records: Iterable[Mapping[str, Any]]) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([column.name for column in COLUMNS])
    count = 0
    for item in records:
        writer.writerow([as_text(column, item.get(column.name)) for column in COLUMNS])
        count += 1
    return count


def header_of(path: Path) -> list[str]:
    """Return the names of a file's columns.

    Raises:
        MeasurementError: there is no such file, or it is damaged.
    """
    with _readable(path):
        if ending(path) == ".parquet":
            import pyarrow.parquet as pq

            return list(pq.read_schema(path).names)
        with _opened(path) as file:
            return next(csv.reader(file), [])


def holds_measurements(header: Iterable[str]) -> bool:
    """Return whether a file with these columns holds measurements, rather than a table of latencies."""
    return set(header) >= MARKS


def read_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where each row stands, for messages, and its cells by column, each of its column's kind.

    Columns that hwnas does not know are left out. Columns that may be empty may be missing: files of older versions
    lack what came later.

    Raises:
        MeasurementError: a needed column is missing, a cell is wrong, or the file is damaged; says which and where.
    """
    header = header_of(path)
    twice = sorted({name for name in header if header.count(name) > 1})
    absent = [column for column in COLUMNS if column.name not in header]
    missing = [column.name for column in absent if not column.optional]
    if twice or missing:
        fault = f"column {twice[0]} is there twice" if twice else f"without the column {', '.join(missing)}"
        raise MeasurementError(f"{path}: {fault}", "give a file that `hwnas measurements export` wrote")
    known = [column for column in columns_of(samples=True) if column.name in header]
    empty = {column.name: None for column in absent}
    rows = _parquet_rows(path, known) if ending(path) == ".parquet" else _csv_rows(path, header)
    with _readable(path):
        for where, row in rows:
            try:
                yield where, empty | {column.name: parse(column, row[column.name]) for column in known}
            except MeasurementError as exc:
                raise MeasurementError(f"{path}: {where}, {exc.message}", exc.hint) from exc


def _parquet_rows(path: Path, columns: Sequence[Column]) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow.parquet as pq

    number = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[column.name for column in columns]):
            for row in batch.to_pylist():
                number += 1
                yield f"row {number}", row


def _csv_rows(path: Path, header: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    with _opened(path) as file:
        reader = csv.reader(file)
        next(reader)
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise MeasurementError(
                    f"{path}: line {reader.line_num} has {len(row)} cells, the first line {len(header)}",
                    "is the file whole? mend that line",
                )
            yield f"line {reader.line_num}", dict(zip(header, row, strict=True))


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    csv.field_size_limit(1 << 30)
    opened = gzip.open if ending(path) == ".csv.gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        yield file


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what is wrong with a file into one error."""
    try:
        yield
    except FileNotFoundError as exc:
        raise MeasurementError(f"{path}: no such file", "check the path") from exc
    except (
        OSError,
        EOFError,
        UnicodeDecodeError,
        csv.Error,
        zlib.error,
        ValueError,
    ) as exc:  # pyarrow's are of the last kind
        text = " ".join(str(exc).split())
        raise MeasurementError(
            f"{path}: cannot be read: {text}", "is it whole, and of the kind that its name says?"
        ) from exc
