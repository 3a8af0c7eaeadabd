"""A network while it is being measured: what was seen of it so far, and whether that is enough."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING

import numpy as np

from hwnas._deadline import Deadline
from hwnas.measurement._summary import estimate
from hwnas.measurement._trace import LatencyTrace, MeasuredNetwork, TraceBlock
from hwnas.measurement._verdict import is_bad

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from hwnas.device import Block, Conditions, Device
    from hwnas.measurement._protocol import MeasurementProtocol
    from hwnas.measurement._sampler import Sampler
    from hwnas.measurement._trace import Ended
    from hwnas.network import NetworkFile
    from hwnas.space import Architecture

_CONDITIONS_TIMEOUT_S = 10.0
_REPEAT_SHARE = 0.5
#: Where the repeats are used up, the calm blocks count alone if they have at least this share of the samples asked for.
_CALM_SHARE = 0.125


class Subject:
    """Gathers the blocks of one network over its processes.

    Attributes:
        network: its file.
        architecture_id: the architecture that it was made from, where there is one.
        spent_s: what its processes took so far, loading and warm-up included.
    """

    def __init__(
        self,
        network: NetworkFile,
        protocol: MeasurementProtocol,
        *,
        architecture_id: str | None = None,
        space: str | None = None,
        architecture: Architecture | None = None,
    ) -> None:
        """Begin with nothing; an architecture names itself and its space."""
        self.network = network
        self.architecture_id = architecture_id if architecture is None else architecture.id
        self.spent_s = 0.0
        self._space = space if architecture is None else architecture.space
        self._architecture = architecture
        self._protocol = protocol
        self._blocks: list[TraceBlock] = []
        self._warmup: list[NDArray[np.int64]] = []
        self._steady = True
        self._given_up = False
        self._share = 0.0
        self._peak: int | None = None
        self._baseline: int | None = None
        self._before: Conditions | None = None

    @property
    def samples(self) -> int:
        """How many samples count so far."""
        return sum(map(len, self._counting))

    @property
    def _counting(self) -> list[TraceBlock]:
        calm = [block for block in self._blocks if block.kept]
        enough = sum(map(len, calm)) >= _CALM_SHARE * self._share * self._protocol.samples
        return calm if enough or not self._given_up else self._blocks

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Count the time of a block of code as spent."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.spent_s += time.monotonic() - started

    def begin(self, device: Device) -> None:
        """Note the device's state before the first block."""
        if self._before is None:
            self._before = _conditions(device)

    def add(
        self,
        block: Block,
        *,
        process: int,
        threads: int,
        before_ns: NDArray[np.int64],
        after_ns: NDArray[np.int64],
    ) -> None:
        """Take a block with its references.

        One that was disturbed is done again, and does not count. Where the repeats of all processes so far, or half of
        the time, are used up, the calm blocks that there are have to do; where they are fewer than an eighth of what
        was asked for, this is how the device is: then every block counts, those before too.
        """
        parts = {
            "process": process,
            "samples_ns": block.samples_ns,
            "cpu_ns": block.cpu_ns,
            "involuntary_switches": block.involuntary_switches,
            "reference_before_ns": before_ns,
            "reference_after_ns": after_ns,
            "started_at": block.started_at,
            "conditions": block.conditions,
            "energy_mj": block.energy_mj,
        }
        taken = TraceBlock(**parts)  # type: ignore[arg-type]  # the fields by their names
        if is_bad(taken, threads=threads):
            taken = dataclasses.replace(taken, kept=False)
        self._blocks.append(taken)
        protocol, repeated = self._protocol, sum(not block.kept for block in self._blocks)
        self._share = (process + 1) / protocol.processes
        allowed = protocol.repeats * (process + 1) // protocol.processes
        self._given_up = repeated > allowed or self.spent_s >= _REPEAT_SHARE * protocol.budget_s

    def end_process(self, sampler: Sampler) -> None:
        """Take what a process has besides blocks: its warm-up and its memory."""
        self._warmup += sampler.warmup_ns
        self._steady = self._steady and sampler.steady
        peaks = [value for value in (self._peak, sampler.peak_memory_bytes) if value is not None]
        self._peak = max(peaks) if peaks else None
        self._baseline = sampler.baseline_memory_bytes

    def ended(self, process: int) -> Ended | None:
        """Return why this process has done its share of the work; `None` where it has not.

        The last process goes on until the whole is enough.
        """
        protocol = self._protocol
        share = (process + 1) / protocol.processes
        if self.samples == 0:
            return None
        if self.spent_s >= share * protocol.budget_s:
            return "budget"
        tried = self._blocks if self._given_up else self._counting
        taken = sum(map(len, tried))
        if taken < share * protocol.samples or len(tried) < share * protocol.blocks:
            return None
        if self.samples < share * protocol.samples:
            return "repeats"
        if protocol.precision is None or process + 1 < protocol.processes:
            return "samples"
        if taken >= protocol.max_samples:
            return "max_samples"
        return "precision" if self._half_width() <= protocol.precision else None

    def trace(self, device: Device, *, ended: Ended, versions: Mapping[str, str]) -> LatencyTrace:
        """Return the trace of all blocks."""
        network, counting = self.network, set(map(id, self._counting))
        return LatencyTrace(
            network=MeasuredNetwork(
                name=network.name,
                hash=network.hash,
                format=network.format,
                size_bytes=network.size_bytes,
                macs=network.macs,
                params=network.params,
                architecture_id=self.architecture_id,
                space=self._space,
                architecture=None if self._architecture is None else self._architecture.to_json(),
            ),
            device=device.profile.name,
            device_hash=device.hash,
            profile=device.profile,
            facts=device.facts,
            versions=versions,
            protocol=self._protocol,
            blocks=tuple(dataclasses.replace(block, kept=id(block) in counting) for block in self._blocks),
            warmup_ns=np.concatenate(self._warmup),
            steady=self._steady,
            ended=ended,
            before=self._before,
            after=_conditions(device),
            peak_memory_bytes=self._peak,
            baseline_memory_bytes=self._baseline,
        )

    def _half_width(self) -> float:
        return estimate(self._counting, 0.99, between=False).relative_width / 2.0


def _conditions(device: Device) -> Conditions:
    return device.conditions(deadline=Deadline.after(_CONDITIONS_TIMEOUT_S + device.slack_s))
