"""What a predictor learns from: the measurements of a workspace and latency tables, as one table of one space.

What is stated here holds for every command that reads measurements:

- an empty cell, or NaN, was not measured; zero, negative and infinite latencies are errors that name the place;
- an architecture or a device that a table has twice is an error, or the median of its measurements where that is asked;
- measurements of one device under different conditions (another runtime version, another protocol) are not mixed:
  those under the conditions that most networks were measured under count, the others are left out, and said to be;
- the same architecture on the same device in two sources is treated as one that is there twice;
- a device with fewer than 20 measured networks is left out of a training, and an error where it was asked for by name.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas._toml import closest
from hwnas.errors import HwnasError, PredictorError
from hwnas.predictor._table import LatencyTable
from hwnas.predictor._training_space import where
from hwnas.space import Architecture

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hwnas.measurement._measurement import Quantile
    from hwnas.predictor._table import Duplicates
    from hwnas.predictor._training_space import TrainingSpace

#: Measured networks below which a device teaches nothing.
LEAST_MEASURED = 20


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Latencies of a space's architectures.

    Attributes:
        table: architectures as the space's featuriser takes them, by devices.
        sources: where they come from.
        notes: what was left out, for people.
        sigma_log: standard errors of logarithms by architecture and device, where they are known.
    """

    table: LatencyTable
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    sigma_log: Mapping[tuple[Any, str], float] = field(default_factory=dict)

    def device(self, name: str) -> tuple[list[Any], np.ndarray]:
        """Return the architectures that were measured on a device, and their latencies.

        Raises:
            PredictorError: none was.
        """
        if name not in self.table.devices:
            raise PredictorError(
                f"nothing of this space was measured on {name!r}{closest(name, self.table.devices)}",
                f"measured: {', '.join(self.table.devices) or 'nothing'}",
            )
        column = self.table.column(name)
        rows = np.flatnonzero(np.isfinite(column))
        return [self.table.architectures[i] for i in rows], column[rows]

    def errors_of(self, architectures: Sequence[Any], device: str) -> np.ndarray | None:
        """Return the standard errors of the logarithms of n measurements on a device; `None` where none is known.

        One that is not known counts as zero: the predictor estimates a noise of its own besides.
        """
        found = np.array([self.sigma_log.get((item, device), 0.0) for item in architectures])
        return found if found.any() else None

    def for_training(self, devices: Sequence[str] = ()) -> Corpus:
        """Return the corpus of the devices named, or of all that have enough measurements.

        Raises:
            PredictorError: a device is not known or has too few measurements; or none has enough.
        """
        counts = {
            name: int(np.isfinite(column).sum())
            for name, column in zip(self.table.devices, self.table.latencies_ms.T, strict=True)
        }
        for name in devices:
            if name not in counts:
                raise PredictorError(
                    f"nothing of this space was measured on {name!r}{closest(name, counts)}",
                    f"measured: {', '.join(counts) or 'nothing'}",
                )
            if counts[name] < LEAST_MEASURED:
                raise PredictorError(
                    f"device {name!r} has {counts[name]} measured networks of this space; {LEAST_MEASURED} are needed",
                    f"measure more: hwnas measure {name} --space SPACE --count 100",
                )
        kept = list(devices) or [name for name, count in counts.items() if count >= LEAST_MEASURED]
        few = [f"{name} ({count})" for name, count in counts.items() if count < LEAST_MEASURED and name not in kept]
        if not kept:
            raise PredictorError(
                f"no device has {LEAST_MEASURED} measured networks of this space: {', '.join(few) or 'none measured'}",
                "measure some: hwnas measure DEVICE --space SPACE --count 100; or give a table: --table FILE",
            )
        notes = (f"left out, with fewer than {LEAST_MEASURED} networks: {', '.join(few)}",) if few else ()
        table = self.table.select(devices=kept)
        rows = np.flatnonzero(np.isfinite(table.latencies_ms).any(1))
        return Corpus(table.select(rows=rows), self.sources, (*self.notes, *notes))


def gather(
    space: TrainingSpace,
    *,
    records: Iterable[Mapping[str, Any]] = (),
    tables: Sequence[Path] = (),
    metric: Quantile = "p99_ms",
    duplicates: Duplicates = "error",
) -> Corpus:
    """Return everything that is known of a space's latencies; see the module's docstring.

    Args:
        space: whose architectures they are.
        records: measurements, as `hwnas.measurement.measurement_records` gives them.
        tables: files, in the formats of docs/measurements.md.
        metric: of measurements, which quantile.
        duplicates: `error`, or `median`, for what is there twice.

    Raises:
        PredictorError: names the file and the row at fault.
    """
    found: list[tuple[str, LatencyTable]] = []
    kept, notes = _of_space(records, space)
    if kept:
        found.append(("the workspace's measurements", LatencyTable.of_measurements(kept, metric=metric)))
    found += [(str(path), _read(path, space, metric, duplicates)) for path in tables]
    cells: dict[tuple[Any, str], list[float]] = defaultdict(list)
    rows: dict[Any, None] = {}
    for name, table in found:
        one, said = _one_condition(table)
        notes += [f"{name}: {text}" for text in said]
        for architecture, device, value in _cells(one, space, name):
            rows.setdefault(architecture)
            cells[architecture, device].append(value)
    twice = [key for key, values in cells.items() if len(values) > 1]
    if twice and duplicates == "error":
        raise PredictorError(
            f"{len(twice)} measurements are there more than once, in {' and in '.join(name for name, _ in found)}; "
            f"the first is on {twice[0][1]!r}",
            "give each source once, or say --duplicates median",
        )
    devices = list(dict.fromkeys(device for _, device in cells))
    place, column = {item: i for i, item in enumerate(rows)}, {name: j for j, name in enumerate(devices)}
    latencies = np.full((len(rows), len(devices)), np.nan)
    for (architecture, device), values in cells.items():
        latencies[place[architecture], column[device]] = np.median(values)
    table = LatencyTable(tuple(rows), tuple(devices), latencies)
    return Corpus(table, tuple(name for name, _ in found), tuple(notes), _errors(kept, space, metric))


def _errors(
    records: Iterable[Mapping[str, Any]], space: TrainingSpace, metric: Quantile
) -> dict[tuple[Any, str], float]:
    """Return the standard errors of measurements, the newest of each network."""
    from hwnas.measurement import record_sigma_log

    found = {}
    for item in records:
        sigma = record_sigma_log(item, metric)
        if sigma is not None:
            found[space.architecture(record_architecture(item), ()), item["device"]] = sigma
    return found


def record_architecture(item: Mapping[str, Any]) -> Architecture:
    """Return the architecture of a measurement."""
    return Architecture(item["space"], item["space_version"], json.loads(item["architecture"]))


def _of_space(records: Iterable[Mapping[str, Any]], space: TrainingSpace) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Return the records of the space whose architecture is known, and what was left out."""
    kept, nameless, other = [], 0, 0
    for item in records:
        if item["space"] != space.name:
            continue
        if item["architecture"] is None or item["space_version"] is None:
            nameless += 1
        elif space.space is not None and item["space_version"] != space.space.version:
            other += 1
        else:
            kept.append(item)
    notes = [f"{nameless} measurements do not tell their architecture, and are left out"] if nameless else []
    return kept, notes + ([f"{other} measurements of another version of the space are left out"] if other else [])


def _read(path: Path, space: TrainingSpace, metric: Quantile, duplicates: Duplicates) -> LatencyTable:
    columns = space.columns_in(_header(path))
    return LatencyTable.read(path, architecture=columns, duplicates=duplicates, metric=metric)


def _header(path: Path) -> list[str]:
    from hwnas.measurement import header_of

    try:
        return header_of(path)
    except HwnasError as exc:
        raise PredictorError(exc.message, exc.hint) from exc


def _one_condition(table: LatencyTable) -> tuple[LatencyTable, list[str]]:
    """Return the table with one column a device: of `NAME#CONDITION` the one with the most networks."""
    counts = np.isfinite(table.latencies_ms).sum(0)
    best: dict[str, int] = {}
    for j, name in enumerate(table.devices):
        device = name.partition("#")[0]
        if device not in best or counts[j] > counts[best[device]]:
            best[device] = j
    times = Counter(name.partition("#")[0] for name in table.devices)
    notes = [
        f"{device} was measured under {times[device]} conditions; those with {counts[j]} networks count, "
        f"{sum(counts[i] for i, name in enumerate(table.devices) if name.partition('#')[0] == device) - counts[j]} "
        "measurements under others are left out"
        for device, j in best.items()
        if times[device] > 1
    ]
    kept = list(best.values())
    return LatencyTable(table.architectures, tuple(best), table.latencies_ms[:, kept], columns=table.columns), notes


def _cells(table: LatencyTable, space: TrainingSpace, name: str) -> Iterable[tuple[Any, str, float]]:
    for row, found in enumerate(table.architectures):
        if not np.isfinite(table.latencies_ms[row]).any():
            continue
        try:
            architecture = space.architecture(found, table.columns)
        except HwnasError as exc:
            raise where(exc, f"{name}: architecture {row + 1}") from exc
        for device, value in zip(table.devices, table.latencies_ms[row], strict=True):
            if np.isfinite(value):
                yield architecture, device, float(value)
