"""The trials of one study in the store: every change of one is a transaction, and an illegal one raises.

The ledger knows rows and moves, not what is tried or why; `Study` does. Threads and processes may share a study: what
two of them do at once happens in some order, and the second sees what the first did.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hwnas.errors import StudyError
from hwnas.search._change import Change, note_move
from hwnas.search._curves import keep_points, read_curves
from hwnas.search._owner import Owner, is_lost
from hwnas.search._replica_rows import replica_values
from hwnas.search._trial import Provenance, Trial, TrialState, Value
from hwnas.space import Architecture
from hwnas.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hwnas.evaluation import CurvePoint
    from hwnas.search._strategy import Proposals
    from hwnas.store import Store

#: Marks the value of a second measurement: the store keeps it beside the first.
_AGAIN = ":again"
#: Marks a prediction that a measurement has replaced.
_FORETOLD = ":foretold"
_trial, _value = schema.trial, schema.trial_value
#: `values` is a method of a row, so the column goes by its place.
_VALUES = list(_trial.c.keys()).index("values")


@dataclass(frozen=True, slots=True)
class ProposalRecord:
    """What one `ask` cost, and what the surrogate said of itself.

    Attributes:
        batch: the batch's number, from 0.
        at: when it was stored, in UTC.
        origin: the strategy.
        fit_s, acquisition_s: seconds of wall clock.
        diagnostics: the strategy's own; JSON data.
    """

    batch: int
    at: datetime
    origin: str
    fit_s: float
    acquisition_s: float
    diagnostics: Mapping[str, Any]


class Ledger:
    """The rows of one study."""

    def __init__(self, store: Store, study_id: int, space: tuple[str, str]) -> None:
        """Name the study by its row, and its space by name and version."""
        self._store = store
        self._study_id = study_id
        self._space = space

    # reading

    def trials(self, numbers: Sequence[int] | None = None) -> list[Trial]:
        """Return the trials in the order of their numbers; `numbers` picks some."""
        with self._store.read() as connection:
            return self._select(connection, numbers)

    def trial(self, number: int) -> Trial:
        """Return one trial.

        Raises:
            StudyError: there is none of that number.
        """
        found = self.trials([number])
        if not found:
            raise StudyError(f"the study has no trial {number}", "trials are numbered from 0")
        return found[0]

    def moves(self, number: int) -> list[tuple[datetime, TrialState | None, TrialState, str | None]]:
        """Return the history of a trial: moment (UTC), from, to, and why."""
        table = schema.trial_move
        query = (
            sa.select(table.c.at, table.c.from_state, table.c.to_state, table.c.detail)
            .join(_trial, _trial.c.id == table.c.trial_id)
            .where(_trial.c.study_id == self._study_id, _trial.c.number == number)
            .order_by(table.c.id)
        )
        with self._store.read() as connection:
            return [
                (at, TrialState(old) if old else None, TrialState(new), detail)
                for at, old, new, detail in connection.execute(query)
            ]

    def proposals(self) -> list[ProposalRecord]:
        """Return what each batch cost, in order."""
        table = schema.proposal
        query = sa.select(table).where(table.c.study_id == self._study_id).order_by(table.c.id)
        with self._store.read() as connection:
            return [
                ProposalRecord(row.batch, row.at, row.origin, row.fit_s, row.acquisition_s, row.diagnostics)
                for row in connection.execute(query)
            ]

    def curves(self, numbers: Sequence[int] | None = None) -> dict[int, tuple[CurvePoint, ...]]:
        """Return the learning curves of the trials' latest attempts, by number; `numbers` picks some."""
        with self._store.read() as connection:
            return read_curves(connection, self._study_id, numbers)

    # handing out

    def claim(self, n: int) -> list[Trial]:
        """Take up to `n` proposed trials that nobody holds, lowest number first, and hold them."""
        unheld = (_trial.c.state == TrialState.PROPOSED) & _trial.c.owner.is_(None)
        query = sa.select(_trial.c.number).where(_trial.c.study_id == self._study_id, unheld)
        with self._writing() as connection:
            numbers = list(connection.scalars(query.order_by(_trial.c.number).limit(n)))
            mine = (_trial.c.study_id == self._study_id) & _trial.c.number.in_(numbers)
            connection.execute(sa.update(_trial).where(mine).values(owner=str(Owner.me())))
            return self._select(connection, numbers)

    def insert(self, proposals: Proposals, *, batch: int, room: int, mine: bool = True) -> list[Trial]:
        """Store new trials, and what proposing them cost, in one transaction.

        What is in the study already, because another process proposed it meanwhile, is left out.

        Args:
            proposals: the architectures and their cost.
            batch: the batch's number.
            room: the study's trials at most; what does not fit is left out.
            mine: whether this process holds them; otherwise whoever asks next gets them.
        """
        now = datetime.now(UTC)
        owner = str(Owner.me()) if mine else None
        with self._writing() as connection:
            known = set(
                connection.scalars(sa.select(_trial.c.architecture_id).where(_trial.c.study_id == self._study_id))
            )
            first = len(known)
            distinct = {architecture.id: architecture for architecture in proposals.architectures}
            new = [architecture for key, architecture in distinct.items() if key not in known]
            numbers = list(range(first, min(first + len(new), room)))
            for number, architecture in zip(numbers, new, strict=False):
                row = {
                    "study_id": self._study_id,
                    "number": number,
                    "batch": batch,
                    "origin": proposals.origin,
                    "architecture_id": architecture.id,
                    "values": dict(architecture.values),
                    "state": TrialState.PROPOSED,
                    "attempts": 0,
                    "owner": owner,
                    "created_at": now,
                }
                key = connection.execute(sa.insert(_trial).values(row).returning(_trial.c.id)).scalar_one()
                note_move(connection, key, None, TrialState.PROPOSED, proposals.origin)
            if numbers:
                connection.execute(
                    sa.insert(schema.proposal).values(
                        study_id=self._study_id,
                        batch=batch,
                        at=now,
                        origin=proposals.origin,
                        fit_s=proposals.fit_s,
                        acquisition_s=proposals.acquisition_s,
                        diagnostics=dict(proposals.diagnostics),
                    )
                )
            return self._select(connection, numbers)

    # moving

    def start(self, number: int) -> Trial:
        """Move a trial to running; this process holds it."""
        with self._changing(number) as change:
            change.start()
        return self.trial(number)

    def record(self, number: int, values: Mapping[str, Value], *, again: bool = False) -> Trial:
        """Keep values of a trial that is not over, or, with `again`, second values of one that is complete."""
        with self._changing(number) as change:
            allowed = {TrialState.COMPLETE} if again else {TrialState.PROPOSED, TrialState.RUNNING}
            if change.state not in allowed:
                raise StudyError(
                    f"trial {number} is {change.state}: its values are not taken",
                    f"values are taken while a trial is {' or '.join(sorted(allowed))}",
                )
            change.keep({name + _AGAIN: value for name, value in values.items()} if again else values, replace=again)
        return self.trial(number)

    def report(self, number: int, points: Sequence[CurvePoint]) -> None:
        """Keep points of the learning curve of a running trial."""
        with self._changing(number) as change:
            change.expect(TrialState.RUNNING)
            keep_points(change.connection, change.id, change.attempts, points)

    def revise(self, values: Mapping[int, Mapping[str, Value]]) -> None:
        """Replace predictions of several trials, by number, in one transaction; other values stay as they are."""
        query = sa.select(_trial).where(_trial.c.study_id == self._study_id, _trial.c.number.in_(list(values)))
        with self._writing() as connection:
            for row in connection.execute(query.order_by(_trial.c.number)).all():
                Change(connection, row).revise(values[row.number], _FORETOLD)

    def complete(
        self, number: int, values: Mapping[str, Value], required: Sequence[str], note: str | None = None
    ) -> Trial:
        """Keep a trial's last values and move it to complete; one that is proposed passes through running."""
        with self._changing(number) as change:
            if change.state == TrialState.PROPOSED:
                change.start()
            change.to(TrialState.COMPLETE, detail=note, ended_at=datetime.now(UTC), error=None, owner=None)
            change.keep(values)
            missing = [name for name in required if name not in change.known()]
            if missing:
                raise StudyError(
                    f"trial {number} lacks {', '.join(missing)}", "tell it too, or record() what is known so far"
                )
        return self.trial(number)

    def fail(self, number: int, error: str, attempts: int, *, keep: bool = False) -> Trial:
        """Move a trial to failed, and on to proposed while it was tried less than `attempts` times.

        Whoever asks next gets it then, or, with `keep`, this process holds it still.
        """
        with self._changing(number) as change:
            if change.state == TrialState.PROPOSED:
                change.start()
            change.to(TrialState.FAILED, detail=error, error=error, ended_at=datetime.now(UTC))
            if change.attempts < attempts:
                change.to(TrialState.PROPOSED, detail="to be tried again", ended_at=None)
                if not keep:
                    change.set(owner=None)
        return self.trial(number)

    def retry(self, number: int) -> Trial:
        """Put a failed trial back to proposed, its attempts forgotten."""
        with self._changing(number) as change:
            change.expect(TrialState.FAILED)
            change.to(TrialState.PROPOSED, detail="put back by hand", attempts=0, owner=None, ended_at=None)
        return self.trial(number)

    def abandon(self, number: int, reason: str, values: Mapping[str, Value]) -> Trial:
        """Move a trial to abandoned, with its last values: it is never tried again."""
        with self._changing(number) as change:
            change.keep(values)
            change.to(TrialState.ABANDONED, detail=reason, error=reason, owner=None, ended_at=datetime.now(UTC))
        return self.trial(number)

    def release(self, number: int) -> Trial:
        """Hand a trial back, proposed or running: whoever asks next gets it, and the attempt does not count."""
        with self._changing(number) as change:
            change.expect(TrialState.PROPOSED, TrialState.RUNNING)
            if change.state == TrialState.RUNNING:
                change.to(TrialState.PROPOSED, detail="handed back", attempts=change.attempts - 1)
            change.set(owner=None)
        return self.trial(number)

    def reset_stale(self, *, everywhere: bool = False) -> list[Trial]:
        """Hand back what dead processes hold; running trials move through stale, and the attempt does not count."""
        held = _trial.c.owner.is_not(None) & _trial.c.state.in_([TrialState.RUNNING, TrialState.PROPOSED])
        query = sa.select(_trial).where(_trial.c.study_id == self._study_id, held).order_by(_trial.c.number)
        with self._writing() as connection:
            rows = connection.execute(query.with_for_update()).all()
            dead = {owner for owner in {row.owner for row in rows} if is_lost(owner, everywhere=everywhere)}
            lost = [row for row in rows if row.owner in dead]
            for row in lost:
                change = Change(connection, row)
                if change.state == TrialState.RUNNING:
                    change.to(TrialState.STALE, detail=f"{row.owner} died", attempts=row.attempts - 1)
                    change.to(TrialState.PROPOSED)
                change.set(owner=None)
            return self._select(connection, [row.number for row in lost])

    # within a transaction

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """Run a transaction that no other one on this study runs beside."""
        with self._store.begin() as connection:
            lock = sa.select(schema.study.c.id).where(schema.study.c.id == self._study_id).with_for_update()
            if connection.scalar(lock) is None:
                raise StudyError("the study was removed", "begin it anew")
            yield connection

    @contextmanager
    def _changing(self, number: int) -> Iterator[Change]:
        with self._store.begin() as connection:
            query = sa.select(_trial).where(_trial.c.study_id == self._study_id, _trial.c.number == number)
            row = connection.execute(query.with_for_update()).one_or_none()
            if row is None:
                raise StudyError(f"the study has no trial {number}", "trials are numbered from 0")
            yield Change(connection, row)

    def _select(self, connection: sa.Connection, numbers: Sequence[int] | None) -> list[Trial]:
        query = sa.select(_trial).where(_trial.c.study_id == self._study_id).order_by(_trial.c.number)
        told = (
            sa.select(_value).join(_trial, _trial.c.id == _value.c.trial_id).where(_trial.c.study_id == self._study_id)
        )
        if numbers is not None:
            query = query.where(_trial.c.number.in_(numbers))
            told = told.where(_trial.c.number.in_(numbers))
        values: dict[int, dict[str, Value]] = {}
        for row in connection.execute(told):
            value = Value(row.value, row.sigma, Provenance(row.provenance), row.trace_id)
            values.setdefault(row.trial_id, {})[row.name] = value
        replicas = replica_values(connection, self._study_id)
        return [self._read(row, values.get(row.id, {}), replicas.get(row.id, ())) for row in connection.execute(query)]

    def _read(self, row: sa.Row[Any], values: Mapping[str, Value], replicas: tuple[Mapping[str, Value], ...]) -> Trial:
        return Trial(
            number=row.number,
            architecture=Architecture(*self._space, row[_VALUES]),
            state=TrialState(row.state),
            batch=row.batch,
            origin=row.origin,
            created_at=row.created_at,
            values={name: value for name, value in values.items() if ":" not in name},
            again=_marked(values, _AGAIN),
            foretold=_marked(values, _FORETOLD),
            replicas=replicas,
            attempts=row.attempts,
            error=row.error,
            owner=row.owner,
            started_at=row.started_at,
            ended_at=row.ended_at,
        )


def _marked(values: Mapping[str, Value], mark: str) -> dict[str, Value]:
    return {name.removesuffix(mark): value for name, value in values.items() if name.endswith(mark)}
