"""The parent's side of a process that runs one network: start it, ask it, and know how it died."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any, Protocol

from hwnas.device.worker._frames import FrameReader, pack
from hwnas.errors import DeadlineError, DeviceError, NetworkCrashedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hwnas._deadline import Deadline

_CHUNK = 1 << 20
_WAKE_S = 2.0  # the end of the process wakes a wait at once; every other waking disturbs what is measured
_TAIL_BYTES = 2000
_DYING_S, _KILLED_S = 5.0, 60.0
_START_ERROR_HINT = "check the interpreter that the profile names, and that more processes may be started"


class Process(Protocol):
    """A process that a `Child` talks to, in a process group of its own.

    Attributes:
        pid: its id, which is also its group's.
        requests: the pipe that it reads, not blocking.
        replies: the pipe that it writes, not blocking.
    """

    pid: int
    requests: int
    replies: int

    def wait(self, limit_s: float) -> int | None:
        """Return how it ended, negative for a signal; `None` where it has not within the limit."""
        ...


class StartedProcess:
    """A program that was started by this process; see `Process`."""

    def __init__(self, command: Sequence[str], errors: int, lifeline: int, environment: Mapping[str, str]) -> None:
        """Start `command`, with the number of the lifeline as its last argument.

        Raises:
            DeviceError: it cannot be started.
        """
        try:
            self._process = subprocess.Popen(
                [*command, str(lifeline)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(environment),
                pass_fds=(lifeline,),
                start_new_session=True,
                bufsize=0,
            )
        except OSError as exc:
            raise DeviceError(f"{command[0]} cannot be started: {exc.strerror or exc}", _START_ERROR_HINT) from exc
        self.pid = self._process.pid
        self.requests, self.replies = (
            os.dup(pipe.fileno()) for pipe in (self._process.stdin, self._process.stdout) if pipe is not None
        )
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()  # type: ignore[union-attr]  # both are pipes

    def wait(self, limit_s: float) -> int | None:
        """Return how it ended; see `Process.wait`."""
        try:
            return self._process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            return None


class Child:
    """One process that answers frames over pipes, in a process group of its own, and that dies with this one.

    One thread at a time asks; `kill` may come from another.
    """

    def __init__(self, start: Callable[[int, int], Process], *, what: str) -> None:
        """Start the process.

        Args:
            start: starts it, given the file for its errors and the lifeline.
            what: what it runs, for messages: the network's file.

        Raises:
            DeviceError: it cannot be started.
        """
        self.what = what
        self._guard = threading.Lock()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        lifeline, self._lifeline = os.pipe()
        try:
            self._process = start(self._errors.fileno(), lifeline)
        except BaseException:
            os.close(self._lifeline)
            self._errors.close()
            raise
        finally:
            os.close(lifeline)
        for pipe in (self._process.requests, self._process.replies):
            os.set_blocking(pipe, False)
        self._closed = False

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def request(
        self, header: Mapping[str, Any], payload: bytes = b"", *, deadline: Deadline
    ) -> tuple[dict[str, Any], bytes]:
        """Return header and payload of the answer to a request.

        Raises:
            DeadlineError: it did not answer in time, and was killed.
            NetworkCrashedError: it died.
        """
        limit_s = deadline.timeout_s()
        unsent = memoryview(pack({**header, "limit_s": limit_s}, payload))
        reader, waiting = FrameReader(), select.poll()
        with self._guard:
            self._check_open()
            requests, replies = self._process.requests, self._process.replies
        waiting.register(replies, select.POLLIN)
        waiting.register(requests, select.POLLOUT)
        while reader.wanted:
            if deadline.passed:
                self.kill()
                raise DeadlineError(
                    f"{self.what}: no answer within {limit_s:.1f} s while it was to {header['do']}",
                    "give it more time, or look at whether the network loops for ever; its process was ended",
                )
            events = dict(waiting.poll(1000 * deadline.remaining_s(_WAKE_S)))
            with self._guard:
                self._check_open()
                if requests in events and unsent:
                    unsent = self._send(requests, unsent)
                    if not unsent:
                        waiting.unregister(requests)
                if replies in events:
                    data = os.read(replies, min(reader.wanted, _CHUNK))
                    if not data:
                        break
                    reader.feed(data)
        else:
            return reader.take()
        raise self._died(str(header["do"]))

    def kill(self) -> None:
        """End the process and all that it started; a second call does nothing."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(_KILLED_S)
            for pipe in (self._process.requests, self._process.replies, self._lifeline):
                os.close(pipe)
            self._errors.close()

    def _send(self, requests: int, unsent: memoryview) -> memoryview:
        try:
            return unsent[os.write(requests, unsent[:_CHUNK]) :]
        except BlockingIOError:
            return unsent
        except BrokenPipeError:  # it died: what it said, and then the end, can be read
            return unsent[len(unsent) :]

    def _check_open(self) -> None:
        if self._closed:
            raise NetworkCrashedError(f"{self.what}: its process was closed", "open another session")

    def _died(self, doing: str) -> NetworkCrashedError:
        code = self._process.wait(_DYING_S)
        said = self._said()
        self.kill()
        message = f"{self.what}: the process that was to {doing} it {_cause(code)}"
        hint = "run it on its own to see why"
        if code == -signal.SIGKILL:
            hint = "the system most likely had no memory left: try a smaller network or batch"
        return NetworkCrashedError(message, f"{hint}; it wrote: {said}" if said else hint)

    def _said(self) -> str:
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _TAIL_BYTES))
        return self._errors.read().decode(errors="replace").strip()


def start_program(command: Sequence[str], environment: Mapping[str, str]) -> Callable[[int, int], Process]:
    """Return what starts `command` for a `Child`, with all of its environment."""
    return lambda errors, lifeline: StartedProcess(command, errors, lifeline, environment)


def worker_command(python: str | None = None) -> list[str]:
    """Return the command that starts the process of a network.

    Args:
        python: another interpreter than this one.
    """
    from hwnas.device import worker

    return [python or sys.executable, f"{next(iter(worker.__path__))}/_start.py"]


def _cause(code: int | None) -> str:
    if code is None:
        return "closed its pipes and went on"
    if code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"ended with exit code {code}"
