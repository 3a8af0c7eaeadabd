"""Commands on the phone: quoted for its shell, with stdout, stderr and the exit code apart.

Daemons since Android 7 offer `shell,v2`, which frames the three. Older ones (Android 5 and 6) get the same through
`exec:`: stderr goes to a file, and a line that holds a random word tells where stdout ends.

Every command carries a mark in its environment, `HWNAS_RUN=<random>`. Whatever it starts inherits the mark, so that all
of it can be found and ended later, over another connection too.
"""

from __future__ import annotations

import re
import secrets
import struct
from typing import TYPE_CHECKING

from hwnas.device._transport import Completed
from hwnas.device.adb._stream import Reader
from hwnas.errors import DeviceConnectionError, DeviceError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from hwnas._deadline import Deadline
    from hwnas.device.adb._stream import Route, Stream

MARK = "HWNAS_RUN"
_FRAME = struct.Struct("<BI")
_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_ERRORS = "/data/local/tmp/.hwnas-"  # with a command's mark: where daemons without `shell,v2` keep its stderr
#: For `start`: the end of stdin is not known beforehand.
OPEN_ENDED = -1
_STDIN_PIECE = 64 * 1024
_LONGEST_COMMAND = 60_000  # the adb server takes no service name longer than 65 535


def quote(argv: Sequence[str]) -> str:
    """Return a command line that the phone's shell reads as exactly these arguments.

    Raises:
        DeviceError: there is no program, an argument holds a NUL, or all of it is too long.
    """
    words = list(argv)
    if not words or not words[0]:
        raise DeviceError("no program to run", "give its name and its arguments")
    if any("\0" in word for word in words):
        raise DeviceError(f"an argument of {words[0]!r} holds a NUL character", "no program can be given such a one")
    line = " ".join(word if _PLAIN.fullmatch(word) else "'" + word.replace("'", "'\\''") + "'" for word in words)
    if len(line.encode("utf-8", "surrogateescape")) > _LONGEST_COMMAND:
        raise DeviceError(f"the command line of {words[0]!r} is too long", "pass what is long on stdin, or in a file")
    return line


def new_mark() -> str:
    """Return a mark for one command."""
    return secrets.token_hex(8)


def run(route: Route, argv: Sequence[str], *, mark: str, deadline: Deadline, stdin: bytes = b"") -> Completed:
    """Return what `argv` did once it has ended.

    Raises:
        DeviceConnectionError: the connection broke before its exit code came.
        DeadlineError: it did not end in time; it may still run.
        DeviceError: the daemon offers neither `shell,v2` nor `exec`.
    """
    process = start(route, argv, mark=mark, deadline=deadline, stdin_size=len(stdin))
    try:
        process.feed(stdin, deadline=deadline)
        return process.wait(deadline=deadline)
    finally:
        process.close()


def start(route: Route, argv: Sequence[str], *, mark: str, deadline: Deadline, stdin_size: int) -> Process:
    """Return a process on the phone that was just started; see `run`.

    Args:
        route: the way to the phone.
        argv: the program and its arguments.
        mark: what its environment is marked with.
        deadline: by when it must have started.
        stdin_size: how many bytes it will be fed; 0 for none, `OPEN_ENDED` for as many as come.
    """
    line = quote(argv)
    if "shell_v2" in route.features:
        source = "" if stdin_size else " </dev/null"
        command = f"export {MARK}={mark};exec {line}{source}"
        return Process(route.open(f"shell,v2,raw:{command}", deadline=deadline))
    end = secrets.token_hex(16)
    return OldProcess(route.open(f"exec:{_old_command(line, mark, end, stdin_size)}", deadline=deadline), end)


class Process:
    """A process on the phone, over `shell,v2`. Used by one thread at a time."""

    def __init__(self, stream: Stream) -> None:
        """Take over the stream."""
        self._stream = stream
        self._reader = Reader(stream)
        self._stdout = bytearray()
        self.stderr = bytearray()
        self.exit_code: int | None = None

    def feed(self, data: bytes, *, deadline: Deadline, end: bool = True) -> None:
        """Send `data` to its stdin, and then the end of the file unless `end` is false."""
        if not data:
            return
        frames = bytearray()
        for begin in range(0, len(data), _STDIN_PIECE):
            piece = data[begin : begin + _STDIN_PIECE]
            frames += _FRAME.pack(_STDIN, len(piece)) + piece
        if end:
            frames += _FRAME.pack(_CLOSE_STDIN, 0)
        self._send(bytes(frames), deadline)

    def wait(self, *, deadline: Deadline) -> Completed:
        """Return all it wrote, and its exit code, once it has ended."""
        while self.exit_code is None:
            self._step(deadline)
        return Completed(bytes(self._stdout), bytes(self.stderr), self.exit_code)

    def line(self, *, deadline: Deadline) -> bytes | None:
        """Return the next line of its stdout without the line's end; `None` once it has exited and all is read."""
        while True:
            text, found, rest = self._stdout.partition(b"\n")
            if found:
                self._stdout = rest
                return bytes(text)
            if self.exit_code is not None:
                last, self._stdout = bytes(self._stdout), bytearray()
                return last or None
            self._step(deadline)

    def lines(self, count: int, *, deadline: Deadline) -> list[bytes]:
        """Return the next `count` lines; fewer where it ended before."""
        while self._unread().count(b"\n") < count and self.exit_code is None:
            self._step(deadline)
        unread = self._unread()
        found = (
            bytes(unread).split(b"\n", count)[:count] if self.exit_code is None else bytes(unread).splitlines()[:count]
        )
        del unread[: sum(len(line) + 1 for line in found)]
        return found

    def _unread(self) -> bytearray:
        return self._stdout

    def close(self) -> None:
        """End the stream: the daemon hangs up on the process where it still runs."""
        self._stream.close()

    def _step(self, deadline: Deadline) -> None:
        kind, size = _FRAME.unpack(self._reader.read(_FRAME.size, deadline=deadline))
        data = self._reader.read(size, deadline=deadline)
        if kind == _STDOUT:
            self._stdout += data
        elif kind == _STDERR:
            self.stderr += data
        elif kind == _EXIT:
            self.exit_code = data[0]

    def _send(self, data: bytes, deadline: Deadline) -> None:
        try:
            self._stream.send(data, deadline=deadline)
        except DeviceConnectionError:
            if not self._has_exited(deadline):
                raise  # else it ended without reading all of it, as `head` does

    def _has_exited(self, deadline: Deadline) -> bool:
        try:
            self.wait(deadline=deadline)
        except DeviceConnectionError:
            return False
        return True


class OldProcess(Process):
    """A process on the phone, over `exec:`: one stream of bytes, in which a random word tells the end of stdout."""

    def __init__(self, stream: Stream, end: str) -> None:
        """Take over the stream."""
        super().__init__(stream)
        self._end = b"\n" + end.encode() + b" "
        self._all = bytearray()

    def feed(self, data: bytes, *, deadline: Deadline, end: bool = True) -> None:  # noqa: ARG002  # the size was told before
        """Send `data` to its stdin."""
        if data:
            self._send(data, deadline)

    def line(self, *, deadline: Deadline) -> bytes | None:
        """Return the next line of its stdout; see `Process.line`."""
        while self.exit_code is None:
            text, found, rest = self._all.partition(b"\n")
            if found and not rest.startswith(self._end[1:]) and text != self._end[1:]:
                self._all = rest
                return bytes(text)
            self._step(deadline)
        return super().line(deadline=deadline)

    def _unread(self) -> bytearray:
        return self._all if self.exit_code is None else self._stdout

    def _step(self, deadline: Deadline) -> None:
        data = self._stream.receive(deadline=deadline)
        self._all += data
        if data:
            return
        output, found, tail = self._all.rpartition(self._end)
        code, _, stderr = tail.partition(b" ")
        if not found or not code.isdigit():
            raise DeviceConnectionError(
                "the connection to the phone ended before the command did", "see whether the phone is still there"
            )
        self._stdout += output
        self._all.clear()
        self.stderr += stderr
        self.exit_code = int(code)


def end_marked(route: Route, marks: Collection[str] | None, *, deadline: Deadline) -> None:
    """Kill every process of the phone that carries one of the marks, or any mark at all where `None` are given.

    What they left beside is removed.

    Raises:
        DeviceConnectionError: the connection broke.
        DeadlineError: the phone did not answer in time.
    """
    wanted = "[0-9a-f]+" if marks is None else f"({'|'.join(marks)})"
    left = f"{_ERRORS}*" if marks is None else " ".join(f"{_ERRORS}{mark}" for mark in marks)
    run(route, ["sh", "-c", _END_MARKED.format(word=f"{MARK}={wanted}", left=left)], mark="", deadline=deadline)


#: The environment of this script itself holds an empty mark, which does not match: a mark is a hexadecimal word.
_END_MARKED = """\
for round in 1 2 3 4 5; do
    found=$(grep -lsE '{word}' /proc/[0-9]*/environ)
    [ -n "$found" ] || break
    for file in $found; do process=${{file#/proc/}}; kill -9 "${{process%/environ}}" 2>/dev/null; done
done
rm -f {left}
"""


def _old_command(line: str, mark: str, end: str, stdin_size: int) -> str:
    source = "" if stdin_size else " </dev/null"
    counted = f"head -c {stdin_size} | " if stdin_size > 0 else ""
    errors = f"{_ERRORS}{mark or end}"
    return (
        f"exec 2>/dev/null;export {MARK}={mark};{counted}(exec {line}){source} 2>{errors};r=$?;"
        f"printf '\\n{end} %d ' $r;cat {errors};rm -f {errors}"
    )
