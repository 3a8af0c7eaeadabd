"""Latency tables of others, taken into the workspace: `measurements/NAME.parquet`, and a card beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import HwnasError, MeasurementError, PredictorError
from hwnas.predictor._table import LatencyTable
from hwnas.predictor._table_file import header, left_out
from hwnas.predictor._training_space import TrainingSpace, where
from hwnas.space import builtin_spaces

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hwnas.predictor._table import Duplicates


@dataclass(frozen=True, slots=True)
class ImportedTable:
    """A table that was taken into the workspace.

    Attributes:
        path: where it lies now; its card lies beside it.
        table: what it holds.
        left_out: columns of the file that are neither latencies, nor an architecture, nor all numbers.
        unchanged: whether the same table was there already.
    """

    path: Path
    table: LatencyTable
    left_out: tuple[str, ...]
    unchanged: bool


def import_table(
    source: Path,
    folder: Path,
    *,
    name: str | None = None,
    space: str | None = None,
    architecture: Sequence[str] | None = None,
    duplicates: Duplicates = "error",
    notes: str = "",
    replace: bool = False,
) -> ImportedTable:
    """Take a latency table into a workspace.

    Args:
        source: the file, in the format of `docs/measurements.md`.
        folder: the workspace's `measurements/`.
        name: what it is called there; by default as the file.
        space: the space that its architectures are of; goes into the card. Where it is a built-in one, each of them is
            held against it.
        architecture: the columns that make an architecture; by default the space's parameters, else see
            `LatencyTable.read`.
        duplicates: see `LatencyTable.merged`.
        notes: where it comes from, and whatever else is to be known of it.
        replace: whether another table of that name gives way.

    Raises:
        PredictorError: the file is no such table, an architecture is not of the space, or there is another table of
            that name.
    """
    from hwnas.measurement import card_path, describe_file, write_json

    called = name or source.name.partition(".")[0]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", called):
        raise PredictorError(f"{called!r} cannot be a table's name", "give --name letters, digits, - and _")
    known = _known_space(space)
    columns = architecture or (None if known is None else known.columns_in(header(source)))
    table = LatencyTable.read(source, architecture=columns, duplicates=duplicates)
    if known is not None:
        _check_architectures(source, table, known)
    path = folder / f"{called}.parquet"
    unchanged = path.exists() and _same(path, table)
    if path.exists() and not (unchanged or replace):
        raise PredictorError(
            f"there is another table {called!r} in {folder}", "give this one another --name, or --replace that one"
        )
    ignored = left_out(source, table)
    try:
        origin = describe_file(source, notes)
        folder.mkdir(parents=True, exist_ok=True)
        table.write(path)
        measured = np.isfinite(table.latencies_ms).sum(axis=0)
        card = {
            "kind": "latencies",
            **describe_file(path, notes),
            "source": {"file": origin["file"], "sha256": origin["sha256"]},
            "space": space,
            "unit": "ms",
            "architectures": len(table),
            "architecture_columns": list(table.columns),
            "facts": list(table.facts),
            "devices": dict(zip(table.devices, map(int, measured), strict=True)),
        }
        write_json(card_path(path), card)
    except (MeasurementError, OSError) as exc:
        raise PredictorError(f"{path} cannot be written: {exc}", "check the folder and the free space") from exc
    return ImportedTable(path, table, ignored, unchanged)


def _known_space(name: str | None) -> TrainingSpace | None:
    """Return a built-in space; `None` for others, of which the name alone is known."""
    return TrainingSpace.named(name) if name is not None and name in builtin_spaces() else None


def _check_architectures(source: Path, table: LatencyTable, space: TrainingSpace) -> None:
    for row, found in enumerate(table.architectures):
        try:
            space.architecture(found, table.columns)
        except HwnasError as exc:
            raise where(exc, f"{source}: architecture {row + 1}") from exc


def _same(path: Path, table: LatencyTable) -> bool:
    try:
        known = LatencyTable.read(path, architecture=table.columns)
    except PredictorError:
        return False
    return (
        (known.architectures, known.devices, known.columns, set(known.facts))
        == (table.architectures, table.devices, table.columns, set(table.facts))
        and np.array_equal(known.latencies_ms, table.latencies_ms, equal_nan=True)
        and all(np.array_equal(known.facts[name], table.facts[name], equal_nan=True) for name in table.facts)
    )
