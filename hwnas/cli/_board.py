"""What a running search looks like: the figures that its events add up to, as a panel or as one line."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from hwnas.cli._output import duration, plural
from hwnas.measurement import NetworkFailed, NetworkMeasured, Waiting
from hwnas.report import GUESS, is_guess, label, number
from hwnas.search import (
    BatchProposed,
    Event,
    LatencySettled,
    MeasurementProgress,
    PhaseStarted,
    Progress,
    ReplicaCompleted,
    ReplicaFailed,
    StudyFinished,
    StudyStarted,
    StudyStopped,
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.panel import Panel

    from hwnas.search import Growth, LatencyCounts, Objective, Trial

_PHASES = {
    "propose": "choosing the next architectures",
    "network": "writing network files",
    "measure": "measuring",
    "evaluate": "training",
    "settle": "measuring what the front hangs on",
    "replicate": "replicating front members",
    "remeasure": "measuring the front once more",
}


class Board:
    """The state of a search as its listener sees it. One thread hears; another may render meanwhile.

    Attributes:
        name: the study's.
        total: how many trials it is to have.
        counts: trials by state.
        hypervolume: of the front so far; `None` before the first trial.
    """

    def __init__(self, objectives: Sequence[Objective], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing heard; `objectives` tell what the best is."""
        self.name = ""
        self.total = 0
        self.counts: dict[str, int] = {}
        self.hypervolume: float | None = None
        self._growth: Growth | None = None
        self._objectives = tuple(objectives)
        self._trials: dict[int, Trial] = {}
        self._latencies: tuple[LatencyCounts, ...] = ()
        self._clock = clock
        self._began_s = self._phase_s = clock()
        self._phase = self._waiting = ""
        self._phase_size = self._phase_done = 0
        self._fit_s = self._acquisition_s = 0.0
        self._spent_s = dict.fromkeys(_PHASES, 0.0)
        self._kind = ""
        self._left_s: float | None = None

    def hear(self, event: Event) -> None:
        """Take an event in."""
        match event:
            case StudyStarted():
                self.name, self.total = event.name, event.total
                self.counts = {"complete": event.finished} if event.finished else {}
            case PhaseStarted():
                self._end_phase(event.phase)
                where = f" on {event.device}" if event.device else ""
                batch = f", batch {event.batch + 1}" if event.phase not in ("settle", "replicate", "remeasure") else ""
                self._phase = f"{_PHASES[event.phase]}{where}{batch}"
                self._phase_size, self._phase_done = len(event.trials), 0
            case StudyFinished():
                self._end_phase("")
                self._phase, self._phase_size = "finished", 0
            case StudyStopped():
                self._end_phase("")
                self._phase, self._phase_size = "stopped", 0
            case BatchProposed():
                self._fit_s += event.fit_s
                self._acquisition_s += event.acquisition_s
            case MeasurementProgress(detail=NetworkMeasured() | NetworkFailed()):
                self._phase_done += 1
                self._waiting = ""
            case MeasurementProgress(detail=Waiting() as waiting):
                self._waiting = waiting.who
            case MeasurementProgress():
                self._waiting = ""
            case TrialCompleted():
                self._phase_done += 1
                self._remember(event.trial)
            case ReplicaCompleted():
                self._phase_done += 1
                self._remember(event.trial)
            case ReplicaFailed():
                self._phase_done += 1
            case LatencySettled() if event.number in self._trials:
                trial = self._trials[event.number]
                self._trials[event.number] = replace(trial, values={**trial.values, event.name: event.after})
            case TrialFailed() | TrialAbandoned() if self._kind == "evaluate":
                self._phase_done += 1
            case Progress():
                self.counts, self.total = dict(event.counts), event.total
                self.hypervolume, self._left_s = event.hypervolume, event.left_s
                self._latencies, self._growth = event.latencies, event.growth
            case _:
                pass

    def seed(self, trials: Sequence[Trial]) -> None:
        """Take in the complete trials of a study that goes on."""
        for trial in trials:
            self._remember(trial)

    def _end_phase(self, following: str) -> None:
        """Book the time of the phase that ends, and begin to count for the one that follows."""
        now_s = self._clock()
        if self._kind:
            self._spent_s[self._kind] += now_s - self._phase_s
        self._kind, self._phase_s = following, now_s

    def _spent(self, *phases: str) -> float:
        current_s = self._clock() - self._phase_s if self._kind in phases else 0.0
        return sum(self._spent_s[phase] for phase in phases) + current_s

    def _remember(self, trial: Trial) -> None:
        self._trials[trial.number] = trial

    def _best(self, objective: Objective) -> Trial | None:
        """Return the trial within all limits that is best in an objective; of equal ones the first that completed."""
        within = (
            trial
            for trial in self._trials.values()
            if all(other.feasible(trial.mean(other.name)) for other in self._objectives)
        )
        return max(within, key=lambda trial: objective.sign * trial.mean(objective.name), default=None)

    @property
    def finished(self) -> int:
        """How many trials are over."""
        return sum(self.counts.get(state, 0) for state in ("complete", "failed", "abandoned"))

    def line(self) -> str:
        """Return the state as one line."""
        parts = [f"{self.finished} of {plural(self.total, 'trial')}"]
        parts += [f"{self.counts[state]} {state}" for state in ("failed", "abandoned") if self.counts.get(state)]
        if self.hypervolume is not None:
            parts.append(f"hypervolume {self._volume()}")
        if self._phase:
            parts.append(self._now())
        if self._left_s is not None:
            parts.append(f"about {duration(self._left_s)} left")
        return " · ".join(parts)

    def panel(self, width: int | None = None) -> Panel:
        """Return the state as a panel, `width` columns wide."""
        from rich import box
        from rich.panel import Panel
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(ratio=1)
        bar = Table.grid(padding=(0, 2))
        bar.add_row(f"{self.finished} of {self.total}", ProgressBar(max(self.total, 1), self.finished, width=32))
        grid.add_row("trials", bar)
        for name, text in self._rows():
            grid.add_row(name, Text(text))
        return Panel(grid, title=Text(self.name), title_align="left", box=box.ROUNDED, padding=(0, 1), width=width)

    def _rows(self) -> list[tuple[str, str]]:
        others = [f"{count} {state}" for state, count in self.counts.items() if count and state != "complete"]
        spent = {
            "fit": self._fit_s,
            "acquisition": self._acquisition_s,
            "measuring": self._spent("measure", "settle", "remeasure"),
            "training": self._spent("evaluate", "replicate"),
        }
        return [
            ("", " · ".join([f"{self.counts.get('complete', 0)} complete", *others])),
            ("now", self._now() or "starting"),
            ("hypervolume", self._volume()),
            *latency_rows(self._latencies),
            *[("best" if first else "", text) for first, text in self._best_rows()],
            ("spent", " · ".join(f"{name} {duration(seconds)}" for name, seconds in spent.items())),
            ("time", f"{duration(self._clock() - self._began_s)}{self._left()}"),
        ]

    def _volume(self) -> str:
        """Return the hypervolume, and what part of it is new."""
        if self._growth is None:
            return number(self.hypervolume)
        latest = plural(self._growth.trials, "trial")
        return f"{number(self.hypervolume)} ({self._growth.share:.0%} from the last {latest})"

    def _best_rows(self) -> list[tuple[bool, str]]:
        rows: list[tuple[bool, str]] = []
        for objective in self._objectives:
            trial = self._best(objective)
            if not objective.optimize or trial is None:
                continue
            beside = [
                f"{label(other.name, other.device)} {_figure(trial, other.name)}"
                for other in self._objectives
                if other is not objective
            ]
            value = f"{label(objective.name, objective.device)} {_figure(trial, objective.name)}"
            rows.append((not rows, f"{value}  (trial {trial.number}: {', '.join(beside)})" if beside else value))
        return rows or [(True, "–")]

    def _left(self) -> str:
        if self._phase and not self._kind:  # over
            return ""
        left = "time left not known yet" if self._left_s is None else f"about {duration(self._left_s)} left"
        return f" so far, {left}"

    def _now(self) -> str:
        if not self._kind:
            return self._phase
        done = f" ({self._phase_done} of {self._phase_size})" if self._phase_size else ""
        waiting = f", waiting for {self._waiting}" if self._waiting else ""
        return f"{self._phase}{done}, {duration(self._clock() - self._phase_s)}{waiting}"


def _figure(trial: Trial, name: str) -> str:
    return f"{GUESS if is_guess(trial.values[name]) else ''}{number(trial.mean(name))}"


def latency_rows(latencies: Sequence[LatencyCounts]) -> list[tuple[str, str]]:
    """Return a row for each device on which something was predicted: how many networks were measured, and saved."""
    return [
        (f"on {counts.device}", saved_text(counts.measured, counts.predicted))
        for counts in latencies
        if counts.predicted
    ]


def saved_text(measured: int, predicted: int) -> str:
    """Return in words how many networks were measured, and how many measurements predictions have saved."""
    saved = plural(predicted, "measurement")
    return f"{plural(measured, 'network')} measured, {predicted} predicted: {saved} saved"
