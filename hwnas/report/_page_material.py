"""All that the report page is made of, read from a study once; nothing is fitted or measured."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hwnas.measurement import MeasurementStore
from hwnas.report._diagnosis import FORMAT, VERSION
from hwnas.report._summary import intervals_of, summarise

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hwnas.evaluation import CurvePoint
    from hwnas.measurement import LatencyTrace, Measurement
    from hwnas.report._summary import StudySummary
    from hwnas.search import Objective, ProposalRecord, Study, Trial, TrialState

#: The two models of a diagnosis.
_JUDGES = ("saas", "plain")

Move = tuple[datetime, "TrialState | None", "TrialState", "str | None"]


@dataclass(frozen=True, slots=True)
class Material:
    """What the page tells of a study.

    Attributes:
        study: for its settings, space, file and source; its trials are those of `summary`.
        folder: where its networks and logs lie.
        summary: its trials, with the interval and the verdict of every measurement they rest on. Where trainings were
            repeated, a trial's value is its best estimate from all of them.
        told: the trials as they are kept, by number.
        fronts: by device a summary of that device's objectives and front; its name is empty where there is none.
        baseline: the trial that all are compared with, once it is complete.
        proposals: what each batch cost, and what the models said of themselves.
        moves: the history of each trial, by number.
        curves: the learning curve of each trial that has one, by number.
        measurements: by the row of their trace, all that trials rest on.
        traces: by device the newest of those traces: what it was measured on.
        diagnosis: the content of `diagnosis.json`, and `diagnosis_note` why it is not there, or what to mind of it.
        running: whether a search is at work on it.
        at: when it was read, in UTC.
    """

    study: Study
    folder: Path
    summary: StudySummary
    told: Mapping[int, Trial]
    fronts: Mapping[str, StudySummary]
    baseline: Trial | None
    proposals: Sequence[ProposalRecord]
    moves: Mapping[int, Sequence[Move]]
    curves: Mapping[int, Sequence[CurvePoint]]
    measurements: Mapping[int, Measurement]
    traces: Mapping[str, LatencyTrace]
    diagnosis: Mapping[str, Any] | None
    diagnosis_note: str
    running: bool
    at: datetime

    @property
    def members(self) -> tuple[Trial, ...]:
        """The members of all fronts, each once, best in the first objective first."""
        found = {trial.number: trial for front in self.fronts.values() for trial in front.front_trials}
        first = self.summary.optimised[0]
        return tuple(sorted(found.values(), key=lambda t: (-first.score(t.values[first.name].value), t.number)))


def read_material(study: Study, folder: Path) -> Material:
    """Return what there is to tell of a study now; it may be half done, or running in another process.

    Args:
        study: the study.
        folder: where its files lie, such as `searches/NAME`.

    Raises:
        StoreError: the store cannot be read.
    """
    from hwnas.search import is_at_work

    summary = summarise(study)
    measurements = _measurements(study, summary.trials)
    told = {**{trial.number: trial for trial in summary.trials}, **summary.told}
    summary = replace(
        summary,
        intervals=intervals_of(measurements.values()),
        verdicts={row: str(measurement.verdict) for row, measurement in measurements.items()},
    )
    baseline = study.baseline()
    diagnosis, note = _diagnosis(folder / "diagnosis.json", len(summary.complete))
    return Material(
        study=study,
        folder=folder,
        summary=summary,
        told=MappingProxyType(told),
        fronts=_fronts(study, summary),
        baseline=next((t for t in summary.complete if baseline is not None and t.number == baseline.number), None),
        proposals=tuple(study.proposals()),
        moves=MappingProxyType({trial.number: tuple(study.moves(trial)) for trial in summary.trials}),
        curves=MappingProxyType(study.curves()),
        measurements=MappingProxyType(measurements),
        traces=MappingProxyType(_traces(study, measurements.values())),
        diagnosis=diagnosis,
        diagnosis_note=note,
        running=is_at_work(folder) or any(trial.is_held and not trial.state.finished for trial in summary.trials),
        at=datetime.now(UTC),
    )


def _fronts(study: Study, summary: StudySummary) -> Mapping[str, StudySummary]:
    """Return a summary of each device's objectives and front."""
    found, volumes = study.fronts(), study.hypervolume_histories()
    known = {trial.number for trial in summary.trials}
    return MappingProxyType(
        {
            device: replace(
                summary,
                objectives=_objectives_of(device, tuple(found), summary.objectives),
                front=tuple(trial.number for trial in front if trial.number in known),
                hypervolume=tuple(float(value) for value in volumes[device]),
            )
            for device, front in found.items()
        }
    )


def _objectives_of(device: str, devices: Sequence[str], objectives: Sequence[Objective]) -> tuple[Objective, ...]:
    """Return those objectives that no other target device has."""
    return tuple(o for o in objectives if o.device is None or o.device == device or o.device not in devices)


def _measurements(study: Study, trials: Iterable[Trial]) -> dict[int, Measurement]:
    values = (value for trial in trials for value in (*trial.values.values(), *trial.again.values()))
    rows = sorted({value.trace_id for value in values if value.trace_id is not None})
    store = MeasurementStore(study.store)
    return {row: store.get(row) for row in rows}


def _traces(study: Study, measurements: Iterable[Measurement]) -> dict[str, LatencyTrace]:
    newest = {found.device: found.id for found in measurements if found.id is not None}
    return {device: MeasurementStore(study.store).trace(row) for device, row in newest.items()}


def _diagnosis(path: Path, complete: int) -> tuple[Mapping[str, Any] | None, str]:
    """Return what `hwnas search diagnose` has written, and what to say of it."""
    if not path.exists():
        return None, "Leave-one-out plots are made by a fit of their own:"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if (data["format"], data["version"]) != (FORMAT, VERSION):
            return None, f"{path.name} is of another version of hwnas. Make it anew:"
        trials = max((_judged(outcome) for outcome in data["outcomes"]), default=0)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        return None, f"{path.name} cannot be read ({type(exc).__name__}: {exc}). Make it anew:"
    late = f"They are of {trials} trials, and {complete} are complete by now:" if trials < complete else ""
    return MappingProxyType(data), late


def _judged(outcome: Mapping[str, Any]) -> int:
    """Return by how many trials a diagnosis judges an outcome; what the page reads of it must be there."""
    count, name = len(outcome["trials"]), outcome["objective"]
    columns = [outcome["observed"], *(outcome[key][name] for key in _JUDGES for name in ("predicted", "low", "high"))]
    if any(len(column) != count for column in columns):
        raise ValueError(f"{name}: not a figure for each trial")
    for judge in (outcome[key] for key in _JUDGES):
        _ = judge["method"], *(float(judge[name]) for name in ("r2", "log_likelihood", "coverage"))
    for low, middle, high in outcome["relevance"].values():
        _ = float(low), float(middle), float(high)
    return count
