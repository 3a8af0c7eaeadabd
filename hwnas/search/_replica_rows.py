"""Repeated trainings of a study's trials in the store: each begun, ended or given back in one transaction."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hwnas.errors import StudyError
from hwnas.search._owner import Owner, is_lost
from hwnas.search._trial import Provenance, TrialState, Value
from hwnas.store import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hwnas.store import Store

_trial, _replica, _value = schema.trial, schema.trial_replica, schema.trial_replica_value


@dataclass(frozen=True, slots=True)
class Replica:
    """A further training of a trial, with another seed, as it was when it was read.

    Attributes:
        trial: the trial's number.
        number: from 1; unique for the trial.
        seed: of the training; `None` where it was not told.
        values: what it gave, by name; empty while it runs, and where it failed.
        error: why it failed.
        owner: who runs it: `host:pid:start` of the process.
        ended_at: when it was over, in UTC.
    """

    trial: int
    number: int
    seed: int | None
    values: Mapping[str, Value] = field(default_factory=dict)
    error: str | None = None
    owner: str | None = None
    ended_at: datetime | None = None

    def __post_init__(self) -> None:
        """Make the mapping read-only."""
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    @property
    def is_over(self) -> bool:
        """Whether it gave values or failed."""
        return self.ended_at is not None


class ReplicaRows:
    """The repeated trainings of one study. Threads and processes may share them, as they share the study."""

    def __init__(self, store: Store, study_id: int) -> None:
        """Name the study by its row."""
        self._store = store
        self._study_id = study_id

    def all(self) -> list[Replica]:
        """Return all of them, by trial and number."""
        query = (
            sa.select(_replica, _trial.c.number.label("trial_number"))
            .join(_trial, _trial.c.id == _replica.c.trial_id)
            .where(_trial.c.study_id == self._study_id)
            .order_by(_trial.c.number, _replica.c.number)
        )
        with self._store.read() as connection:
            values = _values(connection, self._study_id)
            return [_read(row, values.get(row.id, {})) for row in connection.execute(query)]

    def begin(self, number: int, most: int, seed_of: Callable[[int], int]) -> Replica | None:
        """Hold the next training of a trial for this process; `None` where `most` are over or held by others.

        What a process left that died is forgotten first, and its number given out again.
        """
        with self._changing(number) as (connection, trial_id):
            rows = connection.execute(sa.select(_replica).where(_replica.c.trial_id == trial_id)).all()
            dead = {row.id for row in rows if row.ended_at is None and is_lost(row.owner)}
            connection.execute(sa.delete(_replica).where(_replica.c.id.in_(dead)))
            taken = {row.number for row in rows if row.id not in dead}
            if len(taken) >= most:
                return None
            free = next(place for place in range(1, most + 1) if place not in taken)
            begun = Replica(number, free, seed_of(free), owner=str(Owner.me()))
            _insert(connection, trial_id, begun)
        return begun

    def forget_lost(self) -> None:
        """Forget what is not over and held by dead processes, or by any of another machine."""
        with self._store.begin() as connection:
            query = (
                sa.select(_replica.c.id, _replica.c.owner)
                .join(_trial, _trial.c.id == _replica.c.trial_id)
                .where(_trial.c.study_id == self._study_id, _replica.c.ended_at.is_(None))
            )
            lost = [row.id for row in connection.execute(query) if is_lost(row.owner, everywhere=True)]
            connection.execute(sa.delete(_replica).where(_replica.c.id.in_(lost)))

    def add(self, number: int, values: Mapping[str, Value], seed: int | None) -> None:
        """Keep the values of a training that was not begun here, under the next free number."""
        with self._changing(number) as (connection, trial_id):
            last = connection.scalar(sa.select(sa.func.max(_replica.c.number)).where(_replica.c.trial_id == trial_id))
            made = Replica(number, 1 + (last or 0), seed, ended_at=datetime.now(UTC))
            _keep(connection, _insert(connection, trial_id, made), values)

    def end(self, replica: Replica, values: Mapping[str, Value], error: str | None = None) -> None:
        """Keep what a training gave, or why it failed.

        Raises:
            StudyError: it is not held by this process any more; nothing is kept then.
        """
        with self._changing(replica.trial) as (connection, trial_id):
            row = self._held(connection, trial_id, replica)
            columns = {"owner": None, "error": error, "ended_at": datetime.now(UTC)}
            connection.execute(sa.update(_replica).where(_replica.c.id == row.id).values(**columns))
            _keep(connection, row.id, values)

    def release(self, replica: Replica) -> None:
        """Forget a training that was begun and comes to no end; its number is given out again."""
        with self._changing(replica.trial) as (connection, trial_id):
            row = self._held(connection, trial_id, replica)
            connection.execute(sa.delete(_replica).where(_replica.c.id == row.id))

    def _held(self, connection: sa.Connection, trial_id: int, replica: Replica) -> sa.Row[Any]:
        mine = (_replica.c.trial_id == trial_id) & (_replica.c.number == replica.number)
        row = connection.execute(sa.select(_replica).where(mine)).one_or_none()
        if row is None or row.ended_at is not None or row.owner != replica.owner:
            raise StudyError(
                f"training {replica.number} of trial {replica.trial} is over, or another process runs it",
                "each further training is told once, by who began it",
            )
        return row

    @contextmanager
    def _changing(self, number: int) -> Iterator[tuple[sa.Connection, int]]:
        """Run a transaction on the further trainings of a trial, which must be complete."""
        with self._store.begin() as connection:
            query = sa.select(_trial).where(_trial.c.study_id == self._study_id, _trial.c.number == number)
            row = connection.execute(query.with_for_update()).one_or_none()
            if row is None:
                raise StudyError(f"the study has no trial {number}", "trials are numbered from 0")
            if row.state != TrialState.COMPLETE:
                raise StudyError(
                    f"trial {number} is {row.state}: it has no further trainings",
                    "a trial is trained again once it is complete",
                )
            yield connection, row.id


def replica_values(connection: sa.Connection, study_id: int) -> dict[int, tuple[Mapping[str, Value], ...]]:
    """Return the values of each further training of a study that gave any, by the trial's row, in their order."""
    values = _values(connection, study_id)
    if not values:
        return {}
    query = sa.select(_replica.c.id, _replica.c.trial_id).where(_replica.c.id.in_(list(values)))
    found: dict[int, tuple[Mapping[str, Value], ...]] = {}
    for key, trial_id in connection.execute(query.order_by(_replica.c.trial_id, _replica.c.number)):
        found[trial_id] = (*found.get(trial_id, ()), values[key])
    return found


def _values(connection: sa.Connection, study_id: int) -> dict[int, dict[str, Value]]:
    """Return the values of a study's further trainings, by row."""
    query = (
        sa.select(_value)
        .join(_replica, _replica.c.id == _value.c.replica_id)
        .join(_trial, _trial.c.id == _replica.c.trial_id)
        .where(_trial.c.study_id == study_id)
    )
    found: dict[int, dict[str, Value]] = {}
    for row in connection.execute(query):
        found.setdefault(row.replica_id, {})[row.name] = Value(row.value, row.sigma, Provenance(row.provenance))
    return found


def _insert(connection: sa.Connection, trial_id: int, replica: Replica) -> int:
    row = {
        "trial_id": trial_id,
        "number": replica.number,
        "seed": replica.seed,
        "owner": replica.owner,
        "created_at": datetime.now(UTC),
        "ended_at": replica.ended_at,
    }
    key: int = connection.execute(sa.insert(_replica).values(row).returning(_replica.c.id)).scalar_one()
    return key


def _keep(connection: sa.Connection, key: int, values: Mapping[str, Value]) -> None:
    for name, value in values.items():
        row = {
            "replica_id": key,
            "name": name,
            "value": value.value,
            "sigma": value.sigma,
            "provenance": value.provenance,
        }
        connection.execute(sa.insert(_value).values(row))


def _read(row: sa.Row[Any], values: Mapping[str, Value]) -> Replica:
    return Replica(row.trial_number, row.number, row.seed, values, row.error, row.owner, row.ended_at)
