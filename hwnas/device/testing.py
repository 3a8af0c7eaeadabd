"""A device without hardware, for tests: of hwnas and of what is built on it.

It answers at once, with times that a function of yours makes up, and fails where you say so; everything above a device
(campaigns, verdicts, the store, a search) works on it as on any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from hwnas._deadline import Deadline
from hwnas.device._conditions import Conditions, DeviceFacts
from hwnas.device._device import Device
from hwnas.device._profile import DeviceProfile
from hwnas.device._runtime import Block
from hwnas.device._transport import Completed

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hwnas.errors import HwnasError
    from hwnas.network import NetworkFile

__all__ = ["FakeDevice", "fake_device"]


@dataclass(slots=True)
class FakeDevice:
    """What a fake device does, and what was done to it. Change it while it is in use.

    Attributes:
        latency_ns: the times of `n` inferences of a network: `int64[n]`.
        error: the error of an action (`load` or `run`) on a network; `None` where it succeeds.
        cpu_share: processor time as a share of wall clock; `None`: the device does not tell.
        switches: involuntary switches of each of `n` inferences; by default none.
        conditions: its state.
        rest: lets it cool before a block; whether it had to.
        done: every action, as (`load`, `run` or `close`, the network's name, how many inferences).
    """

    latency_ns: Callable[[NetworkFile, int], NDArray[np.int64]]
    error: Callable[[str, NetworkFile], HwnasError | None] = lambda _action, _network: None
    cpu_share: float | None = 1.0
    switches: Callable[[int], NDArray[np.int64]] = lambda n: np.zeros(n, dtype=np.int64)
    conditions: Callable[[], Conditions] = Conditions
    rest: Callable[[], bool] = lambda: False
    done: list[tuple[str, str, int]] = field(default_factory=list)

    def act(self, action: str, network: NetworkFile, count: int = 0) -> None:
        """Note an action, and fail where it is to fail."""
        self.done.append((action, network.name, count))
        error = self.error(action, network)
        if error is not None:
            raise error


def fake_device(
    behaviour: FakeDevice,
    profile: DeviceProfile | None = None,
    *,
    lock_key: str | None = None,
    shares_this_machine: bool = False,
    slack_s: float = 0.0,
) -> Device:
    """Return a connected device that behaves so.

    Args:
        behaviour: what it does.
        profile: by default one called `fake`.
        lock_key: see `Device`; by default the profile's name.
        shares_this_machine: see `Device`.
        slack_s: see `Device`.
    """
    profile = profile or DeviceProfile("fake")
    return Device(
        profile,
        _FakeTransport(),
        _FakeRuntime(behaviour),
        _FakeProbe(behaviour),
        lock_key=lock_key or profile.name,
        shares_this_machine=shares_this_machine,
        slack_s=slack_s,
        deadline=Deadline.never(),
    )


class _FakeTransport:
    def run(self, argv: Sequence[str], *, deadline: Deadline, stdin: bytes = b"") -> Completed:
        deadline.check(argv[0])
        return Completed(stdin, b"", 0)

    def push(self, local: Path, remote: str, *, deadline: Deadline) -> None:
        deadline.check(f"pushing {local} to {remote}")

    def pull(self, remote: str, local: Path, *, deadline: Deadline) -> None:
        deadline.check(f"pulling {remote} to {local}")

    def remove(self, remote: str, *, deadline: Deadline) -> None:
        deadline.check(f"removing {remote}")

    def close(self) -> None:
        """Nothing is held."""

    def describe(self) -> str:
        return "fake"


class _FakeProbe:
    def __init__(self, behaviour: FakeDevice) -> None:
        self._behaviour = behaviour

    def facts(self, *, deadline: Deadline) -> DeviceFacts:
        deadline.check("asking what it is")
        return DeviceFacts(model="fake", architecture="none", logical_cores=1)

    def conditions(self, *, deadline: Deadline) -> Conditions:
        deadline.check("asking how it is")
        return self._behaviour.conditions()

    def watch(self) -> Callable[[Deadline], tuple[str, ...]]:
        return lambda _deadline: ()


class _FakeRuntime:
    def __init__(self, behaviour: FakeDevice) -> None:
        self._behaviour = behaviour

    @property
    def name(self) -> str:
        return "fake"

    @property
    def formats(self) -> frozenset[str]:
        return frozenset({"onnx", "tflite"})

    def versions(self, *, deadline: Deadline) -> Mapping[str, str]:
        deadline.check("asking for versions")
        return {"fake": "1"}

    def prepare(self, device: Device, *, deadline: Deadline) -> None:
        deadline.check(f"preparing {device.profile.name}")

    def rest(
        self,
        device: Device,
        *,
        deadline: Deadline,
        cancelled: threading.Event | None,  # noqa: ARG002
    ) -> bool:
        deadline.check(f"resting {device.profile.name}")
        return self._behaviour.rest()

    def open(self, device: Device, network: NetworkFile, *, deadline: Deadline) -> _FakeSession:
        deadline.check(f"loading {network.name} on {device.profile.name}")
        self._behaviour.act("load", network)
        return _FakeSession(self._behaviour, network)

    def forget(self) -> None:
        pass


class _FakeSession:
    def __init__(self, behaviour: FakeDevice, network: NetworkFile) -> None:
        self._behaviour = behaviour
        self._network = network

    @property
    def stays_loaded(self) -> bool:
        return True

    @property
    def peak_memory_bytes(self) -> int:
        return 10_000_000

    @property
    def baseline_memory_bytes(self) -> int:
        return 8_000_000

    def run(self, n: int, *, deadline: Deadline) -> Block:
        deadline.check(f"running {self._network.name}")
        self._behaviour.act("run", self._network, n)
        samples = np.asarray(self._behaviour.latency_ns(self._network, n), dtype=np.int64)
        share = self._behaviour.cpu_share
        cpu = None if share is None else (samples * share).astype(np.int64)
        return Block(samples, cpu, self._behaviour.switches(n), datetime.now(UTC), self._behaviour.conditions())

    def close(self) -> None:
        self._behaviour.done.append(("close", self._network.name, 0))
