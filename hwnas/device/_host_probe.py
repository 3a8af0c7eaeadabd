"""What this machine is and in which state: from /proc and /sys where there are such, and `None` where not."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.device._conditions import Conditions, DeviceFacts
from hwnas.device._host_watch import HostWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hwnas._deadline import Deadline
    from hwnas.device._conditions import Scalar

_PROCESSOR_SENSORS = frozenset({"coretemp", "k10temp", "zenpower", "cpu_thermal"})
_BATTERY_CHARGES = {"Charging": True, "Full": True, "Discharging": False, "Not charging": False}


class HostProbe:
    """See `Probe`; reads a few small files, in well under a millisecond."""

    def __init__(self, cpus: Sequence[int] | None = None, *, root: Path = Path("/")) -> None:
        """Look at the processors `cpus`, at all by default; `root` is where /proc and /sys lie."""
        self._proc, self._sys = root / "proc", root / "sys"
        self._cpus = tuple(cpus) if cpus is not None else tuple(range(os.cpu_count() or 1))
        self._all = cpus is None
        self._sensors = self._find_sensors()
        self._batteries = sorted((self._sys / "class/power_supply").glob("BAT*"))

    def facts(self, *, deadline: Deadline) -> DeviceFacts:
        """Return what this machine is."""
        deadline.check("reading what this machine is")
        extra: dict[str, Scalar] = {"host": platform.node(), "python": platform.python_version()}
        driver = _text(self._frequency_folder(self._cpus[0]) / "scaling_driver")
        if driver is not None:
            extra["frequency_driver"] = driver
        return DeviceFacts(
            model=self._cpu_model() or platform.processor() or None,
            architecture=platform.machine() or None,
            os=f"{platform.system()} {platform.release()}",
            logical_cores=os.cpu_count(),
            memory_bytes=_kib(_text(self._proc / "meminfo"), "MemTotal:"),
            extra=extra,
        )

    def conditions(self, *, deadline: Deadline) -> Conditions:
        """Return the state of this machine now."""
        deadline.check("reading the state of this machine")
        frequencies = [_number(self._frequency_folder(cpu) / "scaling_cur_freq") for cpu in self._cpus]
        known = [value / 1000.0 for value in frequencies if value is not None]
        governors = {_text(self._frequency_folder(cpu) / "scaling_governor") for cpu in self._cpus} - {None}
        battery = self._batteries[0] if self._batteries else None
        throttled_s = self._quota_throttled_s()
        return Conditions(
            frequency_mhz=tuple(known) if len(known) == len(self._cpus) else None,
            governor=", ".join(sorted(str(name) for name in governors)) or None,
            temperature_c=self._temperatures(),
            load_1m=self._load(),
            stolen_s=self._stolen_s(),
            memory_available_bytes=_kib(_text(self._proc / "meminfo"), "MemAvailable:"),
            battery_percent=_number(battery / "capacity") if battery else None,
            charging=_BATTERY_CHARGES.get(_text(battery / "status") or "") if battery else None,
            extra={} if throttled_s is None else {"quota_throttled_s": throttled_s},
        )

    def watch(self) -> Callable[[Deadline], tuple[str, ...]]:
        """Begin to watch this machine; see `Probe.watch`."""
        watching = HostWatch(None if self._all else self._cpus, root=self._proc.parent)
        return lambda _deadline: watching.hints()

    def _frequency_folder(self, cpu: int) -> Path:
        return self._sys / f"devices/system/cpu/cpu{cpu}/cpufreq"

    def _cpu_model(self) -> str | None:
        for line in (_text(self._proc / "cpuinfo") or "").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model", "Hardware") and value.strip():
                return value.strip()
        return None

    def _load(self) -> float | None:
        text = _text(self._proc / "loadavg")
        if text:
            return float(text.split()[0])
        with contextlib.suppress(OSError):
            return os.getloadavg()[0]
        return None

    def _stolen_s(self) -> float | None:
        """Return what the hypervisor took from the processors looked at, since the start; the 8th number of each."""
        wanted = {"cpu"} if self._all else {f"cpu{cpu}" for cpu in self._cpus}
        ticks = None
        for line in (_text(self._proc / "stat") or "").splitlines():
            words = line.split()
            if words and words[0] in wanted and len(words) > 8:
                ticks = (ticks or 0) + int(words[8])
        return None if ticks is None else ticks / os.sysconf("SC_CLK_TCK")

    def _quota_throttled_s(self) -> float | None:
        """Return for how long a processor quota has held this container back."""
        for line in (_text(self._sys / "fs/cgroup/cpu.stat") or "").splitlines():
            key, _, value = line.partition(" ")
            if key == "throttled_usec":
                return int(value) / 1e6
        return None

    def _find_sensors(self) -> dict[str, Path]:
        found = {}
        for zone in sorted((self._sys / "class/thermal").glob("thermal_zone*")):
            found[f"{_text(zone / 'type') or 'zone'}/{zone.name.removeprefix('thermal_zone')}"] = zone / "temp"
        for chip in sorted((self._sys / "class/hwmon").glob("hwmon*")):
            name = _text(chip / "name")
            if name in _PROCESSOR_SENSORS:
                for sensor in sorted(chip.glob("temp*_input")):
                    label = _text(chip / sensor.name.replace("_input", "_label"))
                    found[f"{name}/{label or sensor.name.removesuffix('_input')}"] = sensor
        return found

    def _temperatures(self) -> dict[str, float] | None:
        read = {name: _number(path) for name, path in self._sensors.items()}
        return {name: value / 1000.0 for name, value in read.items() if value is not None} or None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _number(path: Path) -> float | None:
    text = _text(path)
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _kib(text: str | None, key: str) -> int | None:
    for line in (text or "").splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return None
