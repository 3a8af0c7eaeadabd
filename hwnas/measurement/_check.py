"""Is a device ready? Connect, run the reference network by the protocol, and say what was seen."""

from __future__ import annotations

import contextlib
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas._deadline import Deadline
from hwnas.errors import HwnasError, MeasurementError
from hwnas.locks import DeviceLock
from hwnas.measurement._campaign import Campaign, CampaignEndedError, Handlers
from hwnas.measurement._connection import connected, turns_on
from hwnas.measurement._events import Waiting, ignore
from hwnas.measurement._measurement import Verdict
from hwnas.measurement._protocol import MeasurementProtocol
from hwnas.measurement._reference import reference_file
from hwnas.measurement._subject import Subject
from hwnas.measurement._summary import summarize

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from hwnas.device import Conditions, Device, DeviceFacts, DeviceProfile
    from hwnas.locks import MachineTurns
    from hwnas.measurement._events import Listener
    from hwnas.measurement._measurement import Measurement
    from hwnas.measurement._trace import LatencyTrace

_BUSY_SHARE = 0.5
_STEADY_GOVERNORS = frozenset({"performance", "schedutil"})


@dataclass(frozen=True, slots=True)
class DeviceCheck:
    """What a look at a device found.

    Attributes:
        profile: the device's.
        reached: how it was reached, in words.
        facts: what it is.
        versions: of its runtime.
        conditions: its state, before the reference network ran.
        reference: what the reference network took; it is not stored.
        advice: what would make its figures better, as sentences; empty where nothing is to be said.
    """

    profile: DeviceProfile
    reached: str
    facts: DeviceFacts
    versions: Mapping[str, str]
    conditions: Conditions
    reference: Measurement
    advice: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """Whether its figures can be trusted now."""
        return self.reference.verdict

    @property
    def reasons(self) -> tuple[str, ...]:
        """The numbers behind the verdict, as sentences."""
        return self.reference.reasons


def check_device(
    device: Device | DeviceProfile,
    *,
    deadline_s: float = 120.0,
    wait_s: float = 0.0,
    turns: MachineTurns | None = None,
    on_progress: Listener = ignore,
    cancelled: threading.Event | None = None,
) -> DeviceCheck:
    """Return what a device is, in which state, and what the reference network takes on it. Nothing is stored.

    Args:
        device: a profile, or a device that is connected already.
        deadline_s: how long it may take.
        wait_s: how long to wait for a device that another process holds.
        turns: the machine's turns; by default this user's.
        on_progress: told whom it waits for.
        cancelled: ends the check when it is set.

    Raises:
        DeviceBusyError: another process holds the device: names it.
        DeviceError: it cannot be reached, or its runtime cannot be used.
        MeasurementError: the reference network does not run on it.
        StoppedError: `cancelled` was set.
    """
    deadline = Deadline.after(deadline_s)
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(connected(device, deadline))

        def waiting(who: str) -> None:
            on_progress(Waiting(opened.profile.name, who))

        stack.enter_context(DeviceLock(opened.lock_key).hold(wait_s=wait_s, on_wait=waiting, cancelled=cancelled))
        conditions = opened.conditions(deadline=deadline)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hwnas-"))
        protocol = MeasurementProtocol.for_device(opened.profile)
        found = _Found()
        campaign = Campaign(
            opened,
            protocol,
            None,
            found.handlers,
            turn=turns_on(opened, turns, on_wait=waiting, cancelled=cancelled),
            deadline=deadline,
            cancelled=cancelled,
        )
        network = reference_file(opened, Path(folder))
        try:
            campaign.run([Subject(network, protocol)])
        except CampaignEndedError as exc:
            raise exc.cause from exc
        reference = summarize(found.trace())
        return DeviceCheck(
            profile=opened.profile,
            reached=opened.transport.describe(),
            facts=opened.facts,
            versions=dict(opened.versions),
            conditions=conditions,
            reference=reference,
            advice=tuple(_advice(opened, conditions, reference)),
        )


class _Found:
    """The one trace, or the one error."""

    def __init__(self) -> None:
        self._found: LatencyTrace | HwnasError | None = None

    @property
    def handlers(self) -> Handlers:
        return Handlers(lambda _: None, self._take, self._take)

    def _take(self, _subject: Subject, found: LatencyTrace | HwnasError) -> None:
        self._found = found

    def trace(self) -> LatencyTrace:
        if self._found is None or isinstance(self._found, HwnasError):
            raise self._found or MeasurementError("the reference network was not measured", "check the device again")
        return self._found


def _advice(device: Device, conditions: Conditions, reference: Measurement) -> list[str]:
    said = []
    cores = device.facts.logical_cores or 1
    load = conditions.load_1m
    if load is not None and load > _BUSY_SHARE * cores:
        said.append(f"the load is {load:.1f} on {cores} cores: end other programs, or measure when they are done")
    if conditions.governor is not None and conditions.governor not in _STEADY_GOVERNORS:
        change = "performance gives steadier figures"
        if device.profile.transport == "adb":  # which only root may change
            change = f"`hwnas device tune {device.profile.name}` asks for a fixed clock, where the phone has one"
        said.append(f"the frequency governor is {conditions.governor}: {change}")
    if reference.verdict is Verdict.PREEMPTED and device.profile.cpus is None and cores > 1:
        said.append("the network shares processors with other programs: keep one free for it, and name it in cpus")
    if reference.verdict is Verdict.CHARGING or (conditions.charging and conditions.extra.get("charging_disturbs")):
        said.append(
            "charging heats it: measure without the cable (by --address), or once it is full, or take it as it is: "
            "accept_charging = true among the profile's transport_options"
        )
    if conditions.charging is False and "charging_disturbs" not in conditions.extra:
        said.append("it runs on battery: many devices are slower then")
    if math.isinf(reference.p99.high_ms):
        said.append("take more samples, as in samples = 2000 in the profile's protocol")
    return said
