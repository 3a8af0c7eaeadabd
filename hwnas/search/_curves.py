"""Learning curves of a study's trials in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from hwnas.evaluation import CurvePoint
from hwnas.store import schema

if TYPE_CHECKING:
    from collections.abc import Sequence

_trial, _curve = schema.trial, schema.trial_curve
#: `values` is a method of a row, so the column goes by its place.
_VALUES = 3


def keep_points(connection: sa.Connection, trial_id: int, attempt: int, points: Sequence[CurvePoint]) -> None:
    """Write points of an attempt's curve; of two at one epoch the later counts, with what only the earlier had."""
    mine = (_curve.c.trial_id == trial_id) & (_curve.c.attempt == attempt)
    epochs = list({point.epoch for point in points})
    query = sa.select(_curve.c.epoch, _curve.c["values"]).where(mine & _curve.c.epoch.in_(epochs))
    merged = {epoch: dict(values) for epoch, values in connection.execute(query)}
    connection.execute(sa.delete(_curve).where(mine & _curve.c.epoch.in_(list(merged))))
    for point in points:
        merged.setdefault(point.epoch, {}).update(point.values)
    rows = [
        {"trial_id": trial_id, "attempt": attempt, "epoch": epoch, "values": values} for epoch, values in merged.items()
    ]
    if rows:
        connection.execute(sa.insert(_curve), rows)


def forget_points(connection: sa.Connection, trial_id: int, attempt: int) -> None:
    """Remove the curve of an attempt: it begins anew."""
    connection.execute(sa.delete(_curve).where(_curve.c.trial_id == trial_id, _curve.c.attempt == attempt))


def read_curves(
    connection: sa.Connection, study_id: int, numbers: Sequence[int] | None = None
) -> dict[int, tuple[CurvePoint, ...]]:
    """Return the curve of each trial's latest attempt that has one, by the trial's number; `numbers` picks some."""
    query = (
        sa.select(_trial.c.number, _curve.c.attempt, _curve.c.epoch, _curve.c["values"])
        .join(_trial, _trial.c.id == _curve.c.trial_id)
        .where(_trial.c.study_id == study_id)
        .order_by(_trial.c.number, _curve.c.attempt, _curve.c.epoch)
    )
    if numbers is not None:
        query = query.where(_trial.c.number.in_(numbers))
    by_attempt: dict[int, dict[int, list[CurvePoint]]] = {}
    for row in connection.execute(query):
        points = by_attempt.setdefault(row.number, {}).setdefault(row.attempt, [])
        points.append(CurvePoint(row.epoch, row[_VALUES]))
    return {number: tuple(attempts[max(attempts)]) for number, attempts in by_attempt.items()}
