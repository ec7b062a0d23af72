"""Addresses that mails of ours came back from: since when, why, how often."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.model.message import BounceReport
from kolibri_sdk.store.dialect import query_in_chunks, upsert
from kolibri_sdk.store.schema import bounced_address as table

__all__ = ["clear", "count_unreachable", "note", "select", "unreachable"]

_LONGEST = 500  # characters of a reason


def note(
    tx: sa.Connection, address: str, report: BounceReport, *, at: datetime, message: int
) -> None:
    """Count a bounce; one that says that the address cannot be reached marks it.

    Parameters
    ----------
    address : str
        Whom we wrote to.
    report : BounceReport
        What the bounce says.
    at : datetime
        When it came.
    message : int
        Number of the KolibriMessage that told it.
    """
    told = {
        "last_at": at,
        "status": report.status,
        "reason": report.diagnostic[:_LONGEST],
        "message": message,
    }
    marks = report.of_address
    row = {
        "address": address.lower(),
        "permanent": int(marks),
        "temporary": int(not marks),
        "since": at if marks else None,
        **told,
    }
    counted = {
        "permanent": table.c.permanent + row["permanent"],
        "temporary": table.c.temporary + row["temporary"],
    }
    if marks:
        counted["since"] = sa.func.coalesce(table.c.since, at)
    # What a mark was made for stays to be read until a bounce marks the address again.
    keep = not marks
    shown = {
        name: sa.case((table.c.since.is_not(None), table.c[name]), else_=value) if keep else value
        for name, value in told.items()
    }
    statement = upsert(tx, table).values(**row)
    tx.execute(
        statement.on_conflict_do_update(index_elements=["address"], set_={**shown, **counted})
    )


def unreachable(tx: sa.Connection, addresses: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Those of these addresses that are marked, in lower case, each with its row."""
    found: dict[str, dict[str, Any]] = {}
    for chunk in query_in_chunks({address.lower() for address in addresses}):
        query = sa.select(table).where(table.c.address.in_(chunk), table.c.since.is_not(None))
        found.update((row["address"], dict(row)) for row in tx.execute(query).mappings())
    return found


def clear(tx: sa.Connection, address: str) -> bool:
    """Forget what came back from an address; False where nothing did."""
    gone = tx.execute(sa.delete(table).where(table.c.address == address.lower()))
    return gone.rowcount > 0


def count_unreachable(tx: sa.Connection) -> int:
    """How many addresses are marked."""
    query = sa.select(sa.func.count()).where(table.c.since.is_not(None))
    return int(tx.execute(query).scalar_one())


def select(tx: sa.Connection) -> list[dict[str, Any]]:
    """All rows, the address that bounced last at the end."""
    query = sa.select(table).order_by(table.c.last_at, table.c.address)
    return [dict(row) for row in tx.execute(query).mappings()]
