"""ONNX Runtime's own `onnxruntime_perf_test` on the phone: every run's time stands in its result file.

It is started for each block, and warms up by itself. Flags and the file's format are those of
`onnxruntime/test/perftest` in ONNX Runtime 1.8 to 1.31: one line a run, `model,seconds,peak bytes,processor %,number`.
"""

from __future__ import annotations

import math
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from hwnas.device._runtime import Block
from hwnas.device.adb._install import FOLDER
from hwnas.device.adb._onphone import ended_error
from hwnas.device.adb._tool import ToolRuntime, ToolSession
from hwnas.errors import MeasurementError, NetworkError

if TYPE_CHECKING:
    from hwnas._deadline import Deadline

_WARM_UP = 20
_LEVELS = {"none": "0", "basic": "1", "extended": "2", "all": "99"}
_FIELDS = 5


class PerfTestSession(ToolSession):
    """See `ToolSession`."""

    _runtime: PerfTestRuntime

    def run(self, n: int, *, deadline: Deadline) -> Block:
        """Return the times of `n` inferences in a row, after a warm-up that does not count; see `Session.run`."""
        transport = self._runtime.transport
        started_at = datetime.now(UTC)
        result = f"{FOLDER}/networks/{secrets.token_hex(8)}.csv"
        extra = _WARM_UP if n > 1 else 0
        argv = self._runtime.command(self._folder, self._remote, result, n + extra)
        try:
            done = transport.run(argv, deadline=deadline, harmless=True)
            conditions = self._device.conditions(deadline=deadline)
            if done.exit_code != 0:
                raise _failed(self._what, done.exit_code, done.stderr or done.stdout)
            text = transport.run(["cat", result], deadline=deadline, harmless=True).stdout.decode("utf-8", "replace")
        finally:
            self._runtime.discard(result)
        seconds, peak = read_result(text, self._what)
        if len(seconds) < n + extra:
            raise MeasurementError(
                f"{self._what}: onnxruntime_perf_test wrote {len(seconds)} times of {n + extra}",
                "see what it says itself",
            )
        self.peak_memory_bytes = peak or None
        samples = np.rint(np.array(seconds[-n:]) * 1e9).astype(np.int64)
        return Block(samples, None, None, started_at, conditions)


class PerfTestRuntime(ToolRuntime):
    """See `ToolRuntime`."""

    program = "onnxruntime_perf_test"
    session = PerfTestSession
    level = "all"
    spinning = True

    def command(self, folder: str, remote: str, result: str, runs: int) -> list[str]:
        """Return the command that runs a network and writes `result`."""
        threads = str(self.profile.threads)
        return [
            *(*self.words(folder), "-m", "times", "-r", str(runs), "-I"),
            *("-x", threads, "-y", "1", "-o", _LEVELS[self.level]),
            *("-e", self.provider, *(() if self.spinning else ("-D",)), remote, result),
        ]


def read_result(text: str, what: str) -> tuple[list[float], int]:
    """Return every run's seconds, in order, and the peak memory in bytes, from a result file.

    A connection that broke may have had the program run twice, which appends: the last series counts.

    Raises:
        MeasurementError: it holds no times.
    """
    seconds: list[float] = []
    peak = 0
    for line in text.splitlines():
        fields = line.rsplit(",", _FIELDS - 1)
        if len(fields) != _FIELDS or not fields[4].strip().isdecimal():
            continue
        if int(fields[4]) == 0:
            seconds.clear()
        try:
            seconds.append(float(fields[1]))
            peak = max(peak, int(fields[2]))
        except ValueError:
            seconds.clear()
            break
    if not seconds or not all(0 < value < math.inf for value in seconds):
        raise MeasurementError(f"{what}: the result of onnxruntime_perf_test holds no times", "see what it says itself")
    return seconds, peak


def _failed(what: str, exit_code: int, said: bytes) -> Exception:
    error = ended_error(what, exit_code, said)
    text = said.decode("utf-8", "replace")
    if "Load model" in text or "NOT_IMPLEMENTED" in text or "INVALID_GRAPH" in text or "INVALID_PROTOBUF" in text:
        return NetworkError(error.message, "its runtime may not know an operation of it")
    return error
