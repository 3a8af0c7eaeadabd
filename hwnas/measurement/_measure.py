"""Measure networks on a device: known ones come from the store, new ones go into it as soon as each is done."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, TypeVar

from hwnas._deadline import Deadline
from hwnas.errors import DeadlineError, MeasurementError
from hwnas.locks import DeviceLock
from hwnas.measurement._campaign import Campaign, CampaignEndedError, Handlers
from hwnas.measurement._connection import connected, turns_on
from hwnas.measurement._events import (
    BlockMeasured,
    CampaignStarted,
    NetworkFailed,
    NetworkMeasured,
    Waiting,
    ignore,
)
from hwnas.measurement._measurement import Measurement, MeasurementFailure
from hwnas.measurement._protocol import MeasurementProtocol
from hwnas.measurement._reference import reference_for
from hwnas.measurement._subject import Subject

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from hwnas.device import Device, DeviceProfile
    from hwnas.errors import HwnasError
    from hwnas.locks import MachineTurns
    from hwnas.measurement._events import Listener
    from hwnas.measurement._store import MeasurementStore
    from hwnas.measurement._trace import LatencyTrace
    from hwnas.network import NetworkFile
    from hwnas.space import Architecture

_Item = TypeVar("_Item")


def measure(
    networks: Sequence[NetworkFile],
    device: Device | DeviceProfile,
    *,
    store: MeasurementStore,
    protocol: MeasurementProtocol | None = None,
    again: bool = False,
    architectures: Sequence[Architecture | None] | None = None,
    architecture_ids: Sequence[str | None] | None = None,
    space: str | None = None,
    deadline_s: float | None = None,
    wait_s: float = 0.0,
    turns: MachineTurns | None = None,
    on_progress: Listener = ignore,
    cancelled: threading.Event | None = None,
) -> list[Measurement | MeasurementFailure]:
    """Return what each network takes on a device, in the order of `networks`.

    What is known for the same network file, device and protocol comes from the store. The rest is measured, a network
    that is there twice once; each trace is stored in a transaction of its own as soon as it is complete, so that
    a campaign that was killed goes on where it was when it is called again. One network that fails stops no other.

    The device is held for the whole call, against other processes. On a device that shares this machine, measuring
    also takes turns with trainings (`MachineTurns`): do not hold a turn while you call.

    Args:
        networks: the files.
        device: a profile, which is connected for the call, or a device that is connected already.
        store: where traces are kept.
        protocol: the settings; by default those of the device, see `MeasurementProtocol.for_device`.
        again: measure what is known once more, as another trace.
        architectures: for each network the architecture that it was made from, or `None`; its values stay with the
            trace, so that what was measured can be learned from anywhere.
        architecture_ids: the same where ids are all that is known.
        space: the name of the space that those ids are of.
        deadline_s: how long the whole call may take; networks not done by then fail.
        wait_s: how long to wait for a device that another process holds; infinity for as long as it takes.
        turns: the machine's turns; by default this user's.
        on_progress: told what happens.
        cancelled: ends the call when it is set; what is stored stays.

    Raises:
        DeviceBusyError: another process holds the device: names it.
        DeviceError: the device or its runtime cannot be used at all; nothing was measured.
        StoppedError: `cancelled` was set.
        StoreError: the store refused.
    """
    ids = _one_each(networks, architecture_ids, "architecture ids")
    made_from = _one_each(networks, architectures, "architectures")
    deadline = Deadline.after(math.inf if deadline_s is None else deadline_s)
    with connected(device, deadline) as opened:
        chosen = protocol or MeasurementProtocol.for_device(opened.profile)
        subjects = [
            Subject(network, chosen, architecture_id=identity, space=space, architecture=architecture)
            for network, identity, architecture in zip(networks, ids, made_from, strict=True)
        ]
        first = {subject.network.hash: subject for subject in reversed(subjects)}
        waiting = [first[key] for key in dict.fromkeys(subject.network.hash for subject in subjects)]
        book = _Book(opened, chosen, store, on_progress)
        missing = waiting if again else book.without_known(waiting)
        on_progress(CampaignStarted(opened.profile.name, len(waiting), len(waiting) - len(missing)))
        book.tell_known()
        if missing:
            lock = DeviceLock(opened.lock_key)
            with lock.hold(wait_s=wait_s, on_wait=book.tell_waiting, cancelled=cancelled):
                if not again:  # somebody else may have measured them while this call waited
                    missing = book.without_known(missing)
                    book.tell_known()
                _run(opened, chosen, missing, book, turns=turns, deadline=deadline, cancelled=cancelled)
    return [
        dataclasses.replace(book.results[subject.network.hash], architecture_id=subject.architecture_id)
        for subject in subjects
    ]


def _one_each(
    networks: Sequence[NetworkFile], given: Sequence[_Item | None] | None, what: str
) -> Sequence[_Item | None]:
    found = [None] * len(networks) if given is None else given
    if len(found) != len(networks):
        raise MeasurementError(
            f"{len(networks)} networks and {len(found)} {what}", "give one for each network, or none at all"
        )
    return found


class _Book:
    """The results so far, by the network's hash; stores traces, and tells the listener."""

    def __init__(self, device: Device, protocol: MeasurementProtocol, store: MeasurementStore, tell: Listener) -> None:
        self.results: dict[str, Measurement | MeasurementFailure] = {}
        self._device = device
        self._protocol = protocol
        self._store = store
        self._tell = tell
        self._untold: list[Measurement] = []

    @property
    def handlers(self) -> Handlers:
        """What a campaign tells."""
        return Handlers(self._on_block, self._on_trace, self.fail)

    def without_known(self, subjects: list[Subject]) -> list[Subject]:
        """Take what the store knows; returns the rest."""
        hashes = [subject.network.hash for subject in subjects]
        found = self._store.find(hashes, device_hash=self._device.hash, protocol_hash=self._protocol.hash)
        self.results |= found
        self._untold += [found[key] for key in hashes if key in found]
        return [subject for subject in subjects if subject.network.hash not in found]

    def tell_known(self) -> None:
        """Tell of what the store knew."""
        for measurement in self._untold:
            self._tell(NetworkMeasured(measurement, known=True))
        self._untold.clear()

    def tell_waiting(self, who: str) -> None:
        """Tell that others are waited for."""
        self._tell(Waiting(self._device.profile.name, who))

    def fail(self, subject: Subject, error: HwnasError) -> None:
        """Take a failure."""
        network = subject.network
        failure = MeasurementFailure(
            network.name, network.hash, subject.architecture_id, self._device.profile.name, error
        )
        self.results[network.hash] = failure
        self._tell(NetworkFailed(failure))

    def _on_block(self, subject: Subject) -> None:
        name, wanted = self._device.profile.name, self._protocol.samples
        self._tell(BlockMeasured(name, subject.network.name, subject.samples, wanted))

    def _on_trace(self, subject: Subject, trace: LatencyTrace) -> None:
        measurement = self._store.add(trace)
        self.results[subject.network.hash] = measurement
        self._tell(NetworkMeasured(measurement, known=False))


def _run(
    device: Device,
    protocol: MeasurementProtocol,
    subjects: list[Subject],
    book: _Book,
    *,
    turns: MachineTurns | None,
    deadline: Deadline,
    cancelled: threading.Event | None,
) -> None:
    """Measure subjects; what ends the campaign is the failure of all that were not done."""
    with reference_for(device, protocol) as reference:
        campaign = Campaign(
            device,
            protocol,
            reference,
            book.handlers,
            turn=turns_on(device, turns, on_wait=book.tell_waiting, cancelled=cancelled),
            deadline=deadline,
            cancelled=cancelled,
        )
        try:
            campaign.run(subjects)
        except CampaignEndedError as exc:
            if not book.results and not isinstance(exc.cause, DeadlineError):
                raise exc.cause from exc
            for subject in subjects:
                if subject.network.hash not in book.results:
                    book.fail(subject, exc.cause)
