"""A trace as a row of the store, and back.

`details`, format 1: the network, device, conditions and protocol of a trace, and for each block its process, its size,
those of its two reference runs, its start, its conditions and whether it counts. The series lie in columns of their
own, all blocks one after the other: int64, little-endian, compressed by zlib.
"""

from __future__ import annotations

import dataclasses
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.device import Conditions, DeviceFacts, DeviceProfile
from hwnas.errors import MeasurementError, StoreError
from hwnas.measurement._measurement import Estimate, Measurement, Verdict
from hwnas.measurement._protocol import MeasurementProtocol
from hwnas.measurement._summary import ESTIMATOR_VERSION
from hwnas.measurement._trace import LatencyTrace, MeasuredNetwork, TraceBlock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_FORMAT = 1


def pack_series(values: NDArray[np.int64]) -> bytes:
    """Return numbers as the store keeps them."""
    return zlib.compress(values.astype("<i8").tobytes(), 1)


def unpack_series(data: bytes) -> NDArray[np.int64]:
    """Return the numbers that `pack_series` packed.

    Raises:
        StoreError: the bytes are damaged.
    """
    try:
        return np.frombuffer(zlib.decompress(data), dtype="<i8").astype(np.int64)
    except (zlib.error, ValueError) as exc:
        raise StoreError(f"a series of samples is damaged: {exc}", "measure that network again") from exc


def trace_row(trace: LatencyTrace, measurement: Measurement) -> dict[str, Any]:
    """Return the columns of a trace and of the measurement derived from it."""
    blocks = trace.blocks
    references = [part for block in blocks for part in (block.reference_before_ns, block.reference_after_ns)]
    return {
        "created_at": trace.created_at,
        "device": trace.device,
        "device_hash": trace.device_hash,
        "protocol_hash": trace.protocol.hash,
        "network_hash": trace.network.hash,
        "network_name": trace.network.name,
        "architecture_id": trace.network.architecture_id,
        "space": trace.network.space,
        "samples_ns": pack_series(np.concatenate([block.samples_ns for block in blocks])),
        "cpu_ns": _optional([block.cpu_ns for block in blocks]),
        "involuntary_switches": _optional([block.involuntary_switches for block in blocks]),
        "reference_ns": pack_series(np.concatenate(references)),
        "warmup_ns": pack_series(trace.warmup_ns),
        "details": _details(trace),
        "summary": _summary(measurement),
        "verdict": str(measurement.verdict),
    }


def _optional(series: list[NDArray[np.int64] | None]) -> bytes | None:
    known = [values for values in series if values is not None]
    return pack_series(np.concatenate(known)) if len(known) == len(series) else None


def _details(trace: LatencyTrace) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "network": dataclasses.asdict(trace.network),
        "profile": trace.profile.to_json(),
        "facts": trace.facts.to_json(),
        "versions": dict(trace.versions),
        "protocol": trace.protocol.to_json(),
        "blocks": [_block_details(block) for block in trace.blocks],
        "steady": trace.steady,
        "ended": trace.ended,
        "before": trace.before.to_json() if trace.before else None,
        "after": trace.after.to_json() if trace.after else None,
        "peak_memory_bytes": trace.peak_memory_bytes,
        "baseline_memory_bytes": trace.baseline_memory_bytes,
    }


def _block_details(block: TraceBlock) -> dict[str, Any]:
    return {
        "process": block.process,
        "size": len(block),
        "reference": [block.reference_before_ns.size, block.reference_after_ns.size],
        "started_at": block.started_at.astimezone(UTC).isoformat(),
        "conditions": block.conditions.to_json() if block.conditions else None,
        "energy_mj": block.energy_mj,
        "kept": block.kept,
    }


def _summary(measurement: Measurement) -> dict[str, Any]:
    return {
        "estimator": ESTIMATOR_VERSION,
        "n": measurement.n,
        "p50": measurement.p50.to_json(),
        "p90": measurement.p90.to_json(),
        "p99": measurement.p99.to_json(),
        "reasons": list(measurement.reasons),
        "energy_mj": measurement.energy_mj,
        "estimated_from": measurement.estimated_from,
    }


def trace_from_row(row: Mapping[str, Any]) -> LatencyTrace:
    """Return the trace in a row of the store.

    Raises:
        StoreError: it is of a newer format, or damaged.
        MeasurementError: it came from a file without its samples.
    """
    details = row["details"]
    if not has_samples(row):
        raise MeasurementError(
            f"measurement {row['id']} was imported without its samples", "export it with --samples where it was made"
        )
    if details.get("format") != _FORMAT:
        raise StoreError(f"trace {row['id']} has format {details.get('format')}, known is {_FORMAT}", "update hwnas")
    return LatencyTrace(
        network=MeasuredNetwork(**details["network"]),
        device=row["device"],
        device_hash=row["device_hash"],
        profile=DeviceProfile.from_json(details["profile"]),
        facts=DeviceFacts.from_json(details["facts"]),
        versions=details["versions"],
        protocol=MeasurementProtocol.from_json(details["protocol"]),
        blocks=_blocks(row),
        warmup_ns=unpack_series(row["warmup_ns"]),
        steady=details["steady"],
        ended=details["ended"],
        before=_conditions(details["before"]),
        after=_conditions(details["after"]),
        peak_memory_bytes=details["peak_memory_bytes"],
        baseline_memory_bytes=details["baseline_memory_bytes"],
        created_at=row["created_at"],
    )


def _blocks(row: Mapping[str, Any]) -> tuple[TraceBlock, ...]:
    told = row["details"]["blocks"]
    ends = np.cumsum([item["size"] for item in told])[:-1]
    samples = np.split(unpack_series(row["samples_ns"]), ends)
    cpu, switches = (
        np.split(unpack_series(row[name]), ends) if row[name] is not None else [None] * len(told)
        for name in ("cpu_ns", "involuntary_switches")
    )
    reference_ends = np.cumsum([size for item in told for size in item["reference"]])[:-1]
    references = np.split(unpack_series(row["reference_ns"]), reference_ends)
    return tuple(
        TraceBlock(
            process=item["process"],
            samples_ns=samples[index],
            cpu_ns=cpu[index],
            involuntary_switches=switches[index],
            reference_before_ns=references[2 * index],
            reference_after_ns=references[2 * index + 1],
            started_at=datetime.fromisoformat(item["started_at"]),
            conditions=_conditions(item["conditions"]),
            energy_mj=item.get("energy_mj"),
            kept=item["kept"],
        )
        for index, item in enumerate(told)
    )


def _conditions(data: Mapping[str, Any] | None) -> Conditions | None:
    return None if data is None else Conditions.from_json(data)


def has_samples(row: Mapping[str, Any]) -> bool:
    """Return whether a row has its samples; what came from a file may have come without."""
    return bool(row["details"].get("samples", True))


def measurement_from_row(row: Mapping[str, Any]) -> Measurement | None:
    """Return the measurement in a row of the store, its series unread.

    `None` where an older estimator derived it, and samples are there to derive it anew from.
    """
    summary, details = row["summary"], row["details"]
    if summary["estimator"] != ESTIMATOR_VERSION and has_samples(row):
        return None
    imported = row.get("imported")
    network = details["network"]
    return Measurement(
        id=row["id"],
        created_at=row["created_at"],
        device=row["device"],
        device_hash=row["device_hash"],
        protocol_hash=row["protocol_hash"],
        network_hash=row["network_hash"],
        network_name=row["network_name"],
        architecture_id=row["architecture_id"],
        space=row["space"],
        n=summary["n"],
        p50=Estimate.from_json(summary["p50"]),
        p90=Estimate.from_json(summary["p90"]),
        p99=Estimate.from_json(summary["p99"]),
        verdict=Verdict(row["verdict"]),
        reasons=tuple(summary["reasons"]),
        peak_memory_bytes=details["peak_memory_bytes"],
        size_bytes=network["size_bytes"],
        macs=network["macs"],
        params=network["params"],
        energy_mj=summary.get("energy_mj"),
        estimated_from=summary.get("estimated_from"),
        imported_from=None if imported is None else imported["store"],
    )
