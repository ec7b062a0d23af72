"""Leases: a mailbox is worked on by one poller at a time, on however many machines they run."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from kolibri_sdk.store.dialect import database_now, upsert
from kolibri_sdk.store.schema import mailbox_state
from kolibri_sdk.store.worker import is_alive

__all__ = ["LIFETIME", "release", "renew", "take"]

LIFETIME = timedelta(minutes=2)  #: how long a holder may be silent until its lease passes on

_columns = mailbox_state.c


def take(tx: sa.Connection, mailbox: str, holder: str) -> str | None:
    """Take the lease of a mailbox; None when it is ours now, else who has it.

    The database's clock counts, so that machines whose clocks differ agree. A lease is free when
    it has run out, when its holder has ended on this machine, or when it would last longer than
    any lease does: then the clock was set back meanwhile.

    Parameters
    ----------
    holder : str
        What :func:`kolibri_sdk.store.worker.begin` gave.
    """
    # On PostgreSQL two that find no row would both believe that they are the first.
    tx.execute(
        upsert(tx, mailbox_state).values(mailbox=mailbox, folder="").on_conflict_do_nothing()
    )
    query = sa.select(_columns.lease_owner, _columns.lease_until).where(_this(mailbox))
    row = tx.execute(query.with_for_update()).one()
    now = database_now(tx)
    if row.lease_owner not in (None, holder) and not _is_free(
        row.lease_owner, row.lease_until, now
    ):
        return str(row.lease_owner)
    _set(tx, mailbox, holder, now + LIFETIME)
    return None


def renew(tx: sa.Connection, mailbox: str, holder: str) -> bool:
    """Hold the lease for another while; False when somebody else has taken it over.

    Within a transaction it is a fence, too: nobody takes the lease over before the transaction
    has ended.
    """
    held = sa.update(mailbox_state).where(_this(mailbox), _columns.lease_owner == holder)
    return tx.execute(held.values(lease_until=database_now(tx) + LIFETIME)).rowcount == 1


def release(tx: sa.Connection, mailbox: str, holder: str) -> None:
    """Give the lease back, if it is still ours."""
    held = sa.update(mailbox_state).where(_this(mailbox), _columns.lease_owner == holder)
    tx.execute(held.values(lease_owner=None, lease_until=None))


def _this(mailbox: str) -> sa.ColumnElement[bool]:
    return sa.and_(_columns.mailbox == mailbox, _columns.folder == "")


def _set(tx: sa.Connection, mailbox: str, holder: str, until: datetime) -> None:
    this = sa.update(mailbox_state).where(_this(mailbox))
    tx.execute(this.values(lease_owner=holder, lease_until=until))


def _is_free(owner: str, until: datetime | None, now: datetime) -> bool:
    return until is None or not now < until <= now + LIFETIME or is_alive(owner) is False
