"""Which share of a campaign's time is spent outside of the loops that run networks."""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _variation import write_networks

from hwnas.device import DeviceProfile
from hwnas.measurement import Measurement, MeasurementProtocol, MeasurementStore, measure
from hwnas.store import Store

if TYPE_CHECKING:
    import argparse

    from hwnas.measurement import LatencyTrace

PROMISED = 0.15
#: About 1 ms on a desktop core; and networks of the size of the digits space.
LARGE = ((48, 28, 5), (40, 28, 6), (64, 28, 4), (56, 28, 4), (48, 32, 4), (40, 32, 5))
SMALL = ((8, 8, 3), (12, 8, 3), (16, 8, 3), (8, 8, 4), (12, 8, 4), (16, 8, 4), (8, 8, 5), (12, 8, 5))


def run(_folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return the shares for networks of about 1 ms and for small ones."""
    return {
        "samples": options.samples,
        "large": campaign(LARGE, options.samples),
        "small": campaign(SMALL, 1000),
    }


def campaign(sizes: tuple[tuple[int, int, int], ...], samples: int) -> dict[str, Any]:
    """Measure networks once; returns where the time went."""
    with tempfile.TemporaryDirectory(prefix="hwnas-") as name:
        files = write_networks(Path(name), sizes)
        store = Store.open(f"sqlite:///{name}/store.sqlite")
        traces = MeasurementStore(store)
        protocol = MeasurementProtocol(samples=samples)
        began = time.perf_counter()
        results = measure(files, DeviceProfile("host"), store=traces, protocol=protocol, wait_s=math.inf)
        wall_s = time.perf_counter() - began
        ids = [result.id for result in results if isinstance(result, Measurement)]
        inside_s = sum(inside(traces.trace(number)) for number in ids if number is not None)
        store.close()
    return {
        "networks": len(files),
        "p50_ms": [result.p50_ms for result in results if isinstance(result, Measurement)],
        "verdicts": [str(result.verdict) for result in results if isinstance(result, Measurement)],
        "wall_s": wall_s,
        "inside_s": inside_s,
        "outside_share": 1.0 - inside_s / wall_s,
        "outside_s_per_network": (wall_s - inside_s) / len(files),
        "wall_s_per_network": wall_s / len(files),
    }


def inside(trace: LatencyTrace) -> float:
    """Return the seconds of warm-up, reference and samples in a trace; one reference run serves two blocks."""
    reference = sum(int(b.reference_before_ns.sum() + b.reference_after_ns.sum()) for b in trace.blocks) / 2
    return (sum(int(block.samples_ns.sum()) for block in trace.blocks) + int(trace.warmup_ns.sum()) + reference) / 1e9


def markdown(found: dict[str, Any]) -> str:
    """Return the results as a section."""
    lines = [
        "## Overhead",
        "",
        (
            "Share of a campaign's time outside warm-up, reference and sample loops; promised for networks of about "
            f"1 ms: under {PROMISED:.0%}."
        ),
        "",
        "| networks | p50 ms | samples | seconds | outside | outside, s a network | all, s a network |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, samples in (("large", found["samples"]), ("small", 1000)):
        row = found[name]
        lines.append(
            f"| {row['networks']} {name} | {min(row['p50_ms']):.3f} to {max(row['p50_ms']):.3f} | {samples} | "
            f"{row['wall_s']:.1f} | {row['outside_share']:.1%} | {row['outside_s_per_network']:.3f} | "
            f"{row['wall_s_per_network']:.3f} |"
        )
    return "\n".join([*lines, ""])
