"""Decisions and rule versions: what every rule said, once per message or event, for ever.

A plain no takes no row of its own: of fifty rules, hardly one matches a given mail. The message
(or event) names its *ruleset*, the list of rule versions that were asked, and every rule of the
list without a row said no. ``select`` tells them all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.decision import Said, Verdict
from kolibri_sdk.store import ids
from kolibri_sdk.store.dialect import upsert
from kolibri_sdk.store.schema import decision, event, message, rule_version, ruleset

__all__ = [
    "Decided",
    "add",
    "add_told",
    "enter_rulesets",
    "note_versions",
    "select",
    "versions",
    "withdraw",
]


Asked = tuple[tuple[str, str], ...]  # name and digest of each rule


@dataclass(frozen=True, slots=True)
class Decided:
    """What the rules said of one message or one event, and what the actions of each did."""

    decisions: Said
    message: int | None = None
    event: int | None = None
    actions: Mapping[str, Sequence[Mapping[str, Any]]] | None = None  #: by rule


def add(tx: sa.Connection, decided: Sequence[Decided]) -> None:
    """Enter decisions; a second one by the same rule on the same message is refused.

    Raises
    ------
    sqlalchemy.exc.IntegrityError
        When somebody else decided the same meanwhile.
    """
    digests = enter_rulesets(tx, (one.decisions for one in decided))
    owners: dict[sa.Table, list[dict[str, Any]]] = {message: [], event: []}
    for one in decided:
        table, number = (message, one.message) if one.message is not None else (event, one.event)
        owners[table].append({"b_id": number, "ruleset": digests[one.decisions.asked]})
    for table, changes in owners.items():
        if changes:
            update = sa.update(table).where(table.c.id == sa.bindparam("b_id"))
            tx.execute(update.values(ruleset=sa.bindparam("ruleset")), changes)
    add_told(tx, decided)


def add_told(tx: sa.Connection, decided: Sequence[Decided]) -> None:
    """Enter what is more than a plain no, of messages that have their ruleset already."""
    told = [(one, said) for one in decided for said in one.decisions.told]
    if not told:
        return
    now = clock.now()
    numbers = ids.take(tx, "decision", len(told))
    tx.execute(
        sa.insert(decision),
        [
            {
                "id": number,
                "rule": said.rule,
                "digest": said.digest,
                "message": one.message,
                "event": one.event,
                "verdict": said.verdict.value,
                "shadow": said.shadow,
                "reason": said.reason,
                "line": said.line,
                "column": said.column,
                "micros": said.micros,
                "actions": list((one.actions or {}).get(said.rule, ())),
                "at": now,
            }
            for number, (one, said) in zip(numbers, told, strict=True)
        ],
    )


def enter_rulesets(tx: sa.Connection, every: Iterable[Said]) -> dict[Asked, str]:
    """Keep each list of rules that was asked when it is first seen; its digest, by the list."""
    digests: dict[Asked, str] = {}
    for said in every:
        if said.asked not in digests:
            text = json.dumps(said.asked, separators=(",", ":"))
            digests[said.asked] = hashlib.sha256(text.encode()).hexdigest()
    if digests:
        rows = [
            {"digest": digest, "rules": [list(rule) for rule in asked]}
            for asked, digest in digests.items()
        ]
        tx.execute(upsert(tx, ruleset).on_conflict_do_nothing(), rows)
    return digests


def withdraw(tx: sa.Connection, message_id: int) -> None:
    """Take out the decisions of a failed try, whose effects were rolled back."""
    tx.execute(sa.delete(decision).where(decision.c.message == message_id))


def note_versions(tx: sa.Connection, versions: Mapping[str, tuple[str, Mapping[str, Any]]]) -> None:
    """Keep the text of each digest when it is first seen: digest → (rule, document)."""
    known = set(tx.scalars(sa.select(rule_version.c.digest)))
    now = clock.now()
    rows = [
        {"digest": digest, "rule": name, "document": dict(document), "first_seen": now}
        for digest, (name, document) in versions.items()
        if digest not in known
    ]
    if rows:
        tx.execute(upsert(tx, rule_version).on_conflict_do_nothing(), rows)


def versions(tx: sa.Connection, rule: str) -> list[dict[str, Any]]:
    """The texts of a rule that have run, oldest first: digest, rule, document, first_seen."""
    query = sa.select(rule_version).where(rule_version.c.rule == rule)
    rows = tx.execute(query.order_by(rule_version.c.first_seen, rule_version.c.digest))
    return [dict(row) for row in rows.mappings()]


def select(
    tx: sa.Connection,
    *,
    rule: str | None = None,
    verdict: str | None = None,
    message_id: int | None = None,
) -> list[dict[str, Any]]:
    """The decisions that meet the conditions: of messages first, each in the order of its rules.

    A plain no has neither id nor duration; its time is that of the message or event.
    """
    query = sa.select(decision)
    if message_id is not None:
        query = query.where(decision.c.message == message_id)
    told = {
        (row["message"], row["event"], row["rule"]): dict(row)
        for row in tx.execute(query).mappings()
    }
    every = (
        told.get((asked["message"], asked["event"], asked["rule"]), asked)
        for asked in _asked(tx, message_id)
    )
    return [
        row
        for row in every
        if (rule is None or row["rule"] == rule) and (verdict is None or row["verdict"] == verdict)
    ]


def _asked(tx: sa.Connection, message_id: int | None) -> Iterator[dict[str, Any]]:
    """A plain no for every rule that was asked about every message and event."""
    rules = {row.digest: row.rules for row in tx.execute(sa.select(ruleset))}
    of_messages = sa.select(message.c.id, message.c.ruleset, message.c.stored_at.label("at")).where(
        message.c.ruleset.is_not(None)
    )
    if message_id is not None:
        of_messages = of_messages.where(message.c.id == message_id)
    for row in tx.execute(of_messages.order_by(message.c.id)):
        for name, digest in rules[row.ruleset]:
            yield _no(name, digest, row.at, message_id=row.id)
    if message_id is not None:
        return
    of_events = sa.select(event.c.id, event.c.ruleset, event.c.at)
    for row in tx.execute(of_events.where(event.c.ruleset.is_not(None)).order_by(event.c.id)):
        for name, digest in rules[row.ruleset]:
            yield _no(name, digest, row.at, event_id=row.id)


def _no(
    name: str,
    digest: str,
    at: datetime,
    *,
    message_id: int | None = None,
    event_id: int | None = None,
) -> dict[str, Any]:
    return {
        "id": None,
        "rule": name,
        "digest": digest,
        "message": message_id,
        "event": event_id,
        "verdict": Verdict.NO.value,
        "shadow": False,
        "reason": "",
        "line": None,
        "column": None,
        "micros": None,
        "actions": [],
        "at": at,
    }
