"""Measurements out of a store into a file, and back: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hwnas.errors import MeasurementError
from hwnas.measurement._columns import COLUMNS, SERIES
from hwnas.measurement._exchange import record, store_row
from hwnas.measurement._exchange_file import header_of, holds_measurements, read_records, write_records
from hwnas.measurement._records import has_samples, measurement_from_row
from hwnas.measurement._store import LIGHT, chosen
from hwnas.store import schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from hwnas.store import Store

_AT_ONCE = 200
_trace = schema.trace
#: What makes two measurements the same one: the key that `measure` looks for, and when it was done.
_KEY = ("network_hash", "device_hash", "protocol_hash", "created_at")
#: What may differ between a row of the store and the same measurement in a file.
_SAME = ("summary", "verdict", "device", "network_name")


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of importing a file.

    Attributes:
        new: measurements that were not known.
        known: those that were, and stay as they are.
        completed: those that were known without their samples, and have them now.
        foreign: how many of the file's measurements were made for another store; they are marked as imported.
        left_out: columns of the file that hwnas does not know.
    """

    new: int
    known: int
    completed: int
    foreign: int
    left_out: tuple[str, ...]


def export_measurements(
    store: Store,
    path: Path,
    *,
    device: str | None = None,
    space: str | None = None,
    network: str | None = None,
    verdicts: Collection[str] = (),
    samples: bool = False,
) -> int:
    """Write measurements to a file, oldest first, and return how many; `docs/measurements.md` describes the file.

    Args:
        store: where they are.
        path: the file, `.parquet`, `.csv` or `.csv.gz`; what is there is replaced.
        device: those on this device alone.
        space: those of this space's architectures alone.
        network: those of the network of this name, or whose hash begins so.
        verdicts: those with one of these verdicts alone.
        samples: with every sample; Parquet only.

    Raises:
        MeasurementError: there are none, or the file cannot be written.
    """
    picked = {"device": device, "space": space, "network": network, "verdicts": verdicts}
    records = measurement_records(store, **picked, samples=samples)  # type: ignore[arg-type]  # of the same names
    first = next(records, None)
    if first is None:
        raise MeasurementError("there is nothing to export", "see `hwnas measurements list`, or pick less narrowly")
    return write_records(path, itertools.chain([first], records), samples=samples)


def measurement_records(
    store: Store,
    *,
    device: str | None = None,
    space: str | None = None,
    network: str | None = None,
    verdicts: Collection[str] = (),
    ids: Collection[int] | None = None,
    samples: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield measurements, oldest first, as the rows of an export: cells by column, as `docs/measurements.md` has them.

    For the arguments see `export_measurements`; `ids` picks them by their numbers.

    Raises:
        MeasurementError: a verdict is none.
    """
    picked = chosen(device=device, space=space, network=network, verdicts=verdicts)
    with store.read() as connection:
        found = list(connection.execute(sa.select(_trace.c.id).where(*picked).order_by(_trace.c.id)).scalars())
    numbers = found if ids is None else [number for number in found if number in set(ids)]
    architectures = _architectures_of_studies(store)
    for start in range(0, len(numbers), _AT_ONCE):
        for row in _rows(store, numbers[start : start + _AT_ONCE], samples=samples):
            yield record(row, store.id, architectures.get(row["architecture_id"]), samples=samples)


def _rows(store: Store, numbers: list[int], *, samples: bool) -> list[dict[str, Any]]:
    """Return rows by their numbers; the series too where they are wanted, or an older estimator needs them."""
    query = sa.select(*(_trace.c if samples else LIGHT)).where(_trace.c.id.in_(numbers)).order_by(_trace.c.id)
    with store.read() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    if not samples and any(measurement_from_row(row) is None for row in rows):
        return _rows(store, numbers, samples=True)
    return rows


def _architectures_of_studies(store: Store) -> dict[str, dict[str, Any]]:
    """Return version of the space and values of every architecture of a study, by its id."""
    study, trial = schema.study, schema.trial
    version = study.c.config["space"]["version"].as_string()
    query = sa.select(trial.c.architecture_id, trial.c["values"], version).join(study, study.c.id == trial.c.study_id)
    with store.read() as connection:
        return {key: {"version": found, "values": values} for key, values, found in connection.execute(query)}


def import_measurements(store: Store, path: Path) -> Imported:
    """Take the measurements of a file that `export_measurements` wrote into a store: all, or where one is wrong, none.

    What is known stays as it is. What was measured for another store is marked; see `Measurement.imported_from`.

    Raises:
        MeasurementError: the file is no such export, is damaged, or says of a known measurement what the store
            does not; names the place.
    """
    header = header_of(path)
    if not holds_measurements(header):
        raise MeasurementError(f"{path} holds no measurements", "give a file that `hwnas measurements export` wrote")
    seen = dict.fromkeys(("new", "known", "completed", "foreign"), 0)
    rows = list(_rows_of(path, store.id))  # read whole before the store is locked: others write meanwhile
    with store.begin() as connection:
        for where, row in rows:
            with _at(path, where):
                seen[_take(connection, row)] += 1
            seen["foreign"] += row["imported"] is not None
    known = {column.name for column in COLUMNS + SERIES}
    return Imported(**seen, left_out=tuple(name for name in header if name not in known))


def _rows_of(path: Path, own: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where each row of a file stands, and the row of the store that it makes."""
    now = datetime.now(UTC)
    for where, cells in read_records(path):
        with _at(path, where):
            yield where, store_row(cells, own=own, file=path.name, at=now)


@contextmanager
def _at(path: Path, where: str) -> Iterator[None]:
    try:
        yield
    except MeasurementError as exc:
        raise MeasurementError(f"{path}: {where}: {exc.message}", exc.hint) from exc


def _take(connection: sa.Connection, row: Mapping[str, Any]) -> str:
    """Store a row where it is new; returns what it was."""
    same = sa.and_(*(_trace.c[name] == row[name] for name in _KEY))
    first = connection.execute(sa.select(*LIGHT).where(same)).mappings().first()
    if first is None:
        connection.execute(sa.insert(_trace).values(**row))
        return "new"
    found = dict(first)
    differ = [name for name in _SAME if found[name] != row[name]]
    if differ and found["summary"]["estimator"] == row["summary"]["estimator"]:
        raise MeasurementError(
            f"measurement {found['id']} of the store is the same one, and it has another {differ[0]}",
            "one of the two was changed by hand; remove the wrong one",
        )
    if has_samples(found) or not has_samples(row):
        return "known"
    connection.execute(sa.update(_trace).where(_trace.c.id == found["id"]).values(**row))
    return "completed"
