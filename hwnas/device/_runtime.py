"""How a network file is run on a device, and how its raw times come back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hwnas.errors import MeasurementError

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hwnas._deadline import Deadline
    from hwnas.device._conditions import Conditions
    from hwnas.device._device import Device
    from hwnas.network import NetworkFile


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What one uninterrupted series of inferences took. The arrays are `int64[n]`, in order, and cannot be written to.

    Attributes:
        samples_ns: wall clock of each inference, by a monotonic clock.
        cpu_ns: processor time of each, of the thread that runs it where there is one, else of the process; `None`
            where the device does not tell.
        involuntary_switches: how often each was preempted; `None` where the device does not tell.
        started_at: when the first began, in UTC.
        conditions: the device's state just after the last, when it has not cooled yet; `None` where it is not read.
        energy_mj: what the device took during the series, in millijoules, whatever else ran on it included; `None`
            where it does not tell.

    Raises:
        MeasurementError: the arrays have different lengths, are empty, or hold a time that is not positive.
    """

    samples_ns: NDArray[np.int64]
    cpu_ns: NDArray[np.int64] | None
    involuntary_switches: NDArray[np.int64] | None
    started_at: datetime
    conditions: Conditions | None = None
    energy_mj: float | None = None

    def __post_init__(self) -> None:
        """Check the arrays and make them read-only."""
        if self.started_at.tzinfo is None:
            raise MeasurementError("a block without a time zone", "say datetime.now(UTC)")
        for name in ("samples_ns", "cpu_ns", "involuntary_switches"):
            given = getattr(self, name)
            if given is None:
                continue
            values = np.array(given, dtype=np.int64)
            if values.ndim != 1 or values.size != len(self.samples_ns):
                raise MeasurementError(
                    f"a block of {len(self.samples_ns)} samples has {name} of shape {values.shape}",
                    "the runtime lost samples; this is a defect in it",
                )
            values.flags.writeable = False
            object.__setattr__(self, name, values)
        if self.samples_ns.size == 0 or int(self.samples_ns.min()) <= 0:
            raise MeasurementError(
                "a block is empty, or holds a time that is not positive", "the runtime's clock is at fault"
            )

    @classmethod
    def now(cls, samples_ns: NDArray[np.int64], *, conditions: Conditions | None = None) -> Block:
        """Return a block of times alone, begun just now."""
        return cls(samples_ns, None, None, datetime.now(UTC), conditions)

    def __len__(self) -> int:
        """Return the number of inferences."""
        return int(self.samples_ns.size)


class Session(Protocol):
    """One network, loaded on one device and ready to run.

    Used by one thread at a time; several sessions of a device may be open together, and the caller runs them in turn.
    A session that raised is spent: `close` it.
    """

    def run(self, n: int, *, deadline: Deadline) -> Block:
        """Return the times of `n` inferences in a row, nothing between them but the reading of clocks.

        Raises:
            DeadlineError: they did not end in time; the process that ran them was killed.
            NetworkCrashedError: that process died: says of what, as far as it can be known.
            NetworkMemoryError: there was not enough memory.
            MeasurementError: the runtime reported an error.
            DeviceConnectionError: the device vanished.
        """
        ...

    def close(self) -> None:
        """End the process and free what it held on the device. A second call does nothing; never raises."""
        ...

    @property
    def stays_loaded(self) -> bool:
        """Whether the network stays loaded, and warm, from one `run` to the next.

        Where it does not (a program is started on the device for each run), every `run` warms up by itself first, and
        what it returns is steady.
        """
        ...

    @property
    def peak_memory_bytes(self) -> int | None:
        """The most memory that the process has held so far, the runtime itself included; `None` where not known."""
        ...

    @property
    def baseline_memory_bytes(self) -> int | None:
        """What it held before the network was loaded: the runtime itself; `None` where not known."""
        ...


class Runtime(Protocol):
    """An inference engine on one kind of device, as the profile sets it up.

    Thread safety: methods may be called from several threads at once.
    """

    @property
    def name(self) -> str:
        """Return the name that a profile says: `onnxruntime`, `litert`, ..."""
        ...

    @property
    def formats(self) -> frozenset[str]:
        """Return the formats of network files that it runs: `onnx`, `tflite`."""
        ...

    def versions(self, *, deadline: Deadline) -> Mapping[str, str]:
        """Return the versions that influence latency, by the names of their packages or programs.

        Raises:
            DeviceError: the runtime is not there: says how to get it.
        """
        ...

    def prepare(self, device: Device, *, deadline: Deadline) -> None:
        """Bring to the device what every network needs there, as programs; `open` does so too, within its own deadline.

        Raises:
            DeadlineError: it did not end in time.
            DeviceError: the device refused (another processor, no space).
        """
        ...

    def open(self, device: Device, network: NetworkFile, *, deadline: Deadline) -> Session:
        """Return a session with `network` loaded, in a process of its own where the device allows that.

        Raises:
            NetworkError: this runtime cannot load it: an operation that it does not know, a shape that is not fixed.
            NetworkCrashedError: the process died while it loaded.
            NetworkMemoryError: there is not enough memory.
            DeadlineError: it did not end in time.
            DeviceError: the device refused (no such processor, no space).
        """
        ...

    def rest(self, device: Device, *, deadline: Deadline, cancelled: threading.Event | None) -> bool:
        """Let the device cool before a block, as its profile wants it; returns whether it had to.

        Ends early where `cancelled` is set, and by the deadline. It is no part of what a network takes.

        Raises:
            DeviceConnectionError: the device vanished.
            DeadlineError: it did not answer in time.
        """
        ...

    def forget(self) -> None:
        """Keep nothing of what the sessions opened so far have shared; those that are open go on.

        A runtime may keep something from one `open` to the next that saves time, as a process that has imported what
        all need. Sessions opened before and after this call share nothing. Called between rounds of fresh processes,
        and when the device is closed; never raises.
        """
        ...
