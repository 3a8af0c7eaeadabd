"""Files to and from the phone, by the daemon's sync service.

Source: Android's `packages/modules/adb/SYNC.TXT`. What is sent here is not yet safe: `_files` checks and renames it.
"""

from __future__ import annotations

import hashlib
import struct
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from typing import TYPE_CHECKING, BinaryIO

from hwnas.device.adb._stream import Reader
from hwnas.errors import DeviceConnectionError, DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwnas._deadline import Deadline
    from hwnas.device.adb._stream import Route, Stream

_HEAD = struct.Struct("<4sI")
_CHUNK = 64 * 1024  # the most that one DATA may hold
_BATCH = 15  # DATA messages that go together: a little less than a packet's 1 MiB
_LONGEST_PATH = 1024


class PhoneFileError(DeviceError):
    """The phone refused a file: its own words are in the message."""


def send_file(
    route: Route,
    source: BinaryIO,
    remote: str,
    *,
    mode: int,
    mtime_s: int,
    deadline: Deadline,
    on_sent: Callable[[int], None] | None = None,
) -> str:
    """Return the sha256 of what was sent from `source` to the file `remote`; folders on the way are made.

    Args:
        route: the way to the phone.
        source: the file, read from where it stands.
        remote: where it goes.
        mode: its permissions and kind.
        mtime_s: when it was changed last.
        deadline: by when it must be there.
        on_sent: called with the number of bytes that have left, again and again.

    Raises:
        PhoneFileError: the phone cannot write it (no such folder, no permission, a full disk).
        DeviceConnectionError: the connection broke; a part of the file may be there.
        DeadlineError: it did not end in time.
    """
    target = f"{remote},{mode}".encode("utf-8", "surrogateescape")
    request = _HEAD.pack(b"SEND", _checked(target)) + target
    stream = route.open("sync:", deadline=deadline)
    try:
        answers = Reader(stream)
        stream.send(request, deadline=deadline)
        digest = _send_content(stream, answers, source, remote, deadline, on_sent or _ignore)
        _send(stream, answers, _HEAD.pack(b"DONE", mtime_s & 0xFFFFFFFF), remote, deadline)
        _expect_okay(answers, remote, deadline)
    finally:
        stream.close()
    return digest


def _send_content(
    stream: Stream,
    answers: Reader,
    source: BinaryIO,
    remote: str,
    deadline: Deadline,
    on_sent: Callable[[int], None],
) -> str:
    """Send a file's content and return its sha256; what is on its way is hashed meanwhile."""
    sent = 0
    digest = hashlib.sha256()
    buffers = [memoryview(bytearray(_BATCH * (_HEAD.size + _CHUNK))) for _ in range(2)]
    hashed: Future[None] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="sha256") as hasher:
        for buffer in cycle(buffers):
            sizes = _fill(buffer, source)
            if hashed is not None:
                hashed.result()  # what lies in the other buffer may be written over from now on
            if not sizes:
                return digest.hexdigest()
            hashed = hasher.submit(_hash, digest, buffer, sizes)
            _send(stream, answers, buffer[: sum(sizes) + len(sizes) * _HEAD.size], remote, deadline)
            sent += sum(sizes)
            on_sent(sent)
    raise AssertionError  # cycle has no end


def _ignore(_sent: int) -> None:
    """Nobody wants to know."""


def _fill(buffer: memoryview, source: BinaryIO) -> list[int]:
    """Put as many DATA messages into `buffer` as fit; returns their sizes, none at the end of the file."""
    used, sizes = 0, []
    while used < len(buffer):
        begin = used + _HEAD.size
        size = source.readinto(buffer[begin : begin + _CHUNK])  # type: ignore[attr-defined]  # files have it
        if not size:
            break
        _HEAD.pack_into(buffer, used, b"DATA", size)
        sizes.append(size)
        used = begin + size
    return sizes


def _hash(digest: hashlib._Hash, buffer: memoryview, sizes: list[int]) -> None:
    used = 0
    for size in sizes:
        used += _HEAD.size + size
        digest.update(buffer[used - size : used])


def receive_file(route: Route, remote: str, target: BinaryIO, *, deadline: Deadline) -> str:
    """Return the sha256 of the file `remote`, which is written to `target`.

    Raises:
        PhoneFileError: there is no such file, or it cannot be read.
        DeviceConnectionError: the connection broke.
        DeadlineError: it did not end in time.
    """
    path = remote.encode("utf-8", "surrogateescape")
    digest = hashlib.sha256()
    stream = route.open("sync:", deadline=deadline)
    try:
        stream.send(_HEAD.pack(b"RECV", _checked(path)) + path, deadline=deadline)
        answers = Reader(stream)
        while True:
            kind, size = _HEAD.unpack(answers.read(_HEAD.size, deadline=deadline))
            if kind == b"DONE":
                return digest.hexdigest()
            data = answers.read(size, deadline=deadline)
            if kind != b"DATA":
                raise _refusal(kind, data, remote)
            digest.update(data)
            target.write(data)
    finally:
        stream.close()


def _send(stream: Stream, answers: Reader, message: bytes | memoryview, remote: str, deadline: Deadline) -> None:
    """Send a part of a file; where the phone has already refused it, say why instead of sending on."""
    if answers.has_input():
        _expect_okay(answers, remote, deadline)
        raise DeviceConnectionError(f"the phone ended the transfer of {remote} early", "try again")
    try:
        stream.send(message, deadline=deadline)
    except DeviceConnectionError:
        if answers.has_input():  # it told the reason before it hung up
            _expect_okay(answers, remote, deadline)
        raise


def _expect_okay(answers: Reader, remote: str, deadline: Deadline) -> None:
    kind, size = _HEAD.unpack(answers.read(_HEAD.size, deadline=deadline))
    if kind != b"OKAY":
        raise _refusal(kind, answers.read(size, deadline=deadline), remote)


def _refusal(kind: bytes, reason: bytes, remote: str) -> DeviceError:
    if kind != b"FAIL":
        return DeviceConnectionError(f"the phone answers {kind!r} in a file transfer", "its ADB daemon may be damaged")
    text = reason.decode("utf-8", "replace").strip()
    if "No space left" in text:
        hint = "free space on the phone; `hwnas device clean` removes what hwnas has put there"
    elif "Permission denied" in text or "Read-only" in text:
        hint = "an unrooted phone lets ADB write below /data/local/tmp and /sdcard"
    else:
        hint = "check the path"
    return PhoneFileError(f"the phone refuses {remote}: {text}", hint)


def _checked(path: bytes) -> int:
    if not path.startswith(b"/") or len(path) > _LONGEST_PATH or b"\0" in path:
        raise PhoneFileError(
            f"{path.decode('utf-8', 'replace')!r} is no path that a phone takes",
            "give an absolute one of up to 1024 bytes",
        )
    return len(path)
