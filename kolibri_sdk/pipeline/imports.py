"""Historic mail into the central table: once per mailbox, resumable, and triggering nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from kolibri_sdk import checkpoint, clock
from kolibri_sdk.archives import ArchivedMail
from kolibri_sdk.errors import OperationalError, StoreError
from kolibri_sdk.mail import arrived_at, content_names, parse_mail
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.message import Direction, ParsedMail
from kolibri_sdk.pipeline.import_report import ImportReport
from kolibri_sdk.pipeline.import_sources import ImportSource, ToImport
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.schedule import Stop
from kolibri_sdk.store import imports, ledger
from kolibri_sdk.store.imports import Imported

__all__ = ["Progress", "import_mails"]

_BATCH = 250  #: mails per transaction
_BATCH_BYTES = 8 * 1024 * 1024  #: and their bytes; a single larger mail comes alone
_MOST_TRIES = 5  #: a kill may have hit an innocent mail: it is given up late

#: Called after each batch, with the report so far and how much of the source was gone through.
Progress = Callable[[ImportReport, int], None]


@dataclass(frozen=True, slots=True)
class _Selection:
    """What of a source is wanted."""

    folders: Collection[str] | None
    since: datetime | None
    direction: Direction | None


def import_mails(
    system: System,
    mailbox: Mailbox,
    source: ImportSource,
    *,
    folders: Collection[str] | None = None,
    since: datetime | None = None,
    direction: Direction | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> ImportReport:
    """Import historic mail; no rule sees it, no answer goes out, no record's stream changes.

    A mail whose content the mailbox has already, from an earlier import or from the poller, is
    counted and left; so an import that was broken off is gone on with by starting it again.

    Parameters
    ----------
    folders : collection of str, optional
        Only these of the source.
    since : datetime, optional
        Leave out what arrived (or, where that is not known, was sent) before.
    direction : Direction, optional
        Of all mails; else a mail from an address of the mailbox's own is outgoing.
    progress : callable, optional
        See `Progress`.
    stop : Stop, optional
        Ends it after the batch at hand.
    """
    report = ImportReport(source.name, mailbox.name)
    wanted = _Selection(folders, since, direction)
    elapsed = clock.stopwatch()
    try:
        for batch in _batches(source, wanted, report):
            _import_batch(system, mailbox, wanted, batch, report)
            if progress is not None:
                report.seconds = elapsed()
                progress(report, source.done)
            if stop is not None and stop.requested:
                break
        else:
            report.complete = True
    except OperationalError as error:
        report.complain(str(error))
    report.seconds = elapsed()
    return report


@dataclass(frozen=True, slots=True)
class _Item:
    """A mail that can be read, and what identifies it."""

    found: ToImport
    raw: bytes
    key: str
    blob: str

    @property
    def folder(self) -> str:
        return self.found.mail.folder


def _batches(
    source: ImportSource, wanted: _Selection, report: ImportReport
) -> Iterator[list[_Item]]:
    batch: list[_Item] = []
    held = passed = 0
    for found in source:
        mail = found.mail
        if wanted.folders is not None and mail.folder not in wanted.folders and not mail.error:
            continue
        report.count(mail.folder, "read")
        passed += 1
        if found.skipped:
            report.count(mail.folder, found.skipped)
        elif mail.raw is None:
            report.count(mail.folder, "unreadable")
            report.complain(f"{mail.source}: {mail.error}")
        elif wanted.since is not None and _is_older(mail, mail.raw, wanted.since):
            report.count(mail.folder, "older")
        else:
            batch.append(_Item(found, mail.raw, *content_names(mail.raw)))
            held += len(mail.raw)
        if len(batch) >= _BATCH or held >= _BATCH_BYTES or passed >= 10 * _BATCH:
            yield batch
            batch, held, passed = [], 0, 0
    yield batch


def _is_older(mail: ArchivedMail, raw: bytes, since: datetime) -> bool:
    end = min((at for at in (raw.find(b"\n\n"), raw.find(b"\n\r\n")) if at >= 0), default=len(raw))
    moment = arrived_at(parse_mail(raw[: end + 1]), mail.received_at)
    return moment is not None and moment < since


def _import_batch(
    system: System,
    mailbox: Mailbox,
    wanted: _Selection,
    batch: Sequence[_Item],
    report: ImportReport,
) -> None:
    first = {item.key: item for item in reversed(batch)}
    with system.store.read() as tx:
        known = ledger.known_contents(tx, mailbox.name, first)
        tries = imports.tries(tx, mailbox.name, first)
    fresh = [item for item in batch if first[item.key] is item and item.key not in known]
    for item in batch:
        if first[item.key] is not item or item.key in known:
            report.count(item.folder, "known")
    with_places = [item for item in batch if item.key in known and item.found.server]
    if with_places:
        with system.store.write() as tx:
            _note_places(tx, mailbox, with_places, known, "duplicate")
    # Where an import ended in the middle of a batch, one of its mails may have ended it.
    groups = [[item] for item in fresh if tries.get(item.key)]
    groups.append([item for item in fresh if not tries.get(item.key)])
    for group in groups:
        if group:
            _enter(system, mailbox, wanted, group, tries, report)


def _enter(
    system: System,
    mailbox: Mailbox,
    wanted: _Selection,
    group: Sequence[_Item],
    tries: dict[str, int],
    report: ImportReport,
) -> None:
    keys = [item.key for item in group]
    with system.store.write() as tx:
        imports.begin(tx, mailbox.name, keys)
    checkpoint.reach("import.begun")
    made = [_read(mailbox, wanted, item, tries.get(item.key, 0)) for item in group]
    try:
        mine = _store(system, mailbox, group, made)
    except StoreError:
        # The count tells of mails that take the process down, not of a full disk.
        with suppress(StoreError), system.store.write() as tx:
            imports.release(tx, mailbox.name, keys)
        raise
    for item, one in zip(group, made, strict=True):
        report.count(item.folder, "imported" if item.key in mine else "known")
        report.count(item.folder, "unparsed", int(item.key in mine and bool(one.error)))


def _store(
    system: System, mailbox: Mailbox, group: Sequence[_Item], made: Sequence[Imported]
) -> set[str]:
    """One transaction: bytes, KolibriMessages, ledger; which of them were new even now."""
    with system.store.write() as tx:
        imports.take_turns(tx, mailbox.name)
        mine = imports.still_open(tx, mailbox.name, (item.key for item in group))
        mine -= ledger.known_contents(tx, mailbox.name, mine).keys()
        chosen = [(item, one) for item, one in zip(group, made, strict=True) if item.key in mine]
        numbers = imports.insert(tx, mailbox.name, [one for _, one in chosen])
        entered = {item.key: n for (item, _), n in zip(chosen, numbers, strict=True)}
        imports.settle(tx, mailbox.name, entered)
        _note_places(tx, mailbox, [item for item, _ in chosen], entered, "stored")
        checkpoint.reach("import.batch")
    return mine


def _note_places(
    tx: sa.Connection,
    mailbox: Mailbox,
    items: Sequence[_Item],
    numbers: Mapping[str, int],
    state: str,
) -> None:
    for item in items:
        if item.found.server is not None:
            number = numbers[item.key]
            imports.note_place(tx, mailbox.name, item.found.server, item.key, number, state)


def _read(mailbox: Mailbox, wanted: _Selection, item: _Item, tries: int) -> Imported:
    mail = item.found.mail
    parsed, error = None, ""
    if tries >= _MOST_TRIES:
        error = f"parsing ended the process {tries} times"
    else:
        parsed = parse_mail(item.raw, trusted_authserv=mailbox.trusted_authserv)
        error = parsed.incomplete
    direction = wanted.direction or _direction(mailbox, parsed)
    arrived = mail.received_at
    if parsed is not None and item.found.server is None:
        arrived = arrived_at(parsed, mail.received_at)
    received = arrived if direction is Direction.IN else None
    return Imported(item.raw, item.blob, mail.source, received, direction, parsed, error)


def _direction(mailbox: Mailbox, parsed: ParsedMail | None) -> Direction:
    sender = parsed.sender if parsed else None
    own = sender is not None and sender.address.lower() in mailbox.own_addresses
    return Direction.OUT if own else Direction.IN
