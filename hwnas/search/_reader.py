"""The reading half of a study: its trials, what they cost, and what they have come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.search import _front, _targets
from hwnas.search._counts import latency_counts
from hwnas.search._trial import TrialState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from jaxtyping import Float

    from hwnas.evaluation import CurvePoint
    from hwnas.search._config import SearchSettings
    from hwnas.search._counts import LatencyCounts
    from hwnas.search._ledger import Ledger, ProposalRecord
    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial


class StudyReader:
    """What a study tells; it changes nothing, and each answer is read from the store anew.

    Attributes:
        settings: the study's size and method.
        objectives: what is to be improved.
    """

    settings: SearchSettings
    objectives: tuple[Objective, ...]
    _ledger: Ledger

    def trial(self, number: int) -> Trial:
        """Return one trial.

        Raises:
            StudyError: there is none of that number.
        """
        return self._ledger.trial(number)

    def trials(self, *states: TrialState) -> list[Trial]:
        """Return the trials in these states, all by default, in the order in which they were proposed."""
        return [trial for trial in self._ledger.trials() if not states or trial.state in states]

    def counts(self) -> dict[TrialState, int]:
        """Return how many trials are in each state."""
        trials = self.trials()
        return {state: sum(trial.state == state for trial in trials) for state in TrialState}

    def moves(self, trial: Trial | int) -> list[tuple[datetime, TrialState | None, TrialState, str | None]]:
        """Return the history of a trial: moment (UTC), from, to, and why."""
        return self._ledger.moves(trial if isinstance(trial, int) else trial.number)

    def curve(self, trial: Trial | int) -> tuple[CurvePoint, ...]:
        """Return the learning curve of a trial's latest attempt, by epoch; empty where its training reported none."""
        number = trial if isinstance(trial, int) else trial.number
        return self._ledger.curves([number]).get(number, ())

    def curves(self, numbers: Sequence[int] | None = None) -> dict[int, tuple[CurvePoint, ...]]:
        """Return the learning curves of all trials that have one, by number; of each the latest attempt's.

        `numbers` picks some trials.
        """
        return self._ledger.curves(numbers)

    def proposals(self) -> list[ProposalRecord]:
        """Return what each batch cost, and what the surrogate said of itself, in order."""
        return self._ledger.proposals()

    @property
    def is_finished(self) -> bool:
        """Whether the study has all its trials, and nothing more happens to any of them."""
        trials = self.trials()
        return len(trials) >= self.settings.trials and all(trial.state.finished for trial in trials)

    def pareto_front(self) -> list[Trial]:
        """Return the complete trials within all limits that no other dominates, best in the first objective first."""
        return _front.pareto_front(self.objectives, self.trials())

    def fronts(self) -> dict[str, list[Trial]]:
        """Return one front a device, by its name: in the objectives of no device and those of this one.

        A device counts where an objective of it is optimised. With one device or none there is one front, the same as
        `pareto_front`; without a device its name is empty. A limit on one device keeps nothing off another's front.
        """
        return _targets.fronts(self.objectives, self.trials())

    def winners(self) -> list[Trial]:
        """Return the members of all devices' fronts, each once; those of the joint front where `fronts = "joint"`.

        They are what is measured once more when the search is over.
        """
        return _targets.winners(self.objectives, self.trials(), joint=self.settings.fronts == "joint")

    def baseline(self) -> Trial | None:
        """Return the trial of the configuration that the study is compared with.

        `None` where the study has none, or was not asked yet: it is the first that `ask` gives.
        """
        return _front.baseline_trial(self.trials())

    def latency_counts(self) -> tuple[LatencyCounts, ...]:
        """Return how many networks were measured, and how many predicted, by device."""
        return latency_counts(self.objectives, self._ledger.trials())

    def best_under(self, **limits: float) -> Trial | None:
        """Return the trial that is best in the first objective not named, among those within limits.

        `study.best_under(p99_ms=2.0)` is the most accurate network of at most 2 ms; `None` where there is none. A name
        that is no Python name goes as `best_under(**{"p99_ms@pixel7": 2.0})`.

        Raises:
            StudyError: a name is no objective, or every objective is named.
        """
        return _front.best_under(self.objectives, self.trials(), limits)

    def reference(self) -> dict[str, float] | None:
        """Return the reference point by objective name; see `hypervolume_history`. `None` before the first trial."""
        return _front.reference_values(self.objectives, self.trials())

    def hypervolume_history(self, reference: Mapping[str, float] | None = None) -> Float[np.ndarray, " k"]:
        """Return the hypervolume after each of the `k` complete trials, in the order of their completion.

        It is a volume on the modelled scale, a logarithm for latencies: halving one counts the same everywhere.

        Args:
            reference: by objective name, in the objectives' units. By default the objectives' own references, and for
                one without, somewhat worse than the front of all trials so far: such a history is not to be compared
                with one of another study.
        """
        return _front.hypervolume_history(self.objectives, self.trials(), reference)

    def reference_points(self) -> dict[str, dict[str, float] | None]:
        """Return by device the reference point of its front's hypervolume; see `fronts`."""
        return _targets.reference_points(self.objectives, self.trials())

    def hypervolume_histories(self, reference: Mapping[str, float] | None = None) -> dict[str, Float[np.ndarray, " k"]]:
        """Return by device the hypervolume of its front after each complete trial; see `fronts`."""
        return _targets.hypervolume_histories(self.objectives, self.trials(), reference)
