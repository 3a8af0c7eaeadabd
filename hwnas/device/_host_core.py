"""The processor that the inferences of one thread keep to.

A process that sleeps between blocks is woken now on this processor, now on that, often where the process that woke it
is, and meets there whatever has its home on it: the kernel's threads, programs that look around every few milliseconds.
A long loop meets them once, and then the system has put them elsewhere. So all processes of a campaign keep to one
processor: the others get used to that as well. So does the thread that asks, while it asks: it sleeps while they run,
and they sleep while it runs, which keeps the processor as busy as a long loop would.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUSY_COLUMNS = (0, 1, 2, 5, 6, 7)  # of /proc/stat: user, nice, system, irq, softirq, steal
_LEAST = 2


class HomeCore:
    """Looks at the processors from its construction on, and names one when it is asked; the same one ever after."""

    def __init__(self, *, root: Path = Path("/")) -> None:
        """Begin to look; `root` is where /proc and /sys lie."""
        self._proc, self._sys = root / "proc", root / "sys"
        self._before = self._busy_ticks()
        self._chosen: int | None = None

    def choose(self, allowed: set[int] | None = None) -> int | None:
        """Return the least busy of the fastest processors; `None` where there is no choice, or the system cannot bind.

        Args:
            allowed: those that may be used; by default what this process may use.
        """
        if self._chosen is None:
            self._chosen = self._find(allowed if allowed is not None else _allowed())
        return self._chosen

    def _find(self, allowed: set[int]) -> int | None:
        if len(allowed) < _LEAST:
            return None
        speeds = {cpu: self._speed(cpu) for cpu in allowed}
        fastest = [cpu for cpu, speed in speeds.items() if speed == max(speeds.values())]
        now = self._busy_ticks()
        # ties go to the last: the first ones serve the devices
        return min(fastest, key=lambda cpu: (now.get(cpu, 0) - self._before.get(cpu, 0), -cpu))

    def _speed(self, cpu: int) -> int:
        """Return a figure that is larger for faster kinds of processors (ARM big and little, Intel P and E)."""
        folder = self._sys / f"devices/system/cpu/cpu{cpu}"
        for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
            text = _text(folder / name)
            if text.isdigit():
                return int(text)
        return 0

    def _busy_ticks(self) -> dict[int, int]:
        """Return for how long each processor was busy so far, in clock ticks."""
        found = {}
        for line in _text(self._proc / "stat").splitlines():
            words = line.split()
            if words and words[0].startswith("cpu") and words[0][3:].isdigit():
                numbers = [int(word) for word in words[1:]]
                found[int(words[0][3:])] = sum(numbers[index] for index in _BUSY_COLUMNS if index < len(numbers))
        return found


@contextlib.contextmanager
def keeping_to(cpu: int | None) -> Iterator[None]:
    """Have this thread keep to a processor for the block; to any where it is `None`, or may not be used any more."""
    if cpu is None or cpu not in (before := _allowed()):
        yield
        return
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _allowed() -> set[int]:
    return os.sched_getaffinity(0) if sys.platform == "linux" else set()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
