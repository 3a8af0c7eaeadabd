"""Locks between processes: trainings and measurements take turns, and one process measures on a device at a time.

All of them are `flock` locks on small files in one folder of the user's own, so they hold between processes and
between threads of one process, and the kernel releases them when a process dies, by `kill -9` too. The files
stay; their text only says who holds the lock. Child processes never inherit a lock: the files close on exec, and in a
forked child at once.

The folder is `/tmp/hwnas-<uid>`, or what `HWNAS_LOCKS` names: it belongs to one user and one machine, is the same for
all of that user's processes, whatever started them, and outlives their sessions. Two users of one machine do not see
each other's turns.

Whoever waits, waits in the kernel, so that waiting does not disturb the measurement that is waited for.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hwnas._thread_turns import thread_turn
from hwnas.errors import DeviceBusyError, HwnasError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["DeviceLock", "MachineTurns", "runtime_folder"]

_GRACE_S = 0.05  # a lock that is held for less than this is not worth a message
_WAKE_S = 0.25  # how often a waiting thread looks whether it was told to stop

_TMP = Path("/tmp")  # noqa: S108  the folder in it is checked to be the user's own
_open_files: set[int] = set()


def runtime_folder() -> Path:
    """Return the folder of this user's lock files, made where it is missing, for the owner alone.

    Raises:
        HwnasError: it cannot be made, or belongs to somebody else.
    """
    named = os.environ.get("HWNAS_LOCKS")
    # not XDG_RUNTIME_DIR, which goes when a person logs out, nor TMPDIR, which is another one in each job
    shared = _TMP if os.access(_TMP, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    folder = Path(named).absolute() if named else shared / f"hwnas-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as exc:
        raise HwnasError(
            f"cannot make {folder}, the folder of lock files: {exc.strerror or exc}",
            "let HWNAS_LOCKS name a folder of yours",
        ) from exc
    if found.st_uid != os.getuid() or not folder.is_dir() or folder.is_symlink():
        raise HwnasError(
            f"{folder}, the folder of lock files, belongs to somebody else", "let HWNAS_LOCKS name a folder of yours"
        )
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


class MachineTurns:
    """Trainings and measurements on one machine take turns: many trainings together, or one measurement alone.

    A measurement that waits holds back new trainings, and what waits behind a measurement goes before the next one, so
    neither side starves: whoever comes takes the gate first, waits for its turn there, and then leaves the gate to the
    next. Thread-safe; every call of `training` and `measuring` is a turn of its own. Do not ask for a turn while
    holding one: the second could wait for the first.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Use the lock files in `folder`; `runtime_folder()` by default."""
        folder = runtime_folder() if folder is None else folder
        self._gate = folder / "gate.lock"
        self._turn = folder / "turn.lock"

    @contextlib.contextmanager
    def training(
        self, *, on_wait: Callable[[str], None] | None = None, cancelled: threading.Event | None = None
    ) -> Iterator[None]:
        """Hold a turn for one training, beside other trainings and never beside a measurement.

        Args:
            on_wait: called once, with words that say who is waited for, where there is a wait.
            cancelled: ends the wait when it is set.

        Raises:
            StoppedError: `cancelled` was set before the turn came.
        """
        with self._take(fcntl.LOCK_SH, "training", on_wait, cancelled):
            yield

    @contextlib.contextmanager
    def measuring(
        self, *, on_wait: Callable[[str], None] | None = None, cancelled: threading.Event | None = None
    ) -> Iterator[None]:
        """Hold the turn for one measurement, alone on the machine; the arguments are those of `training`."""
        with self._take(fcntl.LOCK_EX, "measurement", on_wait, cancelled):
            yield

    @contextlib.contextmanager
    def _take(
        self, operation: int, what: str, on_wait: Callable[[str], None] | None, cancelled: threading.Event | None
    ) -> Iterator[None]:
        wait = _Wait(on_wait, cancelled)
        with _LockFile(self._turn) as turn:
            with _LockFile(self._gate) as gate:
                wait.until_locked(gate, fcntl.LOCK_EX, lambda: gate.who() or turn.who())
                gate.note(f"a {what} that waits for its turn")
                wait.until_locked(turn, operation, turn.who)
                gate.note("")
            turn.note("a measurement" if operation == fcntl.LOCK_EX else "trainings, the last begun by")
            try:
                yield
            finally:
                if operation == fcntl.LOCK_EX:
                    turn.note("")


class DeviceLock:
    """One process (and one thread of it) uses a device at a time.

    Attributes:
        device_key: what the device is known by on this machine: its name, address or serial.
    """

    def __init__(self, device_key: str, folder: Path | None = None) -> None:
        """Name the device; its lock file lies in `folder`, `runtime_folder()` by default."""
        self.device_key = device_key
        digest = hashlib.sha256(device_key.encode()).hexdigest()[:16]
        self._path = (runtime_folder() if folder is None else folder) / f"device-{digest}.lock"

    @contextlib.contextmanager
    def hold(
        self,
        *,
        wait_s: float = 0.0,
        on_wait: Callable[[str], None] | None = None,
        cancelled: threading.Event | None = None,
    ) -> Iterator[None]:
        """Hold the device.

        Args:
            wait_s: how long to wait for another holder; infinity for as long as it takes.
            on_wait: called once, with words that name the holder, where there is a wait.
            cancelled: ends the wait when it is set.

        Raises:
            DeviceBusyError: somebody else holds it still: names the process, its command and since when.
            StoppedError: `cancelled` was set before the device was free.
        """
        turn = thread_turn(str(self._path), on_wait=on_wait, cancelled=cancelled)
        with turn, _LockFile(self._path) as lock:
            if not _Wait(on_wait, cancelled).until_locked(lock, fcntl.LOCK_EX, lock.who, wait_s=wait_s):
                holder = lock.who() or "another process"
                waited = f" still, after {wait_s:g} s" if wait_s > 0 else ""
                raise DeviceBusyError(
                    f"device {self.device_key!r} is in use{waited}: {holder}",
                    "wait until it is done, or end it; two programs on one device spoil each other's figures",
                )
            lock.note("used by")
            try:
                yield
            finally:
                lock.note("")


@dataclass(frozen=True, slots=True)
class _Holder:
    """Who holds a lock, as its file tells: what for, process id, command and start (ISO 8601, UTC)."""

    what: str
    pid: int
    command: str
    since: str

    @classmethod
    def me(cls, what: str) -> _Holder:
        return cls(what, os.getpid(), _command_name(), datetime.now(UTC).isoformat(timespec="seconds"))

    def describe(self) -> str:
        local = datetime.fromisoformat(self.since).astimezone()
        mine = ", this very process" if self.pid == os.getpid() else ""
        return f"{self.what} pid {self.pid} ({self.command}{mine}), since {local:%Y-%m-%d %H:%M:%S}"


class _LockFile:
    """One open description of a lock file: what `flock` locks. Closing it releases the lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._abandoned = False

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._abandoned:
            self._close()

    def try_lock(self, operation: int) -> bool:
        """Return whether the lock was taken at once."""
        while self._flock(operation | fcntl.LOCK_NB):
            if self._is_current():
                return True
        return False

    def lock(self, operation: int) -> None:
        """Take the lock, however long that takes."""
        while self._flock(operation):
            if self._is_current():
                return

    def note(self, what: str) -> None:
        """Write who holds the lock, and what for; no text where `what` is empty. A courtesy: it may fail."""
        text = json.dumps(asdict(_Holder.me(what))).encode() if what else b""
        if self._fd in _open_files:  # it is not in a forked child
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
                os.pwrite(self._fd, text, 0)

    def who(self) -> str:
        """Return words that name the holder, as the file tells; empty where it does not tell."""
        try:
            return _Holder(**json.loads(self._path.read_bytes())).describe()
        except (OSError, ValueError, TypeError):  # empty, or being written
            return ""

    def abandon(self) -> None:
        """Leave the closing to the thread that still waits for this lock."""
        self._abandoned = True

    def close_abandoned(self) -> None:
        """Close what was abandoned."""
        self._close()

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            try:
                self._fd = os.open(self._path, flags, 0o600)
            except FileNotFoundError:  # somebody has tidied the folder away
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._fd = os.open(self._path, flags, 0o600)
        except OSError as exc:
            raise HwnasError(
                f"cannot open the lock file {self._path}: {exc.strerror or exc}", "its folder must be yours to write to"
            ) from exc
        _open_files.add(self._fd)
        with contextlib.suppress(OSError):  # the sticky bit keeps it from being cleaned up (XDG base directories)
            os.fchmod(self._fd, 0o1600)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd in _open_files:  # it is not in a forked child
            _open_files.discard(fd)
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)  # releases it for a copy in a child too
            os.close(fd)

    def _flock(self, operation: int) -> bool:
        try:
            fcntl.flock(self._fd, operation)
        except BlockingIOError:
            return False
        except OSError as exc:
            raise HwnasError(
                f"cannot lock {self._path}: {exc.strerror or exc}", "its file system must know flock: set TMPDIR"
            ) from exc
        return True

    def _is_current(self) -> bool:
        """Return whether the locked file is still the one at its path; opens the new one where it is not."""
        mine = os.fstat(self._fd)
        with contextlib.suppress(FileNotFoundError):
            there = self._path.stat()
            if (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino):
                return True
        self._close()
        self._open()
        return False


class _Wait:
    """Waiting for locks: tells once whom it waits for, and ends when it is told to stop."""

    def __init__(self, on_wait: Callable[[str], None] | None, cancelled: threading.Event | None) -> None:
        self._on_wait = on_wait
        self._cancelled = cancelled

    def until_locked(
        self, file: _LockFile, operation: int, who: Callable[[], str], *, wait_s: float = math.inf
    ) -> bool:
        """Return whether the lock was taken within `wait_s` seconds."""
        self._check()
        if file.try_lock(operation):
            return True
        if wait_s <= 0:
            time.sleep(_GRACE_S)  # somebody who gave up waiting may hold it for an instant
            return file.try_lock(operation)
        # A thread waits in the kernel for the lock, this one for that thread, for the deadline and for `cancelled`.
        attempt = _Attempt(file, operation)
        try:
            if not attempt.done.wait(min(_GRACE_S, wait_s)):
                self._tell(who() or "another process")
            end = time.monotonic() + wait_s
            while not attempt.done.wait(max(0.0, min(_WAKE_S, end - time.monotonic()))):
                self._check()
                if time.monotonic() >= end:
                    return attempt.settle()
        except BaseException:
            attempt.settle(keep=False)
            raise
        return attempt.settle()

    def _tell(self, who: str) -> None:
        if self._on_wait is not None:
            self._on_wait(who)
            self._on_wait = None

    def _check(self) -> None:
        if self._cancelled is not None and self._cancelled.is_set():
            raise StoppedError("told to stop while it waited for its turn")


class _Attempt:
    """A thread that waits in the kernel for one lock, and can be left to itself."""

    def __init__(self, file: _LockFile, operation: int) -> None:
        self.done = threading.Event()
        self._file = file
        self._operation = operation
        self._error: HwnasError | None = None
        self._settled = threading.Lock()
        self._left = False
        threading.Thread(target=self._run, name="hwnas-lock", daemon=True).start()

    def settle(self, *, keep: bool = True) -> bool:
        """Return whether the lock is held; where the thread still waits, leave the file to it.

        Args:
            keep: false where the caller no longer wants the lock and will close the file.
        """
        with self._settled:
            if not self.done.is_set():
                self._left = True
                self._file.abandon()
                return False
        if self._error is not None and keep:
            raise self._error
        return True

    def _run(self) -> None:
        try:
            self._file.lock(self._operation)
        except HwnasError as exc:
            self._error = exc
        with self._settled:
            self.done.set()
            if self._left:
                self._file.close_abandoned()


def _command_name() -> str:
    """Return the program and its leading words, without options: what a person would call it."""
    program = Path(sys.argv[0] or "python")
    name = program.parent.name if program.name == "__main__.py" else program.name
    words = []
    for word in sys.argv[1:4]:
        if word.startswith("-") or "://" in word:
            break
        words.append(word)
    return " ".join([name, *words])[:80]


def _close_in_child() -> None:
    for fd in _open_files:
        with contextlib.suppress(OSError):
            os.close(fd)
    _open_files.clear()


os.register_at_fork(after_in_child=_close_in_child)
