"""One column of our own latency tables while it is measured: a target of this machine, connected."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from _table_targets import column

from hwnas._deadline import Deadline
from hwnas.device import Device, DeviceRegistry
from hwnas.errors import StoppedError
from hwnas.measurement import Measurement, MeasurementProtocol, MeasurementStore, measure
from hwnas.network import write_network
from hwnas.predictor import measure_operations
from hwnas.store import Store

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from hwnas.device import DeviceProfile
    from hwnas.network import Graph, NetworkFile
    from hwnas.space import Architecture, SearchSpace
    from hwnas.workspace import Workspace

CONNECT_S = 60.0
#: How far the medians of a column may have moved for it to be gone on with; two campaigns at rest differ by 1 %.
MOVED = 0.05


def connect(profile: DeviceProfile) -> Device:
    """Return a target of this machine, connected."""
    return Device.open(profile, deadline=Deadline.after(CONNECT_S))


class AnotherMachineError(Exception):
    """What this machine measures does not go with what is there of a column."""

    def __init__(self, column: str, why: str) -> None:
        """Say of which column, and why."""
        super().__init__(
            f"{column} is not gone on with: {why}. If this is the machine that began it, try again when it is at rest; "
            "else begin another column: --machine NAME"
        )


class Column:
    """Measures networks on one target of this machine. A context manager: it closes the connection.

    Attributes:
        name: of the column.
        said: how the last measurements went.
    """

    def __init__(
        self,
        name: str,
        space: SearchSpace,
        store: Store,
        workspace: Workspace,
        samples: int,
        stop: threading.Event,
    ) -> None:
        """Register and connect the target."""
        self.name, self.said = name, ""
        self._space, self._stop, self._store = space, stop, MeasurementStore(store)
        profile = column(name)
        DeviceRegistry(workspace).add(profile, replace=True)
        self._device = connect(profile)
        self._protocol = MeasurementProtocol.for_device(self._device.profile, samples=samples)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._device.close()

    def check(self, architectures: Sequence[Architecture]) -> None:
        """Measure some networks that the column has, into no store, and compare.

        Raises:
            AnotherMachineError: they are not as they were, or were measured by another runtime version or protocol.
            StoppedError: the time is over.
        """
        first: dict[str | None, Measurement] = {}
        for item in sorted(
            self._store.list(device=self.name, space=self._space.name), key=lambda item: item.created_at
        ):
            first.setdefault(item.architecture_id, item)
        now = (self._device.hash, self._protocol.hash)
        others = sum((item.device_hash, item.protocol_hash) != now for item in first.values())
        if others:
            raise AnotherMachineError(self.name, f"{others} of its networks have another runtime version or protocol")
        with (
            tempfile.TemporaryDirectory() as folder,
            contextlib.closing(Store.open(f"sqlite:///{folder}/check")) as store,
        ):
            found = self._measured(architectures, MeasurementStore(store))
        logs = [np.log(item.p50_ms / first[item.architecture_id].p50_ms) for item in found]
        moved = float(np.expm1(np.median(logs))) if logs else 0.0
        if abs(moved) > MOVED:
            raise AnotherMachineError(self.name, f"the medians of {len(logs)} of its networks moved by {moved:+.1%}")

    def measure(self, architectures: Sequence[Architecture]) -> list[str]:
        """Measure networks once more, and return the ids of those that could be.

        Raises:
            StoppedError: the time is over.
        """
        began = time.monotonic()
        found = self._measured(architectures, self._store)
        shown = ", ".join(f"{n} {verdict}" for verdict, n in sorted(Counter(str(m.verdict) for m in found).items()))
        self.said = (
            f"{time.strftime('%H:%M:%S')} {self.name} {len(architectures):>3} in {time.monotonic() - began:5.1f} s "
            f"({shown or 'all failed'})"
        )
        return [item.architecture_id for item in found if item.architecture_id is not None]

    def measure_operations(self, operations: Sequence[Graph]) -> None:
        """Measure operations alone, those that are not known yet.

        Raises:
            StoppedError: the time is over.
        """
        if operations:
            measure_operations(
                operations,
                self._device,
                store=self._store,
                protocol=self._protocol,
                wait_s=600.0,
                cancelled=self._stop,
            )

    def _measured(self, architectures: Sequence[Architecture], store: MeasurementStore) -> list[Measurement]:
        if self._stop.is_set():
            raise StoppedError("the time is over")
        with files(self._space, architectures, self._device) as written:
            results = measure(
                written,
                self._device,
                store=store,
                protocol=self._protocol,
                again=True,
                architectures=architectures,
                wait_s=600.0,
                cancelled=self._stop,
            )
        for item in results:
            if not isinstance(item, Measurement):
                print(f"  {item.network_name} on {self.name} failed: {item.error.message}", flush=True)
        return [item for item in results if isinstance(item, Measurement)]


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
