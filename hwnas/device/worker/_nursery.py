"""A process that has imported a runtime once, and forks the processes of networks from itself.

What a network's process would do first, start an interpreter and import the runtime, takes longer than measuring a
small network. A fork has its own memory and dies alone; what it shares with its siblings is the layout of the libraries
in memory, so whoever wants another layout starts another nursery.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

from hwnas.device.worker._backend import prepare
from hwnas.device.worker._limits import end_with_parent, file_bytes, peak_bytes
from hwnas.device.worker._loop import Inherited, main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

_FDS = 4  # requests, replies, errors, lifeline
_POLL_S = 0.002


def serve(*, lifeline: int, control: int, backend: Path, load_by_path: Callable[[str, Path], ModuleType]) -> None:
    """Import a runtime, and then fork a process for each message on the socket `control`, until it closes."""
    end_with_parent(lifeline)
    asked = socket.socket(fileno=control)
    module: Any = load_by_path("hwnas_backend", backend)
    prepare(module)
    gc.collect()
    gc.freeze()
    _answer(asked, {})
    while True:
        data, fds, _, _ = socket.recv_fds(asked, 4096, _FDS)
        if not data:
            return
        request = json.loads(data)
        if request["do"] == "wait":
            _answer(asked, {"code": _wait(request["pid"], request["limit_s"])})
            continue
        pid = _fork(fds, asked, module, load_by_path)
        for fd in fds:
            os.close(fd)
        _answer(asked, {"pid": pid})


def _fork(fds: list[int], asked: socket.socket, module: Any, load_by_path: Callable[[str, Path], ModuleType]) -> int:
    inherited = Inherited(module, peak_bytes(), file_bytes())
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):  # here too: who gets its number may kill its group at once
            os.setpgid(pid, pid)
        return pid
    code = 1
    try:
        asked.close()
        os.setpgid(0, 0)
        for number, fd in enumerate(fds[:3]):
            os.dup2(fd, number)
            os.close(fd)
        signal.signal(signal.SIGIO, signal.SIG_DFL)
        main(lifeline=fds[3], load_by_path=load_by_path, inherited=inherited)
        code = 0
    finally:
        os._exit(code)


def _wait(pid: int, limit_s: float) -> int | None:
    """Return how a process ended, negative for a signal; `None` where it has not within the limit."""
    end = time.monotonic() + limit_s
    with contextlib.suppress(ChildProcessError):
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > end:
                return None
            time.sleep(_POLL_S)
    return None


def _answer(asked: socket.socket, reply: dict[str, Any]) -> None:
    asked.sendall(json.dumps(reply).encode() + b"\n")
