"""A trial: one architecture of a study, the state of its life, and what is known of it.

The states and their moves:

    (ask) ──► proposed ──► running ──► complete
                 ▲  │         │ │ └──► abandoned      never tried again
                 │  └─────────┼─┼────► abandoned
                 │            │ └────► failed         its error is kept
                 ├────────────┼──────────┘            tried again, until the attempts are used up
                 ├────────────┘                       handed back by a clean stop; the attempt does not count
                 └── stale ◄── running                its worker died; the attempt does not count

`complete` and `abandoned` are final. A `failed` trial stays failed once its attempts are used up; it may still be
put back by hand. Any other move raises `IllegalMoveError`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from hwnas.errors import IllegalMoveError, StudyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hwnas.search._noise import Noise
    from hwnas.space import Architecture


class TrialState(StrEnum):
    """Where a trial is in its life; the module's docstring draws the moves."""

    PROPOSED = "proposed"
    RUNNING = "running"
    STALE = "stale"
    COMPLETE = "complete"
    FAILED = "failed"
    ABANDONED = "abandoned"

    @property
    def finished(self) -> bool:
        """Whether nothing more happens to the trial by itself."""
        return self in {TrialState.COMPLETE, TrialState.FAILED, TrialState.ABANDONED}


_S = TrialState
#: The legal moves: from each state, the states that may follow.
MOVES: Mapping[TrialState, frozenset[TrialState]] = MappingProxyType(
    {
        _S.PROPOSED: frozenset({_S.RUNNING, _S.ABANDONED}),
        _S.RUNNING: frozenset({_S.COMPLETE, _S.FAILED, _S.ABANDONED, _S.STALE, _S.PROPOSED}),
        _S.STALE: frozenset({_S.PROPOSED}),
        _S.FAILED: frozenset({_S.PROPOSED}),
        _S.COMPLETE: frozenset(),
        _S.ABANDONED: frozenset(),
    }
)


def check_move(number: int, old: TrialState, new: TrialState) -> None:
    """Check that trial `number` may move from `old` to `new`.

    Raises:
        IllegalMoveError: it may not.
    """
    if new not in MOVES[old]:
        after = ", ".join(sorted(MOVES[old])) or "nothing: it is final"
        raise IllegalMoveError(f"trial {number} is {old} and cannot become {new}", f"after {old} may come {after}")


class Provenance(StrEnum):
    """How a value came to be known."""

    MEASURED = "measured"  # on a device
    PREDICTED = "predicted"  # by a latency predictor
    COMPUTED = "computed"  # from the network itself
    REPORTED = "reported"  # by the training, or by whoever told it
    AVERAGED = "averaged"  # over several trainings, or two measurements


@dataclass(frozen=True, slots=True)
class Value:
    """One figure of a trial.

    Attributes:
        value: in the unit that its name says.
        sigma: its standard error in the same unit; `None` where it is not known.
        provenance: how it came to be known.
        trace_id: the row of the measurement that it was derived from.

    Raises:
        StudyError: the value is not finite, or sigma is negative or not finite.
    """

    value: float
    sigma: float | None = None
    provenance: Provenance = Provenance.REPORTED
    trace_id: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not math.isfinite(self.value):
            raise StudyError(
                f"a value of {self.value} is not a finite number", "a trial without a value has failed: say fail()"
            )
        if self.sigma is not None and not (math.isfinite(self.sigma) and self.sigma >= 0.0):
            raise StudyError(f"a sigma of {self.sigma} is no standard error", "give a number from 0 up, or None")


@dataclass(frozen=True, slots=True)
class Trial:
    """One architecture of a study, as it was when it was read; it does not change by itself.

    Attributes:
        number: from 0, in the order of proposing; unique in the study.
        architecture: what is tried.
        state: where it is in its life.
        batch: the number of the batch that it was proposed in, from 0.
        origin: the strategy that proposed it, such as `sobol` or `saas-qnehvi`.
        values: what is known so far, by name; objectives, and whatever else the training reported.
        again: values of a second measurement, made when the search was over and the trial was on the front.
        foretold: what was predicted of values that were measured since, by name.
        replicas: what further trainings with other seeds gave, one mapping each; `values` stays what was told first.
        attempts: how often it was started, without the starts that were interrupted.
        error: why it failed the last time.
        owner: who runs it: `host:pid:start` of the process.
        created_at, started_at, ended_at: moments in UTC.
    """

    number: int
    architecture: Architecture
    state: TrialState
    batch: int
    origin: str
    created_at: datetime
    values: Mapping[str, Value] = field(default_factory=dict)
    again: Mapping[str, Value] = field(default_factory=dict)
    attempts: int = 0
    error: str | None = None
    owner: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    foretold: Mapping[str, Value] = field(default_factory=dict)
    replicas: tuple[Mapping[str, Value], ...] = ()

    def __post_init__(self) -> None:
        """Make the mappings read-only."""
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        object.__setattr__(self, "again", MappingProxyType(dict(self.again)))
        object.__setattr__(self, "foretold", MappingProxyType(dict(self.foretold)))
        object.__setattr__(self, "replicas", tuple(MappingProxyType(dict(values)) for values in self.replicas))

    @property
    def id(self) -> str:
        """The architecture's id: a content hash."""
        return self.architecture.id

    @property
    def is_held(self) -> bool:
        """Whether a living process holds it; one on another machine is taken to live."""
        from hwnas.search._owner import is_lost

        return not is_lost(self.owner)

    def trainings(self, name: str) -> int:
        """Return how many values of a figure are known: the first, and one of each further training that gave it."""
        return (name in self.values) + sum(name in replica for replica in self.replicas)

    def mean(self, name: str) -> float:
        """Return a figure as the front counts it: its mean over all trainings; what was told, where there was one."""
        if not self.replicas:
            return self.values[name].value
        return self.best_estimate(name).value if self.trainings(name) > 1 else self.values[name].value

    def best_estimate(self, name: str, noise: Noise | None = None) -> Value:
        """Return the best estimate of a figure, with its standard error, from all trainings or both measurements.

        Args:
            name: the figure's; it must be known.
            noise: between trainings, as `Study.noise` has it. Without it, the spread of the trial's own trainings tells
                the standard error, and few of them tell it badly; `Study.best_estimate` gives it.
        """
        from hwnas.search._noise import best_estimate

        return best_estimate(self, name, noise)

    @property
    def duration_s(self) -> float | None:
        """Seconds from its last start to its end; `None` where it has not ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()
