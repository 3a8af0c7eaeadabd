"""The parent's side of a process that has imported a runtime, and that forks the processes of networks from itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Any

from hwnas.errors import HwnasError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwnas._deadline import Deadline

_IMPORT_S, _ANSWER_S = 60.0, 10.0


class NurseryLostError(HwnasError):
    """There is no nursery, or no longer; a program of its own may still be started. Never leaves the package."""


class Nursery:
    """A process that forks others; it ends when it was retired and its last child is gone, and when this process dies.

    Several threads may use it.
    """

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], deadline: Deadline) -> None:
        """Start it, and wait until the runtime is imported.

        Args:
            command: the worker's program and the runtime's module.
            environment: all of its environment.
            deadline: by when it must be there.

        Raises:
            NurseryLostError: it is not.
        """
        self._closed = True
        self._guard = threading.RLock()
        self._children = 0
        self._retired = False
        self._control, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno()), str(lifeline)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(environment),
                pass_fds=(theirs.fileno(), lifeline),
                start_new_session=True,
            )
        except OSError as exc:
            os.close(self._lifeline)
            self._control.close()
            raise NurseryLostError(f"{command[0]} cannot be started: {exc.strerror or exc}") from exc
        finally:
            theirs.close()
            os.close(lifeline)
        self._closed = False
        self._read(deadline.remaining_s(_IMPORT_S))

    def __del__(self) -> None:
        """End it where nobody can ask any more."""
        self._close()

    def fork(self, errors: int, lifeline: int) -> ForkedProcess:
        """Return another process, forked.

        Raises:
            NurseryLostError: the nursery died.
        """
        requests, ours_requests = os.pipe()
        ours_replies, replies = os.pipe()
        try:
            with self._guard:
                pid = self._ask({"do": "fork"}, [requests, replies, errors, lifeline])["pid"]
                self._children += 1
        except BaseException:
            os.close(ours_requests)
            os.close(ours_replies)
            raise
        finally:
            os.close(requests)
            os.close(replies)
        return ForkedProcess(self, pid, ours_requests, ours_replies)

    def wait(self, pid: int, limit_s: float) -> int | None:
        """Return how a child ended; `None` where it has not within the limit, or where the nursery is gone.

        To be asked until it tells; then never again, for another process may have the number.
        """
        with self._guard, contextlib.suppress(NurseryLostError):
            code: int | None = self._ask({"do": "wait", "pid": pid, "limit_s": limit_s}, [], limit_s)["code"]
            if code is not None:
                self._children -= 1
                if self._retired:
                    self.retire()
            return code
        return None

    def retire(self) -> None:
        """Fork no more; it ends with its last child. A second call does nothing."""
        with self._guard:
            self._retired = True
            if self._children == 0:
                self._close()

    def _ask(self, request: dict[str, Any], fds: list[int], limit_s: float = 0.0) -> dict[str, Any]:
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], fds)
        except OSError as exc:
            self._close()
            raise NurseryLostError(f"the process that imported the runtime is gone: {exc}") from exc
        return self._read(limit_s + _ANSWER_S)

    def _read(self, limit_s: float) -> dict[str, Any]:
        """Return one answer, a line."""
        self._control.settimeout(max(limit_s, 0.001))
        data = b""
        try:
            while not data.endswith(b"\n"):
                more = self._control.recv(4096)
                if not more:
                    raise ConnectionResetError("it ended")  # noqa: TRY301  # as any other broken connection
                data += more
        except OSError as exc:
            self._close()
            raise NurseryLostError(f"the process that imported the runtime does not answer: {exc}") from exc
        except BaseException:  # interrupted: its answer would be taken for that to the next question
            self._close()
            raise
        reply: dict[str, Any] = json.loads(data)
        return reply

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._lifeline)
        self._control.close()


class ForkedProcess:
    """A process that a nursery forked; see `hwnas.device._child.Process`."""

    def __init__(self, nursery: Nursery, pid: int, requests: int, replies: int) -> None:
        """Take over the pipes."""
        self.pid, self.requests, self.replies = pid, requests, replies
        self._nursery = nursery
        self._code: int | None = None

    def wait(self, limit_s: float) -> int | None:
        """Return how it ended; see `Process.wait`."""
        if self._code is None:
            self._code = self._nursery.wait(self.pid, limit_s)
        return self._code
