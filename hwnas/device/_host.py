"""This machine as a device: programs run as child processes, files are copied."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas._files import sha256_of
from hwnas.device._host_probe import HostProbe
from hwnas.device._host_runtime import host_runtimes
from hwnas.device._kinds import TransportKind, checked_options
from hwnas.device._transport import Completed
from hwnas.errors import DeadlineError, DeviceConnectionError, DeviceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas._deadline import Deadline
    from hwnas.device._profile import DeviceProfile

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # as a shell has it


_MOST_MIB = 2**40  # far below what the kernel's limits, in bytes, can say


@dataclass(frozen=True)
class HostOptions:
    """What a profile with the transport `host` can say in `transport_options`.

    Attributes:
        python: another interpreter to run networks with: that of an environment with another runtime version.
        memory_limit_mb: how much memory (MiB) the process of a network may hold; by default what is available.
    """

    python: str | None = None
    memory_limit_mb: int | None = None

    def __post_init__(self) -> None:
        """Check the limit."""
        if self.memory_limit_mb is not None and not 1 <= self.memory_limit_mb <= _MOST_MIB:
            raise ValueError(f"memory_limit_mb is {self.memory_limit_mb}: give 1 to {_MOST_MIB}")


class HostTransport:
    """See `Transport`. Every program has a process group of its own, which is killed as a whole."""

    def __init__(self, options: HostOptions | None = None) -> None:
        """Nothing is to be connected."""
        self.options = options or HostOptions()
        self._guard = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def run(self, argv: Sequence[str], *, deadline: Deadline, stdin: bytes = b"") -> Completed:
        """Return what `argv` did once it has ended; see `Transport.run`."""
        try:
            process = self._start(argv)
        except FileNotFoundError:
            return Completed(b"", f"{argv[0]}: not found".encode(), _NOT_FOUND)
        except PermissionError:
            return Completed(b"", f"{argv[0]}: permission denied".encode(), _NOT_EXECUTABLE)
        except (OSError, ValueError) as exc:
            raise DeviceError(f"{argv[0]} cannot be started: {exc}", "check the program and its arguments") from exc
        try:
            stdout, stderr = process.communicate(stdin, timeout=deadline.timeout_s())
        except subprocess.TimeoutExpired as exc:
            raise DeadlineError(
                f"{argv[0]} did not end in time, and was killed", "give it more time, or look at why it hangs"
            ) from exc
        finally:
            _end(process)
            with self._guard:
                self._running.discard(process)
        if self._closed:
            raise DeviceConnectionError("the connection was closed while a program ran", "open the device again")
        code = process.returncode
        return Completed(stdout, stderr, 128 - code if code < 0 else code)

    def push(self, local: Path, remote: str, *, deadline: Deadline) -> None:
        """Copy a file, whole or not at all; see `Transport.push`."""
        self._copy(local, Path(remote), deadline)

    def pull(self, remote: str, local: Path, *, deadline: Deadline) -> None:
        """Copy a file, whole or not at all; see `Transport.pull`."""
        self._copy(Path(remote), local, deadline)

    def remove(self, remote: str, *, deadline: Deadline) -> None:
        """Remove a file, or a folder with all that is in it."""
        self._check_open()
        deadline.check(f"removing {remote}")
        path = Path(remote)
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as exc:
            raise DeviceError(f"{remote} cannot be removed: {exc.strerror or exc}", "check its permissions") from exc

    def close(self) -> None:
        """End what still runs. A second call does nothing."""
        with self._guard:
            self._closed = True
            for process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def describe(self) -> str:
        """Return one line for people."""
        return "host (this machine)"

    def _start(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._guard:
            self._check_open()
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            self._running.add(process)
        return process

    def _copy(self, source: Path, target: Path, deadline: Deadline) -> None:
        """Copy by way of a temporary file beside the target, compare the hashes, then rename."""
        self._check_open()
        temporary: Path | None = None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".hwnas-", dir=target.parent)
            temporary = Path(name)
            with source.open("rb") as read, os.fdopen(handle, "wb") as write:
                sent = hashlib.sha256()
                while chunk := read.read(1 << 20):
                    deadline.check(f"copying {source}")
                    sent.update(chunk)
                    write.write(chunk)
                os.fsync(write.fileno())
            if sha256_of(temporary) != sent.hexdigest():
                raise DeviceError(f"{target} does not hold what was written to it", "check the disk")
            temporary.chmod(source.stat().st_mode & 0o777)
            temporary.replace(target)
        except OSError as exc:
            raise DeviceError(
                f"{source} cannot be copied to {target}: {exc.strerror or exc}", "check paths, permissions and space"
            ) from exc
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceConnectionError("the connection is closed", "open the device again")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the program's process group, and close its pipes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _connect(profile: DeviceProfile, _deadline: Deadline) -> HostTransport:
    where = f"device {profile.name!r}, transport_options"
    return HostTransport(checked_options(HostOptions, profile.transport_options, source=where))


KIND = TransportKind(
    name="host",
    options=HostOptions,
    connect=_connect,
    probe=lambda profile, _transport: HostProbe(profile.cpus),
    runtimes=host_runtimes,
    lock_key=lambda _profile: "host",
    shares_this_machine=True,
)
