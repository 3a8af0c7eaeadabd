"""Everything that was seen while a network was measured: the evidence that each figure is derived from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hwnas.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hwnas.device import Conditions, DeviceFacts, DeviceProfile
    from hwnas.measurement._protocol import MeasurementProtocol

#: Why the sampling of a network ended; `repeats`: no more blocks could be done again, and what is calm has to do.
Ended = Literal["samples", "precision", "max_samples", "budget", "repeats"]


@dataclass(frozen=True, slots=True, eq=False)
class TraceBlock:
    """One uninterrupted series of inferences, with the reference network before and after it.

    Attributes:
        process: which of the fresh processes ran it, from 0.
        samples_ns: `int64[n]`, wall clock of each inference, in order.
        cpu_ns: `int64[n]`, processor time of each; `None` where the device does not tell.
        involuntary_switches: `int64[n]`, how often each was preempted; `None` where the device does not tell.
        reference_before_ns: `int64[r]`, the reference network just before; empty where the protocol has none.
        reference_after_ns: `int64[r]`, and just after.
        started_at: in UTC.
        conditions: the device's state just after the last inference, where it was read.
        energy_mj: what the device took during the inferences, in millijoules; `None` where it does not tell.
        kept: false where something disturbed the block and it was done again; it is kept here, and counts nowhere.
    """

    process: int
    samples_ns: NDArray[np.int64]
    cpu_ns: NDArray[np.int64] | None
    involuntary_switches: NDArray[np.int64] | None
    reference_before_ns: NDArray[np.int64]
    reference_after_ns: NDArray[np.int64]
    started_at: datetime
    conditions: Conditions | None = None
    energy_mj: float | None = None
    kept: bool = True

    def __post_init__(self) -> None:
        """Make the arrays read-only, and check that they belong together."""
        for name in ("samples_ns", "cpu_ns", "involuntary_switches", "reference_before_ns", "reference_after_ns"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, read_only(getattr(self, name)))
        for series in (self.cpu_ns, self.involuntary_switches):
            if series is not None and series.size != self.samples_ns.size:
                raise MeasurementError(
                    f"a block of {self.samples_ns.size} samples with a series of {series.size}", "the record is damaged"
                )
        if self.samples_ns.size == 0:
            raise MeasurementError("a block without samples", "the record is damaged")

    def __len__(self) -> int:
        """Return the number of samples."""
        return int(self.samples_ns.size)


@dataclass(frozen=True, slots=True)
class MeasuredNetwork:
    """The network that a trace is of.

    Attributes:
        name: what a person calls it.
        hash: sha256 of its file.
        format: `onnx` or `tflite`.
        size_bytes: of its file.
        macs: multiply-accumulates, where known.
        params: parameters, where known.
        architecture_id: the architecture that it was made from, where there is one.
        space: the name of that architecture's space.
        architecture: its values by parameter name, and the version of its space, as `Architecture.to_json` has them.
    """

    name: str
    hash: str
    format: str
    size_bytes: int
    macs: int | None = None
    params: int | None = None
    architecture_id: str | None = None
    space: str | None = None
    architecture: Mapping[str, Any] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True, eq=False)
class LatencyTrace:
    """One network measured on one device: every sample in order, and the conditions under which it was taken.

    Attributes:
        network: what was measured.
        device: the profile's name.
        device_hash: see `hwnas.device.Device.hash`.
        profile: the profile, as it was then.
        facts: what the device said it is.
        versions: of what influences latency: the runtime, the kernel, hwnas.
        protocol: the settings, as they were then.
        blocks: in the order in which they ran; those that were done again are there too, marked.
        warmup_ns: `int64[w]`, what ran before the device was steady, and at the start of each block.
        steady: whether every process's warm-up became steady within its time.
        ended: why the sampling ended.
        before: the device's state before the first block.
        after: the device's state after the last.
        peak_memory_bytes: of the inference process; `None` where the device does not tell.
        baseline_memory_bytes: what that process held before it loaded the network: the runtime itself.
        created_at: when the last block was done, in UTC.

    Raises:
        MeasurementError: no block counts.
    """

    network: MeasuredNetwork
    device: str
    device_hash: str
    profile: DeviceProfile
    facts: DeviceFacts
    versions: Mapping[str, str]
    protocol: MeasurementProtocol
    blocks: tuple[TraceBlock, ...]
    warmup_ns: NDArray[np.int64]
    steady: bool
    ended: Ended
    before: Conditions | None = None
    after: Conditions | None = None
    peak_memory_bytes: int | None = None
    baseline_memory_bytes: int | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        """Check that something counts."""
        object.__setattr__(self, "warmup_ns", read_only(self.warmup_ns))
        if not self.kept:
            raise MeasurementError(f"{self.network.name}: no block of samples was kept", "measure it again")

    @property
    def kept(self) -> tuple[TraceBlock, ...]:
        """The blocks that count, in order."""
        return tuple(block for block in self.blocks if block.kept)

    @property
    def samples_ns(self) -> NDArray[np.int64]:
        """`int64[n]`: the samples of the blocks that count, in order."""
        return np.concatenate([block.samples_ns for block in self.kept])

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many samples each of the blocks that count has; they sum to n."""
        return tuple(len(block) for block in self.kept)

    @property
    def energy_mj(self) -> float | None:
        """Energy of an inference in millijoules, the mean over the blocks that count; `None` where not all tell."""
        known = [block.energy_mj for block in self.kept if block.energy_mj is not None]
        return sum(known) / sum(self.sizes) if len(known) == len(self.kept) else None

    @property
    def estimated_from(self) -> str | None:
        """What stands for samples where the program on the device told no single times; `None`: they are samples."""
        told = (block.conditions.extra.get("estimated_from") for block in self.kept if block.conditions is not None)
        found = sorted({str(word) for word in told if word is not None})
        return ", ".join(found) or None

    @property
    def started_at(self) -> datetime:
        """When the first block began, in UTC."""
        return self.blocks[0].started_at

    @property
    def hash(self) -> str:
        """A sha256, as 64 hex digits, of what was measured: network, device, protocol and every sample."""
        digest = hashlib.sha256(f"{self.network.hash} {self.device_hash} {self.protocol.hash}".encode())
        for block in self.blocks:
            digest.update(block.samples_ns.astype("<i8").tobytes())
        return digest.hexdigest()


def read_only(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a copy as `int64` that cannot be written to."""
    copy = np.array(values, dtype=np.int64)
    copy.flags.writeable = False
    return copy
