"""Which entities are watched; keys of several columns, TRUNCATE and REPLACE; events by record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kolibri_sdk.store import postgresql_triggers
from kolibri_sdk.store.column_types import Json, Text, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, the index and the functions of the triggers."""
    op.create_table(
        "kolibri_watch",
        sa.Column("entity", Text(), nullable=False),
        sa.Column("table_name", Text(), nullable=False),
        sa.Column("watched", sa.Boolean(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("by", Text(), server_default="", nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("columns", Json(), nullable=False),
        sa.PrimaryKeyConstraint("entity"),
    )
    op.create_table(
        "kolibri_replaced",
        sa.Column("entity", Text(), nullable=False),
        sa.Column("record_key", Text(), nullable=False),
        sa.Column("before", Text(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "record_key"),
    )
    op.create_index(
        "kolibri_event_by_record", "kolibri_event", ["entity", "record_key"], unique=False
    )
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        for statement in postgresql_triggers.later_functions(connection):
            op.execute(statement)
