"""Whether a measurement can be trusted: what disturbed it, in numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hwnas.measurement._measurement import Estimate, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnas.device import Conditions
    from hwnas.measurement._trace import LatencyTrace, TraceBlock

#: A p99 is what the slowest hundredth says: once that many samples were preempted, it tells of the scheduler.
PREEMPTED_SHARE = 0.01
#: A sample counts as disturbed where it lost this share of the block's median to others.
_LOST_SHARE = 0.05
#: Quick networks lose few samples to a busy machine, but much time: with this share of it gone, others run here too.
_LOST_TIME_SHARE = 0.05
#: A block is done again where others took more than this share of its time, where more than this share of its samples
#: lost a time slice, or where the reference moved by more than this.
_BAD_BLOCK_LOST = 0.01
_BAD_BLOCK_SHARE = 0.01
_BAD_BLOCK_DRIFT = 0.15
#: The system's own threads take a processor for some tens of microseconds, on a calm machine too: that is how it is,
#: and repeating a block would not help. A program that computes keeps it for a time slice (Linux: 0.7 ms and more).
_SLICE_NS = 500_000
_DRIFT = 0.07
_NOISY_HALF_WIDTH = 0.20
_REPEATED_SHARE = 1.0 / 3.0
_STOLEN_SHARE = 0.02
_SLOWER_CLOCK = 0.90
_SLOWER_NETWORK = 0.03
_MODERATE_THERMAL_STATUS = 2
_LOW_BATTERY_PERCENT = 20.0


def preempted(block: TraceBlock, *, threads: int) -> NDArray[np.bool_]:
    """Return which samples of a block somebody else slowed down, `bool[n]`.

    A sample is one of them where it waited for the processor (wall clock above its processor time, which with several
    threads says nothing), or was switched out, and is slower than the median for it.
    """
    wall = block.samples_ns.astype(float)
    median = float(np.median(wall))
    found = np.zeros(wall.size, dtype=bool)
    if block.involuntary_switches is not None:
        found |= (block.involuntary_switches > 0) & (wall > (1.0 + _LOST_SHARE) * median)
    if block.cpu_ns is not None and threads == 1:
        found |= wall - block.cpu_ns > _LOST_SHARE * median
    return found


def is_bad(block: TraceBlock, *, threads: int) -> bool:
    """Return whether something disturbed a block so much that it is to be done again, as a whole."""
    if _was_taken(block, threads=threads):
        return True
    if block.reference_before_ns.size == 0 or block.reference_after_ns.size == 0:
        return False
    moved = math.log(float(np.median(block.reference_after_ns)) / float(np.median(block.reference_before_ns)))
    return abs(moved) > math.log1p(_BAD_BLOCK_DRIFT)


def _was_taken(block: TraceBlock, *, threads: int) -> bool:
    """Return whether others took too much of a block: of its time, or time slices of too many of its samples."""
    lost_ns = _lost_ns(block, threads=threads)
    share = float(lost_ns.sum()) / float(block.samples_ns.sum())
    return share > _BAD_BLOCK_LOST or float((lost_ns > _SLICE_NS).mean()) > _BAD_BLOCK_SHARE


def judge(trace: LatencyTrace, p99: Estimate) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict on a trace, and the numbers behind it as sentences.

    Where several hold, the verdict is the last of charging, noisy, drifting, preempted, throttled; all are in the
    reasons.
    """
    found = {
        Verdict.THROTTLED: _throttled(trace),
        Verdict.PREEMPTED: _preempted(trace),
        Verdict.DRIFTING: _drifting(trace),
        Verdict.NOISY: _noisy(trace, p99),
        Verdict.CHARGING: _charging(trace),
    }
    reasons = tuple(reason for group in found.values() for reason in group)
    return next((verdict for verdict, group in found.items() if group), Verdict.OK), reasons


def _preempted(trace: LatencyTrace) -> list[str]:
    reasons = []
    marks = [preempted(block, threads=trace.profile.threads) for block in trace.kept]
    share = float(np.concatenate(marks).mean())
    lost_ns = np.concatenate([_lost_ns(block, threads=trace.profile.threads) for block in trace.kept])
    lost = float(lost_ns.sum()) / float(trace.samples_ns.sum())
    if share >= PREEMPTED_SHARE or lost > _LOST_TIME_SHARE:
        reasons.append(f"other programs preempted {share:.1%} of the inferences and took {lost:.0%} of their time")
    dropped = [block for block in trace.blocks if not block.kept]
    taken = sum(_was_taken(block, threads=trace.profile.threads) for block in dropped)
    if taken > _REPEATED_SHARE * len(trace.blocks):
        reasons.append(f"other programs disturbed {taken} of {len(trace.blocks)} blocks, which do not count")
    states = _states(trace)
    stolen = _grown([state.stolen_s for state in states])
    elapsed = (states[-1].at - states[0].at).total_seconds() if states else 0.0
    cores = len(trace.profile.cpus) if trace.profile.cpus else trace.facts.logical_cores or 1
    if stolen is not None and elapsed > 0 and stolen / (elapsed * cores) > _STOLEN_SHARE:
        reasons.append(f"the hypervisor gave {stolen / (elapsed * cores):.1%} of the processors' time to others")
    return reasons


def _lost_ns(block: TraceBlock, *, threads: int) -> NDArray[np.float64]:
    """Return what others took of each sample, `float64[n]`: what a disturbed one waited, or took beyond the median."""
    wall = block.samples_ns.astype(float)
    lost = wall - float(np.median(wall))
    if block.cpu_ns is not None and threads == 1:
        lost = np.maximum(lost, wall - block.cpu_ns)
    return np.where(preempted(block, threads=threads), np.maximum(lost, 0.0), 0.0)


def _drifting(trace: LatencyTrace) -> list[str]:
    reasons = []
    references = [
        float(np.median(np.concatenate([block.reference_before_ns, block.reference_after_ns])))
        for block in trace.kept
        if block.reference_before_ns.size + block.reference_after_ns.size
    ]
    own = [float(np.median(block.samples_ns)) for block in trace.kept]
    for what, medians in (("the reference network", references), ("the network itself", own)):
        moved = _moved(medians)
        if abs(moved) > _DRIFT:
            reasons.append(f"{what} became {abs(moved):.1%} {'slower' if moved > 0 else 'faster'} meanwhile")
    return reasons


def _noisy(trace: LatencyTrace, p99: Estimate) -> list[str]:
    reasons = []
    n = sum(trace.sizes)
    half_width = p99.relative_width / 2.0
    if math.isinf(half_width):
        reasons.append(f"{n} samples, as dependent as they are, do not bound the p99 from above")
    elif half_width > _NOISY_HALF_WIDTH:
        reasons.append(f"the p99's 95 % interval is {half_width:.0%} wide on either side")
    elif half_width > (trace.protocol.precision or math.inf):
        asked = trace.protocol.precision
        reasons.append(
            f"the p99's 95 % interval is {half_width:.1%} wide on either side, and {asked:.1%} was asked for"
        )
    if n < trace.protocol.samples:
        where = "came from undisturbed blocks" if trace.ended == "repeats" else "fitted into the time budget"
        reasons.append(f"{n} samples of {trace.protocol.samples} {where}")
    if not trace.steady:
        reasons.append("it did not become steady in the time for warm-up")
    disturbed = sum(is_bad(block, threads=trace.profile.threads) for block in trace.kept)
    if disturbed > _REPEATED_SHARE * len(trace.kept):
        reasons.append(f"{disturbed} of {len(trace.kept)} blocks were disturbed, and no better ones could be had")
    repeated = len(trace.blocks) - len(trace.kept)
    if repeated > _REPEATED_SHARE * len(trace.blocks):
        reasons.append(f"{repeated} of {len(trace.blocks)} blocks were disturbed and done again")
    return reasons


def _throttled(trace: LatencyTrace) -> list[str]:
    reasons = []
    states = _states(trace)
    statuses = [state.thermal_status for state in states if state.thermal_status is not None]
    if statuses and max(statuses) >= _MODERATE_THERMAL_STATUS:
        reasons.append(f"the device reported thermal status {max(statuses)}")
    under_load = [block.conditions for block in trace.kept if block.conditions is not None]
    clocks = [float(np.mean(state.frequency_mhz)) for state in under_load if state.frequency_mhz]
    if 1.0 + _moved(clocks) < _SLOWER_CLOCK and _moved(_medians(trace)) > _SLOWER_NETWORK:
        reasons.append(f"the clock fell by {-_moved(clocks):.0%}, and the network became slower")
    held_back = _grown([_number(state.extra.get("quota_throttled_s")) for state in states])
    if held_back:
        reasons.append(f"a processor quota held the container back for {held_back:.2f} s")
    levels = [state.battery_percent for state in states if state.battery_percent is not None]
    if levels and min(levels) < _LOW_BATTERY_PERCENT and any(state.charging is False for state in states):
        reasons.append(f"the battery was at {min(levels):.0f} %")
    return reasons


def _charging(trace: LatencyTrace) -> list[str]:
    """Return how a device was charged that charging heats; where its profile accepts that, nothing."""
    states = _states(trace)
    charged = [state for state in states if state.charging and state.extra.get("charging_disturbs")]
    if not charged:
        return []
    levels = [state.battery_percent for state in states if state.battery_percent is not None]
    warmths = [state.temperature_c or {} for state in states]
    degrees = [warmth["battery"] for warmth in warmths if "battery" in warmth]
    figures = [_span(levels, "%"), _span(degrees, "°C")]
    told = ", ".join(figure for figure in figures if figure)
    return ["the battery was being charged, which heats a device" + (f" ({told})" if told else "")]


def _span(values: Sequence[float], unit: str) -> str:
    """Return the first and the last value, `62 to 64 %`, or the one."""
    if not values:
        return ""
    first, last = f"{values[0]:.0f}", f"{values[-1]:.0f}"
    return f"{first} {unit}" if first == last else f"{first} to {last} {unit}"


def _states(trace: LatencyTrace) -> list[Conditions]:
    return [state for state in (trace.before, *(b.conditions for b in trace.blocks), trace.after) if state is not None]


def _medians(trace: LatencyTrace) -> list[float]:
    return [float(np.median(block.samples_ns)) for block in trace.kept]


def _moved(medians: Sequence[float]) -> float:
    """Return by which share the last third's median differs from the first third's; 0 for fewer than three."""
    third = len(medians) // 3
    if third == 0:
        return 0.0
    return float(np.median(medians[-third:]) / np.median(medians[:third])) - 1.0


def _grown(counters: Sequence[float | None]) -> float | None:
    known = [value for value in counters if value is not None]
    return known[-1] - known[0] if len(known) > 1 else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
