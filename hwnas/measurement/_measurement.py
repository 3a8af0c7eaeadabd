"""How long a network takes: p50, p90 and p99 with their intervals, a verdict, and what it costs beside time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from hwnas.errors import DeviceError, HwnasError, MeasurementError

if TYPE_CHECKING:
    from datetime import datetime

Quantile = Literal["p50_ms", "p90_ms", "p99_ms"]

_NORMAL_95 = 1.959964
#: Standard deviation of log latency between hours of a calm machine (memory layout, speed modes of the processor),
#: which no interval sees: 4 % were seen for p50 over fresh-process campaigns on a quiet core.
RUN_TO_RUN_SIGMA = 0.04
#: The same for p90 and p99 of a disturbed machine, whose level moves from minute to minute.
RUN_TO_RUN_SIGMA_IF_NOT_OK = 0.10
#: The same for p50 from minute to minute, of a calm and of a disturbed machine.
_P50_SIGMA, _P50_SIGMA_IF_NOT_OK = 0.01, 0.02
#: Standard error of the logarithm where the samples do not bound the quantile on both sides: little is known then.
UNBOUNDED_SIGMA = 0.25

#: What a measurement tells beside time, and what to say where it does not.
COSTS = {
    "peak_memory_bytes": "its runner does not tell memory: use another one, or leave that objective out",
    "peak_memory_mb": "its runner does not tell memory: use another one, or leave that objective out",
    "energy_mj": "Linux hosts tell it by RAPL counters where /sys/class/powercap may be read, other devices do not; "
    "where it is told by now, measure again with --again",
    "size_bytes": "leave that objective out",
    "macs": "they are known of a space's networks alone: leave that objective out",
    "params": "they are known of a space's networks alone: leave that objective out",
}


class Verdict(StrEnum):
    """What a measurement says of itself. The later one stands where several hold; the reasons name all of them."""

    OK = "ok"
    CHARGING = "charging"
    NOISY = "noisy"
    DRIFTING = "drifting"
    PREEMPTED = "preempted"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A quantile in milliseconds with its two-sided 95 % interval.

    Attributes:
        value_ms: the point estimate.
        low_ms: the interval's lower end; zero where the samples are too few to bound the quantile from below.
        high_ms: its upper end; infinity where the samples are too few to bound the quantile from above.
        undisturbed_ms: the same estimate from those samples alone that no other program disturbed; the value itself
            where none was. It is no better figure, for it leaves out slow samples; it tells how much of the value is
            the machine's doing.

    Raises:
        MeasurementError: the first three are not in order, or one of the estimates is not positive.
    """

    value_ms: float
    low_ms: float
    high_ms: float
    undisturbed_ms: float

    def __post_init__(self) -> None:
        """Check the order."""
        in_order = 0.0 <= self.low_ms <= self.value_ms <= self.high_ms
        if not in_order or min(self.value_ms, self.undisturbed_ms) <= 0.0 or math.isinf(self.value_ms):
            raise MeasurementError(
                f"an estimate of {self.value_ms} ms with the interval {self.low_ms} to {self.high_ms} ms",
                "the value is positive, and lies within its interval",
            )

    @property
    def relative_width(self) -> float:
        """The interval's width as a share of the value; infinity where it has no upper end."""
        return (self.high_ms - self.low_ms) / self.value_ms

    @property
    def sampling_sigma_log(self) -> float:
        """Standard error of the logarithm, as the interval implies it; at least `UNBOUNDED_SIGMA` without both ends."""
        if math.isinf(self.high_ms):
            known = math.log(self.value_ms / self.low_ms) / _NORMAL_95 if self.low_ms > 0.0 else 0.0
            return max(UNBOUNDED_SIGMA, 2.0 * known)
        if self.low_ms == 0.0:
            return max(UNBOUNDED_SIGMA, 2.0 * math.log(self.high_ms / self.value_ms) / _NORMAL_95)
        return math.log(self.high_ms / self.low_ms) / (2.0 * _NORMAL_95)

    def widened(self, sigma: float) -> Estimate:
        """Return the estimate with a standard deviation of the logarithm added to its interval, in quadrature."""
        reach = _NORMAL_95 * sigma
        low, high = self.low_ms, self.high_ms
        if low > 0.0:
            low = self.value_ms * math.exp(-math.hypot(math.log(self.value_ms / low), reach))
        if not math.isinf(high):
            high = self.value_ms * math.exp(math.hypot(math.log(high / self.value_ms), reach))
        return Estimate(self.value_ms, low, high, self.undisturbed_ms)

    @property
    def disturbance_log(self) -> float:
        """How far others have moved the value, on the logarithmic scale."""
        return abs(math.log(self.value_ms / self.undisturbed_ms))

    def to_json(self) -> list[float | None]:
        """Return value, low, high and undisturbed; `None` stands for infinity."""
        return [self.value_ms, self.low_ms, None if math.isinf(self.high_ms) else self.high_ms, self.undisturbed_ms]

    @classmethod
    def from_json(cls, data: list[float | None]) -> Estimate:
        """Return the estimate that `to_json` wrote."""
        value, low, high, undisturbed = data
        if value is None or low is None or undisturbed is None:
            raise MeasurementError("an estimate without a value", "the store was changed by hand")
        return cls(value, low, math.inf if high is None else high, undisturbed)


def run_to_run_sigma(verdict: Verdict, metric: Quantile) -> float:
    """Return how far a quantile's logarithm differs from minute to minute, a standard deviation: intervals hold it.

    Set by `benchmarks/measurement.py --only variation`; docs/measurements.md says on which runs, and how it did on
    others.
    """
    p50 = metric == "p50_ms"
    calm, disturbed = (_P50_SIGMA, _P50_SIGMA_IF_NOT_OK) if p50 else (0.0, RUN_TO_RUN_SIGMA_IF_NOT_OK)
    return calm if verdict is Verdict.OK else disturbed


def sigma_log(estimate: Estimate, verdict: Verdict, metric: Quantile) -> float:
    """Return the standard error of the logarithm of a quantile; see `Measurement.sigma_log_of`."""
    known = max(estimate.sampling_sigma_log, run_to_run_sigma(verdict, metric))  # an imported interval may not hold it
    return math.hypot(known, estimate.disturbance_log, RUN_TO_RUN_SIGMA)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was found out about one network on one device; derived from a trace, and never kept without it.

    Attributes:
        id: the trace's row in the store; `None` where it was not stored.
        created_at: when the trace was complete, in UTC.
        device: the profile's name.
        device_hash: see `hwnas.device.Device.hash`.
        protocol_hash: see `MeasurementProtocol.hash`.
        network_hash: sha256 of the network file.
        network_name: what the network is called.
        architecture_id: the architecture that it was made from, where there is one.
        space: the name of that architecture's space.
        n: how many samples the quantiles rest on.
        p50: the median.
        p90: the 90th percentile.
        p99: the 99th.
        verdict: whether it can be trusted.
        reasons: the numbers behind the verdict, as sentences; empty for `ok`.
        peak_memory_bytes: of the inference process; `None` where the device does not tell.
        size_bytes: of the network file.
        macs: multiply-accumulates, where known.
        params: parameters, where known.
        energy_mj: of an inference, in millijoules; `None` where the device does not tell.
        estimated_from: what the quantiles were estimated from, where the program on the device told no single times;
            `None`: they are those of samples.
        imported_from: the id of the store that it was measured for, where it came from a file; `None`: measured here.
    """

    id: int | None
    created_at: datetime
    device: str
    device_hash: str
    protocol_hash: str
    network_hash: str
    network_name: str
    architecture_id: str | None
    space: str | None
    n: int
    p50: Estimate
    p90: Estimate
    p99: Estimate
    verdict: Verdict
    reasons: tuple[str, ...]
    peak_memory_bytes: int | None
    size_bytes: int
    macs: int | None
    params: int | None
    energy_mj: float | None = None
    imported_from: str | None = None
    estimated_from: str | None = None

    @property
    def p50_ms(self) -> float:
        """The median, in milliseconds."""
        return self.p50.value_ms

    @property
    def p90_ms(self) -> float:
        """The 90th percentile, in milliseconds."""
        return self.p90.value_ms

    @property
    def p99_ms(self) -> float:
        """The 99th percentile, in milliseconds."""
        return self.p99.value_ms

    @property
    def peak_memory_mb(self) -> float | None:
        """The peak memory in megabytes, of 1,000,000 bytes."""
        return None if self.peak_memory_bytes is None else self.peak_memory_bytes / 1e6

    @property
    def sigma_log(self) -> float:
        """Standard error of log(`p99_ms`), run-to-run variation included; see `sigma_log_of`."""
        return self.sigma_log_of("p99_ms")

    def sigma_log_of(self, metric: Quantile) -> float:
        """Return the standard error of the logarithm of a quantile: the observation noise that a surrogate is given.

        From the interval, which tells how well samples, blocks and processes pin the quantile, and how far it differs
        from minute to minute. `RUN_TO_RUN_SIGMA` is added in quadrature, so it is never below that. Where other
        programs moved the value, the way that they moved it is added too: a p99 that is the scheduler's says next to
        nothing of the network.
        """
        return sigma_log(self._estimate(metric), self.verdict, metric)

    @property
    def _run_to_run_sigma(self) -> float:
        return RUN_TO_RUN_SIGMA if self.verdict is Verdict.OK else RUN_TO_RUN_SIGMA_IF_NOT_OK

    def figure(self, metric: str) -> tuple[float, float]:
        """Return a figure and its standard error in the same unit, by the name that an objective uses.

        Args:
            metric: `p50_ms`, `p90_ms`, `p99_ms`; or one of `COSTS`. Of these only the energy has a noise worth a
                figure: that of the level from run to run, as latencies have it.

        Raises:
            MeasurementError: there is no such figure.
            DeviceError: the device does not tell it, of this network or any other.
        """
        if metric in ("p50_ms", "p90_ms", "p99_ms"):
            value = self._estimate(metric).value_ms
            return value, value * self.sigma_log_of(metric)  # type: ignore[arg-type]  # one of the three
        if metric not in COSTS:
            raise MeasurementError(f"a measurement has no {metric!r}", "ask for p50_ms, p90_ms, p99_ms, ...")
        known: float | None = getattr(self, metric)
        if known is None:
            raise DeviceError(f"device {self.device!r} does not tell {metric}", COSTS[metric])
        run = self._run_to_run_sigma if metric == "energy_mj" else 0.0
        return float(known), run * float(known)

    def _estimate(self, metric: str) -> Estimate:
        return {"p50_ms": self.p50, "p90_ms": self.p90, "p99_ms": self.p99}[metric]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON data, for people and programs; an interval without an upper end has `null`."""
        quantiles: dict[str, float | None] = {}
        for name in ("p50", "p90", "p99"):
            value, low, high, undisturbed = getattr(self, name).to_json()
            quantiles |= {f"{name}_ms": value, f"{name}_low_ms": low, f"{name}_high_ms": high}
            quantiles[f"{name}_undisturbed_ms"] = undisturbed
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in ("p50", "p90", "p99")}
        return {
            **plain,
            "created_at": self.created_at.isoformat(),
            "reasons": list(self.reasons),
            "verdict": str(self.verdict),
            **quantiles,
        }


@dataclass(frozen=True, slots=True)
class MeasurementFailure:
    """A network that could not be measured, and why; the others of its campaign were.

    Attributes:
        network_name: what it is called.
        network_hash: sha256 of its file.
        architecture_id: the architecture that it was made from, where there is one.
        device: the profile's name.
        error: what happened, and what to try.
    """

    network_name: str
    network_hash: str
    architecture_id: str | None
    device: str
    error: HwnasError
