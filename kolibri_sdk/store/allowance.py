"""What automatic mail has gone out lately: the caps of a mailbox count it by index (S25)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.outbox import Spent
from kolibri_sdk.store.dialect import query_in_chunks
from kolibri_sdk.store.schema import allowance

__all__ = ["count", "give_back", "note", "of_addresses", "of_rules"]


def note(tx: sa.Connection, spent: Sequence[tuple[int, Spent]], since: datetime) -> None:
    """Count these recipients, each of an outbox row; what is older than ``since`` is forgotten."""
    if not spent:
        return
    now = clock.now()
    rows = [
        {
            "outbox": number,
            "address": one.address,
            "mailbox": one.mailbox,
            "kind": one.kind,
            "domain": one.domain,
            "thread": one.thread,
            "record": one.record,
            "at": now,
            "rule": one.rule or None,
        }
        for number, one in spent
    ]
    for mailbox, kind in {(one["mailbox"], one["kind"]) for one in rows}:
        old = sa.delete(allowance).where(
            allowance.c.mailbox == mailbox, allowance.c.kind == kind, allowance.c.at < since
        )
        tx.execute(old)
    tx.execute(sa.insert(allowance), rows)


def of_addresses(
    tx: sa.Connection, mailbox: str, kind: str, addresses: Iterable[str], since: datetime
) -> dict[str, int]:
    """How many such mails each of these addresses had since then; those that had none left out."""
    found: dict[str, int] = {}
    for chunk in query_in_chunks(addresses):
        query = (
            sa.select(allowance.c.address, sa.func.count())
            .where(
                allowance.c.mailbox == mailbox,
                allowance.c.kind == kind,
                allowance.c.at >= since,
                allowance.c.address.in_(chunk),
            )
            .group_by(allowance.c.address)
        )
        found.update((address, number) for address, number in tx.execute(query))
    return found


def of_rules(tx: sa.Connection, rules: Iterable[str], since: datetime) -> dict[str, int]:
    """How many mails each of these outgoing rules has sent since then, a recipient each."""
    found: dict[str, int] = {}
    for chunk in query_in_chunks(rules):
        query = (
            sa.select(allowance.c.rule, sa.func.count())
            .where(allowance.c.rule.in_(chunk), allowance.c.at >= since)
            .group_by(allowance.c.rule)
        )
        found.update((rule, number) for rule, number in tx.execute(query) if rule is not None)
    return found


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
