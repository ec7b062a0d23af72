"""The secrets that sign message references; retired ones verify old mail, revoked ones nothing."""

from __future__ import annotations

import secrets
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import NotFound, StoreError
from kolibri_sdk.store.column_types import UtcDateTime
from kolibri_sdk.store.dialect import take_turns_with_keys
from kolibri_sdk.store.schema import reference_key

__all__ = ["MOST_KEYS", "current", "everything", "revoke", "rotate", "select"]

MOST_KEYS = 255  #: the token gives the key id one byte


def current(tx: sa.Connection) -> tuple[int, bytes]:
    """The key that signs now: its id and its secret; the first one is made here."""
    found = _signing(tx)
    if found is None:
        take_turns_with_keys(tx)
        found = _signing(tx) or _make(tx)  # somebody may have made it meanwhile
    return found


def _signing(tx: sa.Connection) -> tuple[int, bytes] | None:
    query = sa.select(reference_key).where(reference_key.c.retired_at.is_(None))
    row = tx.execute(query.order_by(reference_key.c.id.desc()).limit(1)).one_or_none()
    return (row.id, bytes(row.secret)) if row else None


def everything(tx: sa.Connection) -> dict[int, bytes]:
    """All keys that verify, by id."""
    query = sa.select(reference_key).where(reference_key.c.revoked_at.is_(None))
    return {row.id: bytes(row.secret) for row in tx.execute(query)}


def select(tx: sa.Connection) -> list[dict[str, Any]]:
    """All keys, oldest first, without their secrets."""
    columns = [column for column in reference_key.c if column.name != "secret"]
    rows = tx.execute(sa.select(*columns).order_by(reference_key.c.id)).mappings()
    return [
        {
            **row,
            "state": "revoked"
            if row["revoked_at"]
            else "retired"
            if row["retired_at"]
            else "signs",
        }
        for row in rows
    ]


def rotate(tx: sa.Connection) -> int:
    """Retire the signing key and make a new one; the id of the new one."""
    take_turns_with_keys(tx)
    tx.execute(
        sa.update(reference_key)
        .where(reference_key.c.retired_at.is_(None))
        .values(retired_at=clock.now())
    )
    return _make(tx)[0]


def revoke(tx: sa.Connection, number: int) -> int:
    """Let what this key has signed verify no more; the id of the key that signs from now on.

    Raises
    ------
    NotFound
        When there is no such key.
    """
    take_turns_with_keys(tx)
    known = [str(row["id"]) for row in select(tx)]
    if str(number) not in known:
        raise NotFound.named("reference key", str(number), known)
    tx.execute(
        sa.update(reference_key)
        .where(reference_key.c.id == number)
        .values(
            revoked_at=sa.func.coalesce(
                reference_key.c.revoked_at, sa.literal(clock.now(), UtcDateTime())
            ),
            retired_at=sa.func.coalesce(
                reference_key.c.retired_at, sa.literal(clock.now(), UtcDateTime())
            ),
        )
    )
    return current(tx)[0]


def _make(tx: sa.Connection) -> tuple[int, bytes]:
    last = tx.execute(sa.select(sa.func.max(reference_key.c.id))).scalar() or 0
    if last >= MOST_KEYS:
        raise StoreError(
            f"All {MOST_KEYS} reference keys are used up",
            "Start a new database, or ask for a wider key id in the token",
        )
    secret = secrets.token_bytes(32)
    tx.execute(sa.insert(reference_key).values(id=last + 1, secret=secret, created_at=clock.now()))
    return last + 1, secret
