"""A phone as a `Transport`: commands and files, whichever route leads to it, and whatever happens to the connection."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from hwnas._deadline import Deadline
from hwnas.device.adb import _shell
from hwnas.device.adb._files import Files
from hwnas.device.adb._install import Installation
from hwnas.device.adb._link import pause
from hwnas.device.adb._stream import UnreachableError
from hwnas.errors import DeadlineError, DeviceConnectionError, DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from hwnas.device._transport import Completed
    from hwnas.device.adb._stream import Route

    T = TypeVar("T")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 4.0
_FIRST_CONNECTION_S = 2.0  # a phone that was never reached is not tried for longer
_END_S = 2.0  # how long a phone may take to end what was given up


class AdbTransport:
    """See `Transport`. Thread-safe: every call has a stream of its own on the one connection.

    `installation` is what hwnas keeps on the phone.

    A connection that breaks is made again, with growing pauses, until the deadline of the call or `reconnect_s`. Files
    are then sent again; a command is run again only where that cannot do harm, or where it had not been started.
    """

    def __init__(self, connect: Callable[[Deadline], Route], *, reconnect_s: float = 60.0) -> None:
        """Use `connect` to reach the phone; `open` reaches it for the first time."""
        self._connect = connect
        self._reconnect_s = reconnect_s
        self._guard = threading.RLock()
        self._route: Route | None = None
        self._described = "not connected"
        self._reached = False
        self._running: set[str] = set()
        self._strays: set[str] = set()
        self._unwanted: set[str] = set()
        self._closed = False
        self._files = Files(self)
        self.installation = Installation(self)

    def open(self, *, deadline: Deadline) -> None:
        """Reach the phone.

        Raises:
            DeviceConnectionError: it cannot be reached.
            DeadlineError: it did not answer in time.
        """
        self.persist(lambda _route: None, deadline=deadline)

    def run(self, argv: Sequence[str], *, deadline: Deadline, stdin: bytes = b"", harmless: bool = False) -> Completed:
        """Return what `argv` did once it has ended; see `Transport.run`.

        Args:
            argv: the program and its arguments.
            deadline: by when it must have ended.
            stdin: what it may read.
            harmless: whether it can be run again from the start where the connection broke in the middle.
        """

        def attempt(route: Route) -> Completed:
            mark = _shell.new_mark()
            with self.ends_what_it_starts(mark):
                process = _shell.start(route, argv, mark=mark, deadline=deadline, stdin_size=len(stdin))
                try:
                    process.feed(stdin, deadline=deadline)
                    return process.wait(deadline=deadline)
                except DeviceConnectionError as exc:
                    raise exc if harmless else _StartedError(exc) from exc
                finally:
                    process.close()

        try:
            done = self.persist(attempt, deadline=deadline)
        except DeadlineError as exc:
            raise DeadlineError(
                f"{argv[0]} did not end in time on the phone, and was ended",
                "give it more time, or look at why it hangs",
            ) from exc
        if self._closed:
            raise DeviceConnectionError("the connection was closed while a program ran", "open the device again")
        return done

    def start(self, argv: Sequence[str], *, deadline: Deadline) -> RemoteProcess:
        """Return a program that was started and stays, to be talked to by stdin and stdout.

        Raises:
            DeviceConnectionError: the phone cannot be reached.
            DeadlineError: it did not answer in time.
        """

        def attempt(route: Route) -> RemoteProcess:
            mark = _shell.new_mark()
            process = _shell.start(route, argv, mark=mark, deadline=deadline, stdin_size=_shell.OPEN_ENDED)
            with self._guard:
                self._running.add(mark)
            return RemoteProcess(self, process, mark)

        return self.persist(attempt, deadline=deadline)

    def push(self, local: Path, remote: str, *, deadline: Deadline) -> None:
        """Copy a file to the phone, whole and checked, or not at all; see `Transport.push`."""
        self._files.push(local, remote, deadline=deadline)

    def pull(self, remote: str, local: Path, *, deadline: Deadline) -> None:
        """Copy a file from the phone, whole and checked, or not at all; see `Transport.pull`."""
        self._files.pull(remote, local, deadline=deadline)

    def remove(self, remote: str, *, deadline: Deadline) -> None:
        """Remove a file or a folder; see `Transport.remove`."""
        self._files.remove(remote, deadline=deadline)

    def size_and_hash(self, remote: str, *, deadline: Deadline) -> tuple[int, str] | None:
        """Return size and sha256 of a file on the phone; `None` where there is none."""
        return self._files.size_and_hash(remote, deadline=deadline)

    def close(self) -> None:
        """End the connection, and what still runs over it."""
        with self._guard:
            self._closed = True
            route, self._route = self._route, None
            self._strays |= self._running
        if route is not None:
            with contextlib.suppress(DeviceError, DeadlineError):
                self._tidy(route)
            route.close()

    def describe(self) -> str:
        """Return one line for people."""
        return f"adb ({self._described})"

    def route(self, *, deadline: Deadline) -> Route:
        """Return a connection that is not known to be broken, made where there is none."""
        with self._guard:
            if self._closed:
                raise DeviceConnectionError("the connection is closed", "open the device again")
            if self._route is None or not self._route.alive:
                if self._route is not None:
                    self._route.close()
                self._route = None
                self._route = self._connect(deadline)
                self._described = self._route.describe()
                self._reached = True
            try:
                self._tidy(self._route)
            except DeadlineError as exc:  # of tidying alone: the call may have more time
                self._route.close()
                raise DeviceConnectionError(
                    f"{self._described} does not end what was given up before", "see whether the phone still answers"
                ) from exc
            return self._route

    def persist(self, attempt: Callable[[Route], T], *, deadline: Deadline) -> T:
        """Return what `attempt` does with a connection, made again and tried again where it breaks.

        Raises:
            DeviceConnectionError: the phone could not be reached (again) in time, or was never reached.
            DeadlineError: the deadline came.
            DeviceError: what else `attempt` raises.
        """
        pause_s = _FIRST_PAUSE_S
        began_at, broke_at = time.monotonic(), None
        while True:
            try:
                return attempt(self.route(deadline=deadline))
            except _StartedError as exc:
                raise exc.inner from exc
            except _GivenUpError:
                raise  # by a call within this one
            except DeviceConnectionError as exc:
                now = time.monotonic()
                broke_at = now if broke_at is None else broke_at
                if self._closed or (isinstance(exc, UnreachableError) and not self._reached):
                    raise  # what was reached before may be restarting: that looks the same
                waited_s, limit_s = (
                    (now - broke_at, self._reconnect_s)
                    if self._reached
                    else (now - began_at, min(_FIRST_CONNECTION_S, self._reconnect_s))
                )
                if deadline.remaining_s() <= pause_s or waited_s + pause_s > limit_s:
                    raise _GivenUpError(f"{exc.message} (tried for {waited_s:.1f} s)", exc.hint) from exc
            pause(pause_s, deadline)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def end(self, mark: str) -> None:
        """End what was started with `mark`: now, or as soon as the phone can be reached again."""
        with self._guard:
            self._running.discard(mark)
            self._strays.add(mark)
        self._tidy_now()

    def forget_file(self, remote: str, *, afresh: bool) -> None:
        """Remove a file that is not wanted: now, or as soon as the phone can be reached again.

        Args:
            remote: its path.
            afresh: whether the connection is given up first, since what is still on its way would come before.
        """
        with self._guard:
            self._unwanted.add(remote)
            if afresh and self._route is not None:
                self._route.close()
        if afresh:
            with contextlib.suppress(DeviceError, DeadlineError):
                self.route(deadline=Deadline.after(_END_S))  # tidies when it connects
        else:
            self._tidy_now()

    def _tidy_now(self) -> None:
        with self._guard:
            route = self._route
        if route is not None and route.alive:
            with contextlib.suppress(DeviceError, DeadlineError):
                self._tidy(route)

    def _tidy(self, route: Route) -> None:
        with self._guard:
            marks, files = list(self._strays), list(self._unwanted)
        soon = Deadline.after(_END_S)
        if marks:
            _shell.end_marked(route, marks, deadline=soon)
        if files:
            _shell.run(route, ["rm", "-f", *files], mark="", deadline=soon)
        with self._guard:
            self._strays.difference_update(marks)
            self._unwanted.difference_update(files)

    @contextlib.contextmanager
    def ends_what_it_starts(self, mark: str) -> Iterator[None]:
        """Where a command is given up (deadline, lost connection, Ctrl-C), end it on the phone."""
        with self._guard:
            self._running.add(mark)
        try:
            yield
        except DeviceError as exc:
            if isinstance(exc, DeviceConnectionError):
                self.end(mark)
            raise
        except BaseException:
            self.end(mark)
            raise
        finally:
            with self._guard:
                self._running.discard(mark)


class RemoteProcess:
    """A program that stays on the phone. Used by one thread at a time."""

    def __init__(self, transport: AdbTransport, process: _shell.Process, mark: str) -> None:
        """Take over a process that was started with `mark`."""
        self._transport = transport
        self._process = process
        self._mark = mark
        self._closed = False

    @property
    def exit_code(self) -> int | None:
        """How it ended; `None` while it is not known to have ended."""
        return self._process.exit_code

    @property
    def stderr(self) -> bytes:
        """What it has written to stderr so far."""
        return bytes(self._process.stderr)

    def write(self, data: bytes, *, deadline: Deadline) -> None:
        """Send `data` to its stdin, which stays open."""
        self._process.feed(data, deadline=deadline, end=False)

    def line(self, *, deadline: Deadline) -> bytes | None:
        """Return the next line that it writes; `None` once it has ended."""
        return self._process.line(deadline=deadline)

    def lines(self, count: int, *, deadline: Deadline) -> list[bytes]:
        """Return the next `count` lines that it writes; fewer where it ends before."""
        return self._process.lines(count, deadline=deadline)

    def close(self) -> None:
        """End it, with all that it started. Never raises."""
        if self._closed:
            return
        self._closed = True
        self._process.close()
        if self._process.exit_code is None:
            self._transport.end(self._mark)


class _GivenUpError(DeviceConnectionError):
    """A phone that could not be reached again for as long as it is to be tried."""


class _StartedError(Exception):
    """A connection that broke while a command ran, which must not be run twice."""

    def __init__(self, inner: DeviceConnectionError) -> None:
        super().__init__(inner.message)
        self.inner = DeviceConnectionError(
            f"{inner.message}, while a command ran on the phone", inner.hint or "see whether the phone is still there"
        )
