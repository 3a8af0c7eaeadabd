"""`front.json`: the front with the evidence for every figure, for programs.

The format has a version, and its history stands here. A reader refuses a version that it does not know; fields may be
added within one.

1: `format`, `version`, `written_at`, `hwnas`; `study` (name, planned trials, trials by state); `objectives` as in the
   study file, the left-out parts filled in; `reference` (the reference point by objective) and `hypervolume` (now, and
   after each complete trial, on the modelled scale: latencies as logarithms); `devices` (by name: what the front's
   figures were measured on and how); `front`: one entry a member, best in the first objective first: `trial`,
   `architecture` (id, space, space version, values), `origin`, `values` by name, and `again`, the values that were
   measured once more when the search was over, and `foretold`, what was predicted of values that were measured since.
   `latency`, by device: how many networks were measured, predicted and measured again, and how many measurements the
   predictions saved. Where trainings were repeated, `noise` has by objective `sigma` (the standard deviation of a
   single training, as a share of the figure where `relative`) and `dof`; a value that they report is the mean, and an
   entry's `trainings` has by name what each gave, the first one first, and `against_next` and `against_baseline` by
   objective the difference from the next entry and from the baseline: `value` (in the figure's unit, a ratio where
   `relative`), `low` and `high` (95 %), `significant` (null where it is not known); null where there is no such trial.
   `fronts`, by device (by no name where there is none): its `objectives` by name, `reference`, `hypervolume` and
   `front`, as above; with one device they are the same. `tradeoffs`: for each figure of two devices, the rank
   correlation, and what the members of the one's front cost on the other, over what that one's own offers at no loss in
   the first objective. `baseline`: null, or its entry as a member's; an entry's `relative` has by objective its figure
   over the baseline's, null where there is none. `beaten`: null, or by device which trials beat the baseline, which of
   them `surely`, and the best figures at no loss in the first objective (`gains`). A value has `value`, `sigma` (its
   standard error, same unit, or null), `interval_95` (low and high, an end that the samples cannot bound is null; or
   null), `provenance` (measured, predicted, computed, reported, averaged), `trace`, the row of its raw samples in the
   workspace's store, or null, and the measurement's `verdict` (ok, charging, noisy, drifting, preempted, throttled), or
   null.
   A number that is not finite, such as a hypervolume beyond all numbers, is null.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import hwnas
from hwnas._files import replaced
from hwnas._json import json_text
from hwnas.errors import HwnasError
from hwnas.report._relative import ratio
from hwnas.report._tradeoff import tradeoffs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hwnas.report._summary import StudySummary
    from hwnas.search import Objective, Trial, Value

FORMAT = "hwnas-front"
VERSION = 1


def front_data(summary: StudySummary) -> dict[str, Any]:
    """Return the front as JSON data; the module's docstring has the format."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "hwnas": hwnas.__version__,
        "study": {"name": summary.name, "planned": summary.planned, "trials": summary.counts()},
        "objectives": [objective.to_json() for objective in summary.objectives],
        **_volume(summary),
        "devices": {name: dict(device) for name, device in summary.devices.items()},
        "latency": {counts.device: counts.to_json() for counts in summary.latencies},
        "noise": {
            name: {"sigma": noise.sigma, "dof": noise.dof, "relative": noise.relative}
            for name, noise in summary.noises.items()
        },
        "front": _members(summary),
        "fronts": {device: _front(own) for device, own in summary.by_device().items()},
        "tradeoffs": [tradeoff.to_json() for tradeoff in tradeoffs(summary)],
        "baseline": None if summary.baseline is None else _member(summary, summary.baseline, None),
        "beaten": None
        if summary.baseline is None
        else {device: found.to_json() for device, found in summary.beaten().items()},
    }


def _volume(summary: StudySummary) -> dict[str, Any]:
    history = summary.hypervolume
    return {
        "reference": None if summary.reference is None else dict(summary.reference),
        "hypervolume": {"now": history[-1] if history else None, "history": list(history)},
    }


def _front(own: StudySummary) -> dict[str, Any]:
    return {"objectives": [objective.name for objective in own.objectives], **_volume(own), "front": _members(own)}


def _members(own: StudySummary) -> list[dict[str, Any]]:
    members = own.front_trials
    return [_member(own, trial, following) for trial, following in zip(members, [*members[1:], None], strict=False)]


def write_front_json(summary: StudySummary, path: Path) -> Path:
    """Write the front to a JSON file and return its path; the file is whole or not there.

    Raises:
        HwnasError: the file cannot be written.
    """
    text = json_text(front_data(summary))
    try:
        with replaced(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise HwnasError(f"cannot write {path}: {exc.strerror or exc}", "check the folder and the free space") from exc
    return path


def _member(summary: StudySummary, trial: Trial, following: Trial | None) -> dict[str, Any]:
    architecture, baseline = trial.architecture, summary.baseline
    return {
        "trial": trial.number,
        "architecture": {
            "id": architecture.id,
            "space": architecture.space,
            "space_version": architecture.space_version,
            "values": dict(architecture.values),
        },
        "origin": trial.origin,
        "values": _values(summary, trial.values),
        "again": _values(summary, trial.again),
        "foretold": _values(summary, trial.foretold),
        "trainings": _trainings(summary, trial),
        "against_next": _against(summary, trial, following),
        "against_baseline": _against(summary, trial, baseline),
        "relative": None if baseline is None else {o.name: ratio(o, trial, baseline) for o in summary.objectives},
    }


def _trainings(summary: StudySummary, trial: Trial) -> dict[str, list[float]]:
    """Return what each training of a trial gave by objective, where there were several."""
    told = summary.told.get(trial.number, trial)
    return {
        objective.name: [
            values[objective.name].value for values in (told.values, *told.replicas) if objective.name in values
        ]
        for objective in summary.objectives
        if told.trainings(objective.name) > 1
    }


def _against(summary: StudySummary, trial: Trial, other: Trial | None) -> dict[str, Any] | None:
    """Return by objective how a trial differs from another; `None` without one, and from itself."""
    if other is None or other.number == trial.number:
        return None
    found = {objective.name: summary.difference(trial, other, objective) for objective in summary.objectives}
    return {
        name: {
            "value": told.value,
            "low": told.low if math.isfinite(told.low) else None,
            "high": told.high if math.isfinite(told.high) else None,
            "significant": told.significant,
            "relative": told.relative,
        }
        for name, told in found.items()
    }


def _values(summary: StudySummary, values: Mapping[str, Value]) -> dict[str, Any]:
    by_name: dict[str, Objective] = {objective.name: objective for objective in summary.objectives}
    written = {}
    for name, value in values.items():
        interval = summary.interval(by_name[name], value) if name in by_name else None
        written[name] = {
            "value": value.value,
            "sigma": value.sigma,
            "interval_95": None if interval is None else [end if math.isfinite(end) else None for end in interval],
            "provenance": str(value.provenance),
            "trace": value.trace_id,
            "verdict": None if value.trace_id is None else summary.verdicts.get(value.trace_id),
        }
    return written
