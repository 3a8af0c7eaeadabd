"""The same networks on every target of this machine, twice: do targets rank them alike, and does each repeat itself?"""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import spearmanr

from hwnas._deadline import Deadline
from hwnas.device import Device, DeviceProfile
from hwnas.errors import DeviceError
from hwnas.measurement import Measurement, MeasurementProtocol, MeasurementStore, NetworkMeasured, measure
from hwnas.network import NetworkFile, quantise_onnx, write_network
from hwnas.space import load_space
from hwnas.store import Store

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from hwnas.measurement import MeasurementEvent
    from hwnas.space import Architecture

GOAL = 0.97
CAMPAIGNS = 2
#: int8 is the first target with other files: quantised ones.
TARGETS = (
    DeviceProfile("ort-1"),
    DeviceProfile("ort-2", threads=2),
    DeviceProfile("ort-plain", options={"graph_optimization": "none"}),
    DeviceProfile("ort-int8"),
    DeviceProfile("litert-xnnpack", runtime="litert"),
    DeviceProfile("litert-plain", runtime="litert", options={"xnnpack": False}),
    DeviceProfile("openvino", runtime="openvino"),
    DeviceProfile("pytorch", runtime="pytorch"),
)
METRICS = ("p50_ms", "p99_ms")


def run(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure what is missing, and return the figures and the correlations."""
    architectures = spread(options.space, options.count)
    figures: dict[str, dict[str, list[list[float]]]] = {}
    verdicts: dict[str, dict[str, int]] = {}
    wanted = [target for target in TARGETS if not options.target or target.name in options.target]
    for campaign in range(CAMPAIGNS):  # all targets once, then all again: the two of one target lie far apart
        store = Store.open(f"sqlite:///{folder}/campaign-{campaign}.sqlite")
        for profile in wanted:
            began = time.perf_counter()
            results = _measure(profile, campaign, architectures, folder, store, options)
            if not results:
                continue
            for metric in METRICS:
                row = [result.figure(metric)[0] for result in results]
                figures.setdefault(profile.name, {}).setdefault(metric, []).append(row)
            counts = verdicts.setdefault(profile.name, {})
            for result in results:
                counts[str(result.verdict)] = counts.get(str(result.verdict), 0) + 1
            print(f"{profile.name}, campaign {campaign + 1}: {time.perf_counter() - began:.0f} s", flush=True)
        store.close()
    return {
        "space": options.space,
        "networks": len(architectures),
        "samples": options.samples,
        "verdicts": verdicts,
        "figures": figures,
        "retest": {name: {m: spearman(*rows[m]) for m in METRICS} for name, rows in figures.items()},
        "between": {
            name: {other: spearman(level(rows), level(figures[other])) for other in figures}
            for name, rows in figures.items()
        },
    }


def spread(source: str, count: int) -> list[Architecture]:
    """Return networks of a space that differ in size: of four times as many, every fourth by multiply-accumulates."""
    space = load_space(source)
    sampled = space.sample(4 * count, np.random.default_rng(0))
    return sorted(sampled, key=lambda item: space.graph(item).macs)[::4]


def spearman(one: Any, other: Any) -> float:
    """Return the rank correlation of two rows."""
    return float(spearmanr(one, other).statistic)


def level(rows: dict[str, list[list[float]]]) -> Any:
    """Return the p99 of each network, the mean of both campaigns."""
    return np.mean(rows["p99_ms"], axis=0)


def _measure(
    profile: DeviceProfile,
    campaign: int,
    architectures: list[Architecture],
    folder: Path,
    store: Store,
    options: argparse.Namespace,
) -> list[Measurement]:
    """Return one campaign on one target, from the store where it is there; nothing if it is not installed."""
    protocol = MeasurementProtocol(samples=options.samples, seed=campaign)
    done = 0

    def listen(event: MeasurementEvent) -> None:
        nonlocal done
        if isinstance(event, NetworkMeasured):
            done += 1
            if sys.stderr.isatty():
                print(f"\r{profile.name}: {done} of {len(architectures)}", end="", file=sys.stderr, flush=True)

    try:
        with Device.open(profile, deadline=Deadline.after(60)) as device:
            files = _files(profile, device, architectures, folder, options.space)
            found = measure(
                files,
                device,
                store=MeasurementStore(store),
                protocol=protocol,
                architecture_ids=[architecture.id for architecture in architectures],
                space=options.space,
                wait_s=math.inf,
                on_progress=listen,
            )
    except DeviceError as exc:
        print(f"{profile.name} is left out: {exc.message}", flush=True)
        return []
    failed = [result for result in found if not isinstance(result, Measurement)]
    if failed:
        raise SystemExit(f"{profile.name}: {failed[0].error}; {failed[0].error.hint}")
    return [result for result in found if isinstance(result, Measurement)]


def _files(
    profile: DeviceProfile, device: Device, architectures: list[Architecture], folder: Path, source: str
) -> list[NetworkFile]:
    """Return the networks in the format of a target; written again each time, always with the same content."""
    space = load_space(source)
    own = folder / "networks"
    own.mkdir(exist_ok=True)
    files = [
        write_network(space.graph(item), own / item.id, device.runtime.formats, name=item.id) for item in architectures
    ]
    if profile.name != "ort-int8":
        return files
    made = [(file, own / f"{file.path.stem}.int8.onnx") for file in files]
    return [NetworkFile.load(path) if path.exists() else quantise_onnx(file.path, path) for file, path in made]


def markdown(found: dict[str, Any]) -> str:
    """Return the results as a section."""
    names = list(found["figures"])
    lines = [
        "## Targets",
        "",
        (
            f"{found['networks']} networks of {found['space']}, {found['samples']} samples each, two independent "
            "campaigns on each target. Rank correlation of p99 between targets (mean of both campaigns); test and "
            f"retest of each (promised where the machine allows: {GOAL})."
        ),
        "",
        "| target | p50 ms | retest p50 | retest p99 | verdicts | " + " | ".join(names) + " |",
        "| --- " * (5 + len(names)) + "|",
    ]
    for name in names:
        rows = np.array(found["figures"][name]["p50_ms"])
        retest, verdicts = found["retest"][name], found["verdicts"][name]
        said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
        between = " | ".join(f"{found['between'][name][other]:.3f}" for other in names)
        lines.append(
            f"| {name} | {rows.min():.3f} to {rows.max():.3f} | {retest['p50_ms']:.3f} | {retest['p99_ms']:.3f} | "
            f"{said} | {between} |"
        )
    return "\n".join([*lines, ""])
