"""Measuring what was predicted, where the front hangs on it; and the final front, which is always measured.

During the search, between two batches, `auto` measures what the front hangs on, two networks at a time, for each
measurement makes the predictor better and may settle the others. Then every prediction that is left is made anew. At
the end every member of the front is measured, and what thereby comes to the front, until all of it is.

It all follows from what is in the store, so it goes on where it was after a crash, and done twice it changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.errors import DeviceError, HwnasError, StoppedError
from hwnas.search._batch import devices_of, measured_values
from hwnas.search._events import LatencySettled, MeasurementProgress, PhaseStarted, Warned
from hwnas.search._foresight import is_predicted
from hwnas.search._stakes import stakes
from hwnas.search._targets import targets
from hwnas.search._trainings import task_of
from hwnas.search._trial import TrialState

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Sequence

    from hwnas.search._foresight import Foresight
    from hwnas.search._progress import Reporter
    from hwnas.search._study import Study
    from hwnas.search._tools import Tools
    from hwnas.search._trial import Trial

#: Networks measured at a time during the search.
_AT_ONCE = 2


class Settler:
    """Replaces predictions of one study by measurements."""

    def __init__(self, study: Study, tools: Tools, reporter: Reporter, stop: threading.Event) -> None:
        """Say whose predictions they are, what to work with, who listens, and what ends it early."""
        self._study = study
        self._tools = tools
        self._reporter = reporter
        self._stop = stop
        self._lost: set[int] = set()  # could not be measured in this run

    def between_batches(self) -> None:
        """Measure what the front hangs on, and predict the rest anew; while trials are on their way, do nothing."""
        foresight = self._tools.foresight
        if foresight is None or not foresight.measures:
            return
        if any(not trial.state.finished for trial in self._study.trials()):
            return
        while True:
            self._predict_anew(foresight)
            numbers = self._at_stake(foresight)
            if not numbers:
                return
            self._measure(numbers)

    def final_front(self) -> None:
        """Measure all of the front that was not, and what thereby comes to the front.

        While the predictor learns, those come first on which most hangs, a few at a time: what they tell of the others
        may take some off the front before they are measured.
        """
        foresight = self._tools.foresight
        learner = foresight if foresight is not None and foresight.measures else None
        while True:
            if learner is not None:
                self._predict_anew(learner)
            members = self._study.winners()
            numbers = [t.number for t in members if self._guessed(t) and t.number not in self._lost]
            if learner is not None and numbers:
                at_stake = self._stakes(self._study.trials())
                numbers = sorted(numbers, key=lambda number: -at_stake.get(number, 0.0))[:_AT_ONCE]
            elif learner is not None:
                numbers = self._at_stake(learner)
            if not numbers:
                return
            self._measure(numbers)

    def _guessed(self, trial: Trial) -> bool:
        return any(is_predicted(trial, objective) for objective in self._study.objectives)

    def _at_stake(self, foresight: Foresight) -> list[int]:
        """Return the trials on whose predictions most of the front hangs, as far as the budget goes."""
        trials = self._study.trials()
        room = min((foresight.budget(trials, device) for device in devices_of(self._study.objectives)), default=0)
        least = self._study.settings.auto.front
        found = [number for number, share in self._stakes(trials).items() if share > least and number not in self._lost]
        return found[: min(room, _AT_ONCE)]

    def _stakes(self, trials: Sequence[Trial]) -> dict[int, float]:
        """Return what share of a front hangs on each trial's predictions: of the front where that is most."""
        joint = self._study.settings.fronts == "joint"
        own = [self._study.objectives] if joint else targets(self._study.objectives).values()
        found: dict[int, float] = {}
        for objectives in own:
            for number, share in stakes(objectives, trials).items():
                found[number] = max(share, found.get(number, 0.0))
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def _predict_anew(self, foresight: Foresight) -> None:
        """Replace the predictions by those of the predictor as it is now."""
        trials = self._study.trials()
        over = {TrialState.COMPLETE, TrialState.ABANDONED}  # what was given up still serves the models
        guessed = [t for t in trials if t.state in over and self._guessed(t)]
        for device in devices_of(self._study.objectives):
            wanted = {objective.name for objective in self._study.objectives if objective.device == device}
            told = foresight.foretell(trials, guessed, device)
            changed = {
                trial.number: {
                    name: value
                    for name, value in told.get(trial.number, {}).items()
                    if name in wanted and trial.values[name] != value
                }
                for trial in guessed
            }
            self._study.revise({number: values for number, values in changed.items() if values})

    def _measure(self, numbers: Collection[int]) -> None:
        """Measure trials and replace their predictions; what cannot be measured is not tried again in this run."""
        trials = [trial for trial in self._study.trials() if trial.number in set(numbers)]
        replaced: set[int] = set()
        for device in devices_of(self._study.objectives):
            left = [t for t in trials if any(is_predicted(t, o) for o in self._study.objectives if o.device == device)]
            replaced |= self._measure_on(device, left)
        self._lost |= set(numbers) - replaced
        self._reporter.progress()

    def _measure_on(self, device: str, trials: Sequence[Trial]) -> set[int]:
        tools, wanted = self._tools, [o for o in self._study.objectives if o.device == device]
        if not trials or tools.measurer is None or tools.networks is None:
            return set()
        if self._stop.is_set():
            raise StoppedError("told to stop between two measurements")
        self._reporter.say(PhaseStarted("settle", trials[-1].batch, tuple(t.number for t in trials), device))
        with self._reporter.timed("measure"):
            results = tools.measurer.measure(
                device,
                [
                    tools.networks.write(task_of(self._study, trial, tools.folder), cancelled=self._stop)
                    for trial in trials
                ],
                [trial.architecture for trial in trials],
                cancelled=self._stop,
                on_progress=lambda detail: self._reporter.say(MeasurementProgress(device, detail)),
            )
        replaced = set()
        for trial, result in zip(trials, results, strict=True):
            try:
                values = measured_values(wanted, result)
                self._study.revise({trial.number: values})
            except DeviceError:
                raise
            except HwnasError as exc:
                text = f"trial {trial.number} could not be measured, and stays predicted: {exc.message}"
                self._reporter.say(Warned(text, exc.hint))
                continue
            replaced.add(trial.number)
            for name, value in values.items():
                self._reporter.say(LatencySettled(trial.number, name, trial.values[name], value))
        return replaced


def is_unsettled(study: Study) -> bool:
    """Whether a member of one of the study's fronts has a figure that was only predicted."""
    return any(is_predicted(trial, objective) for trial in study.winners() for objective in study.objectives)
