"""What a device is, and the state that it is in: the evidence beside every figure measured on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

Scalar = str | int | float | bool


def frozen_mapping(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a copy that cannot be changed, in the order of its keys."""
    return MappingProxyType({key: values[key] for key in sorted(values)})


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What a device is. What could not be found out is `None`.

    Attributes:
        model: the processor on a host, the product on a phone.
        architecture: `x86_64`, `aarch64`, `arm64-v8a`, ...
        os: operating system and version, as in `Linux 6.12` or `Android 14`.
        logical_cores: how many the operating system sees.
        memory_bytes: main memory.
        soc: the system on a chip, on a phone.
        serial: what tells two phones of one model apart.
        extra: more of it, by name: core layout, ABI list, ...
    """

    model: str | None = None
    architecture: str | None = None
    os: str | None = None
    logical_cores: int | None = None
    memory_bytes: int | None = None
    soc: str | None = None
    serial: str | None = None
    extra: Mapping[str, Scalar] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Freeze the mapping."""
        object.__setattr__(self, "extra", frozen_mapping(self.extra))

    @property
    def identity(self) -> dict[str, str | int | None]:
        """What makes it another device: the model, the chip, the cores and the serial number.

        Two hosts with the same processor and as many cores count as one. The operating system is not part of it:
        it stands in every trace, and an update of it does not make all that was measured unknown.
        """
        names = ("model", "architecture", "logical_cores", "soc", "serial")
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON data."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DeviceFacts:
        """Return the facts that `to_json` wrote."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Conditions:
    """The state of a device at one moment. What the device does not tell is `None`, never a guess.

    Attributes:
        at: when it was read, in UTC.
        frequency_mhz: the current frequency of each processor that the profile uses (of all where it names none).
        governor: the frequency governor, where all those processors have the same; else the several, by commas.
        temperature_c: each thermal sensor by name.
        load_1m: the load average of the last minute.
        stolen_s: time that the hypervisor gave to others while this (virtual) machine wanted to run, since it started.
        memory_available_bytes: memory that programs can still have.
        thermal_status: Android's: 0 none, 1 light, 2 moderate, 3 severe, 4 critical, 5 emergency, 6 shutdown.
        battery_percent: charge, 0 to 100.
        charging: whether the battery is being charged.
        screen_on: whether the display is lit.
        extra: more of it, by name: `skin_c`, `boot_id`, ...; `charging_disturbs`, whether charging spoils figures here.
    """

    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    frequency_mhz: tuple[float, ...] | None = None
    governor: str | None = None
    temperature_c: Mapping[str, float] | None = field(default=None, hash=False)
    load_1m: float | None = None
    stolen_s: float | None = None
    memory_available_bytes: int | None = None
    thermal_status: int | None = None
    battery_percent: float | None = None
    charging: bool | None = None
    screen_on: bool | None = None
    extra: Mapping[str, Scalar] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Freeze the mappings, and refuse a moment without a time zone."""
        if self.at.tzinfo is None:
            raise ValueError("conditions need an aware moment: say datetime.now(UTC)")
        object.__setattr__(self, "extra", frozen_mapping(self.extra))
        if self.temperature_c is not None:
            object.__setattr__(self, "temperature_c", frozen_mapping(self.temperature_c))
        if self.frequency_mhz is not None:
            object.__setattr__(self, "frequency_mhz", tuple(self.frequency_mhz))

    @property
    def hottest_c(self) -> float | None:
        """The highest temperature read."""
        return max(self.temperature_c.values()) if self.temperature_c else None

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are known as JSON data."""
        values = {item.name: _plain(getattr(self, item.name)) for item in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Conditions:
        """Return the conditions that `to_json` wrote."""
        return cls(**{**data, "at": datetime.fromisoformat(data["at"])})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
