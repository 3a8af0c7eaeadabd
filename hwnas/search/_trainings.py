"""Trainings: several at a time, each followed along its learning curve and taken in as it ends."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import numpy as np

from hwnas.errors import HwnasError, IllegalMoveError, StoppedError
from hwnas.evaluation import CurvePoint, EvaluationTask, WorkerPool
from hwnas.search._objective import BASELINE
from hwnas.search._stopping import Verdict, hopeless
from hwnas.search._trial import Value

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from pathlib import Path

    from hwnas.evaluation import EvaluationResult
    from hwnas.network import NetworkFile
    from hwnas.search._live import LiveTrials
    from hwnas.search._objective import Objective
    from hwnas.search._progress import Reporter
    from hwnas.search._study import Study
    from hwnas.search._tools import Tools
    from hwnas.search._trial import Trial

#: How often a wait looks whether it is to stop.
_WAKE_S = 0.2
#: Points of learning curves are gathered for so long before they are written, so that a training which reports a
#: thousand times a second costs no thousand transactions.
_GATHER_S = 0.5
#: A training's points are kept up to so many; one that reports every step is no learning curve.
_MOST_POINTS = 5000
#: Signals of the workers: the number of a trial whose training starts, a point of its curve, a training that is over;
#: and what another thread wants to have called.
_Signal = int | tuple[int, CurvePoint] | Future["EvaluationResult"] | Callable[[], None]


class Trainings:
    """Trains trials, as many at a time as there are workers. As a context it ends what still runs.

    All of its methods but `post` are for one thread.
    """

    def __init__(self, study: Study, tools: Tools, reporter: Reporter, live: LiveTrials, stop: threading.Event) -> None:
        """Say whose trials they are, what to work with, who listens, where they are in hand, and what ends it early.

        Args:
            study: the trials'.
            tools: with an evaluator.
            reporter: hears what happens.
            live: gets what becomes of the trials that are added.
            stop: once set, trainings are ended; those that were over by then are told.
        """
        assert tools.evaluator is not None  # noqa: S101  the caller has looked
        self._study = study
        self._tools = tools
        self._reporter = reporter
        self._live = live
        self._stop = stop
        self._signals: queue.SimpleQueue[_Signal] = queue.SimpleQueue()
        self._futures: dict[Future[EvaluationResult], int] = {}
        self._started: set[int] = set()
        self._verdicts: dict[int, Verdict] = {}
        self._fresh: dict[int, list[CurvePoint]] = {}  # not yet written
        self._reported: dict[int, int] = {}
        self._curves: dict[int, tuple[CurvePoint, ...]] = {}  # of trials that are over
        self._written_s = 0.0
        self._pool = WorkerPool(
            tools.evaluator, tools.workers, tools.turns, on_start=lambda task: self._signals.put(task.trial)
        )

    def __enter__(self) -> Self:
        """Return the trainings."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what still runs."""
        self._pool.close()

    @property
    def unfinished(self) -> int:
        """How many trainings run or wait."""
        return len(self._futures)

    @property
    def waiting(self) -> int:
        """How many trainings wait for a worker."""
        return len(self._futures) - len(self._started)

    def add(self, trial: Trial, file: NetworkFile | None) -> None:
        """Have a trial trained, after those that were added before."""
        number = trial.number
        self._live.by_number[number] = trial
        self._verdicts.pop(number, None)
        self._reported.pop(number, None)
        task = task_of(
            self._study,
            trial,
            self._tools.folder,
            file,
            on_point=lambda point: self._signals.put((number, point)),
        )
        future = self._pool.submit(task)
        self._futures[future] = number
        future.add_done_callback(self._signals.put)

    def post(self, call: Callable[[], None]) -> None:
        """Have something called in the thread that takes the steps, in its turn. Thread-safe."""
        self._signals.put(call)

    def drop_waiting(self) -> None:
        """Let those that wait for a worker go; they are still in hand. What runs comes to its end."""
        for future in [future for future, number in self._futures.items() if number not in self._started]:
            self._pool.cancel(future)

    def step(self) -> None:
        """Take in what the workers say next, if they say anything soon; end all trainings where it is told to stop."""
        if self._stop.is_set():
            self._pool.close()
        try:
            signal = self._signals.get(timeout=_WAKE_S)
        except queue.Empty:
            self._write_points()
            return
        if isinstance(signal, int):
            self._started.add(signal)
            self._live.started(signal)
        elif isinstance(signal, tuple):
            self._gather(*signal)
            if time.monotonic() - self._written_s > _GATHER_S:
                self._write_points()
        elif isinstance(signal, Future):
            self._write_points()
            number = self._futures.pop(signal)
            self._started.discard(number)
            self._ended(number, signal)
        else:
            signal()

    def _gather(self, number: int, point: CurvePoint) -> None:
        """Take a point in, and remember to write it."""
        self._reported[number] = self._reported.get(number, 0) + 1
        if self._reported[number] <= _MOST_POINTS:
            self._fresh.setdefault(number, []).append(point)

    def _write_points(self) -> None:
        """Write the points that have come, and end the trainings that have become hopeless by them."""
        fresh, self._fresh = self._fresh, {}
        self._written_s = time.monotonic()
        told = []
        for number, points in fresh.items():
            with suppress(IllegalMoveError):  # it is not ours any more; its end says so
                self._study.report_points(number, points)
                told.append(number)
        self._judge(told)

    def _judge(self, numbers: Sequence[int]) -> None:
        """End those trainings that cannot matter any more."""
        settings, mine = self._study.settings.stopping, self._live.by_number
        judged = [n for n in numbers if n in mine and mine[n].origin != BASELINE and n not in self._verdicts]
        if settings is None or not judged:
            return
        trials = self._study.trials()
        curves = self._all_curves(trials)
        for number in judged:
            verdict = hopeless(self._study.objectives, settings, mine[number], curves, trials)
            if verdict is not None:
                self._verdicts[number] = verdict
                self._pool.cancel(next(future for future, owner in self._futures.items() if owner == number))

    def _all_curves(self, trials: Sequence[Trial]) -> dict[int, tuple[CurvePoint, ...]]:
        """Return all curves; those of trials that are over do not change, and are read once."""
        new = [trial.number for trial in trials if trial.number not in self._curves]
        curves = self._curves | self._study.curves(new)
        self._curves |= {trial.number: curves.get(trial.number, ()) for trial in trials if trial.state.finished}
        return curves

    def _ended(self, number: int, future: Future[EvaluationResult]) -> None:
        try:
            result = future.result()
        except StoppedError:
            verdict = self._verdicts.get(number)
            if verdict is not None:  # else the trial is handed back
                self._live.abandoned(number, verdict.reason, {verdict.metric: verdict.value})
            return
        except HwnasError as exc:
            self._live.failed(number, exc)
            return
        self._live.told(number, reported_values(self._study.objectives, result), "; ".join(result.notes))


def reported_values(objectives: tuple[Objective, ...], result: EvaluationResult) -> dict[str, Value]:
    """Return what a training reported that is not another source's to tell."""
    others = {objective.name for objective in objectives} - result.metrics.keys()
    return {
        name: Value(value, result.sigmas.get(name))
        for name, value in {**result.extras, **result.metrics}.items()
        if ":" not in name and name not in others
    }


def task_of(
    study: Study,
    trial: Trial,
    folder: Path,
    file: NetworkFile | None = None,
    on_point: Callable[[CurvePoint], None] | None = None,
) -> EvaluationTask:
    """Return the training of a trial's next attempt; its seed derives from the study's, the trial and the attempt."""
    attempt = trial.attempts + 1
    seed = np.random.SeedSequence([study.settings.seed, trial.number, attempt]).generate_state(1)[0]
    return EvaluationTask(
        trial.architecture,
        trial.number,
        int(seed) % 2**31,
        folder / "trials" / f"{trial.number:04d}",
        None if file is None else file.path,
        attempt,
        on_point,
    )
