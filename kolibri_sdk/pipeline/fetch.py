"""Stage 1: mail from servers into the database, and only then a word to the server (S14-S17)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from kolibri_sdk import checkpoint, clock
from kolibri_sdk.errors import ConnectionFailed, MailboxBusy, OperationalError
from kolibri_sdk.mail import content_names
from kolibri_sdk.mailboxes import Fetched, FolderStatus, Listed, MailSource, Moved
from kolibri_sdk.model.mailbox import After, Mailbox, MoveTo
from kolibri_sdk.pipeline.backoff import INBOUND, note_error, pause
from kolibri_sdk.pipeline.leased import Lease, leased
from kolibri_sdk.pipeline.listing import list_new
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import blobs, ledger, messages, overview
from kolibri_sdk.store.ledger import Entry

__all__ = ["fetch_mailbox"]

#: How long a mail that cannot be fetched waits after each try; after one more it is given up.
_WAITS = (timedelta(0), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30))
_MOST_PER_PASS = 20_000  #: mails of one folder; the other stages get their turn in a first import


def fetch_mailbox(system: System, mailbox: Mailbox, report: PassReport) -> None:
    """Take what is new in every folder of a mailbox; errors go into the report."""
    if mailbox.inbound is None or _rests(system, mailbox, report):
        return
    if why := pause(system.store, mailbox.name, INBOUND):
        report.errors.append(why)
        return
    try:
        with leased(system.store, mailbox.name) as lease:
            _fetch_leased(_Work(system, mailbox, lease, report))
    except MailboxBusy as busy:
        report.refuse([str(busy)])


@dataclass(slots=True)
class _Work:
    """One mailbox in one pass: what it works with, and which folders it has come through."""

    system: System
    mailbox: Mailbox
    lease: Lease
    report: PassReport
    started: datetime = field(default_factory=clock.now)
    read: list[str] = field(default_factory=list)
    told: list[tuple[FolderStatus, list[str], str]] = field(default_factory=list)

    def place(self, status: FolderStatus) -> tuple[str, str, int]:
        """Where the ledger keeps a folder's mails."""
        return self.mailbox.name, status.folder, status.uidvalidity


def _rests(system: System, mailbox: Mailbox, report: PassReport) -> bool:
    """Whether nothing has changed since the last pass, and nothing was left over by it."""
    status = system.connections.at_rest(mailbox)
    if status is None or status.uidnext is None:
        return False
    with system.store.read() as tx:
        if not overview.rests(tx, mailbox.name, status.folder, status.uidvalidity, status.uidnext):
            return False
    report.resting.append(mailbox.name)
    return True


def _fetch_leased(work: _Work) -> None:
    try:
        with work.system.connections.source(work.mailbox) as source:
            for folder in source.folders():
                _fetch_folder(work, source, folder)
                work.read.append(folder)
    except MailboxBusy:
        raise
    except OperationalError as error:
        work.report.errors.append(str(error))
        _note_error(work, error)
        return
    name = work.mailbox.name
    with work.system.store.write() as tx:
        work.lease.check(tx)
        # POP3 deletes at QUIT only, so the ledger learns it after the connection was closed well.
        for status, uids, told in work.told:
            ledger.mark_done(tx, *work.place(status), uids, told)
        _note_read(tx, work)
        well = {"last_success": clock.now(), "last_error": "", "failures": 0, "retry_at": None}
        ledger.save_folder_state(tx, name, "", **well)
        work.lease.release(tx)


def _note_read(tx: sa.Connection, work: _Work) -> None:
    for folder in work.read:
        ledger.save_folder_state(tx, work.mailbox.name, folder, last_run=work.started, failures=0)


def _note_error(work: _Work, error: OperationalError) -> None:
    with work.system.store.write() as tx:
        work.lease.check(tx)
        _note_read(tx, work)
        note_error(tx, work.mailbox.name, INBOUND, error)


def _fetch_folder(work: _Work, source: MailSource, folder: str) -> None:
    status = source.open(folder)
    listed, word = list_new(work.system, work.mailbox, source, status, work.lease)
    work.report.refuse([word] if word else [])
    with work.system.store.read() as tx:
        waiting = ledger.to_fetch(tx, *work.place(status), longest_wait=_WAITS[-1])
        failures = ledger.folder_state(tx, work.mailbox.name, folder).failures
    failed: list[Fetched] = []
    try:
        for batch in _batches(work, source, _in_order(waiting, listed), failures):
            came = [item for item in batch if item.raw is not None]
            failed += [item for item in batch if item.raw is None]
            work.report.count(work.mailbox.name, "fetched", len(came))
            checkpoint.reach("fetch.batch")
            _store(work, status, came)
    except ConnectionFailed:
        _settle_failed(work, status, failed, failed)
        with work.system.store.write() as tx:
            ledger.save_folder_state(tx, work.mailbox.name, folder, failures=failures + 1)
        raise
    _settle_failed(work, status, failed, _still_there(source, failed))
    _tell_server(work, source, status)


def _batches(
    work: _Work, source: MailSource, wanted: Sequence[Listed], failures: int
) -> Iterator[list[Fetched]]:
    """What is wanted, in batches of at most as many mails as the mailbox's file says.

    Where the server has hung up on too many mails, so that a whole batch came to nothing, each
    pass tries with fewer at a time, until every mail is alone and no other waits for it.
    """
    assert work.mailbox.inbound is not None
    size = max(1, work.mailbox.inbound.batch >> 3 * failures)
    some = wanted[:_MOST_PER_PASS]
    for start in range(0, len(some), size):
        yield from source.fetch(some[start : start + size])


def _still_there(source: MailSource, failed: Sequence[Fetched]) -> list[Fetched]:
    """Those of the mails which the server did not give that it still lists."""
    there = source.present() if failed else ()
    return [item for item in failed if item.uid in there]


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


def _store(work: _Work, status: FolderStatus, came: Sequence[Fetched]) -> None:
    """One transaction for a batch: bytes, KolibriMessages, ledger."""
    if not came:
        return
    place = work.place(status)
    with work.system.store.write() as tx:
        work.lease.check(tx)
        tries = ledger.still_open(tx, *place, (item.uid for item in came))
        mine = [item for item in came if item.uid in tries]
        stored, duplicates = _insert(tx, work.mailbox, status.folder, mine)
        ledger.settle(tx, *place, [*stored, *duplicates])
        checkpoint.reach("store.batch")
    work.report.count(work.mailbox.name, "stored", len(stored))
    work.report.count(work.mailbox.name, "duplicates", len(duplicates))


def _settle_failed(
    work: _Work, status: FolderStatus, failed: Sequence[Fetched], there: Sequence[Fetched]
) -> None:
    """Write down which mails the server did not give: to be tried again, given up, or gone."""
    if not failed:
        return
    place = work.place(status)
    listed = {item.uid for item in there}
    with work.system.store.write() as tx:
        work.lease.check(tx)
        tries = ledger.still_open(tx, *place, (item.uid for item in failed))
        entries = [
            _failure(item, tries[item.uid]) if item.uid in listed else _gone(item)
            for item in failed
            if item.uid in tries
        ]
        ledger.settle(tx, *place, entries)
    where = f"Mailbox {work.mailbox.name}, folder {status.folder}: mail"
    for entry in entries:
        if entry.state == "gone":
            work.report.refuse([f"{where} {entry.uid} {entry.error}"])
        else:
            told = f"{where} {entry.uid} cannot be fetched ({entry.error}); {_what_next(entry)}"
            work.report.errors.append(told)


def _failure(item: Fetched, tries: int) -> Entry:
    if tries >= len(_WAITS):
        return Entry(item.uid, "quarantined", error=item.error)
    return Entry(item.uid, "failing", error=item.error, retry_at=clock.now() + _WAITS[tries])


def _gone(item: Fetched) -> Entry:
    return Entry(item.uid, "gone", error="was removed by somebody else before it was fetched")


def _what_next(entry: Entry) -> str:
    if entry.state == "quarantined":
        return (
            f"it was tried {len(_WAITS) + 1} times and is given up; "
            "`kolibri quarantine release` has it tried again"
        )
    if entry.retry_at is not None and entry.retry_at > clock.now():
        return f"it is tried again after {entry.retry_at:%H:%M:%S}Z"
    return "it is tried again in the next pass"


def _insert(
    tx: sa.Connection, mailbox: Mailbox, folder: str, items: Sequence[Fetched]
) -> tuple[list[Entry], list[Entry]]:
    """Enter mails that came through: ledger entries of the new ones, and of the duplicates."""
    done = mailbox.leaves_alone(folder)
    both = [content_names(item.raw or b"") for item in items]
    names = [name for name, _ in both]
    known = ledger.known_contents(tx, mailbox.name, names)
    fresh: dict[str, Fetched] = {}
    stored_as: dict[str, str] = {}
    for item, (name, blob) in zip(items, both, strict=True):
        if name not in known and name not in fresh:
            fresh[name], stored_as[name] = item, blob
    blobs.put_named(tx, {stored_as[name]: item.raw or b"" for name, item in fresh.items()})
    arrivals = [
        messages.Arrival(blob, len(item.raw or b""), item.received_at or clock.now())
        for blob, item in zip(stored_as.values(), fresh.values(), strict=True)
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


def _tell_server(work: _Work, source: MailSource, status: FolderStatus) -> None:
    """Mark on the server what is safe in the database (S17), this run's mail and earlier runs'."""
    if work.mailbox.leaves_alone(status.folder):
        return
    with work.system.store.write() as tx:
        work.lease.check(tx)
        uids = ledger.undone(tx, *work.place(status))
    if uids:
        checkpoint.reach("fetch.before_server_mark")
        work.told.append((status, uids, _told_as(work.mailbox)))
        assert work.mailbox.inbound is not None
        match work.mailbox.inbound.after:
            case MoveTo(move=folder):
                _note_moved(work, source.move(uids, folder))
            case After.DELETE:
                source.mark_deleted(uids)
            case _:
                source.mark_seen(uids)
        checkpoint.reach("fetch.after_server_mark")


def _told_as(mailbox: Mailbox) -> str:
    """How the ledger says what the server was told: ``seen``, ``delete``, ``move FOLDER``."""
    assert mailbox.inbound is not None
    after = mailbox.inbound.after
    return f"move {after.move}" if isinstance(after, MoveTo) else after.value


def _note_moved(work: _Work, moved: Sequence[Moved]) -> None:
    """Moved mails were fetched: in the folder where they are now, they need not be once more.

    Where the server does not say where they are, their content tells, after they were fetched.
    """
    with work.system.store.write() as tx:
        for one in moved:
            place = (work.mailbox.name, one.folder, one.uidvalidity)
            ledger.enlist(tx, *place, one.uids, "moved")
