"""Mails of outgoing rules that wait: for the delay of their rule, or for what a digest gathers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.store.dialect import query_in_chunks, upsert
from kolibri_sdk.store.schema import waiting

__all__ = [
    "Waiting",
    "add",
    "became",
    "count",
    "due",
    "finish",
    "postpone",
    "select",
]


@dataclass(frozen=True, slots=True)
class Waiting:
    """One change whose mail waits; ``address`` is empty where it waits for all recipients."""

    entity: str
    rule: str
    event: int
    record_key: str
    address: str
    scope: str  #: the record's key where a digest has one mail per record
    due_at: datetime
    id: int = 0

    @property
    def gathered_by(self) -> tuple[str, str, str, str]:
        """Which changes go into one mail."""
        return self.entity, self.rule, self.address, self.scope


def add(tx: sa.Connection, mails: Sequence[Waiting]) -> None:
    """Enter them; one that joins a digest which is being gathered is due together with it."""
    if not mails:
        return
    open_until = _gathering(tx, {(one.entity, one.rule) for one in mails if one.address})
    rows = []
    for one in mails:
        if one.address:
            until = open_until.setdefault(one.gathered_by, one.due_at)
            one = replace(one, due_at=min(until, one.due_at))  # noqa: PLW2901 - the same mail
        rows.append(
            {
                "entity": one.entity,
                "rule": one.rule,
                "event": one.event,
                "record_key": one.record_key,
                "address": one.address,
                "scope": one.scope,
                "due_at": one.due_at,
            }
        )
    tx.execute(upsert(tx, waiting).on_conflict_do_nothing(), rows)


def _gathering(
    tx: sa.Connection, rules: Iterable[tuple[str, str]]
) -> dict[tuple[str, str, str, str], datetime]:
    key = (waiting.c.entity, waiting.c.rule, waiting.c.address, waiting.c.scope)
    found: dict[tuple[str, str, str, str], datetime] = {}
    for entity, rule in rules:
        query = sa.select(*key, sa.func.min(waiting.c.due_at).label("until")).where(
            waiting.c.entity == entity, waiting.c.rule == rule, waiting.c.state == "waiting"
        )
        for row in tx.execute(query.group_by(*key)):
            found[row.entity, row.rule, row.address, row.scope] = row.until
    return found


def due(tx: sa.Connection, limit: int) -> list[list[Waiting]]:
    """The mails whose time has come, oldest first: each the changes that go into it, in order."""
    ripe = sa.select(waiting).where(waiting.c.state == "waiting", waiting.c.due_at <= clock.now())
    first = [_waiting(row) for row in tx.execute(ripe.order_by(waiting.c.due_at).limit(limit))]
    found = [[one] for one in first if not one.address]
    gathered = dict.fromkeys(one.gathered_by for one in first if one.address)
    for entity, rule, address, scope in gathered:
        query = sa.select(waiting).where(
            waiting.c.entity == entity,
            waiting.c.rule == rule,
            waiting.c.address == address,
            waiting.c.scope == scope,
            waiting.c.state == "waiting",
        )
        found.append([_waiting(row) for row in tx.execute(query.order_by(waiting.c.event))])
    return found


def finish(tx: sa.Connection, numbers: Iterable[int], *, reason: str = "") -> set[int]:
    """Mark them as sent, or as dropped where a reason is given; those that nobody had before."""
    state = "dropped" if reason else "sent"
    mine: set[int] = set()
    for chunk in query_in_chunks(numbers):
        update = sa.update(waiting).where(waiting.c.id.in_(chunk), waiting.c.state == "waiting")
        mine |= set(tx.scalars(update.values(state=state, reason=reason).returning(waiting.c.id)))
    return mine


def postpone(tx: sa.Connection, numbers: Iterable[int], until: datetime, reason: str) -> None:
    """Look at these again later: something that a person has to mend keeps them."""
    for chunk in query_in_chunks(numbers):
        update = sa.update(waiting).where(waiting.c.id.in_(chunk), waiting.c.state == "waiting")
        tx.execute(update.values(due_at=until, reason=reason))


def became(tx: sa.Connection, mails: Mapping[int, Sequence[int]]) -> None:
    """Note which outbox rows they have become."""
    rows = [{"number": number, "rows": list(items)} for number, items in mails.items()]
    if rows:
        update = sa.update(waiting).where(waiting.c.id == sa.bindparam("number"))
        tx.execute(update.values(outbox=sa.bindparam("rows", type_=waiting.c.outbox.type)), rows)


def count(tx: sa.Connection) -> int:
    """How many changes wait to be told."""
    query = sa.select(sa.func.count()).where(waiting.c.state == "waiting")
    return int(tx.execute(query).scalar_one())


def select(tx: sa.Connection, *, state: str | None = None) -> list[dict[str, Any]]:
    """The rows, oldest first."""
    query = sa.select(waiting).order_by(waiting.c.id)
    if state is not None:
        query = query.where(waiting.c.state == state)
    return [dict(row) for row in tx.execute(query).mappings()]


def _waiting(row: Any) -> Waiting:
    return Waiting(
        entity=row.entity,
        rule=row.rule,
        event=row.event,
        record_key=row.record_key,
        address=row.address,
        scope=row.scope,
        due_at=row.due_at,
        id=row.id,
    )
