"""The trials that a search has in hand, and what becomes of each: the study and the listener are told every move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.errors import HwnasError, IllegalMoveError
from hwnas.search._events import (
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
    TrialStarted,
    ValueRecorded,
    Warned,
)
from hwnas.search._trial import TrialState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hwnas.search._objective import Objective
    from hwnas.search._progress import Reporter
    from hwnas.search._study import Study
    from hwnas.search._trial import Trial, Value


class LiveTrials:
    """Trials that this process holds and that are not over. Not thread-safe.

    What somebody else told meanwhile stays as it is: the trial leaves, and that is said.

    Attributes:
        by_number: the trials, as they are now.
        retried: those that failed and are to be tried again.
    """

    def __init__(self, study: Study, reporter: Reporter, trials: Iterable[Trial] = ()) -> None:
        """Take trials in hand."""
        self.by_number: dict[int, Trial] = {trial.number: trial for trial in trials}
        self.retried: list[Trial] = []
        self._study = study
        self._reporter = reporter

    def missing(self, number: int, objectives: Iterable[Objective]) -> list[Objective]:
        """Return those of the objectives that the trial has no value of."""
        return [objective for objective in objectives if objective.name not in self.by_number[number].values]

    def started(self, number: int) -> None:
        """Move a trial to running."""
        try:
            trial = self._study.start(number)
        except IllegalMoveError as exc:
            self._overtaken(exc)
            return
        self.by_number[number] = trial
        self._reporter.say(TrialStarted(number, trial.attempts))
        self._reporter.progress()

    def record(self, number: int, values: Mapping[str, Value]) -> None:
        """Keep some values of a trial."""
        if not values:
            return
        self.by_number[number] = self._study.record(number, values)
        for name, value in values.items():
            self._reporter.say(ValueRecorded(number, name, value))

    def told(self, number: int, values: Mapping[str, Value], note: str = "") -> None:
        """Keep the last values of a trial; it is complete then. `note` is what a person may want to know of it."""
        try:
            trial = self._study.tell(number, values, note=note or None)
        except IllegalMoveError as exc:
            self._overtaken(exc)
        except HwnasError as exc:
            self.failed(number, exc)
            return
        else:
            self._reporter.say(TrialCompleted(trial))
            if note:
                self._reporter.say(Warned(f"trial {number}: {note}"))
        self._leave(number)

    def failed(self, number: int, error: HwnasError) -> None:
        """Note why a trial failed; it may be tried again."""
        text = f"{error.message}\n{error.hint}" if error.hint else error.message
        try:
            trial = self._study.fail(number, text, keep=True)
        except IllegalMoveError as exc:
            self._overtaken(exc)
        else:
            retried = trial.state == TrialState.PROPOSED
            if retried:
                self.retried.append(trial)
            self._reporter.say(TrialFailed(number, error.message, error.hint, retried))
        self._leave(number)

    def abandoned(self, number: int, reason: str, values: Mapping[str, Value] | None = None) -> None:
        """Give a trial up for good, with its last values."""
        try:
            trial = self._study.abandon(number, reason, values)
        except IllegalMoveError as exc:
            self._overtaken(exc)
        else:
            for name, value in (values or {}).items():
                self._reporter.say(ValueRecorded(number, name, value))
            self._reporter.say(TrialAbandoned(trial))
        self._leave(number)

    def _overtaken(self, error: IllegalMoveError) -> None:
        self._reporter.say(Warned(error.message, error.hint))

    def _leave(self, number: int) -> None:
        self.by_number.pop(number, None)
        self._reporter.progress()
