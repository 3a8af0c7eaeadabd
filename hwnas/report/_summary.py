"""A study as a report sees it: one consistent view of its trials, its front, and the evidence behind each figure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hwnas.measurement import MeasurementStore
from hwnas.report._relative import beaten
from hwnas.search import BASELINE, Provenance, TrialState, difference, latency_counts, t_quantile, targets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hwnas.measurement import LatencyTrace, Measurement
    from hwnas.report._relative import Beaten
    from hwnas.search import Difference, LatencyCounts, Noise, Objective, Study, Trial, Value

_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class StudySummary:
    """What there is to report of a study at one moment.

    Attributes:
        name: the study's name.
        planned: how many trials it is to have.
        objectives: what is improved, and within which limits.
        trials: all of them, in the order in which they were proposed. Where trainings were repeated, what they report
            is the best estimate from all of them, with its standard error, and `told` has what each gave.
        front: the numbers of the front's trials, best in the first objective first.
        reference: the reference point of the hypervolume by objective name; `None` before the first trial.
        hypervolume: after each complete trial, in the order of completion.
        parameters: the names of the space's parameters, in its order.
        intervals: 95 % intervals by (trace id, metric), in the metric's unit, where a measurement gave one.
        verdicts: what those measurements say of themselves, by trace id.
        devices: by name, what the front's figures were measured on; JSON data.
        noises: by objective name, how much it varies between trainings, where that is known.
        told: by number, the trials that were trained several times, as they were told.
        fronts: by device the numbers of the trials of its front, where several devices are targets.
        references, hypervolumes: by device, as `reference` and `hypervolume`.
    """

    name: str
    planned: int
    objectives: tuple[Objective, ...]
    trials: tuple[Trial, ...]
    front: tuple[int, ...]
    reference: Mapping[str, float] | None
    hypervolume: tuple[float, ...]
    parameters: tuple[str, ...] = ()
    intervals: Mapping[tuple[int, str], tuple[float, float]] = field(default_factory=dict)
    verdicts: Mapping[int, str] = field(default_factory=dict)
    devices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    noises: Mapping[str, Noise] = field(default_factory=dict)
    told: Mapping[int, Trial] = field(default_factory=dict)
    fronts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    references: Mapping[str, Mapping[str, float] | None] = field(default_factory=dict)
    hypervolumes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the mappings read-only."""
        names = ("intervals", "verdicts", "devices", "noises", "told", "fronts", "references", "hypervolumes")
        for name in names:
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def optimised(self) -> tuple[Objective, ...]:
        """The objectives that span the front; the others are constraints alone."""
        return tuple(objective for objective in self.objectives if objective.optimize)

    @property
    def complete(self) -> tuple[Trial, ...]:
        """The complete trials in the order of completion."""
        found = [trial for trial in self.trials if trial.state == TrialState.COMPLETE]
        return tuple(sorted(found, key=lambda trial: (trial.ended_at or trial.created_at, trial.number)))

    @property
    def front_trials(self) -> tuple[Trial, ...]:
        """The trials of the front, best in the first objective first."""
        by_number = {trial.number: trial for trial in self.trials}
        return tuple(by_number[number] for number in self.front)

    @property
    def winners(self) -> tuple[Trial, ...]:
        """The members of all fronts, each once, in the order of their numbers."""
        numbers = {*self.front, *(number for front in self.fronts.values() for number in front)}
        return tuple(trial for trial in self.trials if trial.number in numbers)

    def by_device(self) -> dict[str, StudySummary]:
        """Return by device the study as that device's front sees it; one entry, the whole, with one device or none."""
        own = targets(self.objectives)
        if len(own) == 1 or not self.fronts:
            return dict.fromkeys(own if len(own) == 1 else [""], self)
        return {
            device: replace(
                self,
                objectives=objectives,
                front=self.fronts[device],
                reference=self.references[device],
                hypervolume=self.hypervolumes[device],
                fronts={},
                references={},
                hypervolumes={},
            )
            for device, objectives in own.items()
        }

    @property
    def started(self) -> int:
        """How many complete trials belong to the start: the baseline, and those that fill the space."""
        return sum(trial.origin == "sobol" or trial is self.baseline for trial in self.complete)

    def beaten(self) -> dict[str, Beaten]:
        """Return by device which trials beat the baseline in that device's objectives; empty without a baseline."""
        baseline = self.baseline
        if baseline is None:
            return {}
        return {
            device: beaten(own.objectives, self.complete, baseline, self.difference)
            for device, own in self.by_device().items()
        }

    def counts(self) -> dict[str, int]:
        """Return how many trials are in each state."""
        return {state.value: sum(trial.state == state for trial in self.trials) for state in TrialState}

    def feasible(self, trial: Trial) -> bool:
        """Say whether a complete trial keeps to every limit."""
        return all(objective.feasible(trial.values[objective.name].value) for objective in self.objectives)

    def predicted(self, trial: Trial) -> bool:
        """Say whether a figure of the trial was predicted, and not measured."""
        return any(is_guess(trial.values[o.name]) for o in self.objectives if o.name in trial.values)

    @property
    def baseline(self) -> Trial | None:
        """The complete trial of the configuration that all are compared with; `None` where there is none."""
        found = [trial for trial in self.complete if trial.origin == BASELINE]
        return found[0] if found else None

    @property
    def latencies(self) -> tuple[LatencyCounts, ...]:
        """How many networks were measured and predicted, by device."""
        return latency_counts(self.objectives, self.trials)

    def trainings(self, trial: Trial, name: str) -> int:
        """Return how many trainings gave a figure of a trial."""
        return self.told.get(trial.number, trial).trainings(name)

    def difference(self, a: Trial, b: Trial, objective: Objective) -> Difference:
        """Return by how much trial `a` differs from trial `b` in an objective, with its 95 % interval."""
        first, second = (self.told.get(trial.number, trial) for trial in (a, b))
        return difference(objective, first, second, self.noises.get(objective.name))

    def beyond_reference(self) -> tuple[Trial, ...]:
        """Return the front's trials that are better than the reference point in every objective: those that count."""
        reference = self.reference
        if reference is None:
            return self.front_trials
        return tuple(
            trial
            for trial in self.front_trials
            if all(
                objective.sign * trial.values[objective.name].value > objective.sign * reference[objective.name]
                for objective in self.optimised
            )
        )

    def interval(self, objective: Objective, value: Value) -> tuple[float, float] | None:
        """Return the 95 % interval of a value; `None` where its doubt is not known.

        A measurement's own order-statistic interval where there is one. Otherwise from the standard error, on the scale
        on which the objective is modelled, so that the interval of a latency is positive and lopsided as it should be.
        An end may be infinite: the samples were too few for it.
        """
        if value.trace_id is not None and (value.trace_id, objective.metric) in self.intervals:
            return self.intervals[value.trace_id, objective.metric]
        if value.sigma is None:
            return None
        noise = self.noises.get(objective.name)
        reach = _Z95 if noise is None or objective.source != "evaluation" else t_quantile(noise.dof)
        if objective.log:
            try:
                factor = math.exp(reach * value.sigma / value.value)
            except OverflowError:  # nothing is known of it
                return 0.0, math.inf
            return value.value / factor, value.value * factor
        return value.value - reach * value.sigma, value.value + reach * value.sigma


def is_guess(value: Value) -> bool:
    """Say whether a value was predicted, and not measured."""
    return value.provenance == Provenance.PREDICTED


def summarise(study: Study) -> StudySummary:
    """Return what there is to report of a study now; it may be half done, or running in another process.

    Raises:
        StoreError: the store cannot be read.
    """
    history = study.hypervolume_history()
    told = study.trials()
    noises = {objective.name: study.noise(objective.name) for objective in study.objectives}
    trials = tuple(_estimated(trial, noises) for trial in told)
    members = study.pareto_front()
    fronts, volumes = study.fronts(), study.hypervolume_histories()
    baseline = study.baseline()
    evidence = {trial.number: trial for trial in (*members, *(t for front in fronts.values() for t in front))}
    if baseline is not None:
        evidence[baseline.number] = baseline
    measured = _measured(study, list(evidence.values()))
    devices = {measurement.device: measurement.id for measurement in measured if measurement.id is not None}
    return StudySummary(
        name=study.name,
        planned=study.settings.trials,
        objectives=study.objectives,
        trials=trials,
        front=tuple(trial.number for trial in members),
        reference=study.reference(),
        hypervolume=tuple(float(value) for value in history),
        parameters=tuple(parameter.name for parameter in study.space.parameters),
        intervals=intervals_of(measured),
        verdicts={measurement.id: str(measurement.verdict) for measurement in measured if measurement.id is not None},
        devices={device: _device(MeasurementStore(study.store).trace(row)) for device, row in devices.items()},
        noises={name: noise for name, noise in noises.items() if noise is not None},
        told={trial.number: trial for trial in told if trial.replicas},
        fronts={device: tuple(trial.number for trial in front) for device, front in fronts.items()},
        references=study.reference_points(),
        hypervolumes={device: tuple(float(value) for value in history) for device, history in volumes.items()},
    )


def _estimated(trial: Trial, noises: Mapping[str, Noise | None]) -> Trial:
    """Return a trial with the best estimates of what trainings report."""
    values = {
        name: trial.best_estimate(name, noises.get(name))
        for name, value in trial.values.items()
        if value.provenance == Provenance.REPORTED
    }
    return replace(trial, values={**trial.values, **values}, replicas=())


def _measured(study: Study, front: Sequence[Trial]) -> list[Measurement]:
    """Return the measurements that the front's figures rest on, oldest first."""
    values = [value for trial in front for value in (*trial.values.values(), *trial.again.values())]
    rows = sorted({value.trace_id for value in values if value.trace_id is not None})
    return [MeasurementStore(study.store).get(row) for row in rows]


def intervals_of(measured: Iterable[Measurement]) -> dict[tuple[int, str], tuple[float, float]]:
    """Return the 95 % intervals of measurements, by trace id and metric."""
    return {
        (item.id, name): (estimate.low_ms, estimate.high_ms)
        for item in measured
        if item.id is not None
        for name, estimate in (("p50_ms", item.p50), ("p90_ms", item.p90), ("p99_ms", item.p99))
    }


def _device(trace: LatencyTrace) -> dict[str, Any]:
    return {
        "profile": trace.profile.to_json(),
        "facts": trace.facts.to_json(),
        "versions": dict(trace.versions),
        "protocol": trace.protocol.to_json(),
    }
