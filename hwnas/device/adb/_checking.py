"""The hash of a file on the phone, taken while the file arrives, so that checking adds next to nothing to sending.

A shell script on the phone is told by its stdin which ranges of the file have left this machine; `dd` hands each to one
`sha256sum`. What was sent is not yet written, so the script waits until the file is as long as a range needs. Where it
gives up, or the phone lacks a program, the whole file is hashed afterwards: nothing rests on this coming to an end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from hwnas.device.adb import _shell

if TYPE_CHECKING:
    from types import TracebackType

    from hwnas._deadline import Deadline
    from hwnas.device.adb._stream import Route
    from hwnas.device.adb._transport import AdbTransport

_BLOCK = 1 << 20
_RANGE = 16 * _BLOCK  # what `dd` is started for, at least: some 20 ms of hashing
_BEHIND = 4 * _BLOCK  # buffers between here and the phone's storage hold about as much
#: Smaller files are hashed afterwards: that is one process, and as quick.
WORTH_IT = _RANGE + _BEHIND
#: $1 is the file, $2 its name in the end. Its stdin: lines `SKIP COUNT BYTES`; when all is written, `end SKIP` and the
#: sha256. It waits for a range for half a minute. The last range has no end, so that a longer file is another one.
_SCRIPT = f"""\
stat -c %s . >/dev/null 2>&1 && command -v sha256sum >/dev/null && command -v dd >/dev/null || exit 127
hash=$( {{
    while read -r skip count bytes && [ "$skip" != end ]; do
        left=600
        while size=$(stat -c %s "$1" 2>/dev/null); [ "${{size:-0}}" -lt "$bytes" ] && [ $left -gt 0 ]; do
            left=$((left - 1)); sleep 0.05 || left=0
        done
        dd if="$1" bs={_BLOCK} skip="$skip" count="$count" 2>/dev/null
    done
    [ "$skip" != end ] || dd if="$1" bs={_BLOCK} skip="$count" 2>/dev/null
}} | sha256sum )
read -r digest && [ "${{hash%% *}}" = "$digest" ] || exit 65
[ ! -d "$2" ] || exit 66
exec mv -f "$1" "$2"
"""


class RunningCheck:
    """A check that goes on while a file is sent. A context manager: it ends what it started on the phone."""

    def __init__(self, transport: AdbTransport, route: Route, part: str, remote: str, *, deadline: Deadline) -> None:
        """Start it: the file `part` will be called `remote` once it has been found whole."""
        self._deadline = deadline
        self._told = 0  # blocks
        self._ending = transport.ends_what_it_starts(mark := _shell.new_mark())
        self._ending.__enter__()
        argv = ["sh", "-c", _SCRIPT, "sh", part, remote]
        try:
            self._process = _shell.start(route, argv, mark=mark, deadline=deadline, stdin_size=_shell.OPEN_ENDED)
        except BaseException as exc:
            self._ending.__exit__(type(exc), exc, exc.__traceback__)
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process on the phone, if it still runs."""
        self._process.close()
        self._ending.__exit__(kind, error, trace)

    def sent(self, size: int) -> None:
        """Take note that the first `size` bytes have left this machine."""
        until = (size - _BEHIND) // _BLOCK
        if until - self._told >= _RANGE // _BLOCK:
            self._tell(f"{self._told} {until - self._told} {until * _BLOCK}\n")
            self._told = until

    def finish(self, digest: str) -> bool:
        """Return whether the file was found to be this one, and has its name; if not, it is not known what it is."""
        self._tell(f"end {self._told}\n{digest}\n")
        return self._process.wait(deadline=self._deadline).exit_code == 0

    def _tell(self, lines: str) -> None:
        self._process.feed(lines.encode(), deadline=self._deadline, end=False)
