"""Decisions and rule versions: what every rule said, once per message or event, for ever."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.decision import Decision
from kolibri_sdk.store import ids
from kolibri_sdk.store.dialect import query_in_chunks, upsert
from kolibri_sdk.store.schema import decision, rule_version

__all__ = ["add", "note_versions", "select", "settled_rules"]


def add(
    tx: sa.Connection,
    decisions: Sequence[tuple[Decision, Sequence[Mapping[str, Any]]]],
    *,
    message: int | None = None,
    event: int | None = None,
) -> None:
    """Enter decisions with what their actions did; a second one by the same rule is refused.

    A failed message or event is tried again, and its decisions with it: those of the earlier try
    were rolled back or are replaced here.

    Raises
    ------
    sqlalchemy.exc.IntegrityError
        When somebody else decided the same meanwhile.
    """
    add_all(tx, [(message, event, *pair) for pair in decisions])


def add_all(
    tx: sa.Connection,
    rows: Sequence[tuple[int | None, int | None, Decision, Sequence[Mapping[str, Any]]]],
) -> None:
    """Enter decisions of many messages or events: (message, event, decision, actions)."""
    if not rows:
        return
    now = clock.now()
    numbers = ids.take(tx, "decision", len(rows))
    tx.execute(
        sa.insert(decision),
        [
            {
                "id": number,
                "rule": said.rule,
                "digest": said.digest,
                "message": message,
                "event": event,
                "verdict": said.verdict.value,
                "shadow": said.shadow,
                "reason": said.reason,
                "line": said.line,
                "column": said.column,
                "micros": said.micros,
                "actions": list(actions),
                "at": now,
            }
            for number, (message, event, said, actions) in zip(numbers, rows, strict=True)
        ],
    )


def withdraw(tx: sa.Connection, *, message: int | None = None, event: int | None = None) -> None:
    """Take out the decisions of a failed try, whose effects were rolled back."""
    column, value = (
        (decision.c.message, message) if message is not None else (decision.c.event, event)
    )
    tx.execute(sa.delete(decision).where(column == value))


def settled_rules(tx: sa.Connection, messages: Iterable[int]) -> set[tuple[str, int]]:
    """The pairs (rule, message) that were decided before."""
    found: set[tuple[str, int]] = set()
    for chunk in query_in_chunks(messages):
        query = sa.select(decision.c.rule, decision.c.message).where(decision.c.message.in_(chunk))
        found.update((row.rule, row.message) for row in tx.execute(query))
    return found


def note_versions(tx: sa.Connection, versions: Mapping[str, tuple[str, Mapping[str, Any]]]) -> None:
    """Keep the text of each digest when it is first seen: digest → (rule, document)."""
    if not versions:
        return
    now = clock.now()
    tx.execute(
        upsert(tx, rule_version).on_conflict_do_nothing(),
        [
            {"digest": digest, "rule": name, "document": dict(document), "first_seen": now}
            for digest, (name, document) in versions.items()
        ],
    )


def select(tx: sa.Connection, *conditions: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    """The decisions that meet the conditions, oldest first."""
    query = sa.select(decision).where(*conditions).order_by(decision.c.id)
    return [dict(row) for row in tx.execute(query).mappings()]
