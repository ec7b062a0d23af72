"""Bounced addresses: marked by what condemns the address, counted by the rest."""

from __future__ import annotations

from datetime import timedelta

from kolibri_sdk.model.message import BounceReport
from kolibri_sdk.store import Store, bounced
from tests.store.conftest import MOMENT

UNKNOWN = BounceReport("anna@example.org", "5.1.1", "failed", "no such user")
FULL = BounceReport("anna@example.org", "5.2.2", "failed", "mailbox is full")
LATE = BounceReport("anna@example.org", "4.4.7", "delayed", "still trying")


def _note(store: Store, *reports: BounceReport, address: str = "Anna@Example.org") -> None:
    for day, report in enumerate(reports):
        with store.write() as tx:
            at = MOMENT + timedelta(days=day)
            bounced.note(tx, address, report, at=at, message=day + 1)


def test_what_condemns_an_address_marks_it_from_the_first_time_on(store: Store) -> None:
    _note(store, UNKNOWN, UNKNOWN)
    with store.read() as tx:
        (row,) = bounced.select(tx)
        assert bounced.unreachable(tx, ["ANNA@example.org", "bob@example.org"]) == {
            "anna@example.org": row
        }
        assert bounced.count_unreachable(tx) == 1
    assert row == {
        "address": "anna@example.org",
        "permanent": 2,
        "temporary": 0,
        "since": MOMENT,
        "last_at": MOMENT + timedelta(days=1),
        "status": "5.1.1",
        "reason": "no such user",
        "message": 2,
    }


def test_what_is_about_one_mail_only_counts(store: Store) -> None:
    _note(store, LATE, FULL)
    with store.read() as tx:
        (row,) = bounced.select(tx)
        assert bounced.unreachable(tx, ["anna@example.org"]) == {}
        assert bounced.count_unreachable(tx) == 0
    assert (row["permanent"], row["temporary"], row["since"]) == (0, 2, None)
    assert row["reason"] == "mailbox is full"


def test_the_reason_of_a_mark_stays_whatever_comes_after(store: Store) -> None:
    _note(store, LATE, UNKNOWN, LATE)
    with store.read() as tx:
        (row,) = bounced.select(tx)
    assert (row["permanent"], row["temporary"]) == (1, 2)
    assert (row["status"], row["reason"], row["message"]) == ("5.1.1", "no such user", 2)
    assert row["since"] == row["last_at"] == MOMENT + timedelta(days=1)


def test_a_mark_is_cleared_once(store: Store) -> None:
    _note(store, UNKNOWN)
    with store.write() as tx:
        assert bounced.clear(tx, "ANNA@example.org")
        assert not bounced.clear(tx, "anna@example.org")
        assert bounced.select(tx) == []
