"""Training the members of all devices' fronts again, with other seeds, when the search is over; and the baseline.

A front is made of the best of many, and the best are the lucky ones too: of two networks that are equally good, the one
with the better seed is on it (the winner's curse). A further training knows nothing of why its trial was chosen, so its
figures are not biased; the front then counts the means. What was there by luck leaves, what it hid comes up and is
trained again in its turn, until every member of the front has its further trainings, or twice as many trials were
trained again as the first front had members.

It all follows from what is in the store, so it goes on where it was after a crash, and done twice it changes nothing.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import replace
from typing import TYPE_CHECKING

from hwnas.errors import HwnasError, StoppedError, StudyError
from hwnas.evaluation import EvaluationTask, WorkerPool
from hwnas.search import _targets
from hwnas.search._events import PhaseStarted, ReplicaCompleted, ReplicaFailed, Warned
from hwnas.search._trainings import reported_values
from hwnas.search._trial import TrialState

if TYPE_CHECKING:
    import threading
    from concurrent.futures import Future

    from hwnas.evaluation import EvaluationResult
    from hwnas.search._progress import Reporter
    from hwnas.search._replica_rows import Replica
    from hwnas.search._study import Study
    from hwnas.search._tools import Tools
    from hwnas.search._trial import Trial

#: How often a wait looks whether it is to stop.
_WAKE_S = 0.2
#: Trials that are trained again: at most so many times the members of the front as first told, and no fewer than these.
_MOST_FRONTS, _LEAST = 2, 4


def lacking(study: Study) -> list[int]:
    """Return whose further trainings are not all over, baseline and fronts: one entry a training, by trial.

    Those that another living process runs are not over either. While trials are on their way there are none: the front
    is not the last one.
    """
    most = study.settings.replicas
    if most == 0 or not _trains(study) or any(not trial.state.finished for trial in study.trials()):
        return []
    beyond = set(_beyond(study, most))
    return [number for number, left in _left(study, most).items() if number not in beyond for _ in range(left)]


def _trains(study: Study) -> bool:
    return any(objective.source == "evaluation" for objective in study.objectives)


def _left(study: Study, most: int) -> dict[int, int]:
    """Return how many further trainings each of the members lacks, of those that lack any."""
    over = _over(study)
    left = {trial.number: most - over.get(trial.number, 0) for trial in _members(study)}
    return {number: count for number, count in left.items() if count > 0}


def _members(study: Study) -> list[Trial]:
    """Return what is trained again: the baseline, so that all can be compared with it, and the fronts' members."""
    baseline = study.baseline()
    found = [] if baseline is None or baseline.state != TrialState.COMPLETE else [baseline]
    return [*found, *(trial for trial in study.winners() if baseline is None or trial.number != baseline.number)]


def _over(study: Study) -> dict[int, int]:
    """Return by trial how many further trainings are over, failed ones too."""
    over: dict[int, int] = {}
    for replica in study.replicas():
        over[replica.trial] = over.get(replica.trial, 0) + replica.is_over
    return over


def _beyond(study: Study, most: int) -> list[int]:
    """Return the members of the front that are not trained again, since enough trials were."""
    begun = {number for number, count in _over(study).items() if count}
    told = [replace(trial, replicas=()) for trial in study.trials()]
    first = _targets.winners(study.objectives, told, joint=study.settings.fronts == "joint")
    room = max(_LEAST, _MOST_FRONTS * len(first)) - len(begun)
    new = [number for number in _left(study, most) if number not in begun]
    return new[max(0, room) :]


class Replicator:
    """Trains members of one study's front again."""

    def __init__(self, study: Study, tools: Tools, reporter: Reporter, stop: threading.Event) -> None:
        """Say whose front it is, what to work with, who listens, and what ends it early."""
        self._study = study
        self._tools = tools
        self._reporter = reporter
        self._stop = stop

    def round(self) -> bool:
        """Train what the front's members lack, all of it, and say whether there was anything to train.

        The front may be another one afterwards, and its new members lack trainings in their turn.

        Raises:
            StoppedError: it was told to stop. Trainings that were over by then are kept, the others handed back.
        """
        wanted = lacking(self._study) if self._tools.evaluator is not None else []
        held: list[Replica] = []
        try:
            for number in wanted:
                replica = self._study.begin_replica(number)
                held += [] if replica is None else [replica]
            if held:
                self._train(held)
        finally:
            self._hand_back(held)
        if not held:
            self._say_what_is_left(wanted)
        else:
            self._say_whether_seeds_matter()
        return bool(held)

    def _train(self, held: list[Replica]) -> None:
        trials = {trial.number: trial for trial in self._study.trials()}
        numbers = tuple(replica.trial for replica in held)
        batch = max(trials[number].batch for number in numbers)
        self._reporter.say(PhaseStarted("replicate", batch, numbers))
        assert self._tools.evaluator is not None  # noqa: S101  `round` has looked
        with (
            self._reporter.timed("evaluate"),
            WorkerPool(self._tools.evaluator, self._tools.workers, self._tools.turns) as pool,
        ):
            futures = {}
            for replica in held:
                try:
                    task = self._task(trials[replica.trial], replica)
                except StoppedError:
                    raise
                except HwnasError as exc:  # its network could not be written
                    self._failed(replica, exc)
                    continue
                futures[pool.submit(task)] = replica
            self._follow(pool, futures)
        if self._stop.is_set():
            raise StoppedError("told to stop while the front's members were trained again")

    def _task(self, trial: Trial, replica: Replica) -> EvaluationTask:
        folder = self._tools.folder / "trials" / f"{trial.number:04d}"
        task = EvaluationTask(trial.architecture, trial.number, replica.seed or 0, folder / f"again-{replica.number}")
        if self._tools.networks is None:
            return task
        return replace(task, network_file=self._tools.networks.write(task, cancelled=self._stop).path)

    def _follow(self, pool: WorkerPool, futures: dict[Future[EvaluationResult], Replica]) -> None:
        """Take in what the trainings gave until all are over; end them where it is told to stop."""
        left = set(futures)
        while left:
            if self._stop.is_set():
                pool.close()
            done, left = wait(left, timeout=_WAKE_S, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda future: (futures[future].trial, futures[future].number)):
                self._ended(futures[future], future)

    def _ended(self, replica: Replica, future: Future[EvaluationResult]) -> None:
        try:
            result = future.result()
            values = reported_values(self._study.objectives, result)
            trial = self._study.record_replica(replica.trial, values, replica=replica)
        except StoppedError:
            return  # it is handed back
        except HwnasError as exc:
            self._failed(replica, exc)
            return
        told = {own.name: values[own.name] for own in self._study.objectives if own.name in values}
        self._reporter.say(ReplicaCompleted(trial, replica.number, told))
        self._reporter.progress()

    def _failed(self, replica: Replica, error: HwnasError) -> None:
        text = f"{error.message}\n{error.hint}" if error.hint else error.message
        try:
            self._study.fail_replica(replica, text)
        except StudyError as exc:  # somebody ended it meanwhile
            self._reporter.say(Warned(exc.message, exc.hint))
            return
        self._reporter.say(ReplicaFailed(replica.trial, replica.number, error.message, error.hint))

    def _hand_back(self, held: list[Replica]) -> None:
        """Hand back what is not over, after a stop or an error."""
        mine = {(replica.trial, replica.number): replica for replica in held}
        for replica in self._study.replicas() if held else []:
            if not replica.is_over and (replica.trial, replica.number) in mine:
                self._study.release_replica(mine[replica.trial, replica.number])

    def _say_what_is_left(self, wanted: list[int]) -> None:
        most = self._study.settings.replicas
        if wanted:
            self._reporter.say(
                Warned(
                    f"{len(wanted)} further trainings of the front's members are left to other processes",
                    "where none of them is at work any more, resume the study once they are known to be gone",
                )
            )
        elif most and _trains(self._study) and (beyond := _beyond(self._study, most)):
            self._reporter.say(
                Warned(
                    f"on the front with one training each: {', '.join(f'trial {number}' for number in beyond)}",
                    "so many networks differ by less than the noise between trainings that not all of them were "
                    "trained again; read their figures with that noise",
                )
            )

    def _say_whether_seeds_matter(self) -> None:
        names = [objective.name for objective in self._study.objectives if objective.source == "evaluation"]
        repeated = sum(len(trial.replicas) for trial in self._study.trials())
        if repeated > 1 and all(self._study.noise(name) is None for name in names):
            self._reporter.say(
                Warned(
                    "every further training gave exactly what the first one of its network gave",
                    "does the training use its seed? The command's placeholder is {seed}, a function's argument `seed`",
                )
            )
