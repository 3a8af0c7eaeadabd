"""Our own runner on the phone: a process that keeps its network loaded and answers with raw nanoseconds.

The format of its lines is told in `hwnas/device/runner/runner.cc`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hwnas.device._runtime import Block
from hwnas.device.adb._onphone import PhoneRuntime, ended_error
from hwnas.device.adb._probe import BOOT_ID
from hwnas.errors import (
    DeviceConnectionError,
    DeviceError,
    HwnasError,
    MeasurementError,
    NetworkCrashedError,
    NetworkError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hwnas._deadline import Deadline
    from hwnas.device._device import Device
    from hwnas.device.adb._transport import RemoteProcess
    from hwnas.network import NetworkFile

T = TypeVar("T")
_FORMAT = b"hwnas-runner 1"
_WARM_AGAIN = 50  # inferences that a process runs before it goes on where another was lost


class RunnerRuntime(PhoneRuntime):
    """See `Runtime`. `flags` are the runner's own settings."""

    flags: tuple[str, ...] = ()

    def versions(self, *, deadline: Deadline) -> Mapping[str, str]:
        """Return the runner and the library by their hashes; nothing is sent.

        Raises:
            DeviceError: one is not named, or is not there.
        """
        deadline.check("reading the runner")
        files = self.files()
        if len(files) == 1:
            raise DeviceError(
                f"device {self.profile.name!r} names no library for hwnas-runner",
                "set transport_options.library to the phone's libonnxruntime.so or libtensorflowlite_jni.so "
                "(docs/android.md says where to get it)",
            )
        return self.describe(files)

    def open(self, device: Device, network: NetworkFile, *, deadline: Deadline) -> RunnerSession:
        """Return a session with `network` loaded, in a process of its own; see `Runtime.open`."""
        folder = self.install(device, deadline=deadline)
        remote = self.send(network, deadline=deadline)
        try:
            return RunnerSession(
                self, device, str(network.path), self._command(folder, remote), remote, deadline=deadline
            )
        except BaseException:
            self.discard(remote)
            raise

    def _command(self, folder: str, remote: str) -> list[str]:
        files = self.files()
        pinned = [] if self.profile.cpus is None else ["--cpus", ",".join(str(cpu) for cpu in self.profile.cpus)]
        return [
            *("env", f"LD_LIBRARY_PATH={folder}", f"{folder}/{files[0].name}"),
            *("--library", f"{folder}/{files[1].name}", "--model", remote),
            *("--runtime", "tflite" if "tflite" in self.formats else "onnxruntime"),
            *("--threads", str(self.profile.threads), "--batch", str(self.profile.batch)),
            *(*pinned, *self.flags, "--serve"),
        ]


@dataclass(frozen=True, slots=True)
class Started:
    """What a runner says when its network is loaded: how long each step took, and its memory."""

    library_ns: int
    load_ns: int
    first_ns: int
    baseline_bytes: int
    peak_bytes: int


class RunnerSession:
    """One network in its process on the phone; see `Session`.

    Where the connection breaks, a new process is started, within the deadline; where that was in a block, it is warmed
    up, and the block is run again.
    """

    stays_loaded = True

    def __init__(
        self,
        runtime: RunnerRuntime,
        device: Device,
        what: str,
        command: list[str],
        remote: str,
        *,
        deadline: Deadline,
    ) -> None:
        """Start the process and wait until the network is loaded."""
        self._runtime = runtime
        self._device = device
        self._what = what
        self._command = command
        self._remote = remote
        self._closed = False
        self._boot = self._boot_id(deadline)
        self._process: RemoteProcess | None = None
        self.started = self._persist(lambda: self._begin(deadline), deadline)
        self._peak_bytes = self.started.peak_bytes

    @property
    def peak_memory_bytes(self) -> int | None:
        """The most memory that the process has held so far."""
        return self._peak_bytes or None

    @property
    def baseline_memory_bytes(self) -> int | None:
        """What it held with the library opened and no network loaded."""
        return self.started.baseline_bytes or None

    def run(self, n: int, *, deadline: Deadline) -> Block:
        """Return the times of `n` inferences in a row; see `Session.run`."""

        def attempt() -> Block:
            if self._process is None:
                self._begin(deadline)
                self._times(_WARM_AGAIN, deadline)
            started_at = datetime.now(UTC)
            wall, cpu, switches = self._times(n, deadline)
            conditions = self._device.conditions(deadline=deadline)
            return Block(wall, cpu, switches, started_at, conditions)

        if self._closed:
            raise MeasurementError(f"{self._what}: the session is closed", "load the network again")
        return self._persist(attempt, deadline)

    def close(self) -> None:
        """End the process and remove the network from the phone. A second call does nothing; never raises."""
        if self._closed:
            return
        self._closed = True
        self._drop()
        self._runtime.discard(self._remote)

    def _persist(self, work: Callable[[], T], deadline: Deadline) -> T:
        """Return what `work` returns, done again where the connection broke, or the phone restarted, meanwhile."""

        def attempt(_: object) -> T:
            try:
                return work()
            except DeviceConnectionError:
                self._drop()
                raise
            except NetworkCrashedError as exc:
                self._drop()
                if self._has_restarted(deadline):
                    raise DeviceConnectionError("the phone restarted", "see why: heat, or an empty battery") from exc
                raise

        return self._runtime.transport.persist(attempt, deadline=deadline)

    def _begin(self, deadline: Deadline) -> Started:
        """Start the process and wait until the network is loaded; returns what it says then."""
        self._process, self.started = self._start(deadline)
        return self.started

    def _has_restarted(self, deadline: Deadline) -> bool:
        """Return whether the phone has started anew since the network was loaded: then the network is not to blame."""
        before, self._boot = self._boot, self._boot_id(deadline)
        return self._boot != before

    def _boot_id(self, deadline: Deadline) -> bytes:
        return self._runtime.transport.run(["cat", BOOT_ID], deadline=deadline, harmless=True).stdout

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _start(self, deadline: Deadline) -> tuple[RemoteProcess, Started]:
        process = self._runtime.transport.start(self._command, deadline=deadline)
        try:
            line = process.line(deadline=deadline)
            known = line == _FORMAT
            while known and line is not None and not line.startswith((b"ready ", b"error ")):
                line = process.line(deadline=deadline)
            if known and line is not None and line.startswith(b"ready "):
                return process, Started(**_fields(line))
            error = self._error(process, line, deadline)
        except BaseException:
            process.close()
            raise
        process.close()
        raise error

    def _times(self, n: int, deadline: Deadline) -> tuple[Any, Any, Any]:
        """Return wall clock, processor time and switches of `n` inferences, `int64[n]` each."""
        process = self._process
        if process is None:
            raise DeviceConnectionError(f"{self._what}: its process on the phone is gone", "load the network again")
        remaining_s = deadline.remaining_s()
        limit_s = 0 if math.isinf(remaining_s) else max(1, math.ceil(remaining_s))
        process.write(f"run {n} {limit_s}\n".encode(), deadline=deadline)
        head = process.line(deadline=deadline)
        if head is None or not head.startswith(b"block "):
            raise self._error(process, head, deadline)
        lines = process.lines(n, deadline=deadline)
        end = process.line(deadline=deadline)
        if len(lines) != n or end is None or not end.startswith(b"end "):
            raise self._error(process, end, deadline)
        self._peak_bytes = _fields(end)["peak_bytes"]
        figures = np.array([line.split() for line in lines], dtype=np.int64)
        return figures[:, 0], figures[:, 1], figures[:, 2]

    def _error(self, process: RemoteProcess, line: bytes | None, deadline: Deadline) -> HwnasError:
        """Return what a process means that does not answer as it should."""
        if line is not None and line.startswith(b"error "):
            _, kind, text = (line.decode("utf-8", "replace") + "  ").split(" ", 2)
            return _told(kind, text.strip(), self._what)
        while line is not None:
            line = process.line(deadline=deadline)
        if process.exit_code:
            return ended_error(self._what, process.exit_code, process.stderr)
        return DeviceError(
            "the program on the phone does not speak as hwnas-runner of this version does",
            "build it anew from hwnas/device/runner, or name the right file in transport_options.runner",
        )


def _told(kind: str, text: str, what: str) -> HwnasError:
    """Return the error that the runner told by its kind."""
    if kind == "model":
        return NetworkError(
            f"{what} cannot be loaded on the phone: {text}", "its runtime may not know an operation of it"
        )
    if kind == "inference":
        return MeasurementError(f"{what} fails when it is run on the phone: {text}", "check it with the runtime alone")
    hints = {
        "library": "transport_options.library must name the phone's build of the runtime",
        "device": "cpus must name processors that the phone has and that are switched on",
    }
    return DeviceError(f"hwnas-runner on the phone: {text}", hints.get(kind, "build it anew from hwnas/device/runner"))


def _fields(line: bytes) -> dict[str, int]:
    """Return the `name=number` words of a line."""
    pairs = (word.split("=", 1) for word in line.decode("ascii", "replace").split() if "=" in word)
    return {name: int(value) for name, value in pairs}
