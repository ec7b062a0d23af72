"""Delay and digest of outgoing rules, and bulk changes held together as a plan."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kolibri_sdk.store.column_types import BigId, Json, Text, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of what waits, and which rule a mail is of."""
    op.create_table(
        "kolibri_waiting",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("entity", Text(), nullable=False),
        sa.Column("rule", Text(), nullable=False),
        sa.Column("event", BigId, nullable=False),
        sa.Column("record_key", Text(), nullable=False),
        sa.Column("address", Text(), nullable=False),
        sa.Column("scope", Text(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("state", Text(), server_default="waiting", nullable=False),
        sa.Column("outbox", Json(), nullable=True),
        sa.Column("reason", Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("entity", "rule", "event", "address", name="kolibri_waiting_once"),
    )
    op.create_index("kolibri_waiting_due", "kolibri_waiting", ["state", "due_at"], unique=False)
    op.create_index(
        "kolibri_waiting_gathered",
        "kolibri_waiting",
        ["entity", "rule", "address"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.add_column("kolibri_outbox", sa.Column("rule", Text(), nullable=True))
    op.add_column("kolibri_outbox", sa.Column("bulk", BigId, nullable=True))
    op.create_index(
        "kolibri_outbox_bulk",
        "kolibri_outbox",
        ["bulk"],
        unique=False,
        sqlite_where=sa.text("bulk IS NOT NULL"),
        postgresql_where=sa.text("bulk IS NOT NULL"),
    )
    op.add_column("kolibri_allowance", sa.Column("rule", Text(), nullable=True))
    op.create_index(
        "kolibri_allowance_by_rule",
        "kolibri_allowance",
        ["rule", "at"],
        unique=False,
        sqlite_where=sa.text("rule IS NOT NULL"),
        postgresql_where=sa.text("rule IS NOT NULL"),
    )
