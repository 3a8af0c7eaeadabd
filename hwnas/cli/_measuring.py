"""Measuring on one device or on several side by side: the work, what is told meanwhile, and what comes out."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.cli import _output
from hwnas.errors import HwnasError, StoppedError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hwnas.device import Device, DeviceProfile
    from hwnas.measurement import (
        Measurement,
        MeasurementEvent,
        MeasurementFailure,
        MeasurementProtocol,
        MeasurementStore,
    )
    from hwnas.network import NetworkFile
    from hwnas.space import Architecture

    Listener = Callable[[MeasurementEvent], None]
    Results = list[Measurement | MeasurementFailure]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be measured, and how; the same on every device.

    Attributes:
        files: network files; none where they are sampled from a space.
        space: where the space comes from; `None` for files.
        count: how many networks of it.
        seed: which.
        protocols: each device's protocol, by its name.
        again: whether what is known is measured once more.
        wait_s: how long to wait for a device that is in use.
    """

    files: tuple[NetworkFile, ...]
    space: str | None
    count: int
    seed: int
    protocols: Mapping[str, MeasurementProtocol]
    again: bool
    wait_s: float

    def on(
        self, profile: DeviceProfile, store: MeasurementStore, *, listen: Listener, stop: threading.Event
    ) -> Results:
        """Return what the networks take on a device.

        Raises:
            HwnasError: nothing can be measured there.
            StoppedError: `stop` was set.
        """
        from hwnas.device import Device
        from hwnas.measurement import measure

        with (
            Device.open(profile) as opened,
            self._networks(opened, listen, stop) as (files, architectures),
        ):
            return measure(
                files,
                opened,
                store=store,
                protocol=self.protocols[profile.name],
                again=self.again,
                architectures=architectures,
                wait_s=self.wait_s,
                on_progress=listen,
                cancelled=stop,
            )

    @contextmanager
    def _networks(
        self, device: Device, listen: Listener, stop: threading.Event
    ) -> Iterator[tuple[list[NetworkFile], list[Architecture] | None]]:
        """Hand out the network files, and of a space's networks the architectures."""
        if self.space is None:
            yield list(self.files), None
            return
        with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
            yield self._sampled(self.space, device, Path(folder), listen, stop)

    def _sampled(
        self, source: str, device: Device, folder: Path, listen: Listener, stop: threading.Event
    ) -> tuple[list[NetworkFile], list[Architecture]]:
        """Write networks of a space in a format that the device runs; not while another device is this machine."""
        import numpy as np

        from hwnas.locks import MachineTurns
        from hwnas.measurement import Waiting
        from hwnas.network import write_network
        from hwnas.space import load_space

        space = load_space(source)
        architectures = space.sample(self.count, np.random.default_rng(self.seed))
        formats, batch = device.runtime.formats, device.profile.batch
        with MachineTurns().training(on_wait=lambda who: listen(Waiting(device.profile.name, who)), cancelled=stop):
            files = [
                write_network(
                    space.graph(item), folder / item.id, formats, batch=batch, name=f"{space.name}-{item.id[:8]}"
                )
                for item in architectures
            ]
        return files, architectures


def measure_on(
    profiles: Sequence[DeviceProfile], request: Request, store: MeasurementStore, stop: threading.Event
) -> dict[str, Results | HwnasError]:
    """Return what came out on each device, by its name; an error where nothing could be measured there.

    Raises:
        HwnasError: the only device there is cannot measure anything.
        StoppedError: `stop` was set.
    """
    from hwnas.device import on_each

    names = [profile.name for profile in profiles]
    with progress(names) as listener:

        def work(profile: DeviceProfile) -> Results:
            try:
                return request.on(profile, store, listen=listener(profile.name), stop=stop)
            except HwnasError as exc:
                if len(names) > 1 and not isinstance(exc, StoppedError):
                    _output.warn(f"{profile.name}: {exc.message}", exc.hint)
                raise

        if len(profiles) == 1:
            return {names[0]: work(profiles[0])}
        found = on_each(profiles, work)
    stopped = next((result for result in found.values() if isinstance(result, StoppedError)), None)
    if stopped is not None:
        raise stopped
    return found


@contextmanager
def progress(names: Sequence[str], *, total: int | None = None) -> Iterator[Callable[[str], Listener]]:
    """Show a bar a device on a terminal, and elsewhere a line for each network that is done.

    Hands out what makes a device's listener of its name. `total` is how many networks there are in all, where they come
    in several campaigns; else the campaign tells.
    """
    console = _output.human()
    if not console.is_terminal:
        yield lambda name: _Told(f"{name}: " if len(names) > 1 else "", total, lines=True).hear
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as bars:

        def listener(name: str) -> Listener:
            prefix = f"{name}: " if len(names) > 1 else ""
            told, task = _Told(prefix, total, lines=False), bars.add_task(prefix + "connecting", total=None)

            def listen(event: MeasurementEvent) -> None:
                told.hear(event)
                bars.update(task, description=prefix + told.doing, completed=told.done, total=told.total)

            return listen

        yield listener


class _Told:
    """What the events of one device add up to. `lines`: each network that is done is told on a line of its own."""

    def __init__(self, prefix: str, total: int | None, *, lines: bool) -> None:
        self.done = 0
        self.total = total
        self._fixed = total is not None
        self.doing = ""
        self._prefix = prefix
        self._lines = lines

    def hear(self, event: MeasurementEvent) -> None:
        """Take an event in."""
        from hwnas.measurement import BlockMeasured, CampaignStarted, NetworkFailed, NetworkMeasured, Waiting

        match event:
            case CampaignStarted():
                self.total = self.total if self._fixed else event.total
            case BlockMeasured():
                self.doing = f"{event.network_name}: {event.samples} of {event.wanted} samples"
            case NetworkMeasured():
                self.done += 1
                if self._lines:
                    known = ", known" if event.known else ""
                    figures = _figures(event.measurement)
                    _output.note(f"{self._prefix}{self.done} of {self.total}: {figures}{known}")
            case NetworkFailed():
                self.done += 1
                failure = event.failure
                _output.warn(f"{self._prefix}{failure.network_name}: {failure.error.message}", failure.error.hint)
            case Waiting():
                self.doing = f"waiting for {event.who}"
                _output.note(f"{self._prefix}{self.doing}")


def _figures(measurement: Measurement) -> str:
    from hwnas.cli._measurements import interval, milliseconds

    return (
        f"{measurement.network_name}: p50 {milliseconds(measurement.p50_ms)} ms, p99 "
        f"{milliseconds(measurement.p99_ms)} ms ({interval(measurement.p99)}), {measurement.verdict}"
    )


def as_json(found: Mapping[str, Results | HwnasError]) -> dict[str, Any]:
    """Return what came out as JSON data: all measurements, all failures, and how each device fared."""
    from hwnas.measurement import Measurement

    results = [item for outcome in found.values() if not isinstance(outcome, HwnasError) for item in outcome]
    failures = [
        {
            "network_name": failure.network_name,
            "network_hash": failure.network_hash,
            "architecture_id": failure.architecture_id,
            "device": failure.device,
            "error": failure.error.message,
            "hint": failure.error.hint,
        }
        for failure in results
        if not isinstance(failure, Measurement)
    ]
    return {
        "measurements": [item.to_json() for item in results if isinstance(item, Measurement)],
        "failures": failures,
        "devices": [_device_json(name, outcome) for name, outcome in found.items()],
    }


def _device_json(name: str, outcome: Results | HwnasError) -> dict[str, Any]:
    from hwnas.measurement import Measurement

    if isinstance(outcome, HwnasError):
        return {"device": name, "measured": 0, "failed": None, "error": outcome.message, "hint": outcome.hint}
    measured = sum(isinstance(item, Measurement) for item in outcome)
    return {"device": name, "measured": measured, "failed": len(outcome) - measured, "error": None, "hint": None}
