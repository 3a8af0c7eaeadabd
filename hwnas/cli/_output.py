"""What goes where: results to stdout, as text or JSON; everything said along the way to stderr."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from hwnas._json import json_text
from hwnas._words import duration as duration
from hwnas._words import plural as plural
from hwnas.cli import _streams

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, RenderableType
    from rich.table import Table

#: Columns that a table may take where nobody looks at it (a pipe, a file), so that nothing is cut off.
_WIDE = 220


@cache
def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    class _Console(Console):
        def on_broken_pipe(self) -> None:
            """Let go what was to be said; rich would end the program."""
            if not stderr:
                raise
            _streams.silence(sys.stderr)

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else _WIDE
    return _Console(stderr=stderr, width=width, highlight=False, soft_wrap=stderr, emoji=False)


def human() -> Console:
    """Return the console on stderr: progress, notes, warnings and errors."""
    return _console(stderr=True)


def show(result: RenderableType) -> None:
    """Write a result for people to stdout; where no terminal pads it, without spaces at the ends of lines.

    Raises:
        HwnasError: it cannot be written.
    """
    console = _console(stderr=False)
    with _streams.results():
        if console.is_terminal:
            console.print(result)
            return
        with console.capture() as captured:  # which touches stdout too
            console.print(result)
        _streams.write_result("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))


def width() -> int:
    """Return how many columns a result may have."""
    return _console(stderr=False).width


def note(text: str) -> None:
    """Say something along the way, on stderr."""
    _say(text)


def warn(message: str, hint: str = "") -> None:
    """Say on stderr that something is not as it should be."""
    _labelled("warning", "yellow", message)
    if hint:
        _labelled("   hint", "cyan", hint)


def fail(message: str, hint: str = "") -> None:
    """Say on stderr what went wrong, and what to try."""
    _labelled("error", "bold red", message)
    if hint:
        _labelled(" hint", "cyan", hint)


def emit(data: Any) -> None:
    """Write data as JSON to stdout; a number that is not finite becomes `null`, as JSON has none.

    Raises:
        HwnasError: it cannot be written.
    """
    _streams.write_result(json_text(data, only_ascii=not _streams.takes_unicode(sys.stdout)))


def table(columns: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a plain table; a column whose name ends in `>` is set to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for column in columns:
        name = column.removesuffix(">")
        right = name != column
        least = max((len(word) for word in name.split()), default=0)  # a heading may wrap, not break
        made.add_column(name, justify="right" if right else "left", no_wrap=right, overflow="fold", min_width=least)
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def _labelled(label: str, style: str, text: str) -> None:
    from rich.text import Text

    indent = "\n" + " " * (len(label) + 2)
    _say(Text.assemble((f"{label}:", style), " ", indent.join(text.splitlines())))


def _say(what: RenderableType) -> None:
    """Write to stderr; where that cannot be written any more, what is said is lost, and the work goes on."""
    try:
        human().print(what, markup=False)
    except OSError:
        _streams.silence(sys.stderr)


def forget_consoles() -> None:
    """Look at stdout and stderr anew; for tests, which put others in their place."""
    _console.cache_clear()
