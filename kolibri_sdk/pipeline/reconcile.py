"""Server minus ledger, ledger minus server: every difference with its reason, and the mending."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kolibri_sdk import clock
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.mail import parse_mail
from kolibri_sdk.mailboxes import FolderStatus, Listed, MailSource
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.pipeline.difference import Difference, Reason, ReconcileReport
from kolibri_sdk.pipeline.fetch import fetch_mailbox
from kolibri_sdk.pipeline.leased import Lease, leased
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import audit, blobs, ledger, restores
from kolibri_sdk.store.audit import Seen
from kolibri_sdk.store.ledger import Entry, FolderState

__all__ = ["hold_after_restore", "reconcile"]

_STATES = {
    "listed": Reason.WAITING,
    "failing": Reason.FAILING,
    "quarantined": Reason.QUARANTINED,
    "passed_over": Reason.PASSED_OVER,
    "too_old": Reason.TOO_OLD,
    "gone": Reason.NEVER_LISTED,
}
_REFETCHED = (Reason.NEVER_LISTED, Reason.MESSAGE_MISSING)
_BYTES = (Reason.BYTES_MISSING, Reason.BYTES_DAMAGED)


def reconcile(
    system: System, mailbox: Mailbox, *, repair: bool = False, whole: bool = True
) -> ReconcileReport:
    """Compare a mailbox with the database; no mail is changed on either side but by the repair.

    Parameters
    ----------
    repair : bool
        Mend what can be mended safely: list and fetch what is missing, fetch bytes that were lost
        again, end entries of mail that is gone, tell the server what it was not told.
    whole : bool
        Read all stored bytes and compare their hashes; else they only have to be there.

    Raises
    ------
    ConfigurationError
        When the mailbox has no incoming side.
    MailboxError
        When the server does not play along, or a poller is at work on the mailbox.
    """
    if mailbox.inbound is None:
        raise ConfigurationError(f"Mailbox {mailbox.name} has no inbound side to compare with")
    with leased(system.store, mailbox.name) as lease:
        found = _compared(system, mailbox, whole=whole)
        done = _mended(system, mailbox, lease, found) if repair else []
    if not repair:
        return found
    fetched = PassReport(clock.now())
    fetch_mailbox(system, mailbox, fetched)
    if fetched.counts["stored"]:
        done.append(f"{fetched.counts['stored']} mails fetched; the next pass runs the rules")
    done += fetched.errors
    with leased(system.store, mailbox.name):
        left = _compared(system, mailbox, whole=whole)
    left.done = done or ["nothing was to be mended"]
    return left


def hold_after_restore(system: System, mailbox: Mailbox) -> int:
    """Have no mail sent twice after the database was restored from a backup.

    What is queued is held, and so will be whatever is caused by mail that lies in the mailbox by
    now: the database does not know what went out after the backup was made. A person releases it.

    Returns
    -------
    int
        How many queued mails are held now.

    Raises
    ------
    MailboxBusy
        When a poller is at work on the mailbox.
    """
    reason = (
        "was queued when the database was restored, and may have gone out before. Look into the "
        "mailbox; if it did not: kolibri outbox release"
    )
    with leased(system.store, mailbox.name) as lease, system.store.write() as tx:
        lease.check(tx)
        return restores.note(tx, mailbox.name, reason)


def _compared(system: System, mailbox: Mailbox, *, whole: bool) -> ReconcileReport:
    report = ReconcileReport(mailbox.name)
    with system.connections.source(mailbox) as source:
        for folder in source.folders():
            status = source.open(folder)
            there = source.present()
            report.mails += len(there)
            report.differences += _of_folder(system, mailbox, status, there, whole=whole)
    return report


def _of_folder(
    system: System, mailbox: Mailbox, status: FolderStatus, there: frozenset[str], *, whole: bool
) -> Iterator[Difference]:
    place = (mailbox.name, status.folder, status.uidvalidity)
    with system.store.read() as tx:
        state = ledger.folder_state(tx, mailbox.name, status.folder)
        known = audit.entries(tx, *place)
        old = audit.count_old(tx, *place)
        absent = [seen for uid, seen in known.items() if uid not in there]
        here = (seen.content for seen in absent if seen.content and not seen.server_told)
        elsewhere = set(audit.lies_at(tx, mailbox.name, here))

    def told(uid: str, reason: Reason, seen: Seen | None = None, detail: str = "") -> Difference:
        number = seen.message if seen else None
        return Difference(mailbox.name, status.folder, uid, reason, number, detail)

    for uid in _in_order(there - known.keys()):
        yield told(uid, _unknown(uid, status, state))
    for uid in _in_order(there & known.keys()):
        seen = known[uid]
        reason = _present(mailbox, status, seen)
        if reason is not None:
            yield told(uid, reason, seen, seen.error)
    for seen in absent:
        moved_to = [
            folder
            for content, folder, uidvalidity, _ in elsewhere
            if content == seen.content and folder != status.folder and uidvalidity >= 0
        ]
        reason = _absent(seen, moved=bool(moved_to))
        if reason is not None:
            yield told(seen.uid, reason, seen, moved_to[0] if moved_to else seen.server_told)
    if old:
        place_name = (mailbox.name, status.folder)
        yield Difference(*place_name, "", Reason.MADE_ANEW, number=old)
    yield from _of_bytes(system, mailbox, status, known.values(), whole=whole)


def _in_order(uids: Iterable[str]) -> list[str]:
    return sorted(uids, key=lambda uid: (int(uid) if uid.isdigit() else 0, uid))


def _unknown(uid: str, status: FolderStatus, state: FolderState) -> Reason:
    """Why a mail on the server is not in the ledger."""
    same = state.uidvalidity == status.uidvalidity and state.high_water is not None
    beyond = same and status.ordered and int(uid) <= (state.high_water or 0)
    return Reason.NEVER_LISTED if beyond else Reason.ARRIVED


def _present(mailbox: Mailbox, status: FolderStatus, seen: Seen) -> Reason | None:
    """Why a mail that is on the server and in the ledger is not simply stored; None: it is."""
    if seen.state in _STATES:
        return _STATES[seen.state]
    if seen.message is not None and not seen.stored:
        return Reason.MESSAGE_MISSING
    if not seen.server_done and not mailbox.leaves_alone(status.folder):
        return Reason.NOT_TOLD
    if seen.server_told == "delete" or seen.server_told.startswith("move "):
        return Reason.STILL_THERE
    return Reason.DUPLICATE if seen.state == "duplicate" else None


def _absent(seen: Seen, *, moved: bool) -> Reason | None:
    """Why a mail of the ledger is not on the server; None: it was never to be fetched."""
    if seen.message is not None and not seen.stored:
        return Reason.MESSAGE_MISSING
    if seen.server_told == "delete":
        return Reason.DELETED_BY_US
    if seen.server_told.startswith("move "):
        return Reason.MOVED_BY_US
    if not seen.server_done:
        return Reason.NOT_TOLD  # the process ended between the word to the server and the note
    if seen.state in ("listed", "failing", "quarantined", "gone"):
        return Reason.GONE
    if seen.state in ("passed_over", "too_old", "moved"):
        return None
    return Reason.MOVED if moved else Reason.DELETED


def _of_bytes(
    system: System, mailbox: Mailbox, status: FolderStatus, known: Iterable[Seen], *, whole: bool
) -> Iterator[Difference]:
    """The messages of the folder whose bytes, or whose attachments' bytes, are not as stored."""
    of = {seen.message: seen for seen in known if seen.stored and seen.state != "duplicate"}
    with system.store.read() as tx:
        names = list(audit.names_of(tx, [number for number in of if number is not None]))
        wrong = audit.damaged(tx, {name for _, name in names}, whole=whole)
    for number, name in names:
        if name in wrong:
            reason = Reason.BYTES_MISSING if wrong[name] == "missing" else Reason.BYTES_DAMAGED
            detail = f"blob {name[:12]}…" + ("" if of[number].blob == name else ", an attachment")
            place = (mailbox.name, status.folder, of[number].uid)
            yield Difference(*place, reason, number, detail, name)


# The mending


def _mended(system: System, mailbox: Mailbox, lease: Lease, found: ReconcileReport) -> list[str]:
    done: list[str] = []
    with system.connections.source(mailbox) as source:
        for folder in source.folders():
            mine = [one for one in found.differences if one.folder == folder]
            status = source.open(folder)
            done += _mended_folder(system, mailbox, lease, source, status, mine)
    return done


def _mended_folder(
    system: System,
    mailbox: Mailbox,
    lease: Lease,
    source: MailSource,
    status: FolderStatus,
    found: Sequence[Difference],
) -> list[str]:
    place = (mailbox.name, status.folder, status.uidvalidity)
    missing = [one.uid for one in found if one.reason in _REFETCHED]
    there = source.present()
    gone = _open(system, place, [one.uid for one in found if one.reason is Reason.GONE])
    lost = [one.message for one in found if one.reason is Reason.MESSAGE_MISSING]
    done = []
    with system.store.write() as tx:
        lease.check(tx)
        audit.forget_messages(tx, mailbox.name, [number for number in lost if number is not None])
        ledger.enlist(tx, *place, [uid for uid in missing if uid in there])
        ledger.settle(tx, *place, [Entry(uid, "gone", error="removed by others") for uid in gone])
    if missing:
        done.append(f"{status.folder}: {len(missing)} mails are listed to be fetched")
    if absent := [uid for uid in missing if uid not in there]:
        done.append(
            f"{status.folder}: {len(absent)} of them are on the server no more: "
            f"{', '.join(absent[:20])}; only a backup has them"
        )
    if gone:
        done.append(f"{status.folder}: {len(gone)} entries of mail that is gone are ended")
    return done + _mended_bytes(system, source, [one for one in found if one.reason in _BYTES])


def _open(system: System, place: tuple[str, str, int], uids: Sequence[str]) -> list[str]:
    with system.store.read() as tx:
        states = ledger.states(tx, *place, uids)
    return [uid for uid in uids if states[uid] != "gone"]


def _mended_bytes(system: System, source: MailSource, found: Sequence[Difference]) -> list[str]:
    """Fetch mails again whose bytes are lost, and store what their messages had of them."""
    if not found:
        return []
    lost: dict[str, list[Difference]] = {}
    for one in found:
        lost.setdefault(one.uid, []).append(one)
    done = []
    there = source.present()
    for batch in source.fetch([Listed(uid, None, seen=True) for uid in lost if uid in there]):
        for item in batch:
            if item.raw is not None:
                done += _restored(system, item.raw, lost.pop(item.uid))
    done += [
        f"message {one.message}: its bytes cannot be had from the server any more; only a backup "
        f"has them ({one.detail})"
        for several in lost.values()
        for one in several
    ]
    return done


def _restored(system: System, raw: bytes, found: Sequence[Difference]) -> list[str]:
    """Store the bytes whose names fit: the mail's own, and those of its attachments."""
    wanted = {one.blob: one for one in found}
    parts = [raw, *(part.content for part in parse_mail(raw).attachments)]
    by_name = {blobs.content_hash(part): part for part in parts}
    done = []
    with system.store.write() as tx:
        for name, one in wanted.items():
            assert name is not None
            if name in by_name:
                blobs.forget(tx, name)
                blobs.put(tx, [by_name[name]])
                audit.parse_again(tx, name)
                done.append(f"message {one.message}: its bytes were fetched again ({one.detail})")
            else:
                done.append(
                    f"message {one.message}: the server has other bytes now; only a backup has "
                    f"those that were stored ({one.detail})"
                )
    return done
