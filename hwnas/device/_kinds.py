"""The kinds of transports and runtimes that there are. Adding one is writing its file.

A runtime on the host is a module in `hwnas.device.runtimes`. Any other transport, with its runtimes, is a
`TransportKind` in a module of its own, named below, or in somebody else's package, by an entry point:

    [project.entry-points."hwnas.transports"]
    ssh = "hwnas_ssh:KIND"
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from hwnas._toml import closest
from hwnas.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hwnas._deadline import Deadline
    from hwnas.device._conditions import Conditions, DeviceFacts, Scalar
    from hwnas.device._profile import DeviceProfile
    from hwnas.device._runtime import Runtime
    from hwnas.device._transport import Transport

_BUILT_IN = {"adb": "hwnas.device.adb:KIND", "host": "hwnas.device._host:KIND"}
_ENTRY_POINTS = "hwnas.transports"


class Probe(Protocol):
    """Tells what a device is and in which state. Thread-safe, as its transport is."""

    def facts(self, *, deadline: Deadline) -> DeviceFacts:
        """Return what the device is.

        Raises:
            DeviceConnectionError: it cannot be reached.
            DeadlineError: it did not answer in time.
        """
        ...

    def conditions(self, *, deadline: Deadline) -> Conditions:
        """Return its state now; quick, for it is read beside every block.

        Raises:
            DeviceConnectionError: it cannot be reached.
            DeadlineError: it did not answer in time.
        """
        ...

    def watch(self) -> Callable[[Deadline], tuple[str, ...]]:
        """Begin to watch what disturbs latencies; what it returns says what was seen, and what to change.

        Each sentence names one thing, the worst first. It may raise as `conditions` does.
        """
        ...


@dataclass(frozen=True, slots=True)
class RuntimeKind:
    """A runtime that a profile can name.

    Attributes:
        name: as the profile says it.
        options: a frozen dataclass of its settings, each with a default; its field types are checked by pydantic, and
            its `__post_init__` may raise `ValueError`.
        make: returns the runtime of a profile, its options checked; starts nothing.
        protocol: what it wants otherwise than the measurement protocol's defaults; a profile may say otherwise again.
        formats: the formats of network files that it runs, as `Runtime.formats` of what `make` returns.
    """

    name: str
    options: type
    make: Callable[[DeviceProfile, Transport], Runtime]
    protocol: Mapping[str, Scalar] = field(default_factory=dict, hash=False)
    formats: frozenset[str] = frozenset({"onnx"})


@dataclass(frozen=True, slots=True)
class TransportKind:
    """A way to reach devices that a profile can name.

    Attributes:
        name: as the profile says it.
        options: a frozen dataclass of its settings, as in `RuntimeKind`; a field without a default must be given.
        connect: returns the transport of a profile, connected.
        probe: returns what tells the device's facts and conditions over that transport.
        runtimes: the runtimes over it by name. Called where one is needed, so that it may import what is heavy.
        lock_key: what a profile's device is known by on this machine before it is connected.
        known_by: what the one physical device is known by on this machine, however its profiles name it, as its facts
            tell; `None` where they do not, then it is what `lock_key` says.
        shares_this_machine: whether what runs here disturbs it: then measurements and trainings take turns.
        connect_s: how long connecting to a profile's device may take, in seconds.
        slack_s: how much longer than its work anything there may take, in seconds: as long as a device that is lost, as
            one that restarts, is waited for.
    """

    name: str
    options: type
    connect: Callable[[DeviceProfile, Deadline], Transport]
    probe: Callable[[DeviceProfile, Transport], Probe]
    runtimes: Callable[[], Mapping[str, RuntimeKind]]
    lock_key: Callable[[DeviceProfile], str]
    shares_this_machine: bool = False
    connect_s: Callable[[DeviceProfile], float] = lambda _profile: 30.0
    slack_s: Callable[[DeviceProfile], float] = lambda _profile: 0.0
    known_by: Callable[[DeviceFacts], str | None] = lambda _facts: None


def transport_names() -> list[str]:
    """Return every transport that a profile can name, sorted."""
    return sorted({*_BUILT_IN, *_installed()})


def transport_kind(name: str) -> TransportKind:
    """Return the transport of that name.

    Raises:
        ConfigError: there is none.
    """
    where = _BUILT_IN.get(name) or _installed().get(name)
    if where is None:
        raise ConfigError(
            f"transport: {name!r} is unknown{closest(name, transport_names())}", "name one that is installed"
        )
    module, _, attribute = where.partition(":")
    kind = getattr(importlib.import_module(module), attribute)
    if not isinstance(kind, TransportKind):
        raise ConfigError(f"transport {name!r}: {where} is no TransportKind", "mend the package that offers it")
    return kind


def runtime_kind(transport: str, name: str) -> RuntimeKind:
    """Return the runtime of that name over that transport.

    Raises:
        ConfigError: there is none, or no such transport.
    """
    runtimes = transport_kind(transport).runtimes()
    if name not in runtimes:
        raise ConfigError(
            f"runtime: {name!r} is unknown over transport {transport!r}{closest(name, runtimes)}",
            f"it has {', '.join(sorted(runtimes))}",
        )
    return runtimes[name]


def _installed() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=_ENTRY_POINTS)}


def checked_options(kind: type, options: Mapping[str, Any], *, source: str) -> Any:
    """Return the options dataclass of a kind, filled in.

    Args:
        kind: `TransportKind.options` or `RuntimeKind.options`.
        options: what the profile says.
        source: the words that an error begins with.

    Raises:
        ConfigError: one is unknown, missing or out of range; it is named.
    """
    from hwnas._toml import validate
    from hwnas.device._options import model_of

    model = validate(dict(options), model_of(kind), source=source)
    try:
        return kind(**{name: getattr(model, name) for name in type(model).model_fields})
    except ValueError as exc:
        raise ConfigError(f"{source}: {exc}", "mend what is named") from exc
