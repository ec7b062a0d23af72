"""What automatic mail has gone out lately: the caps of a mailbox count it by index (S25)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.outbox import Spent
from kolibri_sdk.store.schema import allowance

__all__ = ["count", "give_back", "note"]


def note(tx: sa.Connection, number: int, spent: Iterable[Spent], since: datetime) -> None:
    """Count these recipients of an outbox row; what is older than ``since`` is forgotten."""
    rows = [
        {
            "outbox": number,
            "address": one.address,
            "mailbox": one.mailbox,
            "kind": one.kind,
            "domain": one.domain,
            "thread": one.thread,
            "record": one.record,
            "at": clock.now(),
        }
        for one in spent
    ]
    if not rows:
        return
    for mailbox, kind in {(one["mailbox"], one["kind"]) for one in rows}:
        old = sa.delete(allowance).where(
            allowance.c.mailbox == mailbox, allowance.c.kind == kind, allowance.c.at < since
        )
        tx.execute(old)
    tx.execute(sa.insert(allowance), rows)


def give_back(tx: sa.Connection, numbers: Iterable[int]) -> None:
    """Count these outbox rows no more: they were cancelled."""
    for number in numbers:
        tx.execute(sa.delete(allowance).where(allowance.c.outbox == number))


def count(tx: sa.Connection, spent: Spent, since: datetime) -> dict[str, int]:
    """How many such mails there were since then.

    Returns
    -------
    dict of str to int
        ``address``: to this one; of answers also ``alike``: on the same thread or record;
        ``domain``: to all addresses of its domain; ``total``: to anybody.
    """
    mine = (
        allowance.c.mailbox == spent.mailbox,
        allowance.c.kind == spent.kind,
        allowance.c.at >= since,
    )
    to_address = (*mine, allowance.c.address == spent.address)
    same = allowance.c.thread == spent.thread
    if spent.record is not None:
        same = sa.or_(same, allowance.c.record == spent.record)
    ways: dict[str, tuple[sa.ColumnElement[bool], ...]] = {"address": to_address}
    if spent.kind == "answer":
        ways["alike"] = (*to_address, same)
        ways["domain"] = (*mine, allowance.c.domain == spent.domain)
        ways["total"] = mine
    counted = [
        sa.select(sa.func.count()).where(*conditions).scalar_subquery().label(name)
        for name, conditions in ways.items()
    ]
    return dict(tx.execute(sa.select(*counted)).mappings().one())
