"""Runs: what each pass of the poller did, and what went wrong in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.store import ids
from kolibri_sdk.store.schema import run

__all__ = ["add", "select"]


def add(
    tx: sa.Connection,
    *,
    started_at: datetime,
    finished_at: datetime,
    counts: Mapping[str, Any],
    errors: Sequence[str],
) -> int:
    """Enter one pass; its id."""
    number = ids.take(tx, "run", 1)[0]
    tx.execute(
        _INSERT,
        {
            "id": number,
            "started_at": started_at,
            "finished_at": finished_at,
            "counts": dict(counts),
            "errors": list(errors),
        },
    )
    return number


_INSERT = sa.insert(run)  # once for all: every pass enters a run


def select(tx: sa.Connection, limit: int = 1000) -> list[dict[str, Any]]:
    """The latest passes, oldest first."""
    query = sa.select(run).order_by(run.c.id.desc()).limit(limit)
    return [dict(row) for row in reversed(tx.execute(query).mappings().all())]
