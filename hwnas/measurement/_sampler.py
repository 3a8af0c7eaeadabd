"""One network in one fresh process: loaded, warmed up, and run in blocks."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import TYPE_CHECKING, Self

import numpy as np

from hwnas._deadline import Deadline
from hwnas.measurement._steadiness import is_steady, window_size

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from hwnas.device import Block, Device
    from hwnas.measurement._protocol import MeasurementProtocol
    from hwnas.network import NetworkFile

_LEAST_IN_BLOCK = 10
_SLACK_S = 10.0
_SLACK_FACTOR = 20.0


class Sampler:
    """A session with its warm-up. A context manager: it ends the process.

    Attributes:
        warmup_ns: what ran before it was steady, and at the start of each block, in order.
        steady: whether the warm-up became steady in time.
        inference_ns: what an inference takes, about.
    """

    def __init__(self, device: Device, network: NetworkFile, protocol: MeasurementProtocol, deadline: Deadline) -> None:
        """Load the network and warm it up.

        Raises:
            HwnasError: it cannot be loaded or run; see `Runtime.open` and `Session.run`.
        """
        self._protocol = protocol
        self._deadline = deadline
        self._slack_s = device.slack_s
        self._session = device.load(network, deadline=self._within(protocol.load_timeout_s))
        self.warmup_ns: list[NDArray[np.int64]] = []
        self.steady = True
        self.inference_ns = 0.0
        try:
            self._warm_up()
        except BaseException:
            self.close()
            raise

    @property
    def peak_memory_bytes(self) -> int | None:
        """The most memory that the process has held so far."""
        return self._session.peak_memory_bytes

    @property
    def baseline_memory_bytes(self) -> int | None:
        """What it held before the network was loaded."""
        return self._session.baseline_memory_bytes

    @property
    def block_size(self) -> int:
        """How many inferences make a block: the protocol's number, more where they are quick, fewer where slow."""
        protocol, inference_s = self._protocol, self.inference_ns / 1e9
        least = max(protocol.block, math.ceil(protocol.block_least_s / inference_s))
        fitting = max(min(_LEAST_IN_BLOCK, protocol.block), int(protocol.block_most_s / inference_s))
        return min(least, fitting)

    def run(self, n: int) -> Block:
        """Return a block of `n` samples; those that the protocol runs before them do not count.

        Raises:
            HwnasError: see `Session.run`.
        """
        extra = self._protocol.block_warmup if self._session.stays_loaded else 0
        whole = self._run(n + extra)
        self.warmup_ns.append(whole.samples_ns[:extra])
        return _without_first(whole, extra)

    def close(self) -> None:
        """End the process."""
        self._session.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def _warm_up(self) -> None:
        first = self._session.run(1, deadline=self._within(self._protocol.inference_timeout_s))
        self._take(first)
        if not self._session.stays_loaded:
            return
        end = time.monotonic() + self._protocol.warmup_s
        medians: list[float] = []
        while not is_steady(medians, self._protocol.warmup_tolerance):
            if time.monotonic() > end and len(medians) >= 3:
                self.steady = False
                return
            window = self._run(window_size(self.inference_ns))
            self._take(window)
            medians.append(self.inference_ns)

    def _take(self, block: Block) -> None:
        self.warmup_ns.append(block.samples_ns)
        self.inference_ns = float(np.median(block.samples_ns))

    def _run(self, n: int) -> Block:
        expected_s = n * self.inference_ns / 1e9
        limit_s = min(_SLACK_S + _SLACK_FACTOR * expected_s, n * self._protocol.inference_timeout_s)
        return self._session.run(n, deadline=self._within(limit_s))

    def _within(self, seconds: float) -> Deadline:
        return Deadline.after(self._deadline.remaining_s(seconds + self._slack_s))


def _without_first(block: Block, count: int) -> Block:
    if count == 0:
        return block
    share = float(block.samples_ns[count:].sum()) / float(block.samples_ns.sum())
    return dataclasses.replace(
        block,
        energy_mj=None if block.energy_mj is None else block.energy_mj * share,
        samples_ns=block.samples_ns[count:],
        cpu_ns=None if block.cpu_ns is None else block.cpu_ns[count:],
        involuntary_switches=None if block.involuntary_switches is None else block.involuntary_switches[count:],
    )
