"""Several networks on one device: fresh processes, interleaved blocks, a reference network between them."""

from __future__ import annotations

import contextlib
import platform
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from hwnas import __version__
from hwnas.errors import DeadlineError, DeviceConnectionError, HwnasError, NetworkMemoryError, StoppedError
from hwnas.measurement._sampler import Sampler

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from numpy.typing import NDArray

    from hwnas._deadline import Deadline
    from hwnas.device import Device
    from hwnas.measurement._protocol import MeasurementProtocol
    from hwnas.measurement._subject import Subject
    from hwnas.measurement._trace import Ended, LatencyTrace
    from hwnas.network import NetworkFile

_TURN_S = 30.0  # a turn that lasted longer is given to others between two rounds
_NOTHING = np.zeros(0, dtype=np.int64)


class CampaignEndedError(HwnasError):
    """No other network can be measured now: the device is lost, or the time is over. Never leaves the package."""

    def __init__(self, cause: HwnasError) -> None:
        """Keep the error that every network still waiting gets."""
        super().__init__(cause.message, cause.hint)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Handlers:
    """Who is told what, as soon as it is there.

    Attributes:
        on_block: after each block.
        on_trace: a network is measured.
        on_error: a network failed.
    """

    on_block: Callable[[Subject], None]
    on_trace: Callable[[Subject, LatencyTrace], None]
    on_error: Callable[[Subject, HwnasError], None]


class Campaign:
    """Measures groups of subjects: fresh processes, interleaved blocks, the reference network between them."""

    def __init__(
        self,
        device: Device,
        protocol: MeasurementProtocol,
        reference: NetworkFile | None,
        handlers: Handlers,
        *,
        turn: Callable[[], AbstractContextManager[None]],
        deadline: Deadline,
        cancelled: threading.Event | None = None,
    ) -> None:
        """Set up; `run` measures.

        Args:
            device: where.
            protocol: how.
            reference: the reference network, in a format that the device runs; `None` where the protocol has none.
            handlers: who is told.
            turn: gives the machine's turn: asked for anew for each group and process, and between long rounds.
            deadline: of everything.
            cancelled: ends the campaign when it is set, after the block that runs.
        """
        self._device = device
        self._protocol = protocol
        self._reference_file = reference
        self._handlers = handlers
        self._turn = turn
        self._deadline = deadline
        self._cancelled = cancelled
        self._too_large: list[tuple[Subject, int]] = []
        self._reference: Sampler | None = None
        self._last_reference_ns: NDArray[np.int64] | None = None
        self._random = np.random.default_rng(protocol.seed)
        self._versions = {
            **device.versions,
            "hwnas": __version__,
            "python": platform.python_version(),
            "os": device.facts.os or "unknown",
        }

    def run(self, subjects: Sequence[Subject]) -> None:
        """Measure all subjects.

        Raises:
            CampaignEndedError: the device failed, or the deadline came; what was done until then was handed over.
            StoppedError: `cancelled` was set.
        """
        self._prepare()
        order = [subjects[index] for index in self._random.permutation(len(subjects))]
        for start in range(0, len(order), self._protocol.group):
            self._run_group(order[start : start + self._protocol.group], 0)
        while self._too_large:
            subject, process = self._too_large.pop(0)
            self._run_group([subject], process)

    def _prepare(self) -> None:
        self._check_whether_to_go_on()
        try:
            self._device.prepare(deadline=self._deadline)
        except HwnasError as exc:
            raise self._end(exc) from exc

    def _run_group(self, subjects: list[Subject], first_process: int) -> None:
        unfinished = subjects
        for process in range(first_process, self._protocol.processes):
            if unfinished:
                unfinished = self._run_process(unfinished, process)

    def _run_process(self, subjects: list[Subject], process: int) -> list[Subject]:
        """Run one fresh process of each subject until it has done its share; returns those that go on to another."""
        with _Turn(self._turn) as turn, contextlib.ExitStack() as processes:
            self._device.runtime.forget()
            self._open_reference(processes)
            active: dict[Subject, Sampler] = {}
            for subject in subjects:
                sampler = self._open(subject, processes, process, alone=not active)
                if sampler is not None:
                    active[subject] = sampler
            going_on: list[Subject] = []
            while active:
                if turn.renew_if_long():
                    self._last_reference_ns = None
                order = list(active)
                for index in self._random.permutation(len(order)):
                    subject = order[index]
                    ended = self._step(subject, active[subject], process)
                    if ended is None:
                        continue
                    sampler = active.pop(subject)
                    if ended != "failed":
                        self._end_process(subject, sampler, process, ended, going_on)
                    sampler.close()
            return going_on

    def _open_reference(self, processes: contextlib.ExitStack) -> None:
        self._last_reference_ns = self._reference = None
        if self._reference_file is None:
            return
        self._check_whether_to_go_on()
        try:
            sampler = Sampler(self._device, self._reference_file, self._protocol, self._deadline)
        except HwnasError as exc:
            raise self._end(exc) from exc
        self._reference = processes.enter_context(sampler)

    def _open(self, subject: Subject, processes: contextlib.ExitStack, process: int, *, alone: bool) -> Sampler | None:
        """Return the subject loaded and warm; `None` where that failed, which was told.

        One that finds too little memory while others of its group hold some is put off until it can be alone.
        """
        self._check_whether_to_go_on()
        try:
            with subject.timed():
                subject.begin(self._device)
                sampler = Sampler(self._device, subject.network, self._protocol, self._deadline)
        except HwnasError as exc:
            if isinstance(exc, NetworkMemoryError) and not alone:
                self._too_large.append((subject, process))
            else:
                self._blame(subject, exc)
            return None
        return processes.enter_context(sampler)

    def _step(self, subject: Subject, sampler: Sampler, process: int) -> Ended | Literal["failed"] | None:
        """Run one block; returns why the subject's process has done its share, `None` where it goes on."""
        self._check_whether_to_go_on()
        self._rest()
        before = self._last_reference_ns if self._last_reference_ns is not None else self._run_reference()
        self._last_reference_ns = None
        try:
            with subject.timed():
                block = sampler.run(sampler.block_size)
                after = self._last_reference_ns = self._run_reference()
        except HwnasError as exc:
            self._blame(subject, exc)
            return "failed"
        threads = self._device.profile.threads
        subject.add(block, process=process, threads=threads, before_ns=before, after_ns=after)
        self._handlers.on_block(subject)
        return subject.ended(process)

    def _rest(self) -> None:
        """Let the device cool where its profile wants it; the reference is then run anew, in the state of the block."""
        try:
            if self._device.rest(deadline=self._deadline, cancelled=self._cancelled):
                self._last_reference_ns = None
        except HwnasError as exc:
            raise self._end(exc) from exc
        self._check_whether_to_go_on()

    def _end_process(
        self, subject: Subject, sampler: Sampler, process: int, ended: Ended, going_on: list[Subject]
    ) -> None:
        subject.end_process(sampler)
        if process + 1 < self._protocol.processes:
            going_on.append(subject)
            return
        try:
            trace = subject.trace(self._device, ended=ended, versions=self._versions)
        except HwnasError as exc:
            self._blame(subject, exc)
            return
        self._handlers.on_trace(subject, trace)

    def _run_reference(self) -> NDArray[np.int64]:
        if self._reference is None:
            return _NOTHING
        try:
            return self._reference.run(self._protocol.reference).samples_ns
        except HwnasError as exc:
            raise self._end(exc) from exc

    def _check_whether_to_go_on(self) -> None:
        if self._cancelled is not None and self._cancelled.is_set():
            raise StoppedError("told to stop while it measured")
        if self._deadline.passed:
            raise CampaignEndedError(
                DeadlineError("the time for the whole campaign was over", "give it more time, or fewer networks")
            )

    def _end(self, error: HwnasError) -> CampaignEndedError:
        """Return what ends the campaign where the reference failed: the device's error, or that the time is over."""
        self._check_whether_to_go_on()
        return CampaignEndedError(error)

    def _blame(self, subject: Subject, error: HwnasError) -> None:
        """Tell that a subject failed, and go on; unless it is the device that failed, or the time is over."""
        if isinstance(error, CampaignEndedError):
            raise error
        if isinstance(error, DeviceConnectionError):
            raise CampaignEndedError(error) from error
        self._check_whether_to_go_on()
        self._handlers.on_error(subject, error)


class _Turn:
    """The machine's turn, given back and asked for again when it has lasted long."""

    def __init__(self, turn: Callable[[], AbstractContextManager[None]]) -> None:
        self._turn = turn
        self._held = contextlib.ExitStack()
        self._since = 0.0

    def __enter__(self) -> Self:
        self._held.enter_context(self._turn())
        self._since = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def renew_if_long(self) -> bool:
        """Let others go first where it has lasted long; returns whether it did."""
        if time.monotonic() - self._since < _TURN_S:
            return False
        self._held.close()
        self.__enter__()
        return True
