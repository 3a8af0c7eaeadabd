"""Whole files, to the phone and back: sent under another name, checked by size and sha256, then renamed.

Large ones are hashed on the phone while they arrive: see `_checking`.
A transfer that broke is repeated from its beginning: the sync service cannot append.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from hwnas._files import sha256_of
from hwnas.device.adb import _shell, _sync
from hwnas.device.adb._checking import WORTH_IT, RunningCheck
from hwnas.errors import DeadlineError, DeviceError

if TYPE_CHECKING:
    from hwnas._deadline import Deadline
    from hwnas.device.adb._stream import Route
    from hwnas.device.adb._transport import AdbTransport

_ATTEMPTS_IF_DAMAGED = 3
_NO_SUCH_PROGRAM = 127
_DAMAGED = 65
#: Checks a file that was sent and gives it its name; the program that hashes may be missing (Android 5).
_FINISH = """\
[ ! -d "$2" ] || { echo "it is a folder" >&2; exit 66; }
size=$(stat -c %s "$1" 2>/dev/null || wc -c < "$1")
hash=$(sha256sum < "$1") || exit 127
[ "$size" -eq "$3" ] && [ "${hash%% *}" = "$4" ] || exit 65
mv -f "$1" "$2"
"""
_CHECK = 'stat -c %s "$1" 2>/dev/null || wc -c < "$1"; sha256sum < "$1"'


class Files:
    """File transfers of one transport. Thread-safe."""

    def __init__(self, transport: AdbTransport) -> None:
        """Use this transport's connection."""
        self._transport = transport

    def push(self, local: Path, remote: str, *, deadline: Deadline) -> None:
        """Copy a file to the phone; see `Transport.push`."""
        part = f"{remote}.{secrets.token_hex(4)}.part"
        damaged = 0
        try:
            while damaged < _ATTEMPTS_IF_DAMAGED and not self._transport.persist(
                lambda route: self._push(route, local, part, remote, deadline), deadline=deadline
            ):
                damaged += 1
        except BaseException as exc:
            self._transport.forget_file(part, afresh=isinstance(exc, DeadlineError))
            if isinstance(exc, DeadlineError):
                raise DeadlineError(
                    f"{local} could not be sent to the phone in time", "give it more time, or use a faster connection"
                ) from exc
            raise

        if damaged == _ATTEMPTS_IF_DAMAGED:
            self._transport.forget_file(part, afresh=False)
            raise DeviceError(
                f"{remote} was damaged on its way to the phone {damaged} times", "check cable, network and storage"
            )

    def pull(self, remote: str, local: Path, *, deadline: Deadline) -> None:
        """Copy a file from the phone; see `Transport.pull`."""
        try:
            local.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".hwnas-", dir=local.parent)
        except OSError as exc:
            raise _local_error(local, exc) from exc
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as target:
                self._transport.persist(lambda route: self._pull(route, remote, target, deadline), deadline=deadline)
            part.chmod(0o644)
            part.replace(local)
        except DeadlineError as exc:
            raise DeadlineError(
                f"{remote} could not be fetched from the phone in time", "give it more time, or use a faster connection"
            ) from exc
        except OSError as exc:
            raise _local_error(local, exc) from exc
        finally:
            part.unlink(missing_ok=True)

    def remove(self, remote: str, *, deadline: Deadline) -> None:
        """Remove a file or a folder; see `Transport.remove`."""
        if not remote.startswith("/") or not remote.strip("/"):
            raise DeviceError(f"{remote!r} is not to be removed", "give an absolute path below the root")
        done = self._transport.run(["rm", "-rf", remote], deadline=deadline, harmless=True)
        if done.exit_code != 0:
            raise DeviceError(
                f"{remote} cannot be removed: {_words(done.stderr)}", "check its permissions on the phone"
            )

    def size_and_hash(self, remote: str, *, deadline: Deadline) -> tuple[int, str] | None:
        """Return size and sha256 of a file on the phone; `None` where there is none."""
        done = self._transport.run(["sh", "-c", _CHECK, "sh", remote], deadline=deadline, harmless=True)
        words = done.stdout.split()
        if done.exit_code == 0 and len(words) >= 2 and words[0].isdigit():
            return int(words[0]), words[1].decode("ascii", "replace")
        if done.exit_code != _NO_SUCH_PROGRAM:
            return None
        with tempfile.TemporaryFile() as copy:  # no sha256sum: fetch it and hash it here
            digest = self._transport.persist(lambda route: _received(route, remote, copy, deadline), deadline=deadline)
            return copy.tell(), digest

    def _push(self, route: Route, local: Path, part: str, remote: str, deadline: Deadline) -> bool:
        """Return whether the file arrived as it is, and has its name."""
        try:
            with local.open("rb") as source:
                found = os.fstat(source.fileno())
                with self._checking(route, part, remote, found.st_size, deadline) as check:
                    digest = _sync.send_file(
                        *(route, source, part),
                        mode=stat.S_IFREG | (0o755 if found.st_mode & 0o111 else 0o644),
                        mtime_s=int(found.st_mtime),
                        deadline=deadline,
                        on_sent=check.sent if check else None,
                    )
                    size = source.tell()
                    if check is not None and check.finish(digest):
                        return True
        except OSError as exc:
            raise _local_error(local, exc) from exc
        return self._finish(route, part, remote, size, digest, deadline)

    def _checking(
        self, route: Route, part: str, remote: str, size: int, deadline: Deadline
    ) -> RunningCheck | contextlib.nullcontext[None]:
        """Return the check to go on while the file is sent: none where it is small."""
        if size < WORTH_IT:
            return contextlib.nullcontext()
        return RunningCheck(self._transport, route, part, remote, deadline=deadline)

    def _finish(self, route: Route, part: str, remote: str, size: int, digest: str, deadline: Deadline) -> bool:
        """Check what arrived and give it its name, in one command."""
        argv = ["sh", "-c", _FINISH, "sh", part, remote, str(size), digest]
        done = _shell.run(route, argv, mark=_shell.new_mark(), deadline=deadline)
        if done.exit_code == _NO_SUCH_PROGRAM:
            if self.size_and_hash(part, deadline=deadline) != (size, digest):
                return False
            done = _shell.run(route, ["mv", "-f", part, remote], mark=_shell.new_mark(), deadline=deadline)
        if done.exit_code == _DAMAGED:
            return False
        if done.exit_code != 0:
            raise DeviceError(f"{remote} cannot be written: {_words(done.stderr)}", "check the path on the phone")
        return True

    def _pull(self, route: Route, remote: str, target: BinaryIO, deadline: Deadline) -> None:
        digest = _received(route, remote, target, deadline)
        size = target.tell()
        expected = self.size_and_hash(remote, deadline=deadline)
        if expected != (size, digest):
            raise DeviceError(
                f"{remote} does not arrive as it lies on the phone", "it may be written to at this moment; try again"
            )


def _received(route: Route, remote: str, target: BinaryIO, deadline: Deadline) -> str:
    target.seek(0)
    target.truncate()
    return _sync.receive_file(route, remote, target, deadline=deadline)


def local_sha256(path: Path) -> str:
    """Return the sha256 of a file of this machine.

    Raises:
        DeviceError: it cannot be read.
    """
    try:
        return sha256_of(path)
    except OSError as exc:
        raise _local_error(path, exc) from exc


def _local_error(path: Path, exc: OSError) -> DeviceError:
    return DeviceError(f"{path}: {exc.strerror or exc}", "check the path and its permissions on this machine")


def _words(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())[:300]
