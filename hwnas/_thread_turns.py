"""Threads of one process that each use a device, and may find that two of their devices are one."""

from __future__ import annotations

import contextlib
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

from hwnas.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOOK_S = 0.25  # how often a waiting thread looks whether it was told to stop


class ThreadTurns:
    """Lets the threads that joined it wait for each other, where they want one lock, instead of failing as busy."""

    def __init__(self) -> None:
        """Begin without threads."""
        self._guard = threading.Lock()
        self._turns: dict[str, threading.RLock] = {}

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Let this thread take part for the block."""
        token = _joined.set(self)
        try:
            yield
        finally:
            _joined.reset(token)

    @contextlib.contextmanager
    def hold(
        self, key: str, *, on_wait: Callable[[str], None] | None, cancelled: threading.Event | None
    ) -> Iterator[None]:
        """Hold the turn of `key`; a thread that holds it already may take it again.

        Raises:
            StoppedError: `cancelled` was set before it was this thread's turn.
        """
        with self._guard:
            turn = self._turns.setdefault(key, threading.RLock())
        if not turn.acquire(blocking=False):
            if on_wait is not None:
                on_wait("another of these devices, which is the same one under another name")
            while not turn.acquire(timeout=_LOOK_S):
                if cancelled is not None and cancelled.is_set():
                    raise StoppedError("told to stop while it waited for its turn")
        try:
            yield
        finally:
            turn.release()


_joined: ContextVar[ThreadTurns | None] = ContextVar("joined", default=None)


@contextlib.contextmanager
def thread_turn(
    key: str, *, on_wait: Callable[[str], None] | None, cancelled: threading.Event | None
) -> Iterator[None]:
    """Hold the turn of `key` among the threads that this one has joined; of a thread of its own there is none to take.

    Raises:
        StoppedError: `cancelled` was set before it was this thread's turn.
    """
    turns = _joined.get()
    with contextlib.nullcontext() if turns is None else turns.hold(key, on_wait=on_wait, cancelled=cancelled):
        yield
