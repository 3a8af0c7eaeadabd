"""What a search tries to improve, what it must keep to, and on which scale the surrogate sees it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from hwnas.errors import ConfigError

Direction = Literal["maximize", "minimize"]
Source = Literal["evaluation", "device", "network"]
#: As a reference, and as the origin of a trial: the configuration that a study is compared with.
BASELINE: Final = "baseline"
Reference = float | Literal["baseline"]

#: The logarithm of the largest number.
_MOST_LOG = 709.7
#: Figures that a measurement on a device gives.
DEVICE_METRICS = ("p50_ms", "p90_ms", "p99_ms", "peak_memory_mb", "peak_memory_bytes", "energy_mj")
#: Figures that are computed from the network and its file; they cost nothing and have no noise.
NETWORK_METRICS = ("macs", "params", "size_bytes")

_LOG_BY_DEFAULT = ("p50_ms", "p90_ms", "p99_ms")


@dataclass(frozen=True, slots=True)
class Objective:
    """One figure of a network: whether more or less of it is better, where it comes from, what it must keep to.

    Attributes:
        name: unique in a study; the key of the values told. `p99_ms@pixel7` is the `p99_ms` of one of several devices.
        direction: `maximize` or `minimize`.
        source: `evaluation` (the training reports it), `device` (it is measured), `network` (it is computed).
        device: the device profile's name where the source is `device`.
        limit: the worst value that is allowed: at most this where it is minimised, at least this where it is maximised.
        reference: the worst value worth having, for the hypervolume; inferred from the trials where it is not given.
        log: whether it is modelled as a logarithm; by default latencies are. Its values must then be positive.
        optimize: `False` makes it a constraint alone: its limit holds, and more than keeping it gains nothing.

    Raises:
        ConfigError: the parts do not fit together; the message names the objective.
    """

    name: str
    direction: Direction
    source: Source = "evaluation"
    device: str | None = None
    limit: float | None = None
    reference: Reference | None = None
    log: bool | None = None
    optimize: bool = True

    def __post_init__(self) -> None:
        """Check the parts, and settle `log`."""
        where = f"objective {self.name!r}"
        if not self.name or self.name != self.name.strip() or ":" in self.name:
            raise ConfigError(f"{where}: not a name", "use a name such as accuracy, p99_ms or p99_ms@pixel7")
        if self.direction not in get_args(Direction):
            raise ConfigError(f"{where}: direction {self.direction!r} is unknown", "say maximize or minimize")
        if self.source not in get_args(Source):
            raise ConfigError(
                f"{where}: source {self.source!r} is unknown", f"say one of {', '.join(get_args(Source))}"
            )
        if (self.device is not None) != (self.source == "device"):
            raise ConfigError(f"{where}: a device goes with source 'device', and only with it", "name one, or drop it")
        known = {"device": DEVICE_METRICS, "network": NETWORK_METRICS}.get(self.source)
        if known is not None and self.metric not in known:
            raise ConfigError(f"{where}: a {self.source} gives no {self.metric!r}", f"it gives {', '.join(known)}")
        if self.log is None:
            object.__setattr__(self, "log", self.source == "device" and self.metric in _LOG_BY_DEFAULT)
        if not self.optimize and self.limit is None:
            raise ConfigError(f"{where}: neither optimised nor limited", "give it a limit, or drop it")
        for field, value in (("limit", self.limit), ("reference", self.reference)):
            if value is None or (field == "reference" and value == BASELINE):
                continue
            if isinstance(value, str) or not self.admits(value):
                positive = " and positive, for it is modelled as a logarithm" if self.log else ""
                raise ConfigError(f"{where}: {field} {value} is not finite{positive}", "give a number that it can have")

    @property
    def metric(self) -> str:
        """The figure's name without the device: `p99_ms` for `p99_ms@pixel7`."""
        return self.name.partition("@")[0]

    @property
    def sign(self) -> float:
        """1 where more is better, -1 where less is."""
        return 1.0 if self.direction == "maximize" else -1.0

    def admits(self, value: float) -> bool:
        """Whether `value` can be modelled: finite, and positive where the objective is modelled as a logarithm."""
        return math.isfinite(value) and (value > 0.0 or not self.log)

    def feasible(self, value: float) -> bool:
        """Whether `value` keeps to the limit."""
        return self.limit is None or self.sign * value >= self.sign * self.limit

    def score(self, value: float) -> float:
        """Return `value` on the modelled scale with its sign turned so that more is better."""
        return self.sign * (math.log(value) if self.log else value)

    def unscore(self, score: float) -> float:
        """Return the value whose score this is."""
        return math.exp(min(self.sign * score, _MOST_LOG)) if self.log else self.sign * score

    def score_sigma(self, value: float, sigma: float) -> float:
        """Return a standard error of `value` on the modelled scale; to first order, sigma / value for a logarithm."""
        return sigma / value if self.log else sigma

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON data."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Objective:
        """Return the objective that `to_json` wrote."""
        return cls(**data)


def check_objectives(objectives: tuple[Objective, ...]) -> None:
    """Check that objectives go together.

    Raises:
        ConfigError: there is none to optimise, or two share a name.
    """
    names = [objective.name for objective in objectives]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"two objectives are called {twice[0]!r}", f"tell them apart by device, as in {twice[0]}@DEVICE"
        )
    if not any(objective.optimize for objective in objectives):
        raise ConfigError("no objective is to be optimised", "give at least one without optimize = false")
