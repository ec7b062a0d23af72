"""Releases of rules: the proofs they rest on, and the audit of every step; append-only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import NotFound
from kolibri_sdk.model.release import Proof, ReleaseStep
from kolibri_sdk.store.dialect import query_in_chunks
from kolibri_sdk.store.schema import backtest, release, rule_version

__all__ = [
    "in_force",
    "managed",
    "note",
    "proof",
    "proofs_of",
    "prove",
    "proven",
    "select",
]


def prove(tx: sa.Connection, given: Proof, author: str) -> Proof:
    """Keep a proof; it comes back with its number, its time and who made it."""
    values = asdict(given) | {"author": author, "at": clock.now()}
    del values["id"]
    number = tx.execute(sa.insert(backtest).values(values)).inserted_primary_key
    assert number is not None
    return proof(tx, int(number[0]))


def proof(tx: sa.Connection, number: int) -> Proof:
    """A proof by its number.

    Raises
    ------
    NotFound
        When there is none.
    """
    row = tx.execute(sa.select(backtest).where(backtest.c.id == number)).mappings().first()
    if row is None:
        raise NotFound(f"There is no backtest {number}", "See: kolibri rules proofs")
    return Proof(**row)


def proofs_of(
    tx: sa.Connection, *, digest: str | None = None, rule: str | None = None
) -> list[Proof]:
    """The proofs that were kept, oldest first; of a version, of a rule, or all."""
    query = sa.select(backtest).order_by(backtest.c.id)
    if digest is not None:
        query = query.where(backtest.c.digest == digest)
    if rule is not None:
        query = query.where(backtest.c.rule == rule)
    return [Proof(**row) for row in tx.execute(query).mappings()]


def proven(tx: sa.Connection, digests: Iterable[str]) -> set[str]:
    """Those of these versions that there is a proof of."""
    found: set[str] = set()
    for chunk in query_in_chunks(digests):
        found.update(tx.scalars(sa.select(backtest.c.digest).where(backtest.c.digest.in_(chunk))))
    return found


def note(tx: sa.Connection, step: ReleaseStep) -> int:
    """Enter a step into the audit; its number."""
    values = asdict(step) | {"at": step.at or clock.now()}
    del values["id"]
    number = tx.execute(sa.insert(release).values(values)).inserted_primary_key
    assert number is not None
    return int(number[0])


def select(
    tx: sa.Connection, *, rule: str | None = None, mailbox: str | None = None
) -> list[ReleaseStep]:
    """The steps that were taken, oldest first."""
    query = sa.select(release).order_by(release.c.id)
    for column, value in ((release.c.rule, rule), (release.c.mailbox, mailbox)):
        if value is not None:
            query = query.where(column == value)
    return [ReleaseStep(**row) for row in tx.execute(query).mappings()]


def in_force(tx: sa.Connection) -> dict[tuple[str, str], ReleaseStep]:
    """(mailbox, rule) → the step that made it active, where the last one did."""
    latest = {(step.mailbox, step.rule): step for step in select(tx)}
    return {place: step for place, step in latest.items() if step.state == "active"}


def managed(tx: sa.Connection) -> set[str]:
    """The rules whose way to active was begun here: by a step, a proof, a draft or a shadow."""
    found = set(tx.scalars(sa.union(sa.select(release.c.rule), sa.select(backtest.c.rule))))
    versions: Any = tx.execute(sa.select(rule_version.c.rule, rule_version.c.document))
    found |= {name for name, document in versions if document.get("state") in ("draft", "shadow")}
    return found
