"""What the process of a network may use: processors and memory; and that it ends when its parent does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import sys
from pathlib import Path

from hwnas.device.worker._backend import RefusedError

_MEMORY_SHARE = 0.95
_CGROUP = Path("/sys/fs/cgroup")


def end_with_parent(lifeline: int) -> None:
    """Have the kernel end this process when the other end of the pipe `lifeline` closes.

    The pipe signals SIGIO, and SIGIO that nobody handles terminates. Unlike `PR_SET_PDEATHSIG` this does not fire when
    merely the thread ends that started the process, and it needs no Linux.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        if os.read(lifeline, 1) == b"":  # it was gone before we looked
            os._exit(0)


def bind(cpus: list[int] | None) -> None:
    """Run on these processors only.

    Raises:
        RefusedError: one of them is not there, or the system cannot bind.
    """
    if cpus is None:
        return
    if not hasattr(os, "sched_setaffinity"):
        raise RefusedError("device", "this system cannot bind a process to processors", "leave cpus out of the profile")
    allowed = sorted(os.sched_getaffinity(0))
    missing = [cpu for cpu in cpus if cpu not in allowed]
    if missing:
        raise RefusedError(
            "device",
            f"processor {missing[0]} may not be used here; those that may: {', '.join(map(str, allowed))}",
            "change cpus in the profile",
        )
    os.sched_setaffinity(0, cpus)


def limit_memory(limit_bytes: int | None) -> None:
    """Turn a lack of memory into an error of this process rather than the death of another one.

    Args:
        limit_bytes: how much it may hold; by default nearly all that is available now.
    """
    with contextlib.suppress(OSError):  # the first to go, where the kernel must choose
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    if limit_bytes is None:
        available = available_bytes()
        if available is None:
            return
        limit_bytes = int(available * _MEMORY_SHARE)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = limit_bytes if hard == resource.RLIM_INFINITY else min(limit_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def available_bytes() -> int | None:
    """Return the memory that can still be had: of the machine, or of the container where that is less."""
    known = [value for value in (_status_bytes(Path("/proc/meminfo"), "MemAvailable:"), _cgroup_bytes()) if value]
    return min(known) if known else None


def peak_bytes() -> int:
    """Return the most memory that this process has held.

    From the kernel's status file where there is one: what `getrusage` says of a child counts its parent's memory too.
    """
    found = _status_bytes(Path("/proc/self/status"), "VmHWM:")
    if found is not None:
        return found
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def file_bytes() -> int:
    """Return how much of this process's memory is pages of files, as programs and libraries are; 0 where not known."""
    return _status_bytes(Path("/proc/self/status"), "RssFile:") or 0


def _status_bytes(path: Path, key: str) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in path.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    return None


def _cgroup_bytes() -> int | None:
    """Return what the container's limit leaves, by control groups version 2; `None` where there is no limit."""
    with contextlib.suppress(OSError, ValueError):
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        if limit != "max":
            return max(1, int(limit) - int((_CGROUP / "memory.current").read_text(encoding="ascii")))
    return None
