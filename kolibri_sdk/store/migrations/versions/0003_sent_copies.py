"""Copies of sent mail for the Sent folder, and an index for the rate of a mailbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kolibri_sdk.store.column_types import BigId, Text, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the index."""
    op.create_table(
        "kolibri_sent_copy",
        sa.Column("outbox", BigId, autoincrement=False, nullable=False),
        sa.Column("mailbox", Text(), nullable=False),
        sa.Column("state", Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("error", Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("outbox"),
    )
    op.create_index(
        "kolibri_sent_copy_by_state", "kolibri_sent_copy", ["state", "mailbox", "due_at"]
    )
    op.create_index("kolibri_outbox_by_claim", "kolibri_outbox", ["mailbox", "claimed_at"])
