"""The standard streams, whatever they were connected to: a pipe that closes early, a full disk, a closed descriptor.

Results are written to stdout and must arrive, or it is said that they did not. What is said on stderr may get lost.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from hwnas.errors import HwnasError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The exit code of a command whose reader left before the end, as a shell gives it for SIGPIPE.
PIPE_CLOSED = 141

_closed_early = False


def prepare() -> None:
    """Put an empty stream where one is closed, and have stdout write `?` for a letter that its encoding lacks."""
    global _closed_early
    _closed_early = False
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, _empty(number, "w" if number else "r"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def write_result(text: str) -> None:
    """Write to stdout at once; where its reader has left, the text is dropped, and `closed_early` says so from then on.

    Raises:
        HwnasError: it cannot be written.
    """
    with results():
        sys.stdout.write(text)
        sys.stdout.flush()


@contextlib.contextmanager
def results() -> Iterator[None]:
    """Run a block that writes to stdout alone; what becomes of its errors is told at `write_result`."""
    try:
        yield
    except OSError as exc:
        unwritten(exc)


def unwritten(exc: OSError) -> None:
    """Give stdout up after this error: quietly where its reader has left.

    Raises:
        HwnasError: it was another error.
    """
    global _closed_early
    silence(sys.stdout)
    if not isinstance(exc, BrokenPipeError):
        raise HwnasError(
            f"cannot write the result: {exc.strerror or exc}", "check what stdout is connected to, and its free space"
        ) from exc
    _closed_early = True


def closed_early() -> bool:
    """Say whether the reader of stdout left before all was written."""
    return _closed_early


def silence(stream: TextIO) -> None:
    """Lead what is still written to a stream, or waits in it, to nowhere."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def takes_unicode(stream: TextIO) -> bool:
    """Say whether a stream can hold every letter."""
    return (stream.encoding or "utf-8").lower().startswith("utf")


def _empty(number: int, mode: str) -> TextIO:
    """Return an open stream to nowhere, with the descriptor that is its place where that is free."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        os.fstat(number)
    except OSError:
        os.dup2(null, number)  # else the next file to be opened gets it, and whatever a library writes to stdout
        os.close(null)
        null = number
    return io.TextIOWrapper(os.fdopen(null, f"{mode}b"), encoding="utf-8")
