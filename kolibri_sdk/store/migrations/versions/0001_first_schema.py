"""The first schema, written out as it was: later changes of the tables come on top of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kolibri_sdk.store import capture
from kolibri_sdk.store.column_types import BigId, Json, Text, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SEQUENCES = ("message", "decision", "outbox", "activity", "run")


def upgrade() -> None:
    """Make all tables and the source of ids."""
    _tables()
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        for name in _SEQUENCES:
            op.execute(f"create sequence kolibri_{name}_ids")
        op.execute(capture.postgresql_function(connection))
        for column in ("text", "reply_text", "html"):
            op.execute(f"alter table kolibri_message alter column {column} set compression lz4")
        # Blobs are compressed already; trying again costs more than it saves.
        op.execute("alter table kolibri_blob alter column data set storage external")
    else:
        op.execute(
            sa.insert(sa.table("kolibri_sequence", sa.column("name"), sa.column("next"))).values(
                [{"name": n, "next": 1} for n in _SEQUENCES]
            )
        )


def _tables() -> None:
    op.create_table(
        "kolibri_activity",
        sa.Column("id", BigId, autoincrement=False, nullable=False),
        sa.Column("entity", Text(), nullable=False),
        sa.Column("record_key", Text(), nullable=False),
        sa.Column("kind", Text(), nullable=False),
        sa.Column("message", BigId, nullable=True),
        sa.Column("author", Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("text", Text(), nullable=False),
        sa.Column("cause", Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "kolibri_activity_by_record",
        "kolibri_activity",
        ["entity", "record_key", "id"],
        unique=False,
    )
    op.create_table(
        "kolibri_allowance",
        sa.Column("outbox", BigId, autoincrement=False, nullable=False),
        sa.Column("address", Text(), nullable=False),
        sa.Column("mailbox", Text(), nullable=False),
        sa.Column("kind", Text(), nullable=False),
        sa.Column("domain", Text(), nullable=False),
        sa.Column("thread", Text(), nullable=False),
        sa.Column("record", Text(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("outbox", "address"),
    )
    op.create_index(
        "kolibri_allowance_by_address",
        "kolibri_allowance",
        ["mailbox", "kind", "address", "at"],
        unique=False,
    )
    op.create_index(
        "kolibri_allowance_by_domain",
        "kolibri_allowance",
        ["mailbox", "kind", "domain", "at"],
        unique=False,
    )
    op.create_index(
        "kolibri_allowance_by_time", "kolibri_allowance", ["mailbox", "kind", "at"], unique=False
    )
    op.create_table(
        "kolibri_attachment",
        sa.Column("message", BigId, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("filename", Text(), nullable=False),
        sa.Column("content_type", Text(), nullable=False),
        sa.Column("content_id", Text(), nullable=True),
        sa.Column("inline", sa.Boolean(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("blob", Text(), nullable=False),
        sa.PrimaryKeyConstraint("message", "position"),
    )
    op.create_table(
        "kolibri_blob",
        sa.Column("sha256", Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("codec", Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_table(
        "kolibri_bounced_address",
        sa.Column("address", Text(), nullable=False),
        sa.Column("permanent", sa.Integer(), nullable=False),
        sa.Column("temporary", sa.Integer(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=True),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.Column("status", Text(), nullable=False),
        sa.Column("reason", Text(), nullable=False),
        sa.Column("message", BigId, nullable=False),
        sa.PrimaryKeyConstraint("address"),
    )
    op.create_table(
        "kolibri_decision",
        sa.Column("id", BigId, autoincrement=False, nullable=False),
        sa.Column("rule", Text(), nullable=False),
        sa.Column("digest", Text(), nullable=False),
        sa.Column("message", BigId, nullable=True),
        sa.Column("event", BigId, nullable=True),
        sa.Column("verdict", Text(), nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("reason", Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("column", sa.Integer(), nullable=True),
        sa.Column("micros", sa.Float(), nullable=False),
        sa.Column("actions", Json(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("rule", "event", name="kolibri_decision_once_per_event"),
        sa.UniqueConstraint("rule", "message", name="kolibri_decision_once_per_message"),
    )
    op.create_index("kolibri_decision_by_message", "kolibri_decision", ["message"], unique=False)
    op.create_table(
        "kolibri_event",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("entity", Text(), nullable=False),
        sa.Column("record_key", Text(), nullable=False),
        sa.Column("kind", Text(), nullable=False),
        sa.Column("before", Json(), nullable=True),
        sa.Column("after", Json(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("cause", Text(), nullable=True),
        sa.Column("state", Text(), server_default="new", nullable=False),
        sa.Column("ruleset", Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("kolibri_event_by_state", "kolibri_event", ["state", "id"], unique=False)
    op.create_table(
        "kolibri_grant",
        sa.Column("mailbox", Text(), nullable=False),
        sa.Column("granted_at", UtcDateTime(), nullable=True),
        sa.Column("checked_at", UtcDateTime(), nullable=True),
        sa.Column("ends_at", UtcDateTime(), nullable=True),
        sa.Column("ends", Text(), nullable=False),
        sa.Column("error", Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("mailbox"),
    )
    op.create_table(
        "kolibri_ledger",
        sa.Column("mailbox", Text(), nullable=False),
        sa.Column("folder", Text(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("uid", Text(), nullable=False),
        sa.Column("state", Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("content", Text(), nullable=True),
        sa.Column("message", BigId, nullable=True),
        sa.Column("server_done", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("server_told", Text(), server_default="", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retry_at", UtcDateTime(), nullable=True),
        sa.Column("error", Text(), server_default="", nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox", "folder", "uidvalidity", "uid"),
    )
    op.create_index(
        "kolibri_ledger_by_content", "kolibri_ledger", ["mailbox", "content"], unique=False
    )
    op.create_index(
        "kolibri_ledger_undone",
        "kolibri_ledger",
        ["mailbox", "folder"],
        unique=False,
        sqlite_where=sa.text("server_done = 0"),
        postgresql_where=sa.text("not server_done"),
    )
    op.create_index(
        "kolibri_ledger_waiting",
        "kolibri_ledger",
        ["mailbox", "folder", "uidvalidity"],
        unique=False,
        sqlite_where=sa.text("state IN ('listed', 'failing', 'quarantined')"),
        postgresql_where=sa.text("state IN ('listed', 'failing', 'quarantined')"),
    )
    op.create_table(
        "kolibri_mailbox_state",
        sa.Column("mailbox", Text(), nullable=False),
        sa.Column("folder", Text(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=True),
        sa.Column("high_water", sa.BigInteger(), nullable=True),
        sa.Column("confirmed", sa.BigInteger(), nullable=True),
        sa.Column("began_at", UtcDateTime(), nullable=True),
        sa.Column("last_run", UtcDateTime(), nullable=True),
        sa.Column("last_success", UtcDateTime(), nullable=True),
        sa.Column("last_error", Text(), server_default="", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retry_at", UtcDateTime(), nullable=True),
        sa.Column("lease_owner", Text(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("restored_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("mailbox", "folder"),
    )
    op.create_table(
        "kolibri_message",
        sa.Column("id", BigId, autoincrement=False, nullable=False),
        sa.Column("direction", Text(), nullable=False),
        sa.Column("mailbox", Text(), nullable=False),
        sa.Column("state", Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=True),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("stored_at", UtcDateTime(), nullable=False),
        sa.Column("message_id", Text(), nullable=True),
        sa.Column("in_reply_to", Json(), nullable=True),
        sa.Column("reference_ids", Json(), nullable=True),
        sa.Column("from_address", Text(), nullable=True),
        sa.Column("from_name", Text(), nullable=True),
        sa.Column("to_addresses", Json(), nullable=True),
        sa.Column("cc_addresses", Json(), nullable=True),
        sa.Column("reply_to_addresses", Json(), nullable=True),
        sa.Column("return_path", Text(), nullable=True),
        sa.Column("subject", Text(), nullable=True),
        sa.Column("text", Text(), nullable=True),
        sa.Column("reply_text", Text(), nullable=True),
        sa.Column("html", Text(), nullable=True),
        sa.Column("headers", Json(), nullable=True),
        sa.Column("kind", Text(), server_default="ordinary", nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("blob", Text(), nullable=True),
        sa.Column("entity", Text(), nullable=True),
        sa.Column("record_key", Text(), nullable=True),
        sa.Column("grade", Text(), nullable=True),
        sa.Column("forged", sa.Integer(), server_default="0", nullable=False),
        sa.Column("depth", sa.Integer(), server_default="0", nullable=False),
        sa.Column("ruleset", Text(), nullable=True),
        sa.Column("bounces", Json(), nullable=True),
        sa.Column("forwarded", Json(), nullable=True),
        sa.Column("authentication", Json(), nullable=True),
        sa.Column("defects", Json(), nullable=True),
        sa.Column("source", Text(), nullable=True),
        sa.Column("error", Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "kolibri_message_by_message_id", "kolibri_message", ["message_id"], unique=False
    )
    op.create_index(
        "kolibri_message_by_record", "kolibri_message", ["entity", "record_key"], unique=False
    )
    op.create_index(
        "kolibri_message_by_state", "kolibri_message", ["state", "mailbox", "id"], unique=False
    )
    op.create_index(
        "kolibri_message_forged",
        "kolibri_message",
        ["stored_at"],
        unique=False,
        sqlite_where=sa.text("forged > 0"),
        postgresql_where=sa.text("forged > 0"),
    )
    op.create_table(
        "kolibri_outbox",
        sa.Column("id", BigId, autoincrement=False, nullable=False),
        sa.Column("message", BigId, nullable=False),
        sa.Column("mailbox", Text(), nullable=False),
        sa.Column("state", Text(), nullable=False),
        sa.Column("cause", Text(), nullable=False),
        sa.Column("message_id", Text(), nullable=False),
        sa.Column("sender", Text(), nullable=False),
        sa.Column("recipients", Json(), nullable=False),
        sa.Column("results", Json(), nullable=False),
        sa.Column("request", Json(), nullable=False),
        sa.Column("entity", Text(), nullable=True),
        sa.Column("record_key", Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("claimed_by", Text(), nullable=True),
        sa.Column("claimed_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("blob", Text(), nullable=True),
        sa.Column("error", Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("cause"),
        sa.UniqueConstraint("message_id"),
    )
    op.create_index(
        "kolibri_outbox_by_mailbox", "kolibri_outbox", ["mailbox", "created_at"], unique=False
    )
    op.create_index("kolibri_outbox_by_message", "kolibri_outbox", ["message"], unique=False)
    op.create_index("kolibri_outbox_by_state", "kolibri_outbox", ["state", "due_at"], unique=False)
    op.create_table(
        "kolibri_provenance",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cause", Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "kolibri_reference_key",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("retired_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "kolibri_rule_version",
        sa.Column("digest", Text(), nullable=False),
        sa.Column("rule", Text(), nullable=False),
        sa.Column("document", Json(), nullable=False),
        sa.Column("first_seen", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "kolibri_ruleset",
        sa.Column("digest", Text(), nullable=False),
        sa.Column("rules", Json(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "kolibri_run",
        sa.Column("id", BigId, autoincrement=False, nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=False),
        sa.Column("counts", Json(), nullable=False),
        sa.Column("errors", Json(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "kolibri_sequence",
        sa.Column("name", Text(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "kolibri_suggestion",
        sa.Column("message", BigId, autoincrement=False, nullable=False),
        sa.Column("entity", Text(), nullable=False),
        sa.Column("record_key", Text(), nullable=False),
        sa.Column("carrier", Text(), nullable=False),
        sa.Column("state", Text(), server_default="open", nullable=False),
        sa.Column("decided_by", Text(), server_default="", nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("message", "entity", "record_key"),
    )
    op.create_index(
        "kolibri_suggestion_by_state", "kolibri_suggestion", ["state", "message"], unique=False
    )
    op.create_table(
        "kolibri_user",
        sa.Column("id", Text(), nullable=False),
        sa.Column("address", Text(), nullable=False),
        sa.Column("name", Text(), server_default="", nullable=False),
        sa.Column("language", Text(), nullable=True),
        sa.Column("groups", Json(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("address"),
    )
