"""Stage 1: mail from servers into the database, and only then a word to the server (S14-S17)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

import sqlalchemy as sa

from kolibri_sdk import checkpoint, clock
from kolibri_sdk.errors import LoginRefused, OperationalError
from kolibri_sdk.mail import content_key
from kolibri_sdk.mailboxes import Fetched, FolderStatus, Listed, MailSource, Moved
from kolibri_sdk.model.mailbox import After, Fetch, Mailbox, MoveTo
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import blobs, ledger, messages
from kolibri_sdk.store.ledger import Entry, FolderState

__all__ = ["fetch_mailbox"]

_QUARANTINE_AFTER = 3  #: tries before a mail that cannot be fetched is given up
_WHAT_NEXT = {
    "failing": "it is tried again in the next pass",
    "quarantined": f"it was tried {_QUARANTINE_AFTER} times and is given up",
}
_OVERLAP = timedelta(days=1)  #: how far before the last run a renumbered folder is read again
_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)


def fetch_mailbox(system: System, mailbox: Mailbox, report: PassReport) -> None:
    """Take what is new in every folder of a mailbox; errors go into the report."""
    if mailbox.inbound is None:
        return
    with system.store.read() as tx:
        state = ledger.folder_state(tx, mailbox.name, "")
    if state.retry_at and state.retry_at > clock.now():
        report.errors.append(
            f"Mailbox {mailbox.name}: the login was refused {state.failures} times; "
            f"not tried again before {state.retry_at:%H:%M:%S}Z, so that the account is not locked"
        )
        return
    told: list[tuple[FolderStatus, list[str]]] = []
    try:
        with system.connections.source(mailbox) as source:
            for folder in source.folders():
                told.append(_fetch_folder(system, mailbox, source, folder, report))  # noqa: PERF401
    except OperationalError as error:
        report.errors.append(str(error))
        _note_error(system, mailbox, state, error)
        return
    # POP3 deletes at QUIT only, so the ledger learns it after the connection was closed well.
    with system.store.write() as tx:
        for status, uids in told:
            ledger.mark_done(tx, mailbox.name, status.folder, status.uidvalidity, uids)
        ledger.save_folder_state(
            tx,
            mailbox.name,
            "",
            last_success=clock.now(),
            last_error="",
            failures=0,
            retry_at=None,
        )


def _note_error(
    system: System, mailbox: Mailbox, state: FolderState, error: OperationalError
) -> None:
    failures = state.failures + 1
    # Only a refused login waits: trying it every 30 seconds locks the account.
    refused = isinstance(error, LoginRefused)
    wait = min(_FIRST_WAIT * 2**failures, _LONGEST_WAIT)
    with system.store.write() as tx:
        ledger.save_folder_state(
            tx,
            mailbox.name,
            "",
            last_error=str(error),
            failures=failures if refused else 0,
            retry_at=clock.now() + wait if refused else None,
        )


def _fetch_folder(
    system: System, mailbox: Mailbox, source: MailSource, folder: str, report: PassReport
) -> tuple[FolderStatus, list[str]]:
    """Fetch one folder; which mails the server was told about."""
    started = clock.now()
    status = source.open(folder)
    with system.store.read() as tx:
        state = ledger.folder_state(tx, mailbox.name, folder)
    listed = _list(mailbox, source, status, state)
    checkpoint.reach("fetch.listed")
    _enlist(system, mailbox, status, state, listed)
    with system.store.read() as tx:
        waiting = ledger.to_fetch(tx, mailbox.name, folder, status.uidvalidity)
    for batch in source.fetch(_in_order(waiting, listed)):
        report.count(mailbox.name, "fetched", sum(item.raw is not None for item in batch))
        checkpoint.reach("fetch.batch")
        _store(system, mailbox, status, batch, report)
    told = _tell_server(system, mailbox, source, status)
    with system.store.write() as tx:
        ledger.save_folder_state(tx, mailbox.name, folder, last_run=started)
    return status, told


def _list(
    mailbox: Mailbox, source: MailSource, status: FolderStatus, state: FolderState
) -> list[Listed]:
    """Which mails the mode asks for; the ledger decides afterwards which of them are new (S15)."""
    assert mailbox.inbound is not None
    unread = mailbox.inbound.fetch is Fetch.UNREAD
    since = mailbox.bounds_first_import() if state.last_run is None else None
    renumbered = state.uidvalidity is not None and state.uidvalidity != status.uidvalidity
    if not renumbered:
        return source.list(unread=unread, above=state.high_water, since=since)
    # The folder was made anew, and its UIDs mean nothing any more: read it again, and let the
    # content tell what is new. Unread mode has never read old seen mail, and need not now.
    overlap = state.last_run - _OVERLAP if unread and state.last_run else None
    every = source.list(unread=False, above=None, since=overlap)
    if unread:
        every += source.list(unread=True, above=None, since=None)
    return list({item.uid: item for item in every}.values())


def _enlist(
    system: System,
    mailbox: Mailbox,
    status: FolderStatus,
    state: FolderState,
    listed: Sequence[Listed],
) -> None:
    """Enter what is new into the ledger, and move the high-water mark, in one transaction."""
    assert mailbox.inbound is not None
    place = (mailbox.name, status.folder, status.uidvalidity)
    highest = [int(item.uid) for item in listed] if status.ordered else []
    if status.ordered and status.uidnext:
        highest.append(status.uidnext - 1)
    same = state.uidvalidity == status.uidvalidity
    if same and state.high_water is not None:
        highest.append(state.high_water)
    first_run = not status.ordered and state.last_run is None
    skip_seen = first_run and mailbox.inbound.fetch is Fetch.UNREAD
    with system.store.write() as tx:
        known = ledger.known_uids(tx, *place, (item.uid for item in listed))
        new = [item for item in listed if item.uid not in known]
        ledger.enlist(tx, *place, (i.uid for i in new if not (skip_seen and i.seen)))
        ledger.enlist(tx, *place, (i.uid for i in new if skip_seen and i.seen), "passed_over")
        ledger.save_folder_state(
            tx,
            mailbox.name,
            status.folder,
            uidvalidity=status.uidvalidity,
            high_water=max(highest, default=None),
        )


def _in_order(waiting: Iterable[str], listed: Sequence[Listed]) -> list[Listed]:
    """What waits to be fetched: left over from earlier passes, then as the server lists it.

    UIDs tell the order of arrival in IMAP alone; POP3 and Maildir list by arrival.
    """
    open_ = set(waiting)
    left_over = open_ - {item.uid for item in listed}
    earlier = sorted(left_over, key=lambda uid: (int(uid) if uid.isdigit() else 0, uid))
    return [
        *(Listed(uid, None, seen=False) for uid in earlier),
        *(item for item in listed if item.uid in open_),
    ]


def _store(
    system: System,
    mailbox: Mailbox,
    status: FolderStatus,
    batch: Sequence[Fetched],
    report: PassReport,
) -> None:
    """One transaction for a batch: bytes, KolibriMessages, ledger."""
    place = (mailbox.name, status.folder, status.uidvalidity)
    with system.store.write() as tx:
        tries = ledger.still_open(tx, *place, (item.uid for item in batch))
        mine = [item for item in batch if item.uid in tries]
        entries = [_failure(item, tries[item.uid]) for item in mine if item.raw is None]
        came = [item for item in mine if item.raw is not None]
        stored, duplicates = _insert(tx, mailbox, status.folder, came)
        ledger.settle(tx, *place, [*stored, *duplicates, *entries])
        checkpoint.reach("store.batch")
    report.count(mailbox.name, "stored", len(stored))
    report.count(mailbox.name, "duplicates", len(duplicates))
    report.errors.extend(
        f"Mailbox {mailbox.name}, folder {status.folder}: mail {entry.uid} cannot be fetched "
        f"({entry.error}); {_WHAT_NEXT[entry.state]}"
        for entry in entries
    )


def _failure(item: Fetched, tries: int) -> Entry:
    given_up = tries + 1 >= _QUARANTINE_AFTER
    return Entry(item.uid, "quarantined" if given_up else "failing", error=item.error)


def _insert(
    tx: sa.Connection, mailbox: Mailbox, folder: str, items: Sequence[Fetched]
) -> tuple[list[Entry], list[Entry]]:
    """Enter mails that came through: ledger entries of the new ones, and of the duplicates."""
    done = mailbox.leaves_alone(folder)
    names = [content_key(item.raw or b"") for item in items]
    known = ledger.known_contents(tx, mailbox.name, names)
    fresh: dict[str, Fetched] = {}
    for item, name in zip(items, names, strict=True):
        if name not in known:
            fresh.setdefault(name, item)
    stored_as = blobs.put(tx, [item.raw or b"" for item in fresh.values()])
    arrivals = [
        messages.Arrival(blob, len(item.raw or b""), item.received_at or clock.now())
        for blob, item in zip(stored_as, fresh.values(), strict=True)
    ]
    numbers = dict(zip(fresh, messages.insert_fetched(tx, mailbox.name, arrivals), strict=True))
    stored, duplicates = [], []
    for item, name in zip(items, names, strict=True):
        if fresh.get(name) is item:
            stored.append(Entry(item.uid, "stored", name, numbers[name], server_done=done))
        else:
            first = known.get(name) or numbers[name]
            duplicates.append(Entry(item.uid, "duplicate", name, first, server_done=done))
    return stored, duplicates


def _tell_server(
    system: System, mailbox: Mailbox, source: MailSource, status: FolderStatus
) -> list[str]:
    """Mark on the server what is safe in the database (S17), this run's mail and earlier runs'."""
    if mailbox.leaves_alone(status.folder):
        return []
    with system.store.read() as tx:
        uids = ledger.undone(tx, mailbox.name, status.folder, status.uidvalidity)
    if uids:
        checkpoint.reach("fetch.before_server_mark")
        assert mailbox.inbound is not None
        match mailbox.inbound.after:
            case MoveTo(move=folder):
                _pass_over(system, mailbox, source.move(uids, folder))
            case After.DELETE:
                source.mark_deleted(uids)
            case _:
                source.mark_seen(uids)
        checkpoint.reach("fetch.after_server_mark")
    return uids


def _pass_over(system: System, mailbox: Mailbox, moved: Sequence[Moved]) -> None:
    """Moved mails were fetched: in the folder where they are now, they need not be once more.

    Where the server does not say where they are, their content tells, after they were fetched.
    """
    with system.store.write() as tx:
        for one in moved:
            place = (mailbox.name, one.folder, one.uidvalidity)
            ledger.enlist(tx, *place, one.uids, "passed_over")
