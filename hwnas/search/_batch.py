"""One batch of trials before it is trained: network files, then measurements.

Networks are measured before they are trained, all of the batch together; what breaks a limit is given up then. A trial
that fails leaves the others alone.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import DeviceError, HwnasError, NetworkError, StoppedError
from hwnas.search._events import LatencyForeseen, MeasurementProgress, PhaseStarted
from hwnas.search._gate import broken_limits
from hwnas.search._live import LiveTrials
from hwnas.search._objective import BASELINE
from hwnas.search._trainings import task_of
from hwnas.search._trial import Provenance, Value

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from hwnas.measurement import Measurement, MeasurementFailure
    from hwnas.network import NetworkFile
    from hwnas.search._events import Phase
    from hwnas.search._objective import Objective
    from hwnas.search._progress import Reporter
    from hwnas.search._study import Study
    from hwnas.search._tools import Tools
    from hwnas.search._trial import Trial


class Preparation:
    """Takes trials that this process holds as far as they come without a training."""

    def __init__(self, study: Study, tools: Tools, reporter: Reporter, stop: threading.Event) -> None:
        """Say whose trials they are, what to work with, who listens, and what ends it early."""
        self._study = study
        self._tools = tools
        self._reporter = reporter
        self._stop = stop
        self._live = LiveTrials(study, reporter)

    def run(self, trials: Sequence[Trial]) -> tuple[LiveTrials, dict[int, NetworkFile]]:
        """Return the trials that are to be trained now, beside those to be tried again, and network files by number.

        Raises:
            StoppedError: it was told to stop.
            DeviceError: a device cannot be used.
        """
        self._live = LiveTrials(self._study, self._reporter, trials)
        files = self._write_networks()
        self._record_computed(files)
        self._leave_out()
        for device in devices_of(self._study.objectives):
            self._measure(device, files)
            self._leave_out()
        return self._live, files

    def _leave_out(self) -> None:
        """Give up what breaks a limit already: it is neither measured any further nor trained."""
        if self._tools.evaluator is None or self._study.settings.train_over_limit:
            return
        for number, trial in list(self._live.by_number.items()):
            if trial.origin == BASELINE:  # it is what the others are compared with
                continue
            broken = broken_limits(self._study.objectives, trial, joint=self._study.settings.fronts == "joint")
            if broken is not None:
                self._live.abandoned(number, f"{broken}: not trained")

    # network files

    def _write_networks(self) -> dict[int, NetworkFile]:
        source = self._tools.networks
        if source is None:
            return {}
        self._phase("network")
        files = {}
        with ThreadPoolExecutor(self._tools.workers, thread_name_prefix="hwnas-network") as pool:
            futures = {
                number: pool.submit(source.write, task_of(self._study, trial, self._tools.folder), cancelled=self._stop)
                for number, trial in self._live.by_number.items()
            }
        for number, future in futures.items():
            try:
                files[number] = future.result()
            except StoppedError:
                raise
            except HwnasError as exc:
                self._live.failed(number, exc)
        return files

    def _record_computed(self, files: Mapping[int, NetworkFile]) -> None:
        wanted = [objective for objective in self._study.objectives if objective.source == "network"]
        for number, file in files.items():
            try:
                self._live.record(number, computed_values(self._live.missing(number, wanted), file))
            except HwnasError as exc:
                self._live.failed(number, exc)

    # measurements

    def _measure(self, device: str, files: Mapping[int, NetworkFile]) -> None:
        wanted = [objective for objective in self._study.objectives if objective.device == device]
        live = self._live.by_number
        numbers = [number for number in live if self._live.missing(number, wanted)]
        if not numbers:
            return
        foresight = self._tools.foresight
        if foresight is None:
            self._measure_all(device, numbers, files)
            return
        asked = [live[number] for number in numbers]
        self._measure_all(device, foresight.choose(self._study.trials(), asked, device), files)
        left = [trial for trial in asked if trial.number in live and self._live.missing(trial.number, wanted)]
        told = foresight.foretell(self._study.trials(), left, device)
        if left and not told:  # too little could be measured to predict anything
            self._measure_all(device, [trial.number for trial in left], files)
        for number, values in told.items():
            missing = {name: value for name, value in values.items() if name not in live[number].values}
            self._live.record(number, missing)
        self._say_foreseen(device, asked, told)

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
                [self._live.by_number[number].architecture for number in numbers],
                cancelled=self._stop,
                on_progress=lambda detail: self._reporter.say(MeasurementProgress(device, detail)),
            )
        lost: DeviceError | None = None
        for number, result in zip(numbers, results, strict=True):
            try:
                self._live.record(number, measured_values(self._live.missing(number, wanted), result))
            except DeviceError as exc:  # the device's fault, not the network's
                lost = exc
            except HwnasError as exc:
                self._live.failed(number, exc)
        if lost is not None:
            raise lost

    def _phase(self, phase: Phase, numbers: Sequence[int] | None = None, device: str | None = None) -> None:
        if self._stop.is_set():
            raise StoppedError("told to stop between two steps")
        live = self._live.by_number
        batch = max((trial.batch for trial in live.values()), default=0)
        self._reporter.say(PhaseStarted(phase, batch, tuple(live if numbers is None else numbers), device))


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
