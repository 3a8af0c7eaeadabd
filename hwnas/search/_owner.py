"""Who holds a trial: a process, by machine, process id and start, so that one that died is told from one that lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

#: Where the kernel does not tell a start directly, it is derived from the clock, which may be set between two readings.
_SAME_START_S = 2.0


@dataclass(frozen=True, slots=True)
class Owner:
    """A process on some machine.

    Attributes:
        host: the machine's name.
        pid: the process id there.
        started_s: when the process started, in seconds since the machine did, or, where only that is known, since 1970.
            Process ids are used again, starts are not.
    """

    host: str
    pid: int
    started_s: float

    @classmethod
    def me(cls) -> Owner:
        """Return this process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Owner:
        """Return a process of this machine.

        Raises:
            psutil.Error: there is none, or it may not be looked at.
        """
        return cls(socket.gethostname(), pid, round(_started_s(psutil.Process(pid)), 2))

    @classmethod
    def parse(cls, text: str) -> Owner:
        """Return the owner that `str` wrote."""
        host, pid, started_s = text.rsplit(":", 2)
        return cls(host, int(pid), float(started_s))

    def __str__(self) -> str:
        """Return `host:pid:start`."""
        return f"{self.host}:{self.pid}:{self.started_s:.2f}"

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, on this machine."""
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs; one on another machine is taken to, for nobody here can tell."""
        if not self.is_here:
            return True
        try:
            process = psutil.Process(self.pid)
            same = abs(_started_s(process) - self.started_s) < _SAME_START_S
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True


def _started_s(process: psutil.Process) -> float:
    """Return when a process started; on Linux by no clock that anybody sets (proc(5), `stat`, field 22)."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        started_s: float = process.create_time()
        return started_s


def is_lost(owner: str | None, *, everywhere: bool = False) -> bool:
    """Say whether nobody holds what `owner` names: no owner, or one that died.

    Args:
        owner: the text of an `Owner`, or `None`.
        everywhere: count owners on other machines as dead; for when one knows that no other machine is at work.
    """
    if owner is None:
        return True
    parsed = Owner.parse(owner)
    return not parsed.is_alive or (everywhere and not parsed.is_here)
