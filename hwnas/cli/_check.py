"""What `hwnas device check` says: what the device is, how it is, and how well it measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnas.measurement import Verdict
from hwnas.report import interval_text, number

if TYPE_CHECKING:
    from hwnas.device import Conditions
    from hwnas.measurement import DeviceCheck, Measurement

_GIB = 2**30
_GOOD = "none: good to measure with"
#: What to do about a verdict where the check knows nothing more precise.
_IN_GENERAL = "measure when the machine is quieter, or ask for more samples"


def check_data(found: DeviceCheck) -> dict[str, Any]:
    """Return what a check found as JSON data."""
    return {
        "device": found.profile.name,
        "reached": found.reached,
        "profile": found.profile.to_json(),
        "facts": found.facts.to_json(),
        "versions": dict(found.versions),
        "conditions": found.conditions.to_json(),
        "reference": found.reference.to_json(),
        "verdict": str(found.verdict),
        "reasons": list(found.reasons),
        "advice": list(found.advice),
    }


def check_rows(found: DeviceCheck) -> list[list[str]]:
    """Return what a check found as rows of a table."""
    facts = found.facts
    layout = facts.extra.get("cores")
    cores = None if facts.logical_cores is None else f"{facts.logical_cores} cores" + (f" ({layout})" if layout else "")
    memory = None if facts.memory_bytes is None else f"{facts.memory_bytes / _GIB:.1f} GiB"
    what = [facts.model, facts.soc, facts.architecture, facts.os, cores, memory]
    advice = "; ".join(found.advice) or (_GOOD if found.verdict is Verdict.OK else _IN_GENERAL)
    return [
        ["reached", found.reached],
        ["is", ", ".join(part for part in what if part)],
        ["runs", ", ".join(f"{name} {version}" for name, version in found.versions.items()) or found.profile.runtime],
        ["state", _state(found.conditions)],
        ["reference network", _figures(found.reference)],
        ["verdict", "; ".join([str(found.verdict), *found.reasons])],
        ["advice", advice],
    ]


def _figures(reference: Measurement) -> str:
    quantiles = [
        f"{name} {number(estimate.value_ms, even=True)} ms ({interval_text((estimate.low_ms, estimate.high_ms))})"
        for name, estimate in (("p50", reference.p50), ("p99", reference.p99))
    ]
    return f"{', '.join(quantiles)}, {reference.n} samples"


def _battery(conditions: Conditions) -> str | None:
    if conditions.battery_percent is None:
        return None
    return f"battery {conditions.battery_percent:.0f} %" + (", charging" if conditions.charging else "")


def _state(conditions: Conditions) -> str:
    clocks, hottest = conditions.frequency_mhz, conditions.hottest_c
    parts = [
        None if conditions.governor is None else f"governor {conditions.governor}",
        f"{min(clocks):.0f} to {max(clocks):.0f} MHz" if clocks else None,
        None if hottest is None else f"{hottest:.0f} °C at the hottest",
        None if conditions.load_1m is None else f"load {conditions.load_1m:.2f}",
        _battery(conditions),
        None if conditions.thermal_status is None else f"thermal status {conditions.thermal_status}",
    ]
    return ", ".join(part for part in parts if part) or "it tells nothing of its state"
