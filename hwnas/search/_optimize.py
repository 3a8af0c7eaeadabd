"""The search loop: ask, find out, tell, until the study has all its trials; then train and measure the front again.

It uses nothing of a study but its public methods: a loop of one's own can do the same.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.errors import DeviceError, HwnasError, StoppedError
from hwnas.search._batch import devices_of, measured_values
from hwnas.search._events import (
    FrontRemeasured,
    MeasurementProgress,
    PhaseStarted,
    StudyFinished,
    StudyStarted,
    StudyStopped,
    Warned,
    ignore,
)
from hwnas.search._foresight import ForetoldOracle, is_unconfirmed
from hwnas.search._loop import Batches, Stream
from hwnas.search._progress import Reporter
from hwnas.search._replicate import Replicator
from hwnas.search._settle import Settler
from hwnas.search._stopping import stopping_metric
from hwnas.search._tools import Tools
from hwnas.search._trainings import task_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hwnas.evaluation import Evaluator
    from hwnas.locks import MachineTurns
    from hwnas.network import NetworkFile
    from hwnas.search._events import Listener
    from hwnas.search._foresight import Foresight
    from hwnas.search._networks import NetworkSource
    from hwnas.search._strategy import Strategy
    from hwnas.search._study import Study
    from hwnas.search._tools import Measurer
    from hwnas.search._trial import Trial


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What a search has come to.

    Attributes:
        name: the study's.
        finished: whether it has all its trials, and all of them are over.
        front: the Pareto front, best in the first objective first. `Trial.again` has the values that were measured once
            more at the end, beside `Trial.values`, and `Trial.replicas` what further trainings gave.
        hypervolume: of the front, see `Study.hypervolume_history`; `None` where no trial is complete.
    """

    name: str
    finished: bool
    front: tuple[Trial, ...]
    hypervolume: float | None

    @classmethod
    def of(cls, study: Study) -> StudyResult:
        """Return what a study has come to so far."""
        history = study.hypervolume_history()
        volume = float(history[-1]) if len(history) else None
        return cls(study.name, study.is_finished, tuple(study.pareto_front()), volume)


def optimize(
    study: Study,
    *,
    evaluator: Evaluator | None = None,
    measurer: Measurer | None = None,
    networks: NetworkSource | None = None,
    folder: Path | None = None,
    workers: int | None = None,
    turns: MachineTurns | None = None,
    foresight: Foresight | None = None,
    on_event: Listener = ignore,
    stop: threading.Event | None = None,
) -> StudyResult:
    """Run a study to its end, or until it is told to stop, and return what it has come to.

    It may be called again after it was stopped, or killed: trials that were interrupted are finished first, and nothing
    that was told is done again. Several processes may work on one study.

    Args:
        study: what to run.
        evaluator: trains; needed where an objective comes from a training.
        measurer: measures; needed where one is measured.
        networks: writes network files; needed where one is measured or computed.
        folder: where trials leave their logs; a folder named as the study, here, by default.
        workers: trainings at a time; the study's own number by default.
        turns: whose turns trainings take, so that they do not disturb measurements; `None` for none.
        foresight: predicts what devices give, where not everything is measured; the final front is measured always.
        on_event: hears what happens.
        stop: once set, trainings are ended, their trials handed back, and the result so far is returned.

    Raises:
        ConfigError: the objectives want what is not given.
        DeviceError: a device cannot be used. The trials are handed back; the study can go on later.
        StudyError: nothing ever worked: four trials or more, and all of them failed.
    """
    stop, others = stop or threading.Event(), False
    workers = workers or study.settings.workers
    tools = Tools(evaluator, measurer, networks, folder or Path(study.name), workers, turns, foresight)
    tools.check(study.objectives)
    _let_compute(study.strategy, foresight)
    if study.settings.stopping is not None:
        stopping_metric(study.objectives, study.settings.stopping)
    reporter = Reporter(study, on_event)
    total = study.settings.trials
    trials = study.trials()
    finished = sum(trial.state.finished for trial in trials)
    reporter.say(StudyStarted(study.name, total, finished, resumed=bool(trials)))
    reporter.progress()
    try:
        settler = Settler(study, tools, reporter, stop)
        _search(study, tools, reporter, settler, stop)
        # What others still try may change the front; whoever is done last sees to it.
        others = any(not trial.state.finished for trial in study.trials())
        replicator = Replicator(study, tools, reporter, stop)
        while not (stop.is_set() or others):
            settler.final_front()
            if not replicator.round():
                break
        if not (stop.is_set() or others) and study.settings.remeasure:
            _remeasure(study, tools, reporter, stop)
    except StoppedError:
        if not stop.is_set():
            raise
    result = StudyResult.of(study)
    if stop.is_set() or others:
        mine, theirs = f"go on with `hwnas search resume {study.name}`", "the processes that hold the others go on"
        finished = sum(trial.state.finished for trial in study.trials())
        reporter.say(StudyStopped(study.name, finished, total, mine if stop.is_set() else theirs))
    else:
        front = tuple(trial.number for trial in result.front)
        reporter.say(StudyFinished(study.name, len(study.trials()), front, result.hypervolume))
    return result


def _let_compute(strategy: Strategy, foresight: Foresight | None) -> None:
    """Let the strategy compute predicted figures for each candidate, where they are predicted for good."""
    from hwnas.search._saas import SaasQnehviStrategy

    if isinstance(strategy, SaasQnehviStrategy) and foresight is not None and not foresight.measures:
        strategy.compute(ForetoldOracle(foresight))


def _search(study: Study, tools: Tools, reporter: Reporter, settler: Settler, stop: threading.Event) -> None:
    """Have all trials of a study evaluated, in batches or as a stream."""
    settler.between_batches()
    if study.settings.asynchronous and tools.evaluator is not None:
        Stream(study, tools, reporter, stop).run()
        settler.between_batches()
    else:
        Batches(study, tools, reporter, stop).run(settler.between_batches)


def _forward(reporter: Reporter, device: str) -> Callable[[object], None]:
    """Return a listener that hands a measurement's events on."""
    return lambda detail: reporter.say(MeasurementProgress(device, detail))


def _with_files(
    study: Study, tools: Tools, reporter: Reporter, front: Sequence[Trial], stop: threading.Event
) -> tuple[list[Trial], list[NetworkFile]]:
    """Return those of the trials whose network file can be had, and the files."""
    assert tools.networks is not None  # noqa: S101  the caller has looked
    found = []
    for trial in front:
        try:
            found.append((trial, tools.networks.write(task_of(study, trial, tools.folder), cancelled=stop)))
        except StoppedError:
            raise
        except HwnasError as exc:
            reporter.say(Warned(f"trial {trial.number} could not be measured again: {exc.message}", exc.hint))
    return [trial for trial, _ in found], [file for _, file in found]


def _remeasure(study: Study, tools: Tools, reporter: Reporter, stop: threading.Event) -> None:
    """Measure the members of all fronts once more, what was not yet.

    A member whose figure was predicted before it was measured has two independent ones already.
    """
    for device in devices_of(study.objectives):
        wanted = [objective for objective in study.objectives if objective.device == device]
        front = [trial for trial in study.winners() if any(is_unconfirmed(trial, o) for o in wanted)]
        if not front or tools.measurer is None or tools.networks is None:
            continue
        reporter.say(PhaseStarted("remeasure", front[-1].batch, tuple(trial.number for trial in front), device))
        front, files = _with_files(study, tools, reporter, front, stop)
        with reporter.timed("measure"):
            results = tools.measurer.measure(
                device,
                files,
                [trial.architecture for trial in front],
                again=True,
                cancelled=stop,
                on_progress=_forward(reporter, device),
            )
        for trial, result in zip(front, results, strict=True):
            try:
                values = measured_values(wanted, result)
            except DeviceError:
                raise
            except HwnasError as exc:
                reporter.say(Warned(f"trial {trial.number} could not be measured again: {exc.message}", exc.hint))
                continue
            study.record_again(trial, values)
            for name, value in values.items():
                reporter.say(FrontRemeasured(trial.number, name, trial.values[name], value))
