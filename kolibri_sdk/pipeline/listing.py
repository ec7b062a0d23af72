"""What of a folder is new, and what of it is asked for: the way into the ledger (S15, S16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from kolibri_sdk import checkpoint, clock
from kolibri_sdk.mailboxes import FolderStatus, Listed, MailSource
from kolibri_sdk.model.mailbox import Fetch, Mailbox
from kolibri_sdk.pipeline.leased import Lease
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import ledger, renumbering
from kolibri_sdk.store.ledger import FolderState

__all__ = ["list_new"]

#: How far before the last run a folder that was made anew is read again in unread mode; our clock
#: and the server's may differ by as much.
_OVERLAP = timedelta(days=2)
_MADE_ANEW = "the folder was made anew before this mail could be fetched"


@dataclass(frozen=True, slots=True)
class _Found:
    """The mails that a listing asks for, and those that it leaves alone."""

    wanted: Sequence[Listed]
    passed_over: Sequence[Listed] = ()  #: others had read them before the first run
    too_old: Sequence[Listed] = ()  #: older than the mailbox's ``since``

    @property
    def every(self) -> list[Listed]:
        return [*self.wanted, *self.passed_over, *self.too_old]


def list_new(
    system: System, mailbox: Mailbox, source: MailSource, status: FolderStatus, lease: Lease
) -> tuple[Sequence[Listed], str]:
    """Ask the server what may be new, and enter it into the ledger, with the high-water mark.

    Returns
    -------
    tuple of (sequence of Listed, str)
        What the server lists, new or not; and a word for the report where UIDs have lost their
        meaning.
    """
    place = (mailbox.name, status.folder, status.uidvalidity)
    with system.store.read() as tx:
        state = ledger.folder_state(tx, mailbox.name, status.folder)
    first = state.uidvalidity is None
    turned_back = _has_turned_back(source, status, state)
    anew = turned_back or (not first and state.uidvalidity != status.uidvalidity)
    found = (
        _whole_folder(mailbox, source, state)
        if first or anew
        else _since_last_run(mailbox, source, state)
    )
    checkpoint.reach("fetch.listed")
    with system.store.read() as tx:
        new = _new(tx, place, mailbox, found.wanted)
        reused = set() if status.ordered else renumbering.reused_uids(tx, *place, _sizes(found))
    if not (first or anew or reused or new) and _marks_stay(status, state, found):
        return found.wanted, ""
    if not (first or status.ordered) and len(new) == len(found.wanted):
        found = _without_old(mailbox, source, found)
    with system.store.write() as tx:
        lease.check(tx)
        if turned_back:
            renumbering.set_aside(tx, *place)
        elif reused:
            renumbering.set_aside(tx, *place, reused)
        if anew:
            renumbering.close_others(tx, *place, _MADE_ANEW)
        _enlist(tx, mailbox, status, replace(state, high_water=None) if anew else state, found)
    return found.wanted, _made_anew(mailbox, status) if anew else ""


def _made_anew(mailbox: Mailbox, status: FolderStatus) -> str:
    return (
        f"Mailbox {mailbox.name}: the folder {status.folder} was made anew on the server, and was "
        "read again; what had come before is known by its content"
    )


def _since_last_run(mailbox: Mailbox, source: MailSource, state: FolderState) -> _Found:
    assert mailbox.inbound is not None
    unread = mailbox.inbound.fetch is Fetch.UNREAD
    above = state.confirmed or 0
    if above and state.confirmed != state.high_water:
        above -= 1  # the second look: a connection answers the very same question from memory
    return _Found(source.list(unread=unread, above=above, since=None))


def _without_old(mailbox: Mailbox, source: MailSource, found: _Found) -> _Found:
    """Where a POP3 server names all its mails anew, ``since`` counts as on the first run."""
    bound = mailbox.bounds_first_import()
    if bound is None or not found.wanted:
        return found
    late = _since(source, found.wanted, bound)
    return _Found(late, too_old=_others(found.wanted, late))


def _has_turned_back(source: MailSource, status: FolderStatus, state: FolderState) -> bool:
    """Whether the server gives UIDs a second time, as after the restore of an old backup of it."""
    if (
        not status.ordered
        or status.uidnext is None
        or state.high_water is None
        or state.uidvalidity != status.uidvalidity
        or status.uidnext > state.high_water
    ):
        return False
    # Some servers name a wrong UIDNEXT; mails that have higher UIDs give them away.
    return all(int(uid) < status.uidnext for uid in source.present())


def _whole_folder(mailbox: Mailbox, source: MailSource, state: FolderState) -> _Found:
    """The first run, or one on a folder that was made anew, whose UIDs mean nothing any more.

    Then the content tells what is new. Unread mode has never read what was read by others before
    its first run, and need not now: seen mail counts from the last run on, with an overlap.
    """
    assert mailbox.inbound is not None
    every = source.list(unread=False, above=None, since=None)
    bound = mailbox.bounds_first_import()
    late = every if bound is None else _since(source, every, bound)
    wanted = late
    if mailbox.inbound.fetch is Fetch.UNREAD:
        known = _last_known(state)
        recent = {item.uid for item in _since(source, late, known)} if known else set()
        wanted = [item for item in late if not item.seen or item.uid in recent]
    return _Found(wanted, _others(late, wanted), _others(every, late))


def _others(every: Sequence[Listed], some: Sequence[Listed]) -> list[Listed]:
    taken = {item.uid for item in some}
    return [item for item in every if item.uid not in taken] if len(every) > len(some) else []


def _last_known(state: FolderState) -> datetime | None:
    """From when on seen mail may be new: the last run, less an overlap, not before the first.

    None before the first run; a first run that was broken off counts, too.
    """
    # Servers tell the time of arrival in whole seconds, so that what came right after the first
    # run may seem to have come before it.
    began = state.began_at.replace(microsecond=0) if state.began_at else None
    if state.last_run is None:
        return began
    overlap = state.last_run - _OVERLAP
    # A first run later than the last one: the clock was set back meanwhile.
    return max(overlap, began) if began is not None and began <= state.last_run else overlap


def _since(source: MailSource, listed: Sequence[Listed], bound: datetime) -> Sequence[Listed]:
    late = {item.uid for item in source.list(unread=False, above=None, since=bound)}
    return [item for item in listed if item.uid in late]


def _marks_stay(status: FolderStatus, state: FolderState, found: _Found) -> bool:
    return _highest(status, state, found) == state.high_water == state.confirmed


def _highest(status: FolderStatus, state: FolderState, found: _Found) -> int | None:
    """The high-water mark after this listing."""
    if not status.ordered:
        return None
    marks = [int(item.uid) for item in found.every]
    if status.uidnext:
        marks.append(status.uidnext - 1)
    if state.high_water is not None:
        marks.append(state.high_water)
    return max(marks, default=None)


def _enlist(
    tx: sa.Connection, mailbox: Mailbox, status: FolderStatus, state: FolderState, found: _Found
) -> None:
    place = (mailbox.name, status.folder, status.uidvalidity)
    sizes = _sizes(found)
    groups = {
        "listed": found.wanted,
        "passed_over": found.passed_over,
        "too_old": found.too_old,
    }
    for kind, listed in groups.items():
        new = _new(tx, place, mailbox, listed)
        ledger.enlist(tx, *place, (item.uid for item in new), kind, sizes=sizes)
    began = {} if state.began_at else {"began_at": clock.now()}
    ledger.save_folder_state(
        tx,
        mailbox.name,
        status.folder,
        uidvalidity=status.uidvalidity,
        high_water=_highest(status, state, found),
        confirmed=state.high_water,
        **began,
    )


def _sizes(found: _Found) -> dict[str, int | None]:
    return {item.uid: item.size for item in found.every}


def _new(
    tx: sa.Connection, place: tuple[str, str, int], mailbox: Mailbox, listed: Sequence[Listed]
) -> list[Listed]:
    """What the ledger does not know, or knows as left alone and would not leave alone any more.

    A mail that is there again is new; so is one that others had read before our first run and that
    somebody has marked as unread since, in unread mode.
    """
    assert mailbox.inbound is not None
    known = ledger.states(tx, *place, (item.uid for item in listed))
    unread = mailbox.inbound.fetch is Fetch.UNREAD
    return [
        item
        for item in listed
        if (state := known.get(item.uid)) is None
        or state == "gone"
        or (state == "passed_over" and unread and not item.seen)
    ]
