"""Watch a search: a live panel on a terminal, a line every few seconds elsewhere, and Ctrl-C that stops it cleanly."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hwnas.cli import _output
from hwnas.cli._output import duration, plural
from hwnas.report import GUESS, label, number
from hwnas.search import (
    BatchProposed,
    Event,
    FrontRemeasured,
    LatencyForeseen,
    LatencySettled,
    ReplicaCompleted,
    ReplicaFailed,
    StudyFinished,
    StudyStarted,
    StudyStopped,
    TrialAbandoned,
    TrialFailed,
    Warned,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hwnas.cli._board import Board

#: The panel leaves room for the `^C` that a terminal echoes at its end; a line that wraps would tear it.
_NARROWEST = 40
#: How often a line is written where there is no terminal.
_EVERY_S = 10.0


@contextmanager
def watching(board: Board, *, clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[Event], None]]:
    """Show a search while the block runs, and hand out the listener that it is to call.

    On a terminal the board is a panel that stays at the bottom; what is worth keeping (batches, failures, warnings)
    scrolls by above it. Elsewhere the board is a line every ten seconds at most, when something happened.
    """
    console = _output.human()
    if not console.is_terminal:
        yield _plain_listener(board, clock)
        return
    from rich.live import Live

    class _Panel:
        def __rich__(self) -> Any:
            return board.panel(max(_NARROWEST, console.width - len("^C") - 1))

    live = Live(_Panel(), console=console, refresh_per_second=4, redirect_stdout=False)

    def listen(event: Event) -> None:
        if not live.is_started:  # not before there is something to show: the search may be refused
            live.start()
        board.hear(event)
        log(event)

    try:
        yield listen
    finally:
        live.stop()


def _plain_listener(board: Board, clock: Callable[[], float]) -> Callable[[Event], None]:
    last_s = clock()

    def listen(event: Event) -> None:
        nonlocal last_s
        board.hear(event)
        if log(event):
            return
        if clock() - last_s >= _EVERY_S:
            last_s = clock()
            _output.note(board.line())

    return listen


def log(event: Event) -> bool:
    """Write what is worth keeping of an event as a line on stderr; say whether anything was."""
    match event:
        case StudyStarted():
            done = f", {event.finished} of them done" if event.finished else ""
            verb = "going on with" if event.resumed else "searching"
            _output.note(f"{verb} {event.name}: {plural(event.total, 'trial')}{done}")
        case BatchProposed():
            cost = f", fit {duration(event.fit_s)}, acquisition {duration(event.acquisition_s)}"
            paid = cost if event.fit_s > 0 else ""
            _output.note(f"batch {event.batch + 1}: {plural(len(event.trials), 'trial')} by {event.origin}{paid}")
        case TrialFailed():
            again = "; it will be tried again" if event.retried else ""
            _output.warn(f"trial {event.number} failed: {event.error}{again}", event.hint)
        case TrialAbandoned():
            _output.note(f"trial {event.trial.number}: {event.trial.error}")
        case LatencyForeseen():
            doubt = f", standard error {event.sigma:.0%} in the middle" if event.sigma is not None else ""
            _output.note(
                f"batch {event.batch + 1}: on {event.device} {plural(len(event.measured), 'network')} measured, "
                f"{len(event.predicted)} predicted{doubt}"
            )
        case LatencySettled():
            before, after = event.before.value, event.after.value
            _output.note(
                f"trial {event.number}: {label(event.name)} {GUESS}{number(before)} predicted, "
                f"measured {_changed(before, after)}"
            )
        case FrontRemeasured():
            before, after = event.before.value, event.after.value
            _output.note(
                f"trial {event.number}: {label(event.name)} {number(before)}, measured again {_changed(before, after)}"
            )
        case ReplicaCompleted():
            told = event.trial.values
            figures = ", ".join(
                f"{label(name)} {number(told[name].value)}, trained again {number(value.value)}"
                for name, value in event.values.items()
            )
            _output.note(f"trial {event.trial.number}: {figures}")
        case ReplicaFailed():
            _output.warn(f"training {event.number} of trial {event.trial} again failed: {event.error}", event.hint)
        case Warned():
            _output.warn(event.message, event.hint)
        case StudyStopped():
            _output.note(f"stopped {event.name}: {event.finished} of {plural(event.total, 'trial')} done")
            _output.note(event.hint)
        case StudyFinished():
            _output.note(
                f"finished {event.name}: {plural(event.total, 'trial')}, {len(event.front)} on the front, "
                f"hypervolume {number(event.hypervolume)}"
            )
        case _:
            return False
    return True


def _changed(before: float, after: float) -> str:
    """Return a figure as it is now, and by how much that is another than before."""
    return number(after) + (f" ({after / before - 1:+.0%})" if before else "")
