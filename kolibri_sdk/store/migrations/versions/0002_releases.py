"""Releases of rules: backtests as proofs, the audit, and rules applied to mail already there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kolibri_sdk.store.column_types import BigId, Json, Text, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the four tables."""
    op.create_table(
        "kolibri_backtest",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("rule", Text(), nullable=False),
        sa.Column("mailbox", Text(), nullable=False),
        sa.Column("digest", Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("author", Text(), nullable=False),
        sa.Column("mails", sa.Integer(), nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=True),
        sa.Column("last_at", UtcDateTime(), nullable=True),
        sa.Column("fingerprint", Text(), nullable=False),
        sa.Column("tried", sa.Integer(), nullable=False),
        sa.Column("matches", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("score", Json, nullable=True),
        sa.Column("gates", Json, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("kolibri_backtest_by_digest", "kolibri_backtest", ["digest"])
    op.create_table(
        "kolibri_release",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("rule", Text(), nullable=False),
        sa.Column("mailbox", Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("author", Text(), nullable=False),
        sa.Column("step", Text(), nullable=False),
        sa.Column("was", Text(), nullable=False),
        sa.Column("state", Text(), nullable=False),
        sa.Column("before", Text(), nullable=True),
        sa.Column("digest", Text(), nullable=False),
        sa.Column("backtest", BigId, nullable=True),
        sa.Column("reason", Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("kolibri_release_by_rule", "kolibri_release", ["mailbox", "rule", "id"])
    op.create_table(
        "kolibri_application",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("rule", Text(), nullable=False),
        sa.Column("mailbox", Text(), nullable=False),
        sa.Column("digest", Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("author", Text(), nullable=False),
        sa.Column("reason", Text(), nullable=False),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("mails", sa.Boolean(), nullable=False),
        sa.Column("planned", sa.Integer(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("kolibri_application_by_rule", "kolibri_application", ["mailbox", "rule", "id"])
    op.create_table(
        "kolibri_applied",
        sa.Column("message", BigId, autoincrement=False, nullable=False),
        sa.Column("rule", Text(), nullable=False),
        sa.Column("nth", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("application", BigId, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actions", Json, nullable=False),
        sa.PrimaryKeyConstraint("message", "rule", "nth"),
    )
    op.create_index("kolibri_applied_by_application", "kolibri_applied", ["application"])
