"""What on this machine makes latencies vary: settings, and what others did while it was watched."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BUSY_SHARE = 0.05  # of one processor: a process that takes less is not worth a name
_STOLEN_SHARE = 0.01
_MOST_NAMED = 4
_LONG = 200  # a word longer than this is no file's name
_STEADY_GOVERNOR = "performance"


@dataclass(frozen=True, slots=True)
class _Usage:
    name: str
    seconds: float


class HostWatch:
    """Watches from its construction on; `hints` says what was seen, and what to change."""

    def __init__(self, cpus: Sequence[int] | None = None, *, root: Path = Path("/")) -> None:
        """Begin to watch.

        Args:
            cpus: the processors that inferences may use; all by default.
            root: where /proc and /sys lie.
        """
        self._proc, self._sys = root / "proc", root / "sys"
        self._named = cpus is not None
        self._cpus = tuple(cpus) if cpus is not None else tuple(range(os.cpu_count() or 1))
        self._since = time.monotonic()
        self._before = self._usage()
        self._stolen_before = self._stolen_s()
        self._throttled_before = self._throttled()

    def hints(self) -> tuple[str, ...]:
        """Return what makes latencies vary here, the worst first, each with what to do about it."""
        return (
            *self._busy(),
            *self._quota(),
            *self._stolen(),
            *self._clock(),
            *self._siblings(),
            *self._affinity(),
        )

    def _busy(self) -> Iterator[str]:
        elapsed = max(time.monotonic() - self._since, 1e-3)
        shares = sorted(
            (
                ((now.seconds - self._before[pid].seconds if pid in self._before else now.seconds) / elapsed, pid, now)
                for pid, now in self._usage().items()
            ),
            key=lambda item: -item[0],
        )
        busy = [f"{now.name} ({pid}) {share:.0%}" for share, pid, now in shares if share > _BUSY_SHARE]
        if busy:
            more = "" if len(busy) <= _MOST_NAMED else f" and {len(busy) - _MOST_NAMED} more"
            yield (
                f"other programs ran, in shares of one processor: {', '.join(busy[:_MOST_NAMED])}{more}; "
                "end them, or measure when they are done"
            )

    def _quota(self) -> Iterator[str]:
        words = (_text(self._sys / "fs/cgroup/cpu.max") or "max").split()
        if len(words) == 2 and words[0] != "max":
            quota = float(words[0]) / float(words[1])
        else:
            parts = [_text(self._sys / f"fs/cgroup/cpu/cpu.cfs_{name}_us") for name in ("quota", "period")]
            quota = float(parts[0]) / float(parts[1]) if parts[0] and parts[1] and int(parts[0]) > 0 else 0.0
        if quota > 0.0:
            held = self._throttled() - self._throttled_before
            yield (
                f"this container has a quota of {quota:g} processors, and was held back {held} times meanwhile; "
                "give it processors of its own instead (--cpuset-cpus)"
            )

    def _stolen(self) -> Iterator[str]:
        elapsed = max(time.monotonic() - self._since, 1e-3)
        share = (self._stolen_s() - self._stolen_before) / (elapsed * (os.cpu_count() or 1))
        if share > _STOLEN_SHARE:
            yield (
                f"the hypervisor gave {share:.1%} of the processors' time to others; "
                "use a machine whose processors are not shared"
            )

    def _clock(self) -> Iterator[str]:
        governors = {_text(self._cpu(cpu) / "cpufreq/scaling_governor") for cpu in self._cpus} - {None}
        if governors and governors != {_STEADY_GOVERNOR}:
            yield (
                f"the frequency governor is {', '.join(sorted(map(str, governors)))}; "
                "performance is steadier: sudo cpupower frequency-set --governor performance"
            )
        folder = self._sys / "devices/system/cpu"
        switches = ((folder / "intel_pstate/no_turbo", "0", "1"), (folder / "cpufreq/boost", "1", "0"))
        for path, on, off in switches:
            if _text(path) == on:
                yield (
                    "turbo is on, so the clock follows temperature and what the other cores do; "
                    f"turn it off for steadier, slower figures: echo {off} | sudo tee {path}"
                )
                break

    def _siblings(self) -> Iterator[str]:
        shared = sorted(
            {
                found
                for cpu in self._cpus
                if (found := _text(self._cpu(cpu) / "topology/thread_siblings_list")) and not found.isdigit()
            }
        )
        if shared:
            yield (
                f"processors {' and '.join(shared[:_MOST_NAMED])}{' ...' if len(shared) > _MOST_NAMED else ''} "
                "are threads of one core each; keep the other one idle, or turn them off: "
                "echo off | sudo tee /sys/devices/system/cpu/smt/control"
            )

    def _affinity(self) -> Iterator[str]:
        if self._named or len(self._cpus) < 2:
            return
        isolated = _text(self._sys / "devices/system/cpu/isolated")
        if isolated:
            yield f"processors {isolated} are isolated, and the profile does not name them: --cpus {isolated}"
        else:
            last = self._cpus[-1]
            yield (
                "the profile names no processor, so each campaign looks for one (several threads move between all); "
                f"name one that little else uses: --cpus {last}"
            )

    def _cpu(self, cpu: int) -> Path:
        return self._sys / f"devices/system/cpu/cpu{cpu}"

    def _usage(self) -> dict[int, _Usage]:
        """Return the processor time of each other process, by its id; ours and those that we started do not count."""
        found: dict[int, _Usage] = {}
        parents: dict[int, int] = {}
        for path in self._proc.glob("[0-9]*/stat"):
            text = _text(path)
            if not text or ")" not in text:  # it ended meanwhile
                continue
            head, _, rest = text.rpartition(")")
            words = rest.split()
            pid = int(path.parent.name)
            parents[pid] = int(words[1])
            ticks = int(words[11]) + int(words[12])
            found[pid] = _Usage(self._name(pid, head.partition("(")[2]), ticks / os.sysconf("SC_CLK_TCK"))
        return {pid: usage for pid, usage in found.items() if not _descends(pid, os.getpid(), parents)}

    def _name(self, pid: int, short: str) -> str:
        """Return a program's name, and what it runs where it is an interpreter: `python train.py`."""
        words = [word for word in (_text(self._proc / f"{pid}/cmdline") or "").split("\0") if word]
        script = next((word for word in words[1:] if not word.startswith("-") and len(word) < _LONG), "")
        return f"{short} {Path(script).name}".strip()

    def _stolen_s(self) -> float:
        words = (_text(self._proc / "stat") or "").split("\n", 1)[0].split()
        return int(words[8]) / os.sysconf("SC_CLK_TCK") if len(words) > 8 else 0.0

    def _throttled(self) -> int:
        for path in (self._sys / "fs/cgroup/cpu.stat", self._sys / "fs/cgroup/cpu/cpu.stat"):
            for line in (_text(path) or "").splitlines():
                key, _, value = line.partition(" ")
                if key == "nr_throttled":
                    return int(value)
        return 0


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    for _ in range(len(parents)):
        if pid == ancestor:
            return True
        if pid not in parents:
            return False
        pid = parents[pid]
    return False


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
