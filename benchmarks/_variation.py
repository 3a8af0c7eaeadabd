"""How much p99 and its ratios vary from campaign to campaign: our protocol beside a plain loop over each network."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas._deadline import Deadline
from hwnas.device import Device, DeviceProfile
from hwnas.measurement import Measurement, MeasurementProtocol, MeasurementStore, measure
from hwnas.network import GraphBuilder, write_onnx
from hwnas.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hwnas.network import NetworkFile

METHODS = ("ours", "plain")
#: (width, side of the image, layers): about 0.05 to 1 ms on a desktop core.
NETWORKS = ((16, 16, 4), (24, 16, 4), (32, 16, 4), (48, 16, 4), (32, 28, 4))
#: Two of these run beside a contended campaign: busy and idle in turn, for times from an exponential distribution.
BUSY_S, IDLE_S = 0.4, 0.4
LOAD = """
import random, sys, time
chance = random.Random(int(sys.argv[1]))
while True:
    end = time.monotonic() + chance.expovariate(1 / float(sys.argv[2]))
    while time.monotonic() < end:
        pass
    time.sleep(chance.expovariate(1 / float(sys.argv[3])))
"""


@contextlib.contextmanager
def load(hogs: int, seed: int) -> Iterator[None]:
    """Run the documented load for the block."""
    with contextlib.ExitStack() as stack:
        for index in range(hogs):
            words = [sys.executable, "-c", LOAD, str(1000 * seed + index), str(BUSY_S), str(IDLE_S)]
            hog = stack.enter_context(subprocess.Popen(words))
            stack.callback(hog.kill)
        yield


def write_networks(folder: Path) -> list[NetworkFile]:
    """Return the networks that are compared."""
    files = []
    for width, side, layers in NETWORKS:
        builder = GraphBuilder(f"w{width}-{side}-{layers}")
        x = builder.input((3, side, side))
        for _ in range(layers):
            x = builder.activation(builder.conv(x, width, kernel=3), "relu")
        graph = builder.graph(builder.global_avg_pool(x))
        files.append(write_onnx(graph, folder / f"w{width}-{side}-{layers}.onnx"))
    return files


def ours(files: list[NetworkFile], profile: DeviceProfile, protocol: MeasurementProtocol) -> dict[str, Any]:
    """Return one campaign by our protocol: of each network all blocks, and the figures with their intervals."""
    found: dict[str, Any] = {"inferences": 0}
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        store = Store.open(f"sqlite:///{folder}/store.sqlite")
        traces = MeasurementStore(store)
        for index, result in enumerate(measure(files, profile, store=traces, protocol=protocol, wait_s=math.inf)):
            if not isinstance(result, Measurement) or result.id is None:
                raise SystemExit(f"{files[index].path}: it was not measured")
            trace = traces.trace(result.id)
            blocks = trace.blocks
            reference = sum(b.reference_before_ns.size + b.reference_after_ns.size for b in blocks)
            found["inferences"] += sum(map(len, blocks)) + trace.warmup_ns.size + reference // 2
            found |= {
                f"samples_{index}": np.concatenate([b.samples_ns for b in blocks]),
                f"cpu_{index}": np.concatenate([b.cpu_ns for b in blocks]),
                f"switches_{index}": np.concatenate([b.involuntary_switches for b in blocks]),
                f"blocks_{index}": np.array([[len(b), b.process, b.kept] for b in blocks]),
                f"reference_{index}": np.array(
                    [[np.median(b.reference_before_ns), np.median(b.reference_after_ns)] for b in blocks]
                ),
                f"figures_{index}": np.array(
                    [[getattr(e, k) for k in ("value_ms", "low_ms", "high_ms")] for e in (result.p50, result.p99)]
                ),
                f"verdict_{index}": str(result.verdict),
                f"started_{index}": np.array([b.started_at.timestamp() for b in blocks]),
            }
        store.close()
    return found


def plain(files: list[NetworkFile], profile: DeviceProfile, inferences: int) -> dict[str, Any]:
    """Return one campaign of a plain loop: one process a network, one inference to warm up, then all in a row."""
    found: dict[str, Any] = {"inferences": inferences}
    with Device.open(profile, deadline=Deadline.after(60)) as device:
        for index, file in enumerate(files):
            session = device.load(file, deadline=Deadline.after(60))
            session.run(1, deadline=Deadline.after(60))
            found[f"samples_{index}"] = session.run(inferences // len(files), deadline=Deadline.after(600)).samples_ns
            session.close()
    return found
