"""Latency tables of our own: the same networks of a space on several targets of this machine.

    python benchmarks/tables.py --space digits [--networks 500] [--targets ort1 litert ...] [--minutes 30]
    python benchmarks/tables.py --space digits --export      # write the files from what is there, measure nothing

It measures with the product's own protocol and store, in the workspace that --workspace names, and writes
measurements/SPACE.parquet (one row a network and target), SPACE-again.parquet (what was measured a second time), and a
card that says how and on what, SPACE.json and SPACE.md. It goes network by network, 24 at a time on every target, so
that it may be ended at any time, by --minutes or Ctrl-C, and be called again: what the workspace or the files in
measurements/ hold is not measured again. More networks are always the same ones and some more. Some, spread over all,
are measured twice: how well the two agree is about as well as any predictor can do.

Networks are drawn uniformly with a fixed seed. No two of them are the same when deployed, and those without a live
path from input to output are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from table_files import export, import_back

from hwnas._deadline import Deadline
from hwnas.cli._stop import stopping
from hwnas.device import Device, DeviceProfile, DeviceRegistry
from hwnas.errors import StoppedError
from hwnas.measurement import Measurement, MeasurementProtocol, MeasurementStore, measure
from hwnas.network import simplified, write_network
from hwnas.space import get_space
from hwnas.space.nasbench201 import is_live
from hwnas.store import Store
from hwnas.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hwnas.network import NetworkFile
    from hwnas.space import Architecture, SearchSpace

ROOT = Path(__file__).resolve().parent.parent
SEED = 2026
CHUNK = 24  # three groups of what the protocol interleaves
AGAIN_AT_ONCE = 8  # as many as the protocol interleaves
CONNECT_S = 60.0


PROFILES = (
    DeviceProfile("ort1", notes="ONNX Runtime, one thread"),
    DeviceProfile("litert", runtime="litert", notes="LiteRT with XNNPACK, one thread"),
    DeviceProfile("openvino", runtime="openvino", notes="OpenVINO, one thread"),
    DeviceProfile("ort-plain", options={"graph_optimization": "none"}, notes="ONNX Runtime without graph optimisation"),
    DeviceProfile("ort-int8", options={"precision": "int8"}, notes="ONNX Runtime in eight-bit integers (static QDQ)"),
    DeviceProfile("litert-plain", runtime="litert", options={"xnnpack": False}, notes="LiteRT without XNNPACK"),
    DeviceProfile("ort2", threads=2, notes="ONNX Runtime, two threads"),
    DeviceProfile("pytorch", runtime="pytorch", notes="PyTorch eager, one thread"),
    DeviceProfile("ncnn", runtime="ncnn", notes="ncnn, one thread"),
)
TARGETS = {profile.name: profile for profile in PROFILES}
USUAL = [name for name in TARGETS if name != "ncnn"]  # which takes seconds to convert a network


def main() -> None:
    """Measure what is missing, as long as there is time, and write the files."""
    options = arguments()
    workspace = Workspace.create(options.workspace or ROOT / "searches" / "tables")
    space = get_space(options.space)
    with contextlib.closing(Store.open(workspace.store_url)) as store:
        import_back(options.out, space.name, store)
        if not options.export:
            chosen = networks(space, options.networks)
            with stopping() as stop, contextlib.ExitStack() as devices:
                table = Table(space, chosen, options, store, stop)
                for name in options.targets:
                    table.connect(devices, workspace, name)
                clock = threading.Timer(options.minutes * 60, stop.set)
                clock.daemon = True
                clock.start()
                table.run()
                clock.cancel()
        export(store, space.name, options.out, [name for name in TARGETS if name in options.targets])


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", choices=("digits", "nasbench201"), required=True)
    parser.add_argument("--networks", type=int, default=500)
    parser.add_argument("--again", type=int, default=40, help="how many of the networks are measured twice")
    parser.add_argument("--targets", nargs="+", choices=tuple(TARGETS), default=USUAL, metavar="TARGET")
    parser.add_argument("--samples", type=int, default=1000, help="inferences that count, of each network and target")
    parser.add_argument("--minutes", type=float, default=24 * 60, help="stop then; the same command goes on")
    parser.add_argument("--workspace", type=Path, help="where the store of all samples is; searches/tables by default")
    parser.add_argument("--out", type=Path, default=ROOT / "measurements", help="folder of the files")
    parser.add_argument("--export", action="store_true", help="measure nothing")
    return parser.parse_args()


def networks(space: SearchSpace, count: int) -> list[Architecture]:
    """Return the first `count` networks of the table; a longer list begins with a shorter one."""
    found: dict[str, Architecture] = {}
    drawn = space.sample(min(space.size or 4096, 4096), np.random.default_rng(SEED), method="uniform")
    for architecture in drawn:
        if len(found) == count:
            break
        if space.name != "nasbench201" or is_live(architecture):
            found.setdefault(simplified(space.graph(architecture)).hash, architecture)
    if len(found) < count:
        raise SystemExit(f"error: there are {len(found)} networks for this table; ask for no more with --networks")
    return list(found.values())


class Table:
    """The campaign: which networks are known on which target, and the rest in an order of which any part is of use."""

    def __init__(
        self,
        space: SearchSpace,
        architectures: Sequence[Architecture],
        options: argparse.Namespace,
        store: Store,
        stop: threading.Event,
    ) -> None:
        """Begin without devices; `connect` adds one, `run` measures."""
        self._space, self._architectures, self._options = space, architectures, options
        self._store, self._stop = MeasurementStore(store), stop
        self._targets: dict[str, tuple[Device, MeasurementProtocol]] = {}
        self._known: dict[tuple[str, str], int] = {}
        every = max(1, round(len(architectures) / max(1, options.again)))
        self._twice = {item.id for item in architectures[::every][: options.again]}
        self._measured, self._failed, self._spent_s = 0, 0, 0.0

    def connect(self, devices: contextlib.ExitStack, workspace: Workspace, name: str) -> None:
        """Register and connect a target, and count what is known of it by its present settings and versions."""
        profile = TARGETS[name]
        DeviceRegistry(workspace).add(profile, replace=True)
        device = devices.enter_context(Device.open(profile, deadline=Deadline.after(CONNECT_S)))
        protocol = MeasurementProtocol.for_device(device.profile, samples=self._options.samples)
        self._targets[name] = device, protocol
        wanted = {architecture.id for architecture in self._architectures}
        others = 0
        for found in self._store.list(device=name, space=self._space.name):
            if (found.device_hash, found.protocol_hash) != (device.hash, protocol.hash):
                others += 1
            elif found.architecture_id in wanted:
                key = (found.architecture_id, name)
                self._known[key] = self._known.get(key, 0) + 1
        if others:
            raise SystemExit(
                f"error: {others} measurements of {self._space.name} on {name} are by another machine, runtime version "
                f"or protocol; they do not merge. Name another folder with --out and another --workspace."
            )

    def run(self) -> None:
        """Measure until all is done, the time is over or Ctrl-C came."""
        began = self._left()
        print(f"{began} of {self._total()} measurements are to be made", flush=True)
        with contextlib.suppress(StoppedError):
            for chunk in batched(self._architectures, CHUNK):
                for name in self._targets:
                    self._measure(name, [item for item in chunk if not self._known.get((item.id, name))])
                    due = [item for item in self._due(name) if item not in chunk]
                    if len(due) >= AGAIN_AT_ONCE:
                        self._measure(name, due)
            for name in self._targets:
                self._measure(name, self._due(name))
        left = self._left()
        print(f"{self._measured} measured, {self._failed} failed, {left} left", flush=True)

    def _due(self, name: str) -> list[Architecture]:
        """Return the networks to repeat on a target that are measured once."""
        return [
            item for item in self._architectures if item.id in self._twice and self._known.get((item.id, name)) == 1
        ]

    def _total(self) -> int:
        return (len(self._architectures) + len(self._twice)) * len(self._targets)

    def _left(self) -> int:
        return self._total() - sum(
            min(count, 2 if identity in self._twice else 1) for (identity, _), count in self._known.items()
        )

    def _measure(self, name: str, architectures: list[Architecture]) -> None:
        """Measure networks on one target once more, and say how it went."""
        if not architectures:
            return
        if self._stop.is_set():
            raise StoppedError("the time is over")
        device, protocol = self._targets[name]
        started = time.monotonic()
        with files(self._space, architectures, device) as written:
            results = measure(
                written,
                device,
                store=self._store,
                protocol=protocol,
                again=True,
                architectures=architectures,
                wait_s=600.0,
                cancelled=self._stop,
            )
        self._spent_s += time.monotonic() - started
        verdicts: dict[str, int] = {}
        for result, architecture in zip(results, architectures, strict=True):
            if isinstance(result, Measurement):
                verdicts[str(result.verdict)] = verdicts.get(str(result.verdict), 0) + 1
                self._known[architecture.id, name] = self._known.get((architecture.id, name), 0) + 1
                self._measured += 1
            else:
                print(f"  {result.network_name} on {name} failed: {result.error.message}", flush=True)
                self._failed += 1
        self._say(name, len(architectures), verdicts, time.monotonic() - started)

    def _say(self, name: str, count: int, verdicts: dict[str, int], took_s: float) -> None:
        left, done = self._left(), self._measured + self._failed
        each_s = self._spent_s / max(1, done)
        shown = ", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items()))
        print(
            f"{time.strftime('%H:%M:%S')} {name:<12} {count:>3} in {took_s:5.1f} s ({shown}); {left} left, "
            f"about {left * each_s / 60:.0f} min at {each_s:.2f} s each",
            flush=True,
        )


@contextlib.contextmanager
def files(space: SearchSpace, architectures: Sequence[Architecture], device: Device) -> Iterator[list[NetworkFile]]:
    """Hand out the networks as files that a device runs; they go with the block.

    Eight-bit networks are quantised here, once, and not each time that the device loads one.
    """
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        yield [
            write_network(
                space.graph(item),
                Path(folder) / item.id,
                device.runtime.formats,
                quantisation="int8" if device.profile.options.get("precision") == "int8" else None,
                name=f"{space.name}-{item.id[:8]}",
            )
            for item in architectures
        ]


def batched(items: Sequence[Architecture], size: int) -> Iterator[Sequence[Architecture]]:
    """Yield the items in runs of `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


if __name__ == "__main__":
    main()
