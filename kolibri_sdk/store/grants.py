"""What is known of the mailboxes' OAuth2 grants, so that whoever asks can be warned in time."""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa

from kolibri_sdk.model.oauth2 import GrantState
from kolibri_sdk.store.dialect import upsert
from kolibri_sdk.store.schema import grant

__all__ = ["put", "select"]


def select(tx: sa.Connection) -> dict[str, GrantState]:
    """Mailbox → what its last renewal told."""
    rows = tx.execute(sa.select(grant)).mappings()
    return {row["mailbox"]: GrantState(**row) for row in rows}


def put(tx: sa.Connection, state: GrantState) -> None:
    """Note what is known of a mailbox's grant, in place of what was."""
    values = asdict(state)
    insert = upsert(tx, grant).values(values)
    tx.execute(insert.on_conflict_do_update(index_elements=["mailbox"], set_=values))
