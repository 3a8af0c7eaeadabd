"""What a running search says of itself: frozen values, handed to the listener in the order in which they happen.

They are for showing and logging; the state of a study is in its store, and nobody has to listen. The listener is
called from the thread that runs the search, one event at a time, and should return soon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from hwnas.search._counts import LatencyCounts
    from hwnas.search._trial import Trial, Value

Phase = Literal["propose", "network", "measure", "evaluate", "settle", "replicate", "remeasure"]


@dataclass(frozen=True, slots=True)
class StudyStarted:
    """A search begins or goes on: its name, how many trials it is to have, and how many are over."""

    name: str
    total: int
    finished: int
    resumed: bool


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """The search turns to something else, for trials of batch `batch`."""

    phase: Phase
    batch: int
    trials: tuple[int, ...]
    device: str | None = None


@dataclass(frozen=True, slots=True)
class BatchProposed:
    """New trials were proposed and stored, and what it cost in seconds of wall clock."""

    batch: int
    trials: tuple[int, ...]
    origin: str
    fit_s: float
    acquisition_s: float


@dataclass(frozen=True, slots=True)
class MeasurementProgress:
    """The measurement says how far it is; `detail` is the measurement's own event."""

    device: str
    detail: object


@dataclass(frozen=True, slots=True)
class ValueRecorded:
    """One figure of a trial became known."""

    number: int
    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class LatencyForeseen:
    """Of a batch some networks were measured, since the predictor doubted, and the others' figures predicted.

    Attributes:
        device: on which.
        batch: the number of the batch.
        measured, predicted: the trials' numbers.
        sigma: the median standard error of the predictions, as a share of the predicted figure; `None` without any.
    """

    device: str
    batch: int
    measured: tuple[int, ...]
    predicted: tuple[int, ...]
    sigma: float | None


@dataclass(frozen=True, slots=True)
class LatencySettled:
    """A figure that was predicted has been measured, since the front hung on it."""

    number: int
    name: str
    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """The training of a trial begins; `attempt` counts from 1."""

    number: int
    attempt: int


@dataclass(frozen=True, slots=True)
class TrialCompleted:
    """Every value of a trial is known."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class TrialFailed:
    """A trial failed, and whether it will be tried again."""

    number: int
    error: str
    hint: str
    retried: bool


@dataclass(frozen=True, slots=True)
class TrialAbandoned:
    """A trial was given up for good, for the reason that its `error` says; what is known of it is kept."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class Growth:
    """What part of the hypervolume, from 0 to 1, the latest trials have added; how many of them were complete.

    Both hypervolumes are above the reference point as it is now. A hypervolume alone does not show how a search goes
    on: it falls where the reference is inferred, and moves up.
    """

    trials: int
    share: float


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the search stands: trials by state, the hypervolume, seconds spent, and left where that is known.

    `latencies` says how the figures of each device came to be known, `growth` what part of the hypervolume came lately.
    """

    counts: Mapping[str, int]
    total: int
    hypervolume: float | None
    propose_s: float
    measure_s: float
    evaluate_s: float
    left_s: float | None
    latencies: tuple[LatencyCounts, ...] = ()
    growth: Growth | None = None


@dataclass(frozen=True, slots=True)
class FrontRemeasured:
    """A member of the front was measured once more."""

    number: int
    name: str
    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class ReplicaCompleted:
    """A member of the front was trained once more: the trial as it is now, which training it was, what it gave."""

    trial: Trial
    number: int
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ReplicaFailed:
    """A further training of a trial failed; the trial stays as it is."""

    trial: int
    number: int
    error: str
    hint: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something is not as it should be, and the search goes on."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class StudyStopped:
    """The search was asked to stop and has put everything in order; the hint says how to go on."""

    name: str
    finished: int
    total: int
    hint: str


@dataclass(frozen=True, slots=True)
class StudyFinished:
    """The search is over."""

    name: str
    total: int
    front: tuple[int, ...]
    hypervolume: float | None


Event = (
    StudyStarted
    | PhaseStarted
    | BatchProposed
    | MeasurementProgress
    | ValueRecorded
    | LatencyForeseen
    | LatencySettled
    | TrialStarted
    | TrialCompleted
    | TrialFailed
    | TrialAbandoned
    | Progress
    | FrontRemeasured
    | ReplicaCompleted
    | ReplicaFailed
    | Warned
    | StudyStopped
    | StudyFinished
)
Listener = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Listen to nothing."""
