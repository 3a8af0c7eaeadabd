"""The loop of the process of one network: load, run n times, infer."""

from __future__ import annotations

import array
import contextlib
import gc
import os
import resource
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwnas.device.worker._backend import RefusedError, prepare
from hwnas.device.worker._energy import PackageMeter
from hwnas.device.worker._frames import FrameReader, pack
from hwnas.device.worker._limits import bind, end_with_parent, file_bytes, limit_memory, peak_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

#: How long this process sleeps before a series. Where the other processors are busy, waking it takes the processor from
#: the parent, which asked and had not gone to sleep yet: it would cut into the series as soon as its turn came.
_SETTLE_S = 0.001
_LIMIT_GRACE_S = 5.0  # the parent ends a process that is late; the limit here is for when the parent cannot
_NO_MEMORY = ("bad_alloc", "out of memory", "failed to allocate", "cannot allocate memory", "failed to map segment")


@dataclass(frozen=True)
class Inherited:
    """What a forked process has from its parent.

    Attributes:
        backend: the runtime's module, imported and prepared.
        peak_bytes: the most memory that the parent has held.
        file_bytes: how much of it was pages of files, which a fork maps anew as it comes to need them.
    """

    backend: Any
    peak_bytes: int
    file_bytes: int


def main(*, lifeline: int, load_by_path: Callable[[str, Path], ModuleType], inherited: Inherited | None = None) -> None:
    """Answer requests until the pipe of requests ends."""
    end_with_parent(lifeline)
    requests, replies = _own_pipes()
    worker = _Worker(load_by_path, inherited)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with contextlib.suppress(EOFError):
        while True:
            request, payload = _read_frame(requests)
            limit_s = request["limit_s"]
            signal.setitimer(signal.ITIMER_REAL, 0 if limit_s is None else limit_s + _LIMIT_GRACE_S)
            data = b""
            try:
                reply, data = worker.answer(request, payload)
            except Exception as exc:  # noqa: BLE001  # every error of a runtime is for the parent to tell
                reply = _describe(exc, request["do"])
            signal.setitimer(signal.ITIMER_REAL, 0)
            _write(replies, pack({**reply, "peak_bytes": worker.peak_bytes}, data))


class _Worker:
    """One network, once it is loaded."""

    def __init__(self, load_by_path: Callable[[str, Path], ModuleType], inherited: Inherited | None) -> None:
        self._load_by_path = load_by_path
        self._inherited = inherited
        self._loaded: Any = None
        self._one_thread = True
        self._meter = PackageMeter()

    @property
    def peak_bytes(self) -> int:
        """The most memory held so far, as if all of the runtime's own pages were mapped here too."""
        unmapped = 0 if self._inherited is None else max(0, self._inherited.file_bytes - file_bytes())
        return peak_bytes() + unmapped

    def answer(self, request: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Return the header and the payload of the reply."""
        if request["do"] == "load":
            return self._load(request), b""
        if request["do"] == "infer":
            outputs, data = self._loaded.infer(request["inputs"], payload)
            return {"outputs": outputs}, data
        time.sleep(_SETTLE_S)
        started_s, counters = time.time(), self._meter.read()
        series = sample(self._loaded.run, request["n"], one_thread=self._one_thread)
        energy_uj = self._meter.between(counters, self._meter.read())
        return {"started_s": started_s, "energy_uj": energy_uj}, b"".join(
            array.array("q", values).tobytes() for values in series
        )

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        bind(request["cpus"])
        self._meter = PackageMeter(request["powercap"])
        if self._inherited is None:
            backend: Any = self._load_by_path("hwnas_backend", request["backend"])
            prepare(backend)
            baseline = peak_bytes()
        else:
            backend, baseline = self._inherited.backend, self._inherited.peak_bytes
        limit_memory(request["memory_limit_bytes"])
        self._loaded = backend.load(
            request["path"], threads=request["threads"], batch=request["batch"], options=request["options"]
        )
        self._one_thread = request["threads"] == 1
        gc.collect()
        gc.freeze()
        gc.disable()
        return {"baseline_bytes": baseline, "inputs": self._loaded.inputs}


def sample(run: Callable[[], object], n: int, *, one_thread: bool) -> tuple[list[int], list[int], list[int]]:
    """Return wall clock, processor time (both in ns) and involuntary switches of `n` inferences in a row.

    Args:
        run: one inference.
        n: how many.
        one_thread: whether this thread does all the work; else the whole process is counted.
    """
    wall, cpu, switches = [0] * n, [0] * n, [0] * n
    whole = resource.RUSAGE_SELF
    who = getattr(resource, "RUSAGE_THREAD", whole) if one_thread else whole
    usage, clock = resource.getrusage, time.perf_counter_ns
    cpu_clock = time.thread_time_ns if one_thread else time.process_time_ns
    before = usage(who).ru_nivcsw
    for index in range(n):
        cpu_start = cpu_clock()
        start = clock()
        run()
        end = clock()
        cpu[index] = cpu_clock() - cpu_start
        wall[index] = end - start
        after = usage(who).ru_nivcsw
        switches[index] = after - before
        before = after
    return wall, cpu, switches


def _describe(error: Exception, doing: str) -> dict[str, Any]:
    text = str(error).strip() or type(error).__name__
    hint = ""
    if isinstance(error, RefusedError):
        fault, hint = error.fault, error.hint
    elif isinstance(error, MemoryError) or any(word in text.lower() for word in _NO_MEMORY):
        fault = "memory"
    elif isinstance(error, ImportError):
        fault = "import"
    else:
        fault, text = "load" if doing == "load" else "run", f"{type(error).__name__}: {text}"
    return {"fault": fault, "message": text, "hint": hint}


def _own_pipes() -> tuple[int, int]:
    """Return the pipes of requests and replies, moved out of the way of native code that reads or prints."""
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return requests, replies


def _read_frame(fd: int) -> tuple[dict[str, Any], bytes]:
    reader = FrameReader()
    while wanted := reader.wanted:
        data = os.read(fd, min(wanted, 1 << 20))
        if not data:
            raise EOFError
        reader.feed(data)
    return reader.take()


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
