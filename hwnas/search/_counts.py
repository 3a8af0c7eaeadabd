"""How many networks a study measured on each device, and how many it spared the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnas.search._foresight import is_measured, is_predicted
from hwnas.search._trial import TrialState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial


@dataclass(frozen=True, slots=True)
class LatencyCounts:
    """How the figures of one device came to be known.

    Attributes:
        device: its name.
        measured: networks measured for the trials' values.
        predicted: trials, complete or given up, whose figures are predictions. A search that measures all would have
            measured them: so many measurements were saved.
        again: networks of the front that were measured once more.
    """

    device: str
    measured: int
    predicted: int
    again: int

    def to_json(self) -> dict[str, int]:
        """Return the counts, and under `saved` how many measurements were not needed."""
        counts = {name: getattr(self, name) for name in ("measured", "predicted", "again")}
        return {**counts, "saved": self.predicted}


def latency_counts(objectives: Sequence[Objective], trials: Sequence[Trial]) -> tuple[LatencyCounts, ...]:
    """Return the counts of each device that objectives are measured on, in the order of the objectives."""
    counts = []
    for device in dict.fromkeys(objective.device for objective in objectives if objective.device is not None):
        wanted = [objective for objective in objectives if objective.device == device]
        seen = [  # two trials of one network share its measurement
            trial.values[objective.name].trace_id or f"trial {trial.number}"
            for trial in trials
            for objective in wanted
            if is_measured(trial, objective)
        ]
        over = [trial for trial in trials if trial.state in {TrialState.COMPLETE, TrialState.ABANDONED}]
        counts.append(
            LatencyCounts(
                device,
                measured=len(set(seen)),
                predicted=sum(any(is_predicted(trial, objective) for objective in wanted) for trial in over),
                again=sum(any(objective.name in trial.again for objective in wanted) for trial in trials),
            )
        )
    return tuple(counts)
