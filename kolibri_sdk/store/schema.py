"""The tables, as SQLAlchemy Core objects; what each row is stands beside each table."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from kolibri_sdk.store.column_types import BigId, Json, Text, UtcDateTime

__all__ = [
    "WAITING",
    "activity",
    "allowance",
    "application",
    "applied",
    "attachment",
    "backtest",
    "blob",
    "bounced_address",
    "decision",
    "event",
    "grant",
    "ledger",
    "mailbox_state",
    "message",
    "metadata",
    "outbox",
    "provenance",
    "reference_key",
    "release",
    "replaced",
    "rule_version",
    "ruleset",
    "run",
    "sent_copy",
    "sequence",
    "suggestion",
    "user",
    "waiting",
    "watch",
]


metadata = sa.MetaData()


def _column(name: str, kind: Any, **options: Any) -> sa.Column[Any]:
    options.setdefault("nullable", False)
    return sa.Column(name, kind, **options)


#: One mail, in or out: the central KolibriMessage.
message = sa.Table(
    "kolibri_message",
    metadata,
    _column("id", BigId, primary_key=True, autoincrement=False),
    _column("direction", Text),
    _column("mailbox", Text),
    _column("state", Text),
    _column("attempts", sa.Integer, server_default="0"),
    _column("received_at", UtcDateTime, nullable=True),
    _column("sent_at", UtcDateTime, nullable=True),
    _column("stored_at", UtcDateTime),
    _column("message_id", Text, nullable=True),
    _column("in_reply_to", Json, nullable=True),
    _column("reference_ids", Json, nullable=True),
    _column("from_address", Text, nullable=True),
    _column("from_name", Text, nullable=True),
    _column("to_addresses", Json, nullable=True),
    _column("cc_addresses", Json, nullable=True),
    _column("reply_to_addresses", Json, nullable=True),
    _column("return_path", Text, nullable=True),
    _column("subject", Text, nullable=True),
    _column("text", Text, nullable=True),
    _column("reply_text", Text, nullable=True),
    _column("html", Text, nullable=True),
    _column("headers", Json, nullable=True),
    _column("kind", Text, server_default="ordinary"),
    _column("size", sa.BigInteger),
    _column("blob", Text, nullable=True),
    _column("entity", Text, nullable=True),
    _column("record_key", Text, nullable=True),
    _column("grade", Text, nullable=True),
    _column("forged", sa.Integer, server_default="0"),
    _column("depth", sa.Integer, server_default="0"),
    _column("ruleset", Text, nullable=True),
    _column("bounces", Json, nullable=True),
    _column("forwarded", Json, nullable=True),
    _column("authentication", Json, nullable=True),
    _column("defects", Json, nullable=True),
    _column("source", Text, nullable=True),  # imported mail: the file and place it was read from
    _column("error", Text, server_default=""),
    sa.Index("kolibri_message_by_state", "state", "mailbox", "id"),
    sa.Index("kolibri_message_by_message_id", "message_id"),
    sa.Index("kolibri_message_by_record", "entity", "record_key"),
    sa.Index(
        "kolibri_message_forged",
        "stored_at",
        sqlite_where=sa.text("forged > 0"),
        postgresql_where=sa.text("forged > 0"),
    ),
)

#: A record that a mail may belong to, for a person to accept or dismiss.
suggestion = sa.Table(
    "kolibri_suggestion",
    metadata,
    _column("message", BigId, primary_key=True, autoincrement=False),
    _column("entity", Text, primary_key=True),
    _column("record_key", Text, primary_key=True),
    _column("carrier", Text),
    _column("state", Text, server_default="open"),  # open | accepted | dismissed
    _column("decided_by", Text, server_default=""),
    _column("decided_at", UtcDateTime, nullable=True),
    sa.Index("kolibri_suggestion_by_state", "state", "message"),
)

#: One part of a mail that is not its text.
attachment = sa.Table(
    "kolibri_attachment",
    metadata,
    _column("message", BigId, primary_key=True),
    _column("position", sa.Integer, primary_key=True),
    _column("filename", Text),
    _column("content_type", Text),
    _column("content_id", Text, nullable=True),
    _column("inline", sa.Boolean),
    _column("size", sa.BigInteger),
    _column("blob", Text),
)

#: Bytes by SHA-256, stored once.
blob = sa.Table(
    "kolibri_blob",
    metadata,
    _column("sha256", Text, primary_key=True),
    _column("size", sa.BigInteger),
    _column("codec", Text),
    _column("data", sa.LargeBinary),
)

#: The few entries that are not settled; written out, so that the database sees its own index in it.
WAITING = "state IN ('listed', 'failing', 'quarantined')"

#: One mail seen on a server: the truth about what was fetched.
ledger = sa.Table(
    "kolibri_ledger",
    metadata,
    _column("mailbox", Text, primary_key=True),
    _column("folder", Text, primary_key=True),
    _column("uidvalidity", sa.BigInteger, primary_key=True),
    _column("uid", Text, primary_key=True),
    _column("state", Text),  # listed | stored | duplicate | passed_over | failing | …
    _column("size", sa.BigInteger, nullable=True),  # as the server's listing says it, if it does
    _column("content", Text, nullable=True),
    _column("message", BigId, nullable=True),
    _column("server_done", sa.Boolean, server_default=sa.false()),
    _column("server_told", Text, server_default=""),  # what it was told: seen | delete | …
    _column("attempts", sa.Integer, server_default="0"),
    _column("retry_at", UtcDateTime, nullable=True),
    _column("error", Text, server_default=""),
    _column("seen_at", UtcDateTime),
    sa.Index("kolibri_ledger_by_content", "mailbox", "content"),
    sa.Index(
        "kolibri_ledger_waiting",
        "mailbox",
        "folder",
        "uidvalidity",
        sqlite_where=sa.text(WAITING),
        postgresql_where=sa.text(WAITING),
    ),
    sa.Index(
        "kolibri_ledger_undone",
        "mailbox",
        "folder",
        sqlite_where=sa.text("server_done = 0"),
        postgresql_where=sa.text("not server_done"),
    ),
)

#: One folder of a mailbox: how far it was read (S16), and how it fares.
mailbox_state = sa.Table(
    "kolibri_mailbox_state",
    metadata,
    _column("mailbox", Text, primary_key=True),
    _column("folder", Text, primary_key=True),
    _column("uidvalidity", sa.BigInteger, nullable=True),
    _column("high_water", sa.BigInteger, nullable=True),
    _column("confirmed", sa.BigInteger, nullable=True),
    _column("began_at", UtcDateTime, nullable=True),
    _column("last_run", UtcDateTime, nullable=True),
    _column("last_success", UtcDateTime, nullable=True),
    _column("last_error", Text, server_default=""),
    _column("failures", sa.Integer, server_default="0"),
    _column("retry_at", UtcDateTime, nullable=True),
    _column("lease_owner", Text, nullable=True),
    _column("lease_until", UtcDateTime, nullable=True),
    _column("restored_at", UtcDateTime, nullable=True),
)

#: What is known of a mailbox's OAuth2 grant; the grant itself is in the system's keyring.
grant = sa.Table(
    "kolibri_grant",
    metadata,
    _column("mailbox", Text, primary_key=True),
    _column("granted_at", UtcDateTime, nullable=True),
    _column("checked_at", UtcDateTime, nullable=True),
    _column("ends_at", UtcDateTime, nullable=True),
    _column("ends", Text),
    _column("error", Text, server_default=""),
)

#: One change of a record, written by the trigger in the writer's own transaction.
event = sa.Table(
    "kolibri_event",
    metadata,
    _column("id", BigId, primary_key=True, autoincrement=True),
    _column("entity", Text),
    _column("record_key", Text),
    _column("kind", Text),
    _column("before", Json, nullable=True),
    _column("after", Json, nullable=True),
    _column("at", UtcDateTime),
    _column("cause", Text, nullable=True),
    _column("state", Text, server_default="new"),  # new | done | failed
    _column("ruleset", Text, nullable=True),
    _column("attempts", sa.Integer, server_default="0"),
    _column("error", Text, server_default=""),
    sa.Index("kolibri_event_by_state", "state", "id"),
    sa.Index("kolibri_event_by_record", "entity", "record_key"),
)

#: One rule on one message or event that said more than a plain no: what, and why. The rules of
#: the message's ruleset that have no row here said no.
decision = sa.Table(
    "kolibri_decision",
    metadata,
    _column("id", BigId, primary_key=True, autoincrement=False),
    _column("rule", Text),
    _column("digest", Text),
    _column("message", BigId, nullable=True),
    _column("event", BigId, nullable=True),
    _column("verdict", Text),
    _column("shadow", sa.Boolean),
    _column("reason", Text),
    _column("line", sa.Integer, nullable=True),
    _column("column", sa.Integer, nullable=True),
    _column("micros", sa.Float),
    _column("actions", Json, nullable=True),
    _column("at", UtcDateTime),
    sa.UniqueConstraint("rule", "message", name="kolibri_decision_once_per_message"),
    sa.UniqueConstraint("rule", "event", name="kolibri_decision_once_per_event"),
    sa.Index("kolibri_decision_by_message", "message"),
)

#: Which versions of which rules were asked, by the digest of the list: [[rule, digest], …].
ruleset = sa.Table(
    "kolibri_ruleset",
    metadata,
    _column("digest", Text, primary_key=True),
    _column("rules", Json),
)

#: The text of a rule by digest; append-only.
rule_version = sa.Table(
    "kolibri_rule_version",
    metadata,
    _column("digest", Text, primary_key=True),
    _column("rule", Text),
    _column("document", Json),
    _column("first_seen", UtcDateTime),
)

#: One rule tried on old mail: the proof that its release rests on; append-only.
backtest = sa.Table(
    "kolibri_backtest",
    metadata,
    _column("id", BigId, primary_key=True, autoincrement=True),
    _column("rule", Text),
    _column("mailbox", Text),
    _column("digest", Text),
    _column("at", UtcDateTime),
    _column("author", Text),
    _column("mails", sa.Integer),
    _column("first_at", UtcDateTime, nullable=True),
    _column("last_at", UtcDateTime, nullable=True),
    _column("fingerprint", Text),
    _column("tried", sa.Integer),
    _column("matches", sa.Integer),
    _column("errors", sa.Integer),
    _column("score", Json, nullable=True),
    _column("gates", Json, nullable=True),
    sa.Index("kolibri_backtest_by_digest", "digest"),
)

#: One step of a rule between draft, shadow and active: who, when, why, by which proof; append-only.
release = sa.Table(
    "kolibri_release",
    metadata,
    _column("id", BigId, primary_key=True, autoincrement=True),
    _column("rule", Text),
    _column("mailbox", Text),
    _column("at", UtcDateTime),
    _column("author", Text),
    _column("step", Text),  # save | shadow | promote | rollback
    _column("was", Text),
    _column("state", Text),
    _column("before", Text, nullable=True),
    _column("digest", Text),
    _column("backtest", BigId, nullable=True),
    _column("reason", Text),
    sa.Index("kolibri_release_by_rule", "mailbox", "rule", "id"),
)

#: One rule applied by a person to mail that was there already.
application = sa.Table(
    "kolibri_application",
    metadata,
    _column("id", BigId, primary_key=True, autoincrement=True),
    _column("rule", Text),
    _column("mailbox", Text),
    _column("digest", Text),
    _column("at", UtcDateTime),
    _column("author", Text),
    _column("reason", Text),
    _column("again", sa.Boolean),
    _column("mails", sa.Boolean),
    _column("planned", sa.Integer),
    _column("finished_at", UtcDateTime, nullable=True),
    sa.Index("kolibri_application_by_rule", "mailbox", "rule", "id"),
)

#: One mail that a rule was applied to; a second time on purpose only, which ``nth`` counts.
applied = sa.Table(
    "kolibri_applied",
    metadata,
    _column("message", BigId, primary_key=True, autoincrement=False),
    _column("rule", Text, primary_key=True),
    _column("nth", sa.Integer, primary_key=True, autoincrement=False),
    _column("application", BigId),
    _column("at", UtcDateTime),
    _column("actions", Json),
    sa.Index("kolibri_applied_by_application", "application"),
)

#: One mail to be sent to a group of recipients that share a language.
outbox = sa.Table(
    "kolibri_outbox",
    metadata,
    _column("id", BigId, primary_key=True, autoincrement=False),
    _column("message", BigId),
    _column("mailbox", Text),
    _column("state", Text),
    _column("cause", Text, unique=True),
    _column("message_id", Text, unique=True),
    _column("sender", Text),
    _column("recipients", Json),
    _column("results", Json),
    _column("request", Json),
    _column("entity", Text, nullable=True),
    _column("record_key", Text, nullable=True),
    _column("attempts", sa.Integer, server_default="0"),
    _column("due_at", UtcDateTime),
    _column("claimed_by", Text, nullable=True),
    _column("claimed_at", UtcDateTime, nullable=True),
    _column("created_at", UtcDateTime),
    _column("sent_at", UtcDateTime, nullable=True),
    _column("blob", Text, nullable=True),
    _column("error", Text, server_default=""),
    _column("rule", Text, nullable=True),  # of an outgoing rule: entity/name
    _column("bulk", BigId, nullable=True),  # held with others: the number of the first of them
    sa.Index("kolibri_outbox_by_state", "state", "due_at"),
    sa.Index("kolibri_outbox_by_mailbox", "mailbox", "created_at"),
    sa.Index("kolibri_outbox_by_claim", "mailbox", "claimed_at"),
    sa.Index("kolibri_outbox_by_message", "message"),
    sa.Index(
        "kolibri_outbox_bulk",
        "bulk",
        sqlite_where=sa.text("bulk IS NOT NULL"),
        postgresql_where=sa.text("bulk IS NOT NULL"),
    ),
)

#: A mail of an outgoing rule that has its time still to come: one change for one recipient of a
#: digest, or one change whose rule says delay, for all recipients (address is empty).
waiting = sa.Table(
    "kolibri_waiting",
    metadata,
    _column("id", BigId, primary_key=True, autoincrement=True),
    _column("entity", Text),
    _column("rule", Text),
    _column("event", BigId),
    _column("record_key", Text),
    _column("address", Text),
    _column("scope", Text),  # the record's key where a digest has one mail per record
    _column("due_at", UtcDateTime),
    _column("state", Text, server_default="waiting"),  # waiting | sent | dropped
    _column("outbox", Json, nullable=True),  # numbers of the mails it has become
    _column("reason", Text, server_default=""),
    sa.UniqueConstraint("entity", "rule", "event", "address", name="kolibri_waiting_once"),
    sa.Index("kolibri_waiting_due", "state", "due_at"),
    sa.Index(
        "kolibri_waiting_gathered",
        "entity",
        "rule",
        "address",
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    ),
)

#: A copy of a sent mail that is to lie in the Sent folder of its mailbox.
sent_copy = sa.Table(
    "kolibri_sent_copy",
    metadata,
    _column("outbox", BigId, primary_key=True, autoincrement=False),
    _column("mailbox", Text),
    _column("state", Text),  # due | filed | failed
    _column("attempts", sa.Integer, server_default="0"),
    _column("due_at", UtcDateTime),
    _column("error", Text, server_default=""),
    sa.Index("kolibri_sent_copy_by_state", "state", "mailbox", "due_at"),
)

#: An address that mails of ours came back from; with ``since``, automatic mail to it is held.
bounced_address = sa.Table(
    "kolibri_bounced_address",
    metadata,
    _column("address", Text, primary_key=True),  # lower case
    _column("permanent", sa.Integer),
    _column("temporary", sa.Integer),
    _column("since", UtcDateTime, nullable=True),
    _column("last_at", UtcDateTime),
    _column("status", Text),
    _column("reason", Text),
    _column("message", BigId),
)

#: One recipient of an automatic mail that counts towards the caps of its mailbox; held ones do not.
allowance = sa.Table(
    "kolibri_allowance",
    metadata,
    _column("outbox", BigId, primary_key=True, autoincrement=False),
    _column("address", Text, primary_key=True),
    _column("mailbox", Text),
    _column("kind", Text),  # answer | notice
    _column("domain", Text),
    _column("thread", Text),
    _column("record", Text, nullable=True),
    _column("at", UtcDateTime),
    _column("rule", Text, nullable=True),  # of an outgoing rule: entity/name
    sa.Index(
        "kolibri_allowance_by_rule",
        "rule",
        "at",
        sqlite_where=sa.text("rule IS NOT NULL"),
        postgresql_where=sa.text("rule IS NOT NULL"),
    ),
    sa.Index("kolibri_allowance_by_address", "mailbox", "kind", "address", "at"),
    sa.Index("kolibri_allowance_by_domain", "mailbox", "kind", "domain", "at"),
    sa.Index("kolibri_allowance_by_time", "mailbox", "kind", "at"),
)

#: One entry in a record's activity stream.
activity = sa.Table(
    "kolibri_activity",
    metadata,
    _column("id", BigId, primary_key=True, autoincrement=False),
    _column("entity", Text),
    _column("record_key", Text),
    _column("kind", Text),
    _column("message", BigId, nullable=True),
    _column("author", Text),
    _column("at", UtcDateTime),
    _column("text", Text),
    _column("cause", Text),
    sa.Index("kolibri_activity_by_record", "entity", "record_key", "id"),
)

#: Somebody the system knows.
user = sa.Table(
    "kolibri_user",
    metadata,
    _column("id", Text, primary_key=True),
    _column("address", Text, unique=True),
    _column("name", Text, server_default=""),
    _column("language", Text, nullable=True),
    _column("groups", Json),
)

#: One pass of the poller.
run = sa.Table(
    "kolibri_run",
    metadata,
    _column("id", BigId, primary_key=True, autoincrement=False),
    _column("started_at", UtcDateTime),
    _column("finished_at", UtcDateTime),
    _column("counts", Json),
    _column("errors", Json),
)

#: A secret that signs message references; retired ones still verify, revoked ones do not.
reference_key = sa.Table(
    "kolibri_reference_key",
    metadata,
    _column("id", sa.Integer, primary_key=True, autoincrement=False),
    _column("secret", sa.LargeBinary),
    _column("created_at", UtcDateTime),
    _column("retired_at", UtcDateTime, nullable=True),
    _column("revoked_at", UtcDateTime, nullable=True),
)

#: SQLite: the next free id of each table whose ids are assigned by the client.
sequence = sa.Table(
    "kolibri_sequence",
    metadata,
    _column("name", Text, primary_key=True),
    _column("next", sa.BigInteger),
)

#: SQLite: what the transaction at hand writes for; the triggers copy it into the event.
provenance = sa.Table(
    "kolibri_provenance",
    metadata,
    _column("id", sa.Integer, primary_key=True, autoincrement=False),
    _column("cause", Text),
)

#: SQLite: rows that a REPLACE may be about to delete, which no trigger is told of otherwise.
replaced = sa.Table(
    "kolibri_replaced",
    metadata,
    _column("entity", Text, primary_key=True),
    _column("record_key", Text, primary_key=True),
    _column("before", Text),
)

#: An entity whose changes are captured, or are not to be.
watch = sa.Table(
    "kolibri_watch",
    metadata,
    _column("entity", Text, primary_key=True),
    _column("table_name", Text),
    _column("watched", sa.Boolean),
    _column("since", UtcDateTime),
    _column("by", Text, server_default=""),
    _column("seen_at", UtcDateTime),
    _column("columns", Json),
)
