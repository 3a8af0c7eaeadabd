"""Latency tables: architectures by devices, in milliseconds, with cells that may be missing.

The file's format is described in `docs/measurements.md`, and read by `_table_file`.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hwnas._toml import closest
from hwnas.errors import PredictorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from jaxtyping import Float

    from hwnas.measurement._measurement import Quantile

Duplicates = Literal["error", "median"]


@dataclass(frozen=True, slots=True, eq=False)
class LatencyTable:
    """Measured latencies of n architectures on D devices.

    Attributes:
        architectures: n different ones: strings, or tuples of strings where several columns make one; of measurements,
            `hwnas.space.Architecture`.
        devices: D different names.
        latencies_ms: `n x D`, positive; NaN where nothing was measured.
        facts: further numbers by name, `n` each.
        columns: what the parts of an architecture are called in the file that it comes from.
    """

    architectures: tuple[Any, ...]
    devices: tuple[str, ...]
    latencies_ms: Float[np.ndarray, "n D"]
    facts: Mapping[str, np.ndarray] = field(default_factory=dict)
    columns: tuple[str, ...] = ("architecture",)

    def __post_init__(self) -> None:
        """Check shapes, values, and that nothing is there twice."""
        if self.latencies_ms.shape != (len(self.architectures), len(self.devices)):
            raise PredictorError(
                f"latencies {self.latencies_ms.shape} for {len(self.architectures)} architectures on "
                f"{len(self.devices)} devices",
                "give one row an architecture and one column a device",
            )
        self._check_values()
        for what, names in (("device", self.devices), ("architecture", self.architectures)):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise PredictorError(
                    f"{what} {twice[0]!r} is in the table more than once ({len(twice)} in all)",
                    "keep one of them, or take the median of its measurements: --duplicates median",
                )

    def _check_values(self) -> None:
        bad = np.argwhere(~(self.latencies_ms > 0) & ~np.isnan(self.latencies_ms) | np.isinf(self.latencies_ms))
        if len(bad):
            row, column = bad[0]
            raise PredictorError(
                f"latency {self.latencies_ms[row, column]} ms of architecture {row} "
                f"({_short(self.architectures[row])}) on {self.devices[column]!r} is not a positive number"
                + (f", and {len(bad) - 1} more are not" if len(bad) > 1 else ""),
                "leave the cell empty where a measurement failed",
            )

    def __len__(self) -> int:
        """Count the architectures."""
        return len(self.architectures)

    @classmethod
    def merged(
        cls,
        architectures: Sequence[Any],
        devices: Sequence[str],
        latencies_ms: np.ndarray,
        facts: Mapping[str, np.ndarray] | None = None,
        *,
        duplicates: Duplicates = "error",
        columns: tuple[str, ...] = ("architecture",),
    ) -> LatencyTable:
        """Return a table in which each architecture and each device is once.

        Args:
            architectures: n, perhaps some more than once.
            devices: D, perhaps some more than once.
            latencies_ms: `n x D`.
            facts: further numbers; the first row of an architecture gives its own.
            duplicates: `error` refuses them; `median` takes the median of all measurements of one architecture on
                one device.
            columns: what the parts of an architecture are called.
        """
        rows = {name: i for i, name in reversed(list(enumerate(architectures)))}
        single = list(dict.fromkeys(devices))
        given = np.asarray(latencies_ms, dtype=np.float64)
        if duplicates == "error" or (len(rows) == len(architectures) and len(single) == len(devices)):
            return cls(tuple(architectures), tuple(devices), given, facts or {}, columns)
        names = list(dict.fromkeys(architectures))
        if given.shape == (len(architectures), len(devices)):  # each single value is checked before any is merged
            uniquely = tuple(range(len(architectures)))
            cls(uniquely, tuple(f"{d} ({i})" for i, d in enumerate(devices)), given)
        where: dict[tuple[int, int], list[float]] = {}
        row_of, column_of = {n: i for i, n in enumerate(names)}, {d: j for j, d in enumerate(single)}
        for (i, j), value in np.ndenumerate(given):
            if not math.isnan(value):
                where.setdefault((row_of[architectures[i]], column_of[devices[j]]), []).append(float(value))
        out = np.full((len(names), len(single)), np.nan)
        for cell, values in where.items():
            out[cell] = np.median(values)
        first = np.array([rows[name] for name in names])
        kept = {key: value[first] for key, value in (facts or {}).items()}
        return cls(tuple(names), tuple(single), out, kept, columns)

    @classmethod
    def read(
        cls,
        path: Path,
        *,
        architecture: Sequence[str] | None = None,
        duplicates: Duplicates = "error",
        metric: Quantile = "p99_ms",
    ) -> LatencyTable:
        """Return the table in a file, Parquet or CSV by its ending; `docs/measurements.md` describes both kinds of it.

        Args:
            path: a table of latencies, one column a device; or measurements, as `hwnas measurements export` writes
                them, one row each.
            architecture: of a table, the columns that make the architecture, where the format's rule does not fit.
            duplicates: of a table; see `merged`. Measurements of one network under the same conditions are always
                merged by their median.
            metric: of measurements, which quantile is meant.

        Raises:
            PredictorError: names the file, the line and the column at fault.
        """
        from hwnas.predictor._table_file import read_table

        return read_table(path, architecture=architecture, duplicates=duplicates, metric=metric)

    @classmethod
    def of_measurements(cls, records: Iterable[Mapping[str, Any]], *, metric: Quantile = "p99_ms") -> LatencyTable:
        """Return the table of measurements: an architecture a row, a device a column.

        A network whose architecture is not known stands for itself, by its hash. What was measured on one device under
        different conditions (another version of the runtime, another protocol) is not merged: its columns are called
        `NAME#DEVICE-PROTOCOL`, by the beginnings of the two hashes. What was measured several times under the same
        conditions is there with the median.

        Args:
            records: as `hwnas.measurement.measurement_records` gives them.
            metric: which quantile.

        Raises:
            PredictorError: there are none.
        """
        from hwnas.predictor._measured_table import table_of

        return table_of(records, metric)

    def write(self, path: Path) -> None:
        """Write the table as Parquet, the columns named as in the CSV format.

        Raises:
            PredictorError: it cannot be written, or its architectures are no text.
        """
        from hwnas.predictor._table_file import write_table

        write_table(self, path)

    def column(self, device: str) -> np.ndarray:
        """Return the latencies on one device, `n`."""
        if device not in self.devices:
            raise PredictorError(
                f"no device {device!r} in the table{closest(device, self.devices)}", "see LatencyTable.devices"
            )
        return self.latencies_ms[:, self.devices.index(device)]

    def select(self, *, rows: np.ndarray | None = None, devices: Sequence[str] | None = None) -> LatencyTable:
        """Return some of the rows and some of the devices, in the order given."""
        kept = np.arange(len(self)) if rows is None else np.asarray(rows)
        names = self.devices if devices is None else tuple(devices)
        latencies = np.stack([self.column(name)[kept] for name in names], axis=1)
        facts = {key: value[kept] for key, value in self.facts.items()}
        return LatencyTable(tuple(self.architectures[i] for i in kept), names, latencies, facts, self.columns)

    def twins(self, threshold: float = 0.999) -> list[tuple[str, str]]:
        """Return pairs of devices so alike that they may be one run: their log latencies correlate by `threshold`."""
        logs, pairs = np.log(self.latencies_ms), []
        for i, first in enumerate(self.devices):
            for j in range(i + 1, len(self.devices)):
                both = np.isfinite(logs[:, i]) & np.isfinite(logs[:, j])
                a, b = logs[both, i], logs[both, j]
                if both.sum() >= 20 and a.std() > 0 and b.std() > 0 and np.corrcoef(a, b)[0, 1] >= threshold:
                    pairs.append((first, self.devices[j]))
        return pairs


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
