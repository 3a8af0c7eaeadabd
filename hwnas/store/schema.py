"""The tables of the store. A change here needs a migration in `migrations/versions/`; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A moment in UTC, aware in Python whatever the database keeps."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse a naive moment, and store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored: say datetime.now(UTC)")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return the moment as aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: What the store says of itself. `id` is a random name, which tells measurements of other stores apart from its own.
about = sa.Table(
    "about",
    metadata,
    sa.Column("key", sa.String(40), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

#: One row a measured network: every raw sample, the conditions, and the estimates derived from them.
#: Series of numbers are int64, little-endian, compressed by zlib; `details` says how they fall into blocks.
#: `imported` says of what came from a file: of which store it is, and from which file and when it came.
trace = sa.Table(
    "trace",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("device", sa.String(200), nullable=False),
    sa.Column("device_hash", sa.String(64), nullable=False),
    sa.Column("protocol_hash", sa.String(64), nullable=False),
    sa.Column("network_hash", sa.String(64), nullable=False),
    sa.Column("network_name", sa.Text, nullable=False),
    sa.Column("architecture_id", sa.String(64)),
    sa.Column("space", sa.String(200)),
    sa.Column("samples_ns", sa.LargeBinary, nullable=False),
    sa.Column("cpu_ns", sa.LargeBinary),
    sa.Column("involuntary_switches", sa.LargeBinary),
    sa.Column("reference_ns", sa.LargeBinary, nullable=False),
    sa.Column("warmup_ns", sa.LargeBinary, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
    sa.Column("summary", sa.JSON, nullable=False),
    sa.Column("verdict", sa.String(20), nullable=False),
    sa.Column("imported", sa.JSON(none_as_null=True)),
    sa.Index(None, "network_hash", "device_hash", "protocol_hash"),
    sa.Index(None, "device"),
)

#: One row a search, with its whole file as it was when the study began.
study = sa.Table(
    "study",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("source", sa.Text),
)

#: One row an architecture of a study. The two constraints are what keeps a trial from being given out twice.
trial = sa.Table(
    "trial",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("batch", sa.Integer, nullable=False),
    sa.Column("origin", sa.String(40), nullable=False),
    sa.Column("architecture_id", sa.String(64), nullable=False),
    sa.Column("values", sa.JSON, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("error", sa.Text),
    sa.Column("owner", sa.String(200)),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    sa.UniqueConstraint("study_id", "number"),
    sa.UniqueConstraint("study_id", "architecture_id"),
    sa.Index(None, "study_id", "state"),
)

#: What a trial was told, one row an objective or other metric. It may come in parts: latency first, accuracy later.
trial_value = sa.Table(
    "trial_value",
    metadata,
    sa.Column("trial_id", sa.ForeignKey("trial.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("sigma", sa.Float),
    sa.Column("provenance", sa.String(20), nullable=False),
    sa.Column("trace_id", sa.ForeignKey("trace.id", ondelete="SET NULL")),
)

#: A further training of a complete trial, with another seed. `number` counts from 1; it has an `owner` while it runs,
#: and an `error` where it failed. One that was interrupted leaves no row.
trial_replica = sa.Table(
    "trial_replica",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("trial_id", sa.ForeignKey("trial.id", ondelete="CASCADE"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("seed", sa.BigInteger),
    sa.Column("owner", sa.String(200)),
    sa.Column("error", sa.Text),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.UniqueConstraint("trial_id", "number"),
)

#: What a further training gave, one row a metric.
trial_replica_value = sa.Table(
    "trial_replica_value",
    metadata,
    sa.Column("replica_id", sa.ForeignKey("trial_replica.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("sigma", sa.Float),
    sa.Column("provenance", sa.String(20), nullable=False),
)

#: One row a point of a trial's learning curve: what its training reported at an epoch of an attempt, by name.
trial_curve = sa.Table(
    "trial_curve",
    metadata,
    sa.Column("trial_id", sa.ForeignKey("trial.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Float, primary_key=True),
    sa.Column("values", sa.JSON, nullable=False),
)

#: Every move of a trial from state to state.
trial_move = sa.Table(
    "trial_move",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("trial_id", sa.ForeignKey("trial.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("from_state", sa.String(20)),
    sa.Column("to_state", sa.String(20), nullable=False),
    sa.Column("detail", sa.Text),
)

#: What each `ask` cost, and what the surrogate said of itself.
proposal = sa.Table(
    "proposal",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.ForeignKey("study.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("batch", sa.Integer, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("origin", sa.String(40), nullable=False),
    sa.Column("fit_s", sa.Float, nullable=False),
    sa.Column("acquisition_s", sa.Float, nullable=False),
    sa.Column("diagnostics", sa.JSON, nullable=False),
)
