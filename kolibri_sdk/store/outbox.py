"""The outbox's rows: queued in the causing transaction, claimed before sending, settled after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.outbox import OutboxState
from kolibri_sdk.model.stored import OutboxItem
from kolibri_sdk.store.dialect import query_in_chunks, upsert
from kolibri_sdk.store.schema import outbox

__all__ = [
    "claim",
    "claimed_at",
    "claimed_since",
    "claims",
    "due",
    "held",
    "held_because",
    "in_state",
    "insert",
    "insert_many",
    "move",
    "note_bounce",
    "of_cause",
    "of_ids",
    "of_message",
    "of_message_ids",
    "open_bulks",
    "results_of",
    "save",
    "select",
    "settle",
    "undecided",
]


def insert(tx: sa.Connection, item: OutboxItem, due_at: datetime) -> bool:
    """Enter a mail to be sent; False when its cause has one already."""
    return item.id in insert_many(tx, [item], due_at)


def insert_many(tx: sa.Connection, items: Sequence[OutboxItem], due_at: datetime) -> set[int]:
    """Enter mails to be sent; the numbers of those that went in: a cause has one mail only."""
    if not items:
        return set()
    now = clock.now()
    rows = [
        {
            "id": item.id,
            "message": item.message,
            "mailbox": item.mailbox,
            "state": item.state.value,
            "cause": item.cause,
            "message_id": item.message_id,
            "sender": item.sender,
            "recipients": list(item.recipients),
            "results": dict(item.results),
            "request": dict(item.request),
            "entity": item.record.entity if item.record else None,
            "record_key": item.record.key if item.record else None,
            "due_at": due_at,
            "created_at": now,
            "error": item.error,
            "rule": item.rule or None,
            "bulk": item.bulk,
        }
        for item in items
    ]
    statement = upsert(tx, outbox).on_conflict_do_nothing(index_elements=["cause"])
    # Asked for the rows themselves: how many an INSERT made, psycopg's results do not say.
    return set(tx.scalars(statement.returning(outbox.c.id), rows))


def due(
    tx: sa.Connection, limit: int, *, rendered: bool | None = None, mailbox: str | None = None
) -> list[OutboxItem]:
    """Queued mails whose time has come, oldest first; only (un)rendered ones where said."""
    query = sa.select(outbox).where(
        outbox.c.state == OutboxState.QUEUED.value, outbox.c.due_at <= clock.now()
    )
    if rendered is not None:
        query = query.where(outbox.c.blob.is_not(None) if rendered else outbox.c.blob.is_(None))
    if mailbox is not None:
        query = query.where(outbox.c.mailbox == mailbox)
    rows = tx.execute(query.order_by(outbox.c.due_at, outbox.c.id).limit(limit))
    return [_item(row) for row in rows.mappings()]


def claim(tx: sa.Connection, number: int, owner: str) -> bool:
    """Take a queued mail for sending; False when somebody else has it."""
    taken = tx.execute(_CLAIM, {"b_id": number, "by": owner, "at": clock.now()})
    return taken.rowcount == 1


# Statements that run for every mail are built once: building takes as long as running them.
_CLAIM = (
    sa.update(outbox)
    .where(outbox.c.id == sa.bindparam("b_id"), outbox.c.state == OutboxState.QUEUED.value)
    .values(
        state=OutboxState.SENDING.value,
        claimed_by=sa.bindparam("by"),
        claimed_at=sa.bindparam("at"),
        attempts=outbox.c.attempts + 1,
    )
)
_RESULTS = sa.select(outbox.c.results).where(outbox.c.id == sa.bindparam("b_id")).with_for_update()


@lru_cache(maxsize=64)
def _settling(columns: tuple[str, ...], was: tuple[OutboxState, ...]) -> sa.Update:
    this = sa.and_(
        outbox.c.id == sa.bindparam("b_id"),
        sa.or_(*(outbox.c.state == state.value for state in was)),
    )
    return sa.update(outbox).where(this).values({n: sa.bindparam(f"v_{n}") for n in columns})


def results_of(tx: sa.Connection, number: int) -> Mapping[str, Mapping[str, Any]] | None:
    """What is known of a mail's recipients now; kept from others until the end."""
    found: Mapping[str, Mapping[str, Any]] | None = tx.scalar(_RESULTS, {"b_id": number})
    return found


def claimed_since(tx: sa.Connection, mailbox: str, since: datetime) -> int:
    """How many mails of a mailbox were taken for sending since then."""
    query = sa.select(sa.func.count()).where(
        outbox.c.mailbox == mailbox, outbox.c.claimed_at > since
    )
    return int(tx.execute(query).scalar_one())


def claimed_at(tx: sa.Connection, number: int) -> datetime | None:
    """When this mail was last taken for sending."""
    at: datetime | None = tx.scalar(sa.select(outbox.c.claimed_at).where(outbox.c.id == number))
    return at


def undecided(tx: sa.Connection, mailbox: str, limit: int) -> list[OutboxItem]:
    """Uncertain mails of a mailbox for which evidence is to be looked for now."""
    query = sa.select(outbox).where(
        outbox.c.mailbox == mailbox,
        outbox.c.state == OutboxState.UNCERTAIN.value,
        outbox.c.due_at <= clock.now(),
    )
    rows = tx.execute(query.order_by(outbox.c.due_at).limit(limit))
    return [_item(row) for row in rows.mappings()]


def claims(tx: sa.Connection) -> list[tuple[OutboxItem, str, datetime]]:
    """Mails that are being sent, by whom, and since when."""
    rows = tx.execute(sa.select(outbox).where(outbox.c.state == OutboxState.SENDING.value))
    return [(_item(row), row["claimed_by"], row["claimed_at"]) for row in rows.mappings()]


def save(tx: sa.Connection, number: int, **values: Any) -> None:
    """Set these columns of an outbox row."""
    tx.execute(sa.update(outbox).where(outbox.c.id == number).values(**values))


def settle(
    tx: sa.Connection,
    item: OutboxItem,
    state: OutboxState,
    *,
    results: Mapping[str, Mapping[str, Any]] | None = None,
    error: str = "",
    due_at: datetime | None = None,
    was: Sequence[OutboxState] = (OutboxState.SENDING,),
) -> bool:
    """Write down what became of a claimed mail; False when it was settled before.

    ``was`` are the states that it may have now.
    """
    values: dict[str, Any] = {"state": state.value, "error": error, "claimed_by": None}
    if results is not None:
        values["results"] = {address: dict(result) for address, result in results.items()}
    if due_at is not None:
        values["due_at"] = due_at
    if state is OutboxState.SENT:
        values["sent_at"] = clock.now()
    told = {f"v_{name}": value for name, value in values.items()}
    done = tx.execute(_settling(tuple(values), tuple(was)), {"b_id": item.id, **told})
    return done.rowcount == 1


def of_message_ids(tx: sa.Connection, names: Iterable[str]) -> list[OutboxItem]:
    """The mails of ours that have these Message-IDs; kept from others until the end."""
    found: list[OutboxItem] = []
    for chunk in query_in_chunks(dict.fromkeys(names)):
        query = sa.select(outbox).where(outbox.c.message_id.in_(chunk)).order_by(outbox.c.id)
        found += [_item(row) for row in tx.execute(query.with_for_update()).mappings()]
    return found


def note_bounce(
    tx: sa.Connection,
    item: OutboxItem,
    results: Mapping[str, Mapping[str, Any]],
    *,
    state: OutboxState,
    error: str,
) -> None:
    """Write down that a mail came back from some of its recipients, or from all."""
    told = {address: dict(result) for address, result in results.items()}
    save(tx, item.id, results=told, state=state.value, error=error)


def held_because(tx: sa.Connection, address: str, cause_ends: str) -> list[int]:
    """The held mails to this address alone whose cause ends so; their numbers."""
    query = sa.select(outbox.c.id, outbox.c.recipients).where(
        outbox.c.state == OutboxState.HELD.value, outbox.c.cause.endswith(cause_ends)
    )
    return [row.id for row in tx.execute(query) if [r.lower() for r in row.recipients] == [address]]


def of_cause(tx: sa.Connection, cause: str) -> int:
    """The number of the mail with this cause, which there is."""
    return int(tx.execute(sa.select(outbox.c.id).where(outbox.c.cause == cause)).scalar_one())


def of_message(tx: sa.Connection, message: int) -> OutboxItem | None:
    """The row behind an outgoing KolibriMessage; None for one that was imported."""
    row = tx.execute(sa.select(outbox).where(outbox.c.message == message)).mappings().first()
    return _item(row) if row is not None else None


def of_ids(tx: sa.Connection, numbers: Iterable[int]) -> list[OutboxItem]:
    """The mails of these numbers that there are, by number; kept from others until the end."""
    found: list[OutboxItem] = []
    for chunk in query_in_chunks(sorted(set(numbers))):
        query = sa.select(outbox).where(outbox.c.id.in_(chunk)).order_by(outbox.c.id)
        found += [_item(row) for row in tx.execute(query.with_for_update()).mappings()]
    return found


def move(tx: sa.Connection, numbers: Iterable[int], state: OutboxState, **values: Any) -> None:
    """Set the state of these mails, and further columns; what went wrong before is forgotten."""
    for chunk in query_in_chunks(numbers):
        tx.execute(
            sa.update(outbox)
            .where(outbox.c.id.in_(chunk))
            .values(**{"state": state.value, "error": "", **values})
        )


def held(tx: sa.Connection, mailbox: str | None = None) -> list[int]:
    """The numbers of the mails that are held, of this mailbox where one is named."""
    return in_state(tx, OutboxState.HELD, mailbox)


def in_state(tx: sa.Connection, state: OutboxState, mailbox: str | None = None) -> list[int]:
    """The numbers of the mails in this state, of this mailbox where one is named."""
    query = sa.select(outbox.c.id).where(outbox.c.state == state.value)
    if mailbox is not None:
        query = query.where(outbox.c.mailbox == mailbox)
    return list(tx.scalars(query.order_by(outbox.c.id)))


def open_bulks(tx: sa.Connection, rules: Iterable[str]) -> dict[str, int]:
    """The bulk changes of these rules that nobody has decided on yet: rule → number."""
    found: dict[str, int] = {}
    for chunk in query_in_chunks(rules):
        query = sa.select(outbox.c.rule, sa.func.max(outbox.c.bulk)).where(
            outbox.c.bulk.is_not(None),
            outbox.c.rule.in_(chunk),
            outbox.c.state == OutboxState.HELD.value,
        )
        found.update((row[0], row[1]) for row in tx.execute(query.group_by(outbox.c.rule)))
    return found


def select(tx: sa.Connection, *conditions: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    """The outbox rows that meet the conditions, oldest first."""
    query = sa.select(outbox).where(*conditions).order_by(outbox.c.id)
    return [dict(row) for row in tx.execute(query).mappings()]


def _item(row: sa.RowMapping) -> OutboxItem:
    record = RecordKey(entity=row["entity"], key=row["record_key"]) if row["entity"] else None
    return OutboxItem(
        id=row["id"],
        message=row["message"],
        mailbox=row["mailbox"],
        state=OutboxState(row["state"]),
        recipients=tuple(row["recipients"]),
        cause=row["cause"],
        message_id=row["message_id"],
        sender=row["sender"],
        request=row["request"],
        results=row["results"],
        record=record,
        attempts=row["attempts"],
        due_at=row["due_at"],
        error=row["error"],
        blob=row["blob"],
        rule=row["rule"] or "",
        bulk=row["bulk"],
    )
