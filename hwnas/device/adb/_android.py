"""What Android's own programs print, as values. Nothing here talks to a phone.

Formats: `getprop`, `dumpsys battery` and `dumpsys power` of Android 5 to 15, `dumpsys thermalservice` of Android 10 and
later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PROPERTY = re.compile(r"^\[([^\]]+)\]: \[(.*?)\]$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\s*([A-Za-z ]+): (\S+)\s*$", re.MULTILINE)
_TEMPERATURE = re.compile(r"Temperature\{mValue=([-0-9.]+|NaN), mType=(-?\d+), mName=([^,]+), mStatus=(\d+)\}")
_POWERED = ("AC powered", "USB powered", "Wireless powered", "Dock powered")
_BY_HAND = "UPDATES STOPPED"
_CHARGING, _SKIN_TYPE = "2", 3
_COLDEST_C, _HOTTEST_C = -30.0, 150.0


@dataclass(frozen=True, slots=True)
class Battery:
    """The battery: charge in percent, whether it is being charged, its temperature; `None` where not told."""

    percent: float | None
    charging: bool | None
    temperature_c: float | None


@dataclass(frozen=True, slots=True)
class Thermal:
    """Android's thermal status (0 none to 6 shutdown), each temperature by name, and that of the skin."""

    status: int | None
    temperature_c: Mapping[str, float]
    skin_c: float | None


def properties(text: str) -> dict[str, str]:
    """Return what `getprop` lists."""
    return dict(_PROPERTY.findall(text))


def battery(text: str) -> Battery:
    """Return what `dumpsys battery` says; nothing of the charge where somebody set it (`dumpsys battery set`)."""
    fields = {name.strip(): value for name, value in _FIELD.findall(text)}
    level, scale = _number(fields.get("level")), _number(fields.get("scale")) or 100.0
    status = fields.get("status")
    powered = [fields[name] == "true" for name in _POWERED if name in fields]
    charging = status == _CHARGING if status is not None else (any(powered) if powered else None)
    tenths = _number(fields.get("temperature"))
    if _BY_HAND in text:
        level = charging = None
    return Battery(
        None if level is None else min(100.0, max(0.0, 100.0 * level / scale)),
        charging,
        None if tenths is None else plausible(tenths / 10.0),
    )


def thermal(text: str) -> Thermal:
    """Return what `dumpsys thermalservice` says: the temperatures now, not those it has cached."""
    found = re.search(r"^Thermal Status: (\d+)", text, re.MULTILINE)
    _, now, current = text.partition("Current temperatures from HAL:")
    readings = _TEMPERATURE.findall(current if now else text)
    values = {name: plausible(_number(value)) for value, _, name, _ in readings}
    skins = [plausible(_number(value)) for value, kind, _, _ in readings if int(kind) == _SKIN_TYPE]
    known_skins = [value for value in skins if value is not None]
    return Thermal(
        None if found is None else int(found[1]),
        {name: value for name, value in values.items() if value is not None},
        max(known_skins) if known_skins else None,
    )


def screen_on(text: str) -> bool | None:
    """Return whether the display is lit, as `dumpsys power` tells it."""
    found = re.search(r"mWakefulness=(\w+)", text)
    return None if found is None else found[1] in ("Awake", "Dreaming")


def zone_temperature(raw: str) -> float | None:
    """Return the degrees that a file /sys/class/thermal/*/temp holds; most kernels write thousandths."""
    value = _number(raw)
    if value is None:
        return None
    return plausible(value / 1000.0 if abs(value) >= 1000.0 else value)


def plausible(celsius: float | None) -> float | None:
    """Return a temperature, and `None` for what a sensor that is switched off says."""
    return celsius if celsius is not None and _COLDEST_C < celsius < _HOTTEST_C else None


def cores(listed: str) -> tuple[int, ...]:
    """Return the processors of a list such as `0-3,6`; none where it is no list."""
    found: list[int] = []
    for part in filter(None, listed.strip().split(",")):
        first, _, last = part.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            return ()
        found.extend(range(int(first), int(last or first) + 1))
    return tuple(found)


def core_layout(frequencies_khz: Sequence[tuple[int, int]]) -> str:
    """Return cores of equal speed together: `0-3 at 1803 MHz, 4-7 at 2850 MHz`.

    Args:
        frequencies_khz: each core's number and highest frequency.
    """
    parts = []
    for khz, group in groupby(frequencies_khz, key=lambda item: item[1]):
        numbers = [number for number, _ in group]
        span = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"
        parts.append(f"{span} at {khz // 1000} MHz")
    return ", ".join(parts)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
