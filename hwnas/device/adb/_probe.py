"""What a phone is and in which state, read by two small shell scripts over the transport."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnas.device._conditions import Conditions, DeviceFacts
from hwnas.device.adb import _android
from hwnas.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hwnas._deadline import Deadline
    from hwnas.device._conditions import Scalar
    from hwnas.device.adb._transport import AdbTransport

#: `dumpsys` takes tens of milliseconds on a phone, and makes it work: what it tells is asked again after this time.
_SERVICES_FRESH_S = 5.0
_MOST_ZONES = 12
_LOW_BATTERY_PERCENT = 20.0
_TELLING_ZONE = re.compile(r"cpu|soc|skin|batt|big|mid|little|quiet|shell|gpu|tsens|mtktscpu", re.IGNORECASE)

BOOT_ID = "/proc/sys/kernel/random/boot_id"
_FACTS = """\
echo '@properties'; getprop
echo '@possible'; cat /sys/devices/system/cpu/possible
echo '@frequencies'
for folder in /sys/devices/system/cpu/cpu[0-9]*; do
    if read -r khz < $folder/cpufreq/cpuinfo_max_freq; then echo "${folder##*/cpu} $khz"; fi
done 2>/dev/null
echo '@memory'; grep MemTotal /proc/meminfo
"""
#: Only what the shell does by itself, so that reading disturbs the phone as little as can be.
_FAST = """\
for cpu in $1; do
    folder=/sys/devices/system/cpu/cpu$cpu/cpufreq
    if read -r value < $folder/scaling_cur_freq; then echo "frequency $value"; fi
    if read -r value < $folder/scaling_governor; then echo "governor $value"; fi
done 2>/dev/null
for zone in $2; do
    if read -r value < $zone/temp && read -r name < $zone/type; then echo "zone $value ${zone##*zone} $name"; fi
done 2>/dev/null
if read -r load rest < /proc/loadavg; then echo "load $load"; fi 2>/dev/null
while read -r name value rest; do
    case $name in MemAvailable:) echo "memory $value"; break ;; esac
done < /proc/meminfo 2>/dev/null
"""
_SERVICES = """\
echo '@thermal'; dumpsys thermalservice
echo '@battery'; dumpsys battery
echo '@power'; dumpsys power | grep -m 1 mWakefulness=
echo '@boot'; cat /proc/sys/kernel/random/boot_id
"""


@dataclass(frozen=True, slots=True)
class _Services:
    """What Android's services said, and when (monotonic clock)."""

    at_s: float
    thermal: _android.Thermal
    battery: _android.Battery
    screen_on: bool | None
    boot_id: str


class AdbProbe:
    """See `Probe`. Thread-safe."""

    def __init__(
        self, transport: AdbTransport, cpus: Sequence[int] | None = None, *, accept_charging: bool = False
    ) -> None:
        """Read over `transport`; frequencies of the processors `cpus`, of all by default."""
        self._transport = transport
        self._accept_charging = accept_charging
        self._cpus = None if cpus is None else tuple(cpus)
        self._zones: list[str] | None = None
        self._services: _Services | None = None
        self._guard = threading.Lock()

    def facts(self, *, deadline: Deadline) -> DeviceFacts:
        """Return what the phone is.

        Raises:
            DeviceError: what answers is no Android device.
            DeviceConnectionError: it cannot be reached.
            DeadlineError: it did not answer in time.
        """
        part = _sections(self._read(_FACTS, deadline=deadline))
        properties = _android.properties(part.get("properties", ""))
        if not properties:
            raise DeviceError(
                f"{self._transport.describe()} does not answer as an Android device does: getprop says nothing",
                "check that the address is a phone's",
            )
        processors = _android.cores(part.get("possible", ""))
        maxima = sorted(
            (int(a), int(b)) for a, b in re.findall(r"^(\d+) (\d+)$", part.get("frequencies", ""), re.MULTILINE)
        )
        memory = re.search(r"(\d+) kB", part.get("memory", ""))
        with self._guard:
            self._cpus = self._cpus or processors or None
        extra: dict[str, Scalar] = {
            "sdk": properties.get("ro.build.version.sdk", ""),
            "abis": properties.get("ro.product.cpu.abilist", ""),
            "build": properties.get("ro.build.fingerprint", ""),
            "cores": _android.core_layout(maxima),
            "adb": self._transport.describe(),
        }
        maker = properties.get("ro.product.manufacturer", "")
        model = properties.get("ro.product.model", "")
        return DeviceFacts(
            model=(model if model.lower().startswith(maker.lower()) else f"{maker} {model}").strip() or None,
            architecture=properties.get("ro.product.cpu.abi") or None,
            os=f"Android {properties.get('ro.build.version.release', '?')}",
            logical_cores=len(processors) or None,
            memory_bytes=None if memory is None else int(memory[1]) * 1024,
            soc=_soc(properties),
            serial=properties.get("ro.serialno") or None,
            extra={name: value for name, value in extra.items() if value},
        )

    def watch(self) -> Callable[[Deadline], tuple[str, ...]]:
        """Return what tells the phone's state at the end; nothing has to be watched meanwhile. See `Probe.watch`."""
        return lambda deadline: _hints(self.conditions(deadline=deadline))

    def conditions(self, *, deadline: Deadline) -> Conditions:
        """Return the phone's state now: frequencies and sensors at this moment, services of the last five seconds."""
        services = self._services_now(deadline)
        lines = self._read(_FAST, self._processors(), self._sensors(deadline), deadline=deadline).splitlines()
        told: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(" ")
            told.setdefault(name, []).append(value)
        frequencies = tuple(float(khz) / 1000.0 for khz in told.get("frequency", ()) if khz.isdigit())
        temperatures = {**services.thermal.temperature_c, **_zones(told.get("zone", ()))}
        if services.battery.temperature_c is not None:
            temperatures["battery"] = services.battery.temperature_c
        extra: dict[str, Scalar] = {"boot_id": services.boot_id} if services.boot_id else {}
        if services.battery.charging is not None:
            extra["charging_disturbs"] = not self._accept_charging
        if services.thermal.skin_c is not None:
            extra["skin_c"] = services.thermal.skin_c
        memory = told.get("memory")
        return Conditions(
            frequency_mhz=frequencies or None,
            governor=", ".join(sorted(set(told.get("governor", ())))) or None,
            temperature_c=temperatures or None,
            load_1m=_float(told.get("load")),
            memory_available_bytes=int(memory[0]) * 1024 if memory and memory[0].isdigit() else None,
            thermal_status=services.thermal.status,
            battery_percent=services.battery.percent,
            charging=services.battery.charging,
            screen_on=services.screen_on,
            extra=extra,
        )

    def forget(self) -> None:
        """Ask the services anew the next time."""
        with self._guard:
            self._services = None

    def _services_now(self, deadline: Deadline) -> _Services:
        with self._guard:
            if self._services is not None and time.monotonic() - self._services.at_s < _SERVICES_FRESH_S:
                return self._services
        part = _sections(self._read(_SERVICES, deadline=deadline))
        found = _Services(
            time.monotonic(),
            _android.thermal(part.get("thermal", "")),
            _android.battery(part.get("battery", "")),
            _android.screen_on(part.get("power", "")),
            part.get("boot", "").strip(),
        )
        with self._guard:
            self._services = found
        return found

    def _processors(self) -> str:
        return " ".join(str(cpu) for cpu in self._cpus or ())

    def _sensors(self, deadline: Deadline) -> str:
        """Return the folders of the sensors that tell of heat, a dozen at most: a phone has a hundred."""
        if self._zones is None:
            listing = self._transport.run(["sh", "-c", _LIST_ZONES], deadline=deadline, harmless=True).stdout
            names = [line.split(" ", 1) for line in listing.decode("utf-8", "replace").splitlines() if " " in line]
            telling = [folder for folder, name in names if _TELLING_ZONE.search(name)]
            with self._guard:
                self._zones = (telling or [folder for folder, _ in names])[:_MOST_ZONES]
        return " ".join(self._zones)

    def _read(self, script: str, *arguments: str, deadline: Deadline) -> str:
        argv = ["sh", "-c", script, "sh", *arguments]
        return self._transport.run(argv, deadline=deadline, harmless=True).stdout.decode("utf-8", "replace")


_LIST_ZONES = """\
for zone in /sys/class/thermal/thermal_zone*; do
    if read -r name < $zone/type; then echo "$zone $name"; fi
done 2>/dev/null
"""


def _sections(text: str) -> dict[str, str]:
    """Return the parts of a script's output by the names in its `@name` lines."""
    pieces = re.split(r"^@(\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def _zones(lines: Sequence[str]) -> dict[str, float]:
    """Return the temperatures of `value number name` lines; sensors of one name keep apart by their numbers."""
    found: dict[str, float] = {}
    for line in lines:
        value, number, name = [*line.split(" ", 2), "", ""][:3]
        celsius = _android.zone_temperature(value)
        if celsius is not None:
            found[name if name not in found else f"{name} {number}"] = celsius
    return found


def _soc(properties: dict[str, str]) -> str | None:
    maker, model = properties.get("ro.soc.manufacturer", ""), properties.get("ro.soc.model", "")
    return f"{maker} {model}".strip() or properties.get("ro.board.platform") or properties.get("ro.hardware") or None


def _float(values: Sequence[str] | None) -> float | None:
    try:
        return float(values[0]) if values else None
    except ValueError:
        return None


def _hints(state: Conditions) -> tuple[str, ...]:
    """Return what of a phone's state makes latencies vary, each with what to do about it."""
    tune = "`hwnas device tune` asks for a fixed clock, where the phone has one"
    said = {
        f"the phone reports thermal status {state.thermal_status}; let it cool, out of its case": state.thermal_status,
        "the phone is being charged, which heats it; measure over the network, or once it is full": state.charging,
        "the screen is off, and phones doze then; `hwnas device tune` keeps it on": state.screen_on is False,
        f"the battery is at {state.battery_percent or 0.0:.0f} %; charge it first": (
            state.battery_percent is not None and state.battery_percent < _LOW_BATTERY_PERCENT
        ),
        f"the frequency governor is {state.governor}; {tune}": state.governor not in (None, "performance"),
    }
    return tuple(sentence for sentence, holds in said.items() if holds)
