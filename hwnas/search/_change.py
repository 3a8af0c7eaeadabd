"""One trial's row inside a transaction: the moves and values that are written to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hwnas.errors import IllegalMoveError, StudyError
from hwnas.search._curves import forget_points
from hwnas.search._owner import Owner
from hwnas.search._trial import Provenance, TrialState, Value, check_move
from hwnas.store import schema

if TYPE_CHECKING:
    from collections.abc import Mapping


def note_move(
    connection: sa.Connection, trial_id: int, old: TrialState | None, new: TrialState, detail: str | None = None
) -> None:
    """Write a move into the trial's history."""
    connection.execute(
        sa.insert(schema.trial_move).values(
            trial_id=trial_id, at=datetime.now(UTC), from_state=old, to_state=new, detail=detail
        )
    )


class Change:
    """A trial's row, read and locked by the transaction of `connection`.

    Attributes:
        connection: of the transaction.
        id: of the row.
        state, attempts: as they are after what was written so far.
    """

    def __init__(self, connection: sa.Connection, row: sa.Row[Any]) -> None:
        """Take a row of the trial table."""
        self.connection = connection
        self.id: int = row.id
        self._number: int = row.number
        self.state = TrialState(row.state)
        self.attempts: int = row.attempts

    def to(self, new: TrialState, *, detail: str | None = None, **columns: Any) -> None:
        """Move to another state and set columns.

        Raises:
            IllegalMoveError: the move is not legal.
        """
        check_move(self._number, self.state, new)
        self.set(state=new, **columns)
        note_move(self.connection, self.id, self.state, new, detail)
        self.state = new

    def expect(self, *states: TrialState) -> None:
        """Check that the trial is in one of these states.

        Raises:
            IllegalMoveError: it is in another.
        """
        if self.state not in states:
            wanted = " or ".join(states)
            raise IllegalMoveError(
                f"trial {self._number} is {self.state}, not {wanted}", f"this is done to {wanted} trials"
            )

    def start(self) -> None:
        """Move to running, held by this process."""
        self.to(
            TrialState.RUNNING,
            owner=str(Owner.me()),
            attempts=self.attempts + 1,
            started_at=datetime.now(UTC),
            ended_at=None,
        )
        forget_points(self.connection, self.id, self.attempts)  # of a start that was interrupted and does not count

    def set(self, **columns: Any) -> None:
        """Set columns without a move."""
        update = sa.update(schema.trial).where(schema.trial.c.id == self.id).values(**columns)
        self.connection.execute(update)
        self.attempts = columns.get("attempts", self.attempts)

    def known(self) -> dict[str, float]:
        """Return the values kept so far, by name."""
        table = schema.trial_value
        query = sa.select(table.c.name, table.c.value).where(table.c.trial_id == self.id)
        return {row.name: row.value for row in self.connection.execute(query)}

    def revise(self, values: Mapping[str, Value], suffix: str) -> None:
        """Replace predictions; a value that is no prediction, or not known at all, stays as it is.

        Args:
            values: better predictions, or measurements.
            suffix: of the name under which a prediction is kept that a measurement replaces.
        """
        table = schema.trial_value
        query = sa.select(table).where(table.c.trial_id == self.id, table.c.provenance == Provenance.PREDICTED)
        guessed = {row.name: row for row in self.connection.execute(query)}
        for name, value in values.items():
            if name not in guessed:
                continue
            old = guessed[name]
            kept = {name: value}
            if value.provenance != Provenance.PREDICTED:
                kept[name + suffix] = Value(old.value, old.sigma, Provenance.PREDICTED)
            self.keep(kept, replace=True)

    def keep(self, values: Mapping[str, Value], *, replace: bool = False) -> None:
        """Keep values.

        Raises:
            StudyError: one is known already, and `replace` is false.
        """
        table = schema.trial_value
        known = self.known()
        for name, value in values.items():
            if name in known and not replace:
                raise StudyError(
                    f"trial {self._number} was told its {name} already: {known[name]:g}, and now {value.value:g}",
                    "each value of a trial is told once",
                )
            if name in known:
                where = (table.c.trial_id == self.id) & (table.c.name == name)
                self.connection.execute(sa.delete(table).where(where))
            self.connection.execute(
                sa.insert(table).values(
                    trial_id=self.id,
                    name=name,
                    value=value.value,
                    sigma=value.sigma,
                    provenance=value.provenance,
                    trace_id=value.trace_id,
                )
            )
