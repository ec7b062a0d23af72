"""Faults 5 and 8: two pollers on one mailbox, one that dies, and clocks that jump."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from kolibri_sdk import checkpoint, clock
from kolibri_sdk.pipeline import run_pass
from kolibri_sdk.store import upgrade
from kolibri_sdk.store.engine import Store
from tests.faults.conftest import NewDesk, Run
from tests.faults.desk import Desk, once_at
from tests.faults.test_faults_03_05_database import two_runners
from tests.project import ProjectFolder, letter
from tests.servers.dovecot import Dovecot

MORNING = datetime(2026, 5, 4, 8, tzinfo=UTC)
BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(params=BOTH)
def any_desk(request: pytest.FixtureRequest, new_desk: NewDesk) -> Desk:
    return new_desk(database=database_url(request))


def database_url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return "sqlite:///kolibri.db"
    url: str = request.getfixturevalue("postgresql")()
    with closing(Store(url)) as store:
        upgrade(store)
    return url


def test_fault_05_a_second_poller_says_who_is_at_work_and_does_the_rest(
    any_desk: Desk, tmp_path: Path
) -> None:
    any_desk.drop(letter("One"))
    any_desk.healthy_poll()
    any_desk.drop(letter("Two"))
    second: list[list[str]] = []

    def meanwhile() -> None:
        with any_desk.folder.open() as other:
            (report,) = other.poll(passes=1)
            second.append(report.refused)
            assert report.ok, report.errors
            assert not report.counts["fetched"]

    once_at("fetch.listed", meanwhile)
    any_desk.healthy_poll()

    ((told,),) = second
    assert told.startswith("Mailbox support: process ")
    assert "is at work on it" in told
    assert any_desk.titles() == ["One", "Two"]
    (owner,) = any_desk.column("SELECT lease_owner FROM kolibri_mailbox_state WHERE folder = ''")
    assert owner is None, "given back at the end"


def test_fault_05_the_lease_of_a_poller_that_was_killed_passes_on(
    any_desk: Desk, run_pass: Run
) -> None:
    any_desk.drop(letter("One"))
    any_desk.healthy_poll()
    any_desk.drop(letter("Two"))
    any_desk.close()
    assert run_pass(str(any_desk.root), at="store.batch")["status"] == -9
    (owner,) = any_desk.column("SELECT lease_owner FROM kolibri_mailbox_state WHERE folder = ''")
    assert owner is not None

    any_desk.healthy_poll()

    assert any_desk.titles() == ["One", "Two"]


def test_fault_05_a_poller_that_lost_its_lease_writes_nothing_any_more(any_desk: Desk) -> None:
    """It was silent for so long that another one has taken over: a paused machine, for one."""
    any_desk.drop(letter("One"))

    def taken_over() -> None:
        with any_desk.system.store.write() as tx:
            tx.execute(sa.text("UPDATE kolibri_mailbox_state SET lease_owner = 'mail2.1:7:8:1'"))

    once_at("fetch.batch", taken_over)
    report = any_desk.poll()

    assert report.ok, report.errors
    assert any("another poller has taken it over" in told for told in report.refused)
    assert any_desk.titles() == []
    assert any_desk.column("SELECT state FROM kolibri_ledger") == ["listed"]
    (owner,) = any_desk.column("SELECT lease_owner FROM kolibri_mailbox_state WHERE folder = ''")
    assert owner == "mail2.1:7:8:1", "and leaves the other's lease alone"


def test_fault_05_a_lease_is_renewed_while_one_step_takes_long(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kolibri_sdk.pipeline.leased._RENEWED", 0.01)
    desk.drop(letter("One"))
    query = "SELECT lease_until FROM kolibri_mailbox_state WHERE folder = ''"
    grown = threading.Event()

    def wait_for_renewal() -> None:
        (before,) = desk.column(query)
        for _ in range(3000):
            if desk.column(query) > [before]:
                grown.set()
                return
            threading.Event().wait(0.01)

    once_at("fetch.batch", wait_for_renewal)
    desk.healthy_poll()
    assert grown.is_set()


@pytest.mark.soak
@pytest.mark.dovecot
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("database", BOTH)
def test_fault_05_two_pollers_and_ten_thousand_mails(
    tmp_path: Path, dovecot: Dovecot, request: pytest.FixtureRequest, database: str
) -> None:
    ten_thousand = 10_000
    url = "sqlite:///kolibri.db"
    if database == "postgresql":
        url = request.getfixturevalue("postgresql")()
        with closing(Store(url)) as store:
            upgrade(store)
    user = dovecot.new_user("crowd")
    folder = ProjectFolder(tmp_path, url)
    folder.mailbox("support", inbound=dovecot.inbound(user, security="none", after="seen"))
    with two_runners() as both:
        for start in range(0, ten_thousand, 1000):
            numbers = range(start, start + 1000)
            dovecot.append(user, *(letter(f"Mail {n}") for n in numbers))
            for answer in both(tmp_path):
                assert answer["status"] == 0, answer
                assert not [said for said in answer["checkpoints"] if said.startswith("error")]
    with folder.open() as k:
        (idle,) = k.poll(passes=1)
        assert not idle.counts["stored"], idle.as_json()
        subjects = list(k.messages.frame(direction="in")["subject"])
    assert sorted(subjects) == sorted(f"Mail {n}" for n in range(ten_thousand))


JUMPS: dict[str, Callable[[int], timedelta]] = {
    "a day ahead": lambda n: timedelta(days=n % 2),
    "a day back": lambda n: timedelta(days=-(n % 2)),
    "further and further back": lambda n: timedelta(days=-n),
    "an hour, as a zone that is taken for UTC": lambda n: timedelta(hours=n % 2),
}


@pytest.mark.dovecot
@pytest.mark.parametrize("fetch", ["unread", "all"])
@pytest.mark.parametrize("jump", JUMPS)
def test_fault_08_a_clock_that_jumps_between_passes_loses_and_doubles_nothing(
    desk: Desk, dovecot: Dovecot, jump: str, fetch: str
) -> None:
    user = dovecot.new_user("jumpy")
    with dovecot.imap(user) as client:
        client.create_folder("Work")
    inbound = dovecot.inbound(user, security="none", fetch=fetch, folders=["Work"])
    desk.mailbox(inbound=inbound)
    mails = []
    for number in range(6):
        moment = MORNING + timedelta(minutes=number) + JUMPS[jump](number)
        mails.append(letter(f"Mail {number}"))
        if number == 4:  # and the folder is made anew meanwhile
            with dovecot.imap(user) as client:
                client.delete_folder("Work")
                client.create_folder("Work")
            dovecot.append(user, *mails[:-1], folder="Work", flags=(rb"\Seen",))
        dovecot.append(user, mails[-1], folder="Work")
        with clock.fixed(moment):
            desk.healthy_poll()
    assert desk.titles() == [f"Mail {number}" for number in range(6)]
    assert set(desk.states().values()) == {"done"}


def test_fault_08_a_clock_that_jumps_within_a_pass(desk: Desk) -> None:
    desk.drop(*(letter(f"Mail {number}") for number in range(5)))
    moments = iter(MORNING + timedelta(days=n % 3 - 1, seconds=n) for n in range(10_000))
    with clock.fixed(lambda: next(moments)):
        assert run_pass(desk.system).ok
    assert len(desk.titles()) == 5
    assert not desk.healthy_poll().counts["stored"]


def test_fault_08_waits_that_a_clock_set_back_made_longer_than_any_are_over(desk: Desk) -> None:
    """Both waits: for a login that was refused, and for a mail that could not be fetched."""
    desk.drop(letter("One"))
    desk.healthy_poll()
    with desk.system.store.write() as tx:
        far = (clock.now() + timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S.%f")
        tx.execute(sa.text(f"UPDATE kolibri_mailbox_state SET failures = 3, retry_at = '{far}'"))
        tx.execute(sa.text("DELETE FROM kolibri_message"))
        change = "UPDATE kolibri_ledger SET state = 'failing', content = NULL, retry_at = "
        tx.execute(sa.text(f"{change} '{far}'"))
    assert desk.healthy_poll().counts["stored"] == 1


@pytest.fixture(autouse=True)
def _no_observer() -> None:
    checkpoint.observe(None)
