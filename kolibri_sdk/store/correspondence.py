"""What mails say of records: whose ids lead to which one, who took part, and who forged (S23)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.message import Direction, MessageKind, MessageState
from kolibri_sdk.store.dialect import query_in_chunks
from kolibri_sdk.store.schema import message, outbox

__all__ = ["Named", "correspondents", "forged_since", "of_message_ids", "sent_by_us"]


@dataclass(frozen=True, slots=True)
class Named:
    """The record that a Message-ID leads to; ``ours`` where we sent that mail."""

    record: RecordKey
    ours: bool


def of_message_ids(tx: sa.Connection, names: Iterable[str]) -> dict[str, Named]:
    """Which records the mails of these Message-IDs belong to (S23).

    Nobody but us writes the ids of our mails. The ids of mails that came in are anybody's: one
    that mails of two senders or of two records share leads nowhere.
    """
    found: dict[str, Named] = {}
    foreign: dict[str, set[tuple[RecordKey, str | None]]] = {}
    for chunk in query_in_chunks(name for name in names if name):
        query = sa.select(
            message.c.message_id,
            message.c.entity,
            message.c.record_key,
            message.c.direction,
            message.c.from_address,
        ).where(message.c.message_id.in_(chunk), message.c.entity.is_not(None))
        for row in tx.execute(query):
            record = RecordKey(entity=row.entity, key=row.record_key)
            if row.direction == Direction.OUT.value:
                found[row.message_id] = Named(record, ours=True)
            else:
                foreign.setdefault(row.message_id, set()).add((record, row.from_address))
    for name, ways in foreign.items():
        if name not in found and len(ways) == 1:
            ((record, _),) = ways
            found[name] = Named(record, ours=False)
    return found


def sent_by_us(tx: sa.Connection, names: Iterable[str]) -> dict[str, int]:
    """Which of these Message-IDs are mails of ours: id → how many automatic mails led to it."""
    found: dict[str, int] = {}
    for chunk in query_in_chunks(name for name in names if name):
        query = sa.select(message.c.message_id, message.c.depth).where(
            message.c.message_id.in_(chunk), message.c.direction == Direction.OUT.value
        )
        found.update((row.message_id, row.depth) for row in tx.execute(query))
    return found


def correspondents(tx: sa.Connection, records: Iterable[RecordKey]) -> dict[RecordKey, set[str]]:
    """The addresses that took part in the mail of each record as verified ones, lower case.

    They are those we wrote to, and the senders of mails that were no stranger's, no bounce and
    none of our own. A mail that was held back, or was never sent, makes nobody known.
    """
    found: dict[RecordKey, set[str]] = {}
    for record in set(records):
        # The outbox knows those, too, whom no header shows.
        query = sa.select(
            message.c.direction,
            message.c.from_address,
            message.c.to_addresses,
            message.c.grade,
            outbox.c.recipients,
        ).join(outbox, outbox.c.message == message.c.id, isouter=True)
        query = query.where(
            message.c.entity == record.entity,
            message.c.record_key == record.key,
            message.c.kind.not_in((MessageKind.BOUNCE.value, MessageKind.OWN.value)),
            message.c.state.not_in((MessageState.HELD.value, MessageState.UNSENT.value)),
        )
        known: set[str] = set()
        for row in tx.execute(query):
            if row.direction == Direction.OUT.value:
                known.update(person["address"].lower() for person in row.to_addresses or ())
                known.update(address.lower() for address in row.recipients or ())
            elif row.from_address and row.grade != "stranger":
                known.add(row.from_address.lower())
        found[record] = known
    return found


def forged_since(tx: sa.Connection, senders: Iterable[str], since: datetime) -> Counter[str]:
    """How many wrong references the mails of each sender have shown since then; lower case."""
    wanted = {sender.lower() for sender in senders}
    query = sa.select(message.c.from_address, message.c.forged).where(
        message.c.forged > 0, message.c.stored_at >= since
    )
    counts: Counter[str] = Counter()
    for address, number in tx.execute(query):
        if address and address.lower() in wanted:
            counts[address.lower()] += number
    return counts
