"""From a trace to a measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnas.measurement import _estimators as estimators
from hwnas.measurement._measurement import Estimate, Measurement, run_to_run_sigma
from hwnas.measurement._verdict import judge, preempted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnas.measurement._trace import LatencyTrace, TraceBlock

#: Grows when the same trace comes to yield other figures; what the store keeps of older ones is derived again.
ESTIMATOR_VERSION = 4
_NS_PER_MS = 1e6


def estimate(
    blocks: Sequence[TraceBlock], p: float, *, disturbed: NDArray[np.bool_] | None = None, between: bool = True
) -> Estimate:
    """Return a quantile of samples that were taken in blocks, in milliseconds, with its 95 % interval.

    The value by Harrell and Davis. The interval by order statistics, widened by the samples' dependence; and at least
    as wide as the processes' differences make it, where there are three or more. Every sample counts, the disturbed
    ones too.

    Args:
        blocks: in order; at least one.
        p: in (0, 1).
        disturbed: `bool[n]`, which samples other programs slowed down; by default none.
        between: whether the processes' differences count: more samples of the same processes do not narrow those.
    """
    samples_ms = np.concatenate([block.samples_ns for block in blocks]) / _NS_PER_MS
    ordered = np.sort(samples_ms)
    value = estimators.harrell_davis(ordered, p)
    grown = estimators.inflation(samples_ms, [len(block) for block in blocks], value)
    low, high = estimators.interval(ordered, p, inflation=grown)
    if between:
        apart_low, apart_high = estimators.interval_between(_by_process(blocks), p)
        low, high = min(low, apart_low), max(high, apart_high)
    undisturbed = value
    if disturbed is not None and 0 < np.count_nonzero(disturbed) < disturbed.size:
        undisturbed = estimators.harrell_davis(np.sort(samples_ms[~disturbed]), p)
    return Estimate(value, min(low, value), max(high, value), undisturbed)


def _by_process(blocks: Sequence[TraceBlock]) -> list[NDArray[np.float64]]:
    found: dict[int, list[NDArray[np.int64]]] = {}
    for block in blocks:
        found.setdefault(block.process, []).append(block.samples_ns)
    return [np.concatenate(series) / _NS_PER_MS for series in found.values()]


def summarize(trace: LatencyTrace, *, id: int | None = None) -> Measurement:  # noqa: A002  # the field's name
    """Return the measurement that a trace yields.

    Args:
        trace: what was seen.
        id: its row in the store.
    """
    disturbed = np.concatenate([preempted(block, threads=trace.profile.threads) for block in trace.kept])
    p50, p90, p99 = (estimate(trace.kept, p, disturbed=disturbed) for p in (0.50, 0.90, 0.99))
    verdict, reasons = judge(trace, p99)
    p50 = p50.widened(run_to_run_sigma(verdict, "p50_ms"))
    p90, p99 = (found.widened(run_to_run_sigma(verdict, "p99_ms")) for found in (p90, p99))
    return Measurement(
        id=id,
        created_at=trace.created_at,
        device=trace.device,
        device_hash=trace.device_hash,
        protocol_hash=trace.protocol.hash,
        network_hash=trace.network.hash,
        network_name=trace.network.name,
        architecture_id=trace.network.architecture_id,
        space=trace.network.space,
        n=sum(trace.sizes),
        p50=p50,
        p90=p90,
        p99=p99,
        verdict=verdict,
        reasons=reasons,
        peak_memory_bytes=trace.peak_memory_bytes,
        size_bytes=trace.network.size_bytes,
        macs=trace.network.macs,
        params=trace.network.params,
        energy_mj=trace.energy_mj,
        estimated_from=trace.estimated_from,
    )
