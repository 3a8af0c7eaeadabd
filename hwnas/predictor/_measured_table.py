"""A latency table of measurements: architectures by devices."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.errors import PredictorError
from hwnas.predictor._table import LatencyTable
from hwnas.space import Architecture

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hwnas.measurement._measurement import Quantile

_DIGITS = 8  # of a hash, in the name of a column
_FACTS = ("macs", "params")


def table_of(records: Iterable[Mapping[str, Any]], metric: Quantile) -> LatencyTable:
    """Return the table of measurements; see `LatencyTable.of_measurements`."""
    cells: dict[tuple[Any, tuple[str, str, str]], list[float]] = defaultdict(list)
    facts: dict[Any, list[Any]] = {}
    for item in records:
        key = _architecture(item)
        cells[key, (item["device"], item["device_hash"], item["protocol_hash"])].append(item[metric])
        facts.setdefault(key, [item[name] for name in _FACTS])
    if not cells:
        raise PredictorError("there are no measurements for a table", "see `hwnas measurements list`")
    rows = {key: i for i, key in enumerate(facts)}
    conditions = list(dict.fromkeys(where for _, where in cells))
    latencies = np.full((len(rows), len(conditions)), np.nan)
    for (key, where), values in cells.items():
        latencies[rows[key], conditions.index(where)] = np.median(values)
    known = np.array([[np.nan if value is None else value for value in found] for found in facts.values()], dtype=float)
    kept = {name: known[:, i] for i, name in enumerate(_FACTS) if not np.isnan(known[:, i]).any()}
    return LatencyTable(tuple(rows), _names(conditions), latencies, kept)


def _architecture(item: Mapping[str, Any]) -> Architecture | str:
    if item["architecture"] is None or item["space"] is None or item["space_version"] is None:
        return str(item["network_hash"])
    return Architecture(item["space"], item["space_version"], json.loads(item["architecture"]))


def _names(conditions: list[tuple[str, str, str]]) -> tuple[str, ...]:
    devices = [device for device, _, _ in conditions]
    return tuple(
        name if devices.count(name) == 1 else f"{name}#{device[:_DIGITS]}-{protocol[:_DIGITS]}"
        for name, device, protocol in conditions
    )
