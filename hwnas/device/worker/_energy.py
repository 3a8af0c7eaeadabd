"""Energy that the processor packages take, from the kernel's power capping interface (RAPL, Intel and AMD on Linux).

Each package is a folder `intel-rapl:N` under /sys/class/powercap, whose `name` begins with `package`. Its `energy_uj`
counts microjoules, moves about once a millisecond, and begins again at zero past `max_energy_range_uj`. What a package
takes is what everything on it takes: cores, caches, memory controller, other programs, and its idle power. Nothing is
taken off. Memory modules, disks and screens are not in it.
"""

from __future__ import annotations

from pathlib import Path

#: Where Linux has it. Since 2020 only the superuser may read the counters, unless the system says otherwise.
POWERCAP = "/sys/class/powercap"


class PackageMeter:
    """The energy counters of all packages of this machine."""

    def __init__(self, root: str = POWERCAP) -> None:
        """Find the packages; `root` is where the folders lie."""
        self._counters = []
        for folder in sorted(Path(root).glob("intel-rapl:*")):
            limit = _whole(folder / "max_energy_range_uj")
            if folder.name.count(":") == 1 and _text(folder / "name").startswith("package") and limit:
                self._counters.append((folder / "energy_uj", limit))

    def read(self) -> list[int] | None:
        """Return the counters in microjoules; `None` where there are none, or one may not be read."""
        values = [_whole(path) for path, _ in self._counters]
        known = [value for value in values if value is not None]
        return known if known and len(known) == len(values) else None

    def between(self, before: list[int] | None, after: list[int] | None) -> int | None:
        """Return what was taken between two readings, in microjoules; a counter may have begun again once.

        `None` where a reading is, and where nothing moved: a virtual machine may have counters that stand still.
        """
        if before is None or after is None:
            return None
        limits = [limit for _, limit in self._counters]
        taken = sum(
            end - start if end >= start else end - start + limit
            for start, end, limit in zip(before, after, limits, strict=True)
        )
        return taken or None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _whole(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isascii() and text.isdigit() else None
