"""Rules that a person applied to mail already there: once per rule and mail, and told for ever."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.store.dialect import query_in_chunks
from kolibri_sdk.store.schema import application, applied, decision, message

__all__ = ["acted", "begin", "finish", "lock", "note", "select", "times"]


def begin(tx: sa.Connection, **values: Any) -> int:
    """The number of this application: that of one that was broken off, else a new one.

    Parameters
    ----------
    values
        ``rule``, ``mailbox``, ``digest``, ``again``, ``mails``, which tell what it is; ``author``,
        ``reason``, ``planned``, which the new one gets.
    """
    same = [application.c[n] == values[n] for n in ("rule", "mailbox", "digest", "again", "mails")]
    broken_off = sa.select(application.c.id).where(*same, application.c.finished_at.is_(None))
    found = tx.execute(broken_off.order_by(application.c.id.desc()).limit(1)).scalar()
    if found is not None:
        return int(found)
    made = tx.execute(sa.insert(application).values(at=clock.now(), **values)).inserted_primary_key
    assert made is not None
    return int(made[0])


def finish(tx: sa.Connection, number: int) -> None:
    """Nothing of it is left to be done."""
    tx.execute(
        sa.update(application).where(application.c.id == number).values(finished_at=clock.now())
    )


def acted(tx: sa.Connection, rule: str, numbers: Iterable[int]) -> dict[int, datetime]:
    """On which of these mails the poller has carried out the rule's actions, and when."""
    found: dict[int, datetime] = {}
    for chunk in query_in_chunks(numbers):
        query = sa.select(decision.c.message, decision.c.at, decision.c.actions).where(
            decision.c.rule == rule,
            decision.c.message.in_(chunk),
            decision.c.verdict == "match",
            decision.c.shadow.is_(False),
        )
        for row in tx.execute(query):
            if not any("failed" in one for one in row.actions or ()):
                found[row.message] = row.at
    return found


def times(
    tx: sa.Connection, rule: str, numbers: Iterable[int]
) -> dict[int, list[tuple[int, int, datetime]]]:
    """How often the rule was applied to each of these mails: (nth, application, when)."""
    found: dict[int, list[tuple[int, int, datetime]]] = {}
    for chunk in query_in_chunks(numbers):
        query = sa.select(applied).where(applied.c.rule == rule, applied.c.message.in_(chunk))
        for row in tx.execute(query.order_by(applied.c.nth)):
            found.setdefault(row.message, []).append((row.nth, row.application, row.at))
    return found


def lock(tx: sa.Connection, number: int) -> None:
    """Keep others from applying anything to this mail until the transaction has ended."""
    tx.execute(sa.select(message.c.id).where(message.c.id == number).with_for_update())


def note(
    tx: sa.Connection,
    *,
    rule: str,
    message_id: int,
    nth: int,
    number: int,
    actions: Sequence[Mapping[str, Any]],
) -> None:
    """The rule was applied to this mail, and did this."""
    tx.execute(
        sa.insert(applied).values(
            message=message_id,
            rule=rule,
            nth=nth,
            application=number,
            at=clock.now(),
            actions=[dict(one) for one in actions],
        )
    )


def select(tx: sa.Connection, rule: str, mailbox: str) -> list[dict[str, Any]]:
    """What a rule was applied to, oldest first, with who and why."""
    query = (
        sa.select(
            applied.c.application,
            applied.c.at,
            application.c.author,
            applied.c.rule,
            application.c.digest,
            applied.c.message,
            applied.c.nth,
            applied.c.actions,
            application.c.reason,
        )
        .join(application, application.c.id == applied.c.application)
        .where(applied.c.rule == rule, application.c.mailbox == mailbox)
    )
    ordered = query.order_by(applied.c.application, applied.c.message, applied.c.nth)
    return [dict(row) for row in tx.execute(ordered).mappings()]
