"""Repeated trainings of a trial, and the values that each gave."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables of replicas."""
    op.create_table(
        "trial_replica",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("owner", sa.String(length=200), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trial.id"], name=op.f("fk_trial_replica_trial_id_trial"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trial_replica")),
        sa.UniqueConstraint("trial_id", "number", name=op.f("uq_trial_replica_trial_id_number")),
    )
    op.create_table(
        "trial_replica_value",
        sa.Column("replica_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("sigma", sa.Float(), nullable=True),
        sa.Column("provenance", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["replica_id"],
            ["trial_replica.id"],
            name=op.f("fk_trial_replica_value_replica_id_trial_replica"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("replica_id", "name", name=op.f("pk_trial_replica_value")),
    )
