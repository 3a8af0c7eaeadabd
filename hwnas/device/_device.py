"""A device that is connected: its transport, its runtime, and what it says of itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Self

from hwnas._deadline import Deadline
from hwnas.device._kinds import checked_options, runtime_kind, transport_kind
from hwnas.errors import NetworkError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from hwnas.device._conditions import Conditions, DeviceFacts, Scalar
    from hwnas.device._kinds import Probe
    from hwnas.device._profile import DeviceProfile
    from hwnas.device._runtime import Runtime, Session
    from hwnas.device._transport import Transport
    from hwnas.network import NetworkFile


class Device:
    """One profile's device, connected. A context manager: it closes the connection.

    Thread safety: that of its transport and runtime; a session belongs to one thread at a time.

    Attributes:
        profile: as it was registered.
        transport: how it is reached.
        runtime: what runs networks on it.
        facts: what it is.
        versions: what influences latency there, by name: the runtime's packages or programs.
        lock_key: what the physical device is known by on this machine; all its profiles share it.
        shares_this_machine: whether what runs here disturbs it: then measurements and trainings take turns.
        slack_s: how much longer than its work anything there may take, because the device may have to be reached again.
    """

    def __init__(
        self,
        profile: DeviceProfile,
        transport: Transport,
        runtime: Runtime,
        probe: Probe,
        *,
        lock_key: str,
        shares_this_machine: bool,
        slack_s: float = 0.0,
        deadline: Deadline,
    ) -> None:
        """Ask the device what it is; use `Device.open`, unless the parts are your own."""
        self.profile = profile
        self.transport = transport
        self.runtime = runtime
        self.lock_key = lock_key
        self.shares_this_machine = shares_this_machine
        self.slack_s = slack_s
        self._probe = probe
        self.facts: DeviceFacts = probe.facts(deadline=deadline)
        self.versions: Mapping[str, str] = dict(runtime.versions(deadline=deadline))

    @classmethod
    def open(cls, profile: DeviceProfile, *, deadline: Deadline | None = None) -> Device:
        """Return the device of a profile, connected; without a deadline, in the time that its transport gives itself.

        Raises:
            ConfigError: the profile names a transport, a runtime or an option that there is not.
            DeviceConnectionError: the device cannot be reached.
            DeviceError: its runtime is missing, or refuses the profile's settings.
        """
        profile = check_profile(profile)
        kind = transport_kind(profile.transport)
        deadline = deadline or Deadline.after(kind.connect_s(profile))
        transport = kind.connect(profile, deadline)
        try:
            device = cls(
                profile,
                transport,
                runtime_kind(profile.transport, profile.runtime).make(profile, transport),
                kind.probe(profile, transport),
                lock_key=kind.lock_key(profile),
                shares_this_machine=kind.shares_this_machine,
                slack_s=kind.slack_s(profile),
                deadline=deadline,
            )
        except BaseException:
            transport.close()
            raise
        device.lock_key = kind.known_by(device.facts) or device.lock_key
        return device

    @property
    def hash(self) -> str:
        """A sha256, as 64 hex digits, of all that makes latencies comparable: settings, hardware and runtime version.

        Another phone at the same address, or an update of the runtime, is another device.
        """
        data = [self.profile.hash, self.facts.identity, dict(self.versions)]
        return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def conditions(self, *, deadline: Deadline) -> Conditions:
        """Return its state now.

        Raises:
            DeviceConnectionError: it cannot be reached.
            DeadlineError: it did not answer in time.
        """
        return self._probe.conditions(deadline=deadline)

    def watch(self) -> Callable[[Deadline], tuple[str, ...]]:
        """Begin to watch what disturbs latencies on it; see `Probe.watch`."""
        return self._probe.watch()

    def prepare(self, *, deadline: Deadline) -> None:
        """Bring to it what every network needs there, so that no network's time is charged; see `Runtime.prepare`."""
        self.runtime.prepare(self, deadline=deadline)

    def rest(self, *, deadline: Deadline, cancelled: threading.Event | None = None) -> bool:
        """Let it cool before a block, as its profile wants it; see `Runtime.rest`."""
        return self.runtime.rest(self, deadline=deadline, cancelled=cancelled)

    def load(self, network: NetworkFile, *, deadline: Deadline) -> Session:
        """Return a session with `network` loaded; see `Runtime.open`.

        Raises:
            NetworkError: this runtime does not run such files, or cannot load this one.
            NetworkCrashedError: the process died while it loaded.
            DeadlineError: it did not end in time.
            DeviceError: the device refused.
        """
        if network.format not in self.runtime.formats:
            raise NetworkError(
                f"{network.path}: {self.runtime.name} runs {', '.join(sorted(self.runtime.formats))}, "
                f"not {network.format}",
                f"write the network in that format, or measure it on a device whose runtime runs {network.format}",
            )
        return self.runtime.open(self, network, deadline=deadline)

    def close(self) -> None:
        """End the connection. A second call does nothing."""
        self.runtime.forget()
        self.transport.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()


def check_profile(profile: DeviceProfile) -> DeviceProfile:
    """Check that a profile's transport, runtime and options exist and fit together; nothing is started.

    Returns:
        The profile without those options that say what is so anyway: such a profile is the same target.

    Raises:
        ConfigError: names the field at fault, and the nearest that there is.
    """
    where = f"device {profile.name!r}"
    reach, runtime = transport_kind(profile.transport), runtime_kind(profile.transport, profile.runtime)
    transport_options = checked_options(reach.options, profile.transport_options, source=f"{where}, transport_options")
    options = checked_options(runtime.options, profile.options, source=f"{where}, options")
    return replace(profile, options=_chosen(options), transport_options=_chosen(transport_options))


def _chosen(options: Any) -> dict[str, Scalar]:
    """Return those fields of an options dataclass that are not at their defaults."""
    values = {item.name: (getattr(options, item.name), item.default) for item in fields(options)}
    return {name: value for name, (value, default) in values.items() if value != default}
