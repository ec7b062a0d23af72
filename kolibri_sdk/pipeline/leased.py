"""A mailbox held by this poller alone: leased, renewed while it works, given back at the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from kolibri_sdk.errors import MailboxBusy, StoreError
from kolibri_sdk.store import Store, leases, worker

__all__ = ["Lease", "leased"]

_RENEWED = leases.LIFETIME.total_seconds() / 4  #: seconds between two renewals


class Lease:
    """The right to work on a mailbox, while it lasts."""

    def __init__(self, mailbox: str, holder: str) -> None:
        self.mailbox = mailbox
        self.holder = holder
        self.released = False

    def check(self, tx: sa.Connection) -> None:
        """Make sure within this transaction that the mailbox is still ours, until it has ended.

        Raises
        ------
        MailboxBusy
            When another poller has taken it over, because this one was silent for too long.
        """
        if not leases.renew(tx, self.mailbox, self.holder):
            raise MailboxBusy(
                self.mailbox,
                "another poller has taken it over, because this one was silent for too long",
                "What this one had in hand is left to the other.",
            )

    def release(self, tx: sa.Connection) -> None:
        """Give it back with this transaction."""
        leases.release(tx, self.mailbox, self.holder)
        self.released = True


@contextmanager
def leased(store: Store, mailbox: str) -> Iterator[Lease]:
    """Hold a mailbox while the block runs; a thread renews the lease, however long a step takes.

    Raises
    ------
    MailboxBusy
        When another poller works on it.
    """
    lease = Lease(mailbox, worker.begin())
    try:
        with store.write() as tx:
            other = leases.take(tx, mailbox, lease.holder)
        if other is not None:
            raise MailboxBusy(
                mailbox, f"{worker.named(other)} is at work on it", "It is not read twice at once."
            )
        with _renewed(store, lease):
            yield lease
    finally:
        worker.end(lease.holder)


@contextmanager
def _renewed(store: Store, lease: Lease) -> Iterator[None]:
    ended = threading.Event()
    renewal = threading.Thread(
        target=_renew,
        args=(store, lease, ended),
        name=f"kolibri-lease-{lease.mailbox}",
        daemon=True,
    )
    renewal.start()
    try:
        yield
    finally:
        ended.set()
        renewal.join()
        if not lease.released:
            # Where the database is away, the lease passes on all the same: we are not at work.
            with suppress(StoreError), store.write() as tx:
                lease.release(tx)


def _renew(store: Store, lease: Lease, ended: threading.Event) -> None:
    while not ended.wait(_RENEWED):
        # An error passes, or the next transaction of the work itself tells it.
        with suppress(StoreError), store.write() as tx:
            leases.renew(tx, lease.mailbox, lease.holder)
