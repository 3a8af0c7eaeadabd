"""One batch of trials on its way: network files, then measurements, then trainings.

Networks are measured before they are trained, all of the batch together; trainings follow in parallel. A trial that
fails leaves the others alone.
"""

from __future__ import annotations

import queue
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import DeviceError, HwnasError, IllegalMoveError, NetworkError, StoppedError
from hwnas.evaluation import EvaluationTask, WorkerPool
from hwnas.search._events import (
    LatencyForeseen,
    MeasurementProgress,
    PhaseStarted,
    TrialCompleted,
    TrialFailed,
    TrialStarted,
    ValueRecorded,
    Warned,
)
from hwnas.search._trial import Provenance, TrialState, Value

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hwnas.evaluation import EvaluationResult
    from hwnas.measurement import Measurement, MeasurementFailure
    from hwnas.network import NetworkFile
    from hwnas.search._events import Phase
    from hwnas.search._objective import Objective
    from hwnas.search._progress import Reporter
    from hwnas.search._study import Study
    from hwnas.search._tools import Tools
    from hwnas.search._trial import Trial

#: How often a wait looks whether it is to stop.
_WAKE_S = 0.2
#: Signals of the workers: the number of a trial whose training starts, or a training that is over.
_Signal = int | Future["EvaluationResult"]


class Batch:
    """Trials that this process holds, taken as far as they come."""

    def __init__(self, study: Study, tools: Tools, reporter: Reporter, stop: threading.Event) -> None:
        """Say whose trials they are, what to work with, who listens, and what ends it early."""
        self._study = study
        self._tools = tools
        self._reporter = reporter
        self._stop = stop
        self._live: dict[int, Trial] = {}
        self._retried: list[Trial] = []

    def run(self, trials: Sequence[Trial]) -> list[Trial]:
        """Take trials to their end, and return those that failed and are to be tried again.

        Raises:
            StoppedError: it was told to stop. Trainings that were over by then are told, the others ended.
            DeviceError: a device cannot be used.
        """
        self._live = {trial.number: trial for trial in trials}
        files = self._write_networks()
        self._record_computed(files)
        for device in devices_of(self._study.objectives):
            self._measure(device, files)
        self._evaluate(files)
        return self._retried

    # network files

    def _write_networks(self) -> dict[int, NetworkFile]:
        source = self._tools.networks
        if source is None:
            return {}
        self._phase("network")
        files = {}
        with ThreadPoolExecutor(self._tools.workers, thread_name_prefix="hwnas-network") as pool:
            futures = {
                number: pool.submit(source.write, self._task(trial), cancelled=self._stop)
                for number, trial in self._live.items()
            }
        for number, future in futures.items():
            try:
                files[number] = future.result()
            except StoppedError:
                raise
            except HwnasError as exc:
                self._failed(number, exc)
        return files

    def _record_computed(self, files: Mapping[int, NetworkFile]) -> None:
        wanted = [objective for objective in self._study.objectives if objective.source == "network"]
        for number, file in files.items():
            try:
                missing = [objective for objective in wanted if objective.name not in self._live[number].values]
                self._record(number, computed_values(missing, file))
            except HwnasError as exc:
                self._failed(number, exc)

    # measurements

    def _measure(self, device: str, files: Mapping[int, NetworkFile]) -> None:
        wanted = [objective for objective in self._study.objectives if objective.device == device]
        numbers = [
            number
            for number, trial in self._live.items()
            if any(objective.name not in trial.values for objective in wanted)
        ]
        if not numbers:
            return
        foresight = self._tools.foresight
        if foresight is None:
            self._measure_all(device, numbers, files)
            return
        asked = [self._live[number] for number in numbers]
        self._measure_all(device, foresight.choose(self._study.trials(), asked, device), files)
        left = [trial for trial in asked if trial.number in self._live and not self._has_all(trial.number, wanted)]
        told = foresight.foretell(self._study.trials(), left, device)
        if left and not told:  # too little could be measured to predict anything
            self._measure_all(device, [trial.number for trial in left], files)
        for number, values in told.items():
            missing = {name: value for name, value in values.items() if name not in self._live[number].values}
            self._record(number, missing)
        self._say_foreseen(device, asked, told)

    def _has_all(self, number: int, wanted: Sequence[Objective]) -> bool:
        return all(objective.name in self._live[number].values for objective in wanted)

    def _say_foreseen(self, device: str, asked: Sequence[Trial], told: Mapping[int, Mapping[str, Value]]) -> None:
        shares = [value.sigma / value.value for values in told.values() for value in values.values() if value.sigma]
        self._reporter.say(
            LatencyForeseen(
                device,
                max(trial.batch for trial in asked),
                tuple(trial.number for trial in asked if trial.number not in told),
                tuple(told),
                float(np.median(shares)) if shares else None,
            )
        )

    def _measure_all(self, device: str, numbers: Sequence[int], files: Mapping[int, NetworkFile]) -> None:
        """Measure networks on a device, and record what that gives."""
        if not numbers or self._tools.measurer is None:
            return
        wanted = [objective for objective in self._study.objectives if objective.device == device]
        self._phase("measure", numbers, device)
        with self._reporter.timed("measure"):
            results = self._tools.measurer.measure(
                device,
                [files[number] for number in numbers],
                [self._live[number].architecture for number in numbers],
                cancelled=self._stop,
                on_progress=lambda detail: self._reporter.say(MeasurementProgress(device, detail)),
            )
        lost: DeviceError | None = None
        for number, result in zip(numbers, results, strict=True):
            try:
                missing = [objective for objective in wanted if objective.name not in self._live[number].values]
                self._record(number, measured_values(missing, result))
            except DeviceError as exc:  # the device's fault, not the network's
                lost = exc
            except HwnasError as exc:
                self._failed(number, exc)
        if lost is not None:
            raise lost

    # trainings

    def _evaluate(self, files: Mapping[int, NetworkFile]) -> None:
        if self._tools.evaluator is None:
            for number in list(self._live):
                self._told(number, {})
            return
        if not self._live:
            return
        self._phase("evaluate")
        signals: queue.SimpleQueue[_Signal] = queue.SimpleQueue()
        with (
            self._reporter.timed("evaluate"),
            WorkerPool(
                self._tools.evaluator,
                self._tools.workers,
                self._tools.turns,
                on_start=lambda task: signals.put(task.trial),
            ) as pool,
        ):
            futures: dict[Future[EvaluationResult], int] = {}
            for number, trial in self._live.items():
                future = pool.submit(self._task(trial, files.get(number)))
                futures[future] = number
                future.add_done_callback(signals.put)
            self._follow(pool, futures, signals)
        if self._stop.is_set():
            raise StoppedError("told to stop while networks were trained")

    def _follow(
        self, pool: WorkerPool, futures: dict[Future[EvaluationResult], int], signals: queue.SimpleQueue[_Signal]
    ) -> None:
        """Take in what the workers say until all trainings are over; end them where it is told to stop."""
        left = len(futures)
        while left:
            if self._stop.is_set():
                pool.close()
            try:
                signal = signals.get(timeout=_WAKE_S)
            except queue.Empty:
                continue
            if isinstance(signal, int):
                self._started(signal)
            else:
                left -= 1
                self._ended(futures[signal], signal)

    def _started(self, number: int) -> None:
        try:
            trial = self._study.start(number)
        except IllegalMoveError as exc:  # somebody told it meanwhile
            self._reporter.say(Warned(exc.message, exc.hint))
            return
        self._live[number] = trial
        self._reporter.say(TrialStarted(number, trial.attempts))
        self._reporter.progress()

    def _ended(self, number: int, future: Future[EvaluationResult]) -> None:
        try:
            result = future.result()
        except StoppedError:
            return  # the trial is handed back
        except HwnasError as exc:
            self._failed(number, exc)
            return
        by_name = {objective.name: objective for objective in self._study.objectives}
        values = {
            name: Value(value, result.sigmas.get(name))
            for name, value in {**result.extras, **result.metrics}.items()
            if ":" not in name and (name in result.metrics or name not in by_name)
        }
        self._told(number, values)

    # what became of a trial

    def _record(self, number: int, values: Mapping[str, Value]) -> None:
        if not values:
            return
        self._live[number] = self._study.record(number, values)
        for name, value in values.items():
            self._reporter.say(ValueRecorded(number, name, value))

    def _told(self, number: int, values: Mapping[str, Value]) -> None:
        try:
            trial = self._study.tell(number, values)
        except IllegalMoveError as exc:  # somebody told it meanwhile
            self._reporter.say(Warned(exc.message, exc.hint))
        except HwnasError as exc:
            self._failed(number, exc)
            return
        else:
            self._reporter.say(TrialCompleted(trial))
        self._live.pop(number, None)
        self._reporter.progress()

    def _failed(self, number: int, error: HwnasError) -> None:
        text = f"{error.message}\n{error.hint}" if error.hint else error.message
        try:
            trial = self._study.fail(number, text)
        except IllegalMoveError as exc:  # somebody told it meanwhile
            self._reporter.say(Warned(exc.message, exc.hint))
            self._live.pop(number, None)
            return
        retried = trial.state == TrialState.PROPOSED
        if retried:
            self._retried.append(trial)
        self._live.pop(number, None)
        self._reporter.say(TrialFailed(number, error.message, error.hint, retried))
        self._reporter.progress()

    def _task(self, trial: Trial, file: NetworkFile | None = None) -> EvaluationTask:
        return task_of(self._study, trial, self._tools.folder, file)

    def _phase(self, phase: Phase, numbers: Sequence[int] | None = None, device: str | None = None) -> None:
        if self._stop.is_set():
            raise StoppedError("told to stop between two steps")
        batch = max((trial.batch for trial in self._live.values()), default=0)
        self._reporter.say(PhaseStarted(phase, batch, tuple(self._live if numbers is None else numbers), device))


def task_of(study: Study, trial: Trial, folder: Path, file: NetworkFile | None = None) -> EvaluationTask:
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
    )


def devices_of(objectives: Sequence[Objective]) -> list[str]:
    """Return the devices that objectives are measured on, each once, in order."""
    return list(dict.fromkeys(objective.device for objective in objectives if objective.device is not None))


def computed_values(objectives: Sequence[Objective], file: NetworkFile) -> dict[str, Value]:
    """Return the values of objectives that a network file tells.

    Raises:
        NetworkError: it does not tell one.
    """
    values = {}
    for objective in objectives:
        known: int | None = getattr(file, objective.metric)
        if known is None:
            raise NetworkError(f"{file.path}: its {objective.metric} are not known", "let the training report them")
        values[objective.name] = Value(float(known), 0.0, Provenance.COMPUTED)
    return values


def measured_values(objectives: Sequence[Objective], result: Measurement | MeasurementFailure) -> dict[str, Value]:
    """Return the values of objectives that a measurement gives.

    Raises:
        HwnasError: it is a failure, or lacks a figure.
    """
    from hwnas.measurement import MeasurementFailure

    if isinstance(result, MeasurementFailure):
        raise result.error
    values = {}
    for objective in objectives:
        value, sigma = result.figure(objective.metric)
        values[objective.name] = Value(value, sigma, Provenance.MEASURED, result.id)
    return values
