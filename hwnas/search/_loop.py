"""The middle of a search: trials are asked for, prepared and trained until the study has all of them.

In batches, each taken to its end before the next is asked for; or as a stream, where the next ones are chosen and
measured while trainings run, so that no worker waits for the slowest of a batch.
"""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from hwnas._words import plural
from hwnas.errors import DeviceError, SpaceError, StoppedError, StudyError
from hwnas.search._batch import Preparation
from hwnas.search._events import PhaseStarted, Warned
from hwnas.search._live import LiveTrials
from hwnas.search._trainings import Trainings
from hwnas.search._trial import TrialState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hwnas.network import NetworkFile
    from hwnas.search._progress import Reporter
    from hwnas.search._study import Study
    from hwnas.search._tools import Tools
    from hwnas.search._trial import Trial

#: After so many failures and no success, going on is hopeless.
_HOPELESS = 4


class Loop:
    """What batches and a stream have in common."""

    def __init__(self, study: Study, tools: Tools, reporter: Reporter, stop: threading.Event) -> None:
        """Say whose trials they are, what to work with, who listens, and what ends it early."""
        self._study = study
        self._tools = tools
        self._reporter = reporter
        self._stop = stop

    def _ask(self, reporter: Reporter) -> list[Trial]:
        """Return the next trials; none where there are no more."""
        study = self._study
        if study.is_finished:
            return []
        batch = 1 + max((trial.batch for trial in study.trials()), default=-1)
        reporter.say(PhaseStarted("propose", batch, ()))
        try:
            with reporter.timed("propose"):
                trials = study.ask(study.settings.batch, on_event=reporter.say, cancelled=self._stop)
        except SpaceError as exc:
            if not study.trials():
                raise
            reporter.say(Warned(f"the study ends early: {exc.message}", exc.hint))
            return []
        reporter.progress()
        return trials

    def _hand_back(self, trials: Sequence[Trial]) -> None:
        """Hand back what is not over, after a stop or an error."""
        for trial in trials:
            if not self._study.trial(trial.number).state.finished:
                with contextlib.suppress(StudyError):  # somebody told it meanwhile
                    self._study.release(trial)

    def _check_hope(self, least: int = _HOPELESS) -> None:
        """Raise where nothing has ever worked: the command or the space is wrong, and going on would burn the budget.

        Where nothing was trained, since all of it breaks a limit, say so: what is measured leads the search on.

        Args:
            least: so many must have failed.
        """
        study = self._study
        trials = [trial for trial in study.trials() if trial.state.finished]
        failed = [trial for trial in trials if trial.state == TrialState.FAILED]
        abandoned = [trial for trial in trials if trial.state == TrialState.ABANDONED]
        if len(failed) + len(abandoned) < len(trials):
            return
        if len(failed) >= min(least, study.settings.trials):
            last = failed[-1]
            raise StudyError(
                f"all {len(failed)} trials so far failed; the last, trial {last.number}: {last.error}",
                "mend the cause and begin anew; a log of each trial lies in its folder",
            )
        if len(abandoned) >= least:
            self._reporter.say(
                Warned(
                    f"{len(abandoned)} trials so far were given up, and none is complete; the last: "
                    f"{abandoned[-1].error}",
                    "the search goes on towards the limits; if it does not get there, loosen them, or the space",
                )
            )

    def _warn_of_others(self) -> None:
        """Say where trials are left that somebody else holds."""
        held = [trial for trial in self._study.trials() if not trial.state.finished]
        if held:
            owners = ", ".join(sorted({str(trial.owner) for trial in held}))
            self._reporter.say(
                Warned(
                    f"held by other processes: {plural(len(held), 'trial')}, by {owners}",
                    "where none of them is at work any more, hand the trials back from Python: "
                    "Study.reset_stale(everywhere=True)",
                )
            )


class Batches(Loop):
    """One batch after the other."""

    def run(self, between: Callable[[], None]) -> None:
        """Take batches to their ends until there are no more, or it is told to stop; `between` is called after each.

        Raises:
            StoppedError: it was told to stop, in the middle of a batch.
            DeviceError: a device cannot be used.
            StudyError: nothing ever worked.
        """
        while not self._stop.is_set():
            trials = self._ask(self._reporter)
            if not trials:
                self._warn_of_others()
                return
            try:
                left = trials
                while left:
                    left = self._take(left)
            finally:
                self._hand_back(trials)
            self._check_hope()
            between()

    def _take(self, trials: Sequence[Trial]) -> list[Trial]:
        """Take trials to their end, and return those that failed and are to be tried again."""
        live, files = Preparation(self._study, self._tools, self._reporter, self._stop).run(trials)
        if self._tools.evaluator is None:
            for number in list(live.by_number):
                live.told(number, {})
        elif live.by_number:
            self._train(live, files)
        return live.retried

    def _train(self, live: LiveTrials, files: Mapping[int, NetworkFile]) -> None:
        if self._stop.is_set():
            raise StoppedError("told to stop before the trainings")
        say_training(self._reporter, live.by_number)
        with (
            self._reporter.timed("evaluate"),
            Trainings(self._study, self._tools, self._reporter, live, self._stop) as trainings,
        ):
            for number, trial in list(live.by_number.items()):
                trainings.add(trial, files.get(number))
            while trainings.unfinished:
                trainings.step()
        if self._stop.is_set():
            raise StoppedError("told to stop while networks were trained")


#: What a preparation comes to: trials to be trained, and those to be tried again, with network files by number.
_Prepared = tuple[LiveTrials, dict[int, "NetworkFile"]]


class Stream(Loop):
    """Trainings without a pause: new trials are chosen and measured while others are trained.

    As soon as fewer trials wait for a worker than there are workers, the next ones are asked for, given those that wait
    and run, and prepared in a thread of their own. Everything else is done in the thread of the caller, who hears all
    events there.
    """

    def __init__(self, study: Study, tools: Tools, reporter: Reporter, stop: threading.Event) -> None:
        """See `Loop`; the tools have an evaluator."""
        super().__init__(study, tools, reporter, threading.Event())
        self._told_to_stop = stop
        self._live = LiveTrials(study, reporter)
        self._held: list[Trial] = []
        self._ended = False  # there are no more trials to ask for
        self._lost: DeviceError | None = None

    def run(self) -> None:
        """Train until the study has all its trials and they are over, or it is told to stop.

        Raises:
            StoppedError: it was told to stop.
            DeviceError: a device cannot be used. What ran when that was found came to its end first.
            StudyError: nothing ever worked.
        """
        trainings = Trainings(self._study, self._tools, self._reporter, self._live, self._stop)
        try:
            with (
                ThreadPoolExecutor(1, "hwnas-prepare") as thread,
                trainings,
                self._reporter.timed("evaluate"),
            ):
                try:
                    self._follow(trainings, thread)
                finally:
                    self._stop.set()  # whatever ends it ends the preparation too
        finally:
            self._hand_back(self._held)
        if self._lost is not None:
            raise self._lost
        if self._told_to_stop.is_set():
            raise StoppedError("told to stop while networks were trained")
        self._warn_of_others()

    def _follow(self, trainings: Trainings, thread: ThreadPoolExecutor) -> None:
        preparing: Future[_Prepared] | None = None
        while True:
            if self._told_to_stop.is_set():
                self._stop.set()
            if preparing is not None and preparing.done():
                self._take(preparing, trainings)
                preparing = None
            if preparing is None and self._wants_more(trainings):
                self._check_hope(max(_HOPELESS, self._study.settings.batch))
                preparing = thread.submit(self._prepare, self._live.retried, self._reporter.relayed(trainings.post))
                preparing.add_done_callback(lambda _: trainings.post(_wake))
                self._live.retried = []
            if preparing is None and not trainings.unfinished:
                return
            trainings.step()

    def _wants_more(self, trainings: Trainings) -> bool:
        if self._stop.is_set() or self._lost is not None or trainings.waiting >= self._tools.workers:
            return False
        return bool(self._live.retried) or not self._ended

    def _prepare(self, retried: list[Trial], reporter: Reporter) -> _Prepared:
        """Return trials that are ready to be trained, those to be tried again or new ones; in a thread of its own."""
        trials = retried or self._ask(reporter)
        if not retried:
            self._held += trials
            self._ended = not trials
        if not trials:
            return LiveTrials(self._study, reporter), {}
        return Preparation(self._study, self._tools, reporter, self._stop).run(trials)

    def _take(self, prepared: Future[_Prepared], trainings: Trainings) -> None:
        """Hand what was prepared to the workers."""
        try:
            live, files = prepared.result()
        except StoppedError:
            return
        except DeviceError as exc:
            self._lost = exc
            trainings.drop_waiting()
            return
        if self._stop.is_set():  # the workers have gone home; what is held is handed back
            return
        self._live.retried += live.retried
        for number, trial in live.by_number.items():
            trainings.add(trial, files.get(number))
        trainings.post(lambda: say_training(self._reporter, self._live.by_number))


def say_training(reporter: Reporter, live: Mapping[int, Trial]) -> None:
    """Say that trials are trained now, where there are any."""
    if live:
        reporter.say(PhaseStarted("evaluate", max(trial.batch for trial in live.values()), tuple(live)))


def _wake() -> None:
    """Do nothing, and so end a wait."""
