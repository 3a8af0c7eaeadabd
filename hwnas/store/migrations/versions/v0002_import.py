"""What came from a file is told apart: the store gets an id, and a trace says where it was measured."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the store's id, and the column `imported` of traces."""
    about = op.create_table(
        "about",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_about")),
    )
    op.bulk_insert(about, [{"key": "id", "value": uuid.uuid4().hex}])
    op.add_column("trace", sa.Column("imported", sa.JSON(), nullable=True))
