"""How a measurement is done: one protocol for all devices, recorded with every trace."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from hwnas.device import checked_options, runtime_kind
from hwnas.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwnas.device import DeviceProfile

#: Grows when the same settings come to mean another procedure; figures of different versions do not merge.
_VERSION = 4


@dataclass(frozen=True, slots=True)
class MeasurementProtocol:
    """The settings of a measurement.

    Networks are measured in groups. Each has a fresh process, warms up until it is steady, and then runs blocks; the
    blocks of a group's networks are interleaved in random order, with a short run of the reference network before and
    after each. That is repeated with new processes.

    Attributes:
        samples: inferences that count, for each network, at least: 1000 for a p99, 2000 where ranks matter.
        precision: go on until samples pin the p99 to this share on either side (0.05: 5 %); where the processes then
            differ by more, which further samples of them cannot mend, the verdict says so; `None`:
            `samples` are enough.
        max_samples: where `precision` gives up.
        budget_s: the time that one network may take, warm-up included; past it, what there is has to do.
        processes: fresh processes that the samples of a network are spread over; three or more tell how far they
            differ, which widens the interval.
        group: how many networks are interleaved.
        block: inferences in a block.
        block_least_s: what a block takes at least, about; quick networks have larger blocks, and so more samples.
        block_most_s: what it takes at most, about; slow networks have smaller blocks.
        block_warmup: inferences at the start of a block that do not count: they fill the caches that others emptied.
        repeats: how many blocks of a network are done again where something disturbed them; where they do not
            suffice, the calm blocks that there are have to do; where they are fewer than an eighth of what was asked
            for, this is how the device is, and every block counts, the disturbed ones too.
        warmup_s: how long the warm-up of a process may take to become steady.
        warmup_tolerance: steady is when the medians of three windows in a row differ by no more than this share.
        reference: inferences of the reference network before and after each block; 0 leaves it out.
        load_timeout_s: how long loading a network may take.
        inference_timeout_s: how long the first inference may take; an inference that takes longer counts as a hang.
        seed: of the order of blocks; no part of the hash.

    Raises:
        ConfigError: a setting is out of range; it is named.
    """

    samples: int = 1000
    precision: float | None = None
    max_samples: int = 20_000
    budget_s: float = 60.0
    processes: int = 5
    group: int = 8
    block: int = 100
    block_least_s: float = 0.01
    block_most_s: float = 1.0
    block_warmup: int = 5
    repeats: int = 20
    warmup_s: float = 1.0
    warmup_tolerance: float = 0.03
    reference: int = 20
    load_timeout_s: float = 60.0
    inference_timeout_s: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        least = {
            "samples": 1,
            "max_samples": 1,
            "processes": 1,
            "group": 1,
            "block": 2,
            "block_warmup": 0,
            "repeats": 0,
            "reference": 0,
            "seed": 0,
        }
        for name, bound in least.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < bound:
                raise ConfigError(f"protocol: {name} is {value!r}", f"a whole number of at least {bound} is needed")
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name not in least and value is not None and not 0.0 < value < float("inf"):
                raise ConfigError(f"protocol: {item.name} is {value!r}", "a positive number is needed")
        if self.block_least_s > self.block_most_s:
            raise ConfigError(
                f"protocol: block_least_s is {self.block_least_s!r}, block_most_s {self.block_most_s!r}",
                "give them in order",
            )
        if self.precision is not None and self.precision >= 1.0:
            raise ConfigError(f"protocol: precision is {self.precision!r}", "5 % is 0.05")

    @classmethod
    def for_device(cls, profile: DeviceProfile, **overrides: Any) -> MeasurementProtocol:
        """Return the protocol for a device: the defaults, then what its runtime, its profile and `overrides` say.

        Raises:
            ConfigError: the profile, or an override, names a setting that there is not, or one out of range.
        """
        source = f"device {profile.name!r}, protocol"
        own = runtime_kind(profile.transport, profile.runtime).protocol
        chosen: MeasurementProtocol = checked_options(cls, {**own, **profile.protocol, **overrides}, source=source)
        return chosen

    @property
    def blocks(self) -> int:
        """How many blocks `samples` make."""
        return math.ceil(self.samples / self.block)

    @property
    def hash(self) -> str:
        """A sha256, as 64 hex digits, of everything but the seed."""
        data = {"version": _VERSION} | {key: value for key, value in self.to_json().items() if key != "seed"}
        return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MeasurementProtocol:
        """Return the protocol that `to_json` wrote."""
        return cls(**data)
