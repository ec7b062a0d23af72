"""The ledger: what was seen on a server, and how far each folder was read (S15, S16)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from kolibri_sdk.store import Store, ledger, overview
from kolibri_sdk.store.column_types import UtcDateTime
from kolibri_sdk.store.ledger import Entry, FolderState
from tests.store.conftest import MOMENT

PLACE = ("support", "INBOX", 42)


def _enlist(store: Store, *uids: str) -> None:
    with store.write() as tx:
        ledger.enlist(tx, *PLACE, uids)


def _settle(store: Store, *entries: Entry) -> None:
    with store.write() as tx:
        ledger.settle(tx, *PLACE, entries)


def _waiting(tx: sa.Connection, *place: Any) -> list[str]:
    return ledger.to_fetch(tx, *(place or PLACE), longest_wait=timedelta(hours=1))


def test_what_is_listed_once_is_never_forgotten(store: Store) -> None:
    _enlist(store, "1", "2")
    _enlist(store, "2", "3")
    with store.read() as tx:
        assert sorted(_waiting(tx)) == ["1", "2", "3"]
        assert ledger.states(tx, *PLACE, ["2", "3", "4"]) == {"2": "listed", "3": "listed"}


@pytest.mark.parametrize(
    "other", [("sales", "INBOX", 42), ("support", "Archive", 42), ("support", "INBOX", 43)]
)
def test_uids_count_in_their_folder_and_validity_only(
    store: Store, other: tuple[str, str, int]
) -> None:
    _enlist(store, "1")
    with store.read() as tx:
        assert ledger.states(tx, *other, ["1"]) == {}
        assert _waiting(tx, *other) == []


def test_a_second_listing_does_not_undo_what_became_of_a_mail(store: Store) -> None:
    _enlist(store, "1")
    _settle(store, Entry("1", "stored", "abc", 7))
    _enlist(store, "1")
    with store.read() as tx:
        assert _waiting(tx) == []


def test_mail_that_is_passed_over_is_known_and_not_fetched(store: Store) -> None:
    with store.write() as tx:
        ledger.enlist(tx, *PLACE, ["1"], "passed_over")
        assert ledger.states(tx, *PLACE, ["1"]) == {"1": "passed_over"}
        assert _waiting(tx) == []


def test_a_failing_mail_stays_open_until_it_is_given_up(store: Store) -> None:
    _enlist(store, "1", "2")
    for tries in range(3):
        with store.write() as tx:
            assert ledger.still_open(tx, *PLACE, ["1", "9"]) == {"1": tries}
        _settle(store, Entry("1", "failing", error="no such mail"))
    _settle(store, Entry("1", "quarantined", error="no such mail"), Entry("2", "stored", "b", 8))
    with store.write() as tx:
        assert ledger.still_open(tx, *PLACE, ["1", "2"]) == {}
        assert ledger.states(tx, *PLACE, ["1", "2"]) == {"1": "quarantined", "2": "stored"}


def test_contents_are_known_by_mailbox_across_folders(
    store: Store, fetched: Callable[..., list[int]]
) -> None:
    (number,) = fetched(b"abc")
    _enlist(store, "1", "2", "3", "4")
    _settle(
        store,
        Entry("1", "stored", "abc", number),
        Entry("2", "duplicate", "abc", number),
        Entry("3", "failing"),
        Entry("4", "stored", "def", number + 1),  # a message that is not in the table any more
    )
    with store.read() as tx:
        assert ledger.known_contents(tx, "support", ["abc", "def"]) == {"abc": number}
        assert ledger.known_contents(tx, "sales", ["abc"]) == {}


def test_what_the_server_is_to_be_told(store: Store) -> None:
    _enlist(store, "1", "2", "3")
    _settle(
        store,
        Entry("1", "stored", "a", 7, server_done=False),
        Entry("2", "stored", "b", 8, server_done=False),
        Entry("3", "failing"),
    )
    with store.write() as tx:
        assert sorted(ledger.undone(tx, *PLACE)) == ["1", "2"]
        ledger.mark_done(tx, *PLACE, ["1"])
        assert ledger.undone(tx, *PLACE) == ["2"]


def test_the_state_of_a_folder(store: Store) -> None:
    with store.write() as tx:
        assert ledger.folder_state(tx, "support", "INBOX") == FolderState()
        ledger.save_folder_state(tx, "support", "INBOX", uidvalidity=42, high_water=7)
        ledger.save_folder_state(tx, "support", "INBOX", last_run=MOMENT)
        ledger.save_folder_state(tx, "support", "", failures=2, retry_at=MOMENT)
        saved = FolderState(uidvalidity=42, high_water=7, last_run=MOMENT)
        assert ledger.folder_state(tx, "support", "INBOX") == saved
        ledger.save_folder_state(tx, "support", "INBOX", last_run=MOMENT + timedelta(minutes=1))
    with store.read() as tx:
        again = ledger.folder_state(tx, "support", "INBOX")
        account = ledger.folder_state(tx, "support", "")
    assert again == replace(saved, last_run=MOMENT + timedelta(minutes=1))
    assert account == FolderState(failures=2, retry_at=MOMENT)


def test_a_whole_folder_at_once(store: Store) -> None:
    uids = [str(n) for n in range(1, 3_001)]
    _enlist(store, *uids)
    with store.write() as tx:
        assert len(ledger.still_open(tx, *PLACE, uids)) == 3_000
        ledger.settle(tx, *PLACE, [Entry(u, "stored", u, int(u), server_done=False) for u in uids])
        ledger.mark_done(tx, *PLACE, uids[:2_999])
        assert ledger.undone(tx, *PLACE) == ["3000"]


def test_of_two_that_fetched_the_same_mail_one_stores_it(store: Store, second: Store) -> None:
    """The second waits for the first one's transaction, and finds nothing open."""
    _enlist(store, "1", "2")

    def store_mine(opened: Store) -> list[str]:
        with opened.write() as tx:
            mine = ledger.still_open(tx, *PLACE, ["1", "2"])
            ledger.settle(tx, *PLACE, [Entry(uid, "stored", uid, 1) for uid in mine])
            return sorted(mine)

    with ThreadPoolExecutor(1) as threads:
        with store.write() as tx:
            assert ledger.still_open(tx, *PLACE, ["1"]) == {"1": 0}
            waiting = threads.submit(store_mine, second)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
            ledger.settle(tx, *PLACE, [Entry("1", "stored", "a", 1)])
        assert waiting.result(timeout=10) == ["2"]


def test_a_mailbox_at_rest_is_well_from_then_on_and_no_other(store: Store) -> None:
    with store.write() as tx:
        for name in ("support", "sales", "hr"):
            ledger.save_folder_state(tx, name, "", last_success=MOMENT, last_error="refused")

        ledger.note_rest(tx, ["support", "hr"], MOMENT + timedelta(minutes=1))

        assert overview.mailbox_fares(tx) == {
            "support": (MOMENT + timedelta(minutes=1), ""),
            "sales": (MOMENT, "refused"),
            "hr": (MOMENT + timedelta(minutes=1), ""),
        }
        ledger.note_rest(tx, [], MOMENT)


def test_one_question_tells_whether_anything_waits(store: Store) -> None:
    with store.write() as tx:
        assert not overview.anything_waits(tx)
        tx.execute(
            sa.text(
                "insert into kolibri_event (entity, record_key, kind, at, state) "
                "values ('incident', '1', 'insert', :at, 'new')"
            ).bindparams(sa.bindparam("at", MOMENT, UtcDateTime())),
        )
        assert overview.anything_waits(tx)
