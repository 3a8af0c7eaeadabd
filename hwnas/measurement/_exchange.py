"""A measurement as a row of a file (`_columns`), and back to a row of the store."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.device import Conditions, DeviceFacts, DeviceProfile
from hwnas.errors import HwnasError, MeasurementError
from hwnas.measurement._columns import FORMAT_VERSION
from hwnas.measurement._measurement import Estimate, Verdict, sigma_log
from hwnas.measurement._protocol import MeasurementProtocol
from hwnas.measurement._records import has_samples, measurement_from_row, pack_series, trace_from_row, unpack_series
from hwnas.measurement._summary import ESTIMATOR_VERSION, summarize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hwnas.measurement._measurement import Quantile

_QUANTILES = ("p50", "p90", "p99")
#: Of a summary, what stands in the cells as it is.
_TAKEN_OVER = ("estimator", "n", "reasons", "energy_mj", "estimated_from")
_PARTS = ("", "low_", "high_", "undisturbed_")
_SERIES = ("samples_ns", "cpu_ns", "involuntary_switches")
_EVIDENCE = ("profile", "facts", "versions", "protocol", "before", "after")


def record(
    row: Mapping[str, Any], store: str, architecture: Mapping[str, Any] | None, *, samples: bool
) -> dict[str, Any]:
    """Return the cells of a row of the store, by column.

    Args:
        row: of the table `trace`; without its series where `samples` is false.
        store: the id of the store, which stands for what was measured here.
        architecture: `version` of its space and its `values`, where the trace does not tell them itself.
        samples: whether the cells of the samples are wanted too.
    """
    details, network = row["details"], row["details"]["network"]
    profile, imported = details["profile"], row["imported"]
    cells = {
        "format_version": FORMAT_VERSION,
        "store": store if imported is None else imported["store"],
        **{name: row[name] for name in ("created_at", "network_hash", "network_name", "space", "architecture_id")},
        **{name: row[name] for name in ("device", "device_hash", "protocol_hash")},
        **{name: network[name] for name in ("size_bytes", "macs", "params")},
        "network_format": network["format"],
        **_architecture(network.get("architecture") or architecture),
        **{name: profile[name] for name in ("transport", "runtime", "threads")},
        "profile_hash": _profile_hash(json.dumps(profile)),
        **_counts(details),
        **_figures(row),
        **{name: details[name] for name in ("peak_memory_bytes", "baseline_memory_bytes", "steady", "ended")},
        **{name: None if details[name] is None else _json(details[name]) for name in _EVIDENCE},
    }
    return cells | _samples(row) if samples else cells


def _architecture(known: Mapping[str, Any] | None) -> dict[str, Any]:
    if known is not None:
        return {"space_version": known["version"], "architecture": _json(known["values"])}
    return {"space_version": None, "architecture": None}


def _counts(details: Mapping[str, Any]) -> dict[str, Any]:
    light = details.get("light")
    if light is not None:
        return {**light, "started_at": datetime.fromisoformat(light["started_at"])}
    blocks = details["blocks"]
    kept = sum(block["kept"] for block in blocks)
    return {
        "started_at": datetime.fromisoformat(blocks[0]["started_at"]),
        "blocks_kept": kept,
        "blocks_repeated": len(blocks) - kept,
    }


def _figures(row: Mapping[str, Any]) -> dict[str, Any]:
    measurement = measurement_from_row(row) or summarize(trace_from_row(row))
    known = row["summary"]["estimator"] if not has_samples(row) else ESTIMATOR_VERSION
    figures: dict[str, Any] = {"estimator": known, "n": measurement.n}
    figures |= {"verdict": str(measurement.verdict), "reasons": list(measurement.reasons)}
    for name in _QUANTILES:
        estimate: Estimate = getattr(measurement, name)
        found = (estimate.value_ms, estimate.low_ms, estimate.high_ms, estimate.undisturbed_ms)
        figures |= zip(_estimate_columns(name), found, strict=True)
    return {**figures, "energy_mj": measurement.energy_mj, "estimated_from": measurement.estimated_from}


def _samples(row: Mapping[str, Any]) -> dict[str, Any]:
    if not has_samples(row):
        return {}
    told = row["details"]["blocks"]
    counts = np.repeat([block["kept"] for block in told], [block["size"] for block in told])
    cells: dict[str, Any] = {"blocks": _json(told)}
    for name in _SERIES:
        if row[name] is not None:
            series = unpack_series(row[name])
            cells |= {name: series[counts], f"disturbed_{name}": series[~counts]}
    return cells | {name: unpack_series(row[name]) for name in ("reference_ns", "warmup_ns")}


def record_sigma_log(cells: Mapping[str, Any], metric: Quantile) -> float | None:
    """Return the standard error of a quantile's logarithm; see `Measurement.sigma_log_of`.

    Args:
        cells: by column, as `record` returns them.
        metric: which quantile.

    Returns:
        `None` where the cells do not tell all of its estimate.
    """
    columns = _estimate_columns(metric.removesuffix("_ms"))
    if any(cells.get(column) is None for column in columns):
        return None
    return sigma_log(Estimate(*(float(cells[column]) for column in columns)), Verdict(cells["verdict"]), metric)


def _estimate_columns(quantile: str) -> list[str]:
    return [f"{quantile}_{part}ms" for part in _PARTS]


def store_row(cells: Mapping[str, Any], *, own: str, file: str, at: datetime) -> dict[str, Any]:
    """Return the row of the store that cells, each of its column's kind, make.

    Args:
        cells: by column, as `record` returns them.
        own: the id of the store that they come into; what was measured for it is not marked as imported.
        file: where they come from.
        at: when.

    Raises:
        MeasurementError: the cells do not fit together.
    """
    if cells["format_version"] != FORMAT_VERSION:
        raise MeasurementError(
            f"format_version is {cells['format_version']}, known is {FORMAT_VERSION}", "update hwnas"
        )
    try:
        estimates = {name: [cells[column] for column in _estimate_columns(name)] for name in _QUANTILES}
        summary = {name: Estimate(*found).to_json() for name, found in estimates.items()}
        verdict = Verdict(cells["verdict"])
        details, series = _details(cells), _packed(cells)
        row = {
            **{name: cells[name] for name in ("created_at", "network_hash", "network_name", "space")},
            **{name: cells[name] for name in ("architecture_id", "device", "device_hash", "protocol_hash")},
            **series,
            "details": details,
            "summary": {**summary, **{name: cells[name] for name in _TAKEN_OVER}},
            "verdict": str(verdict),
            "imported": None if cells["store"] == own else _origin(cells["store"], file, at),
        }
        _check(row, cells)
    except HwnasError as exc:
        raise MeasurementError(exc.message, exc.hint) from exc
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError) as exc:
        text = " ".join(str(exc).split())
        raise MeasurementError(
            f"it does not fit together: {text}", "was it changed by hand, or made by another hwnas?"
        ) from exc
    return row


def _origin(store: str, file: str, at: datetime) -> dict[str, str]:
    return {"store": store, "file": file, "at": at.astimezone(UTC).isoformat()}


def _details(cells: Mapping[str, Any]) -> dict[str, Any]:
    architecture = None
    if cells["architecture"] is not None and cells["space_version"] is not None:
        values = json.loads(cells["architecture"])
        architecture = {"space": cells["space"], "version": cells["space_version"], "values": values}
    network = {"name": cells["network_name"], "hash": cells["network_hash"], "format": cells["network_format"]}
    network |= {name: cells[name] for name in ("size_bytes", "macs", "params", "architecture_id", "space")}
    details = {
        "format": 1,
        "network": {**network, "architecture": architecture},
        **{name: None if cells[name] is None else json.loads(cells[name]) for name in _EVIDENCE},
        **{name: cells[name] for name in ("steady", "ended", "peak_memory_bytes", "baseline_memory_bytes")},
    }
    if cells.get("samples_ns") is not None:
        return {**details, "blocks": json.loads(cells["blocks"])}
    light = {"started_at": cells["started_at"].isoformat()}
    counts = {name: cells[name] for name in ("blocks_kept", "blocks_repeated")}
    return {**details, "blocks": [], "samples": False, "light": {**light, **counts}}


def _packed(cells: Mapping[str, Any]) -> dict[str, bytes | None]:
    """Return the series as the store keeps them: all blocks in the order in which they ran."""
    nothing = pack_series(np.zeros(0, dtype=np.int64))
    if cells.get("samples_ns") is None:
        empty = {"samples_ns": nothing, "reference_ns": nothing, "warmup_ns": nothing}
        return {**empty, "cpu_ns": None, "involuntary_switches": None}
    told = json.loads(cells["blocks"])
    counts = np.repeat([bool(block["kept"]) for block in told], [block["size"] for block in told])
    packed: dict[str, bytes | None] = {}
    for name in _SERIES:
        kept, disturbed = cells.get(name), cells.get(f"disturbed_{name}")
        if kept is None:
            packed[name] = None
            continue
        whole: NDArray[np.int64] = np.zeros(counts.size, dtype=np.int64)
        whole[counts] = _sized(name, kept, int(counts.sum()))
        whole[~counts] = _sized(f"disturbed_{name}", disturbed or [], int((~counts).sum()))
        packed[name] = pack_series(whole)
    for name in ("reference_ns", "warmup_ns"):
        packed[name] = pack_series(np.asarray(cells.get(name) or [], dtype=np.int64))
    return packed


def _sized(name: str, given: list[int], wanted: int) -> list[int]:
    if len(given) != wanted:
        raise MeasurementError(f"{name} has {len(given)} numbers, and blocks tells of {wanted}", "mend that row")
    return given


def _check(row: Mapping[str, Any], cells: Mapping[str, Any]) -> None:
    """Check that what the row says can be read again."""
    details = row["details"]
    if not isinstance(details["versions"], dict):
        raise MeasurementError("versions is no JSON object", "mend that cell")
    for name in ("transport", "runtime", "threads"):
        if details["profile"][name] != cells[name]:
            raise MeasurementError(
                f"{name} is {cells[name]!r}, and profile says {details['profile'][name]!r}", "mend that row"
            )
    if not has_samples(row):
        for name, kind in (("profile", DeviceProfile), ("facts", DeviceFacts), ("protocol", MeasurementProtocol)):
            kind.from_json(details[name])
        for name in ("before", "after"):
            if details[name] is not None:
                Conditions.from_json(details[name])
        return
    if trace_from_row({**row, "id": 0}).samples_ns.size != cells["n"]:
        raise MeasurementError(f"n is {cells['n']}, and so many samples there are not", "mend that row")


@lru_cache(maxsize=256)
def _profile_hash(profile: str) -> str:
    return DeviceProfile.from_json(json.loads(profile)).hash


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
