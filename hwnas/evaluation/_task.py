"""What an evaluator is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hwnas.space import Architecture


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of a learning curve.

    Attributes:
        epoch: how far the training is, in whatever it counts; finite.
        values: what it reported there, by name; finite.
    """

    epoch: float
    values: Mapping[str, float]

    def __post_init__(self) -> None:
        """Make the mapping read-only."""
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))


@dataclass(frozen=True, slots=True)
class EvaluationTask:
    """One training to be run.

    Attributes:
        architecture: what is trained.
        trial: the number of the trial in its study.
        seed: for everything random in the training.
        folder: the trial's own folder, for its log and whatever the training leaves; made where it is missing.
        network_file: the trial's network file, where there is one.
        attempt: which attempt at this trial it is, from 1.
        on_point: called with each point of the learning curve as it comes, from the evaluation's own thread; it should
            return soon. `None` where nobody listens.
    """

    architecture: Architecture
    trial: int
    seed: int
    folder: Path
    network_file: Path | None = None
    attempt: int = 1
    on_point: Callable[[CurvePoint], None] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """What a training reported.

    Attributes:
        metrics: every metric that was asked for; finite.
        sigmas: the standard errors that it gave (`<metric>_sigma`), by metric, in the metric's unit.
        extras: other finite numbers that it reported beside them, such as an epoch or a loss.
        notes: what a person may want to know of it, such as that a metric came twice.
        duration_s: wall clock from start to end, without waiting for a turn.
        log: the file with its output.
    """

    metrics: Mapping[str, float]
    sigmas: Mapping[str, float]
    duration_s: float
    log: Path
    extras: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Make the mappings read-only."""
        for name in ("metrics", "sigmas", "extras"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))


class Evaluator(Protocol):
    """Anything that trains an architecture and says how good it is. Thread-safe: workers share one evaluator."""

    def evaluate(self, task: EvaluationTask, *, cancelled: threading.Event) -> EvaluationResult:
        """Return the metrics of the task's architecture; once `cancelled` is set, end all that was started.

        Raises:
            EvaluationError: the training failed; the message says why, the hint holds the end of its output.
            StoppedError: `cancelled` was set.
        """
        ...
