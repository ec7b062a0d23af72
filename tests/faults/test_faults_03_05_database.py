"""Faults 3-5: a full disk, a locked or lost database, two pollers on one mailbox."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from kolibri_sdk import checkpoint, clock
from kolibri_sdk.store import upgrade
from kolibri_sdk.store.engine import Store
from tests.faults.conftest import NewDesk, runner
from tests.faults.desk import INCIDENT, Desk, maildir_sides, once_at
from tests.project import ProjectFolder, letter
from tests.servers.dovecot import Dovecot
from tests.servers.postgresql import NewDatabase

SUBJECTS = [f"Request {number}" for number in range(6)]
ANSWER = {"send_mail": {"template": "received", "to": {"field": "caller"}}}


def requests(**headers: str) -> list[bytes]:
    return [
        letter(subject, "x" * 20_000, sender=f"p{n}@customer.example", **headers)
        for n, subject in enumerate(SUBJECTS)
    ]


def answering(desk: Desk) -> Desk:
    """The desk's rule sends an answer, too."""
    desk.rule("incident", INCIDENT | {"then": [*INCIDENT["then"], ANSWER]})  # type: ignore[misc]
    desk.folder.template("received", en_subject="Thanks", en_txt="Thank you.")
    return desk


def all_done(desk: Desk) -> None:
    """Every request is one message, one incident, one answer."""
    assert desk.states() == dict.fromkeys(SUBJECTS, "done")
    assert sorted(desk.titles()) == SUBJECTS
    assert desk.column("SELECT state FROM kolibri_outbox") == ["sent"] * len(SUBJECTS)
    assert len(desk.sent()) == len(SUBJECTS)


def test_fault_03_the_disk_is_full_at_any_write(new_desk: NewDesk) -> None:
    desk = answering(new_desk())
    desk.mailbox(**maildir_sides("support", after="delete"))
    desk.poll()
    (pages,) = desk.column("PRAGMA page_count")
    desk.drop(*requests())
    told = []
    for room in range(0, 400, 4):
        limit = pages + room
        sa.event.listen(
            desk.system.store.engine,
            "connect",
            lambda connection, _, limit=limit: connection.execute(f"PRAGMA max_page_count={limit}"),
        )
        desk.system.store.engine.dispose()  # what was opened before knows no limit
        report = desk.poll()
        desk.close()
        told += report.errors
        if report.ok:
            break
        assert any("has no room left" in error for error in report.errors), report.errors
    assert len(told) > 3, "the limit was felt at several places"
    with clock.fixed(clock.now() + timedelta(hours=1)):
        desk.poll()
    assert desk.states() == dict.fromkeys(SUBJECTS, "done")
    assert sorted(desk.titles()) == SUBJECTS
    # One that was full between a mail and its answer leaves nobody the wiser whether it went out.
    assert set(desk.column("SELECT state FROM kolibri_outbox")) <= {"sent", "uncertain"}
    assert len(desk.sent()) == len(SUBJECTS), "nobody got two"
    left = [path.name for path in (desk.root / "mail/support").rglob("*.*")]
    assert [name for name in left if not name.endswith(",T")] == [], "what is safe is deleted"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    done = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True)
    if not done or done.returncode:
        pytest.skip("mounting a file system is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_fault_03_a_real_disk_is_full(new_desk: NewDesk, small_disk: Path) -> None:
    desk = answering(new_desk(database=f"sqlite:///{small_disk}/kolibri.db"))
    desk.poll()
    ballast = small_disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    desk.drop(*requests())

    report = desk.poll()

    assert not report.ok
    assert any("has no room left" in error for error in report.errors), report.errors
    ballast.unlink()
    desk.healthy_poll()
    all_done(desk)


#: Where no transaction of our own is open, so that somebody else's can get in between.
BETWEEN = (
    "fetch.listed", "fetch.batch", "fetch.before_server_mark", "fetch.after_server_mark",
    "rules.decided", "events.decided", "send.composed",
)  # fmt: skip


@pytest.mark.parametrize("where", BETWEEN)
def test_fault_04_the_database_is_locked(new_desk: NewDesk, where: str) -> None:
    desk = answering(new_desk(database="sqlite:///kolibri.db?timeout=0.05"))
    desk.mailbox(**maildir_sides("support", after="delete"))
    desk.healthy_poll()
    desk.drop(*requests())
    other = sqlite3.connect(desk.root / "kolibri.db", isolation_level=None, check_same_thread=False)
    with closing(other):
        once_at(where, lambda: other.execute("BEGIN IMMEDIATE"))
        report = desk.poll()
        assert other.in_transaction, f"{where} was reached"
        assert any("locked" in error for error in report.errors), report.errors
        assert "Nothing was lost" in "".join(report.errors)

    desk.healthy_poll()
    all_done(desk)


@pytest.mark.parametrize("where", ["send.claimed", "send.handed_over"])
def test_fault_04_a_lock_while_a_mail_is_being_sent(new_desk: NewDesk, where: str) -> None:
    desk = answering(new_desk(database="sqlite:///kolibri.db?timeout=0.05"))
    desk.healthy_poll()
    desk.drop(*requests())
    other = sqlite3.connect(desk.root / "kolibri.db", isolation_level=None)
    with closing(other):
        once_at(where, lambda: other.execute("BEGIN IMMEDIATE"))
        report = desk.poll()
        assert any("locked" in error for error in report.errors), report.errors

    desk.poll()
    with clock.fixed(clock.now() + timedelta(hours=1)):
        report = desk.poll()
    states = desk.column("SELECT state FROM kolibri_outbox ORDER BY id")
    assert states == ["uncertain", *["sent"] * (len(SUBJECTS) - 1)]
    assert report.counts["uncertain"] == 1
    assert len(desk.sent()) == len(SUBJECTS), "nobody got two"


@pytest.mark.postgresql
@pytest.mark.parametrize("where", ["store.batch", "parse.batch", "act.done", "send.composed"])
def test_fault_04_the_database_drops_the_connection(
    new_desk: NewDesk, postgresql: NewDatabase, where: str
) -> None:
    url = postgresql()
    with closing(Store(url)) as store:
        upgrade(store)
    desk = answering(new_desk(database=url))
    desk.healthy_poll()
    desk.drop(*requests())
    name = url.rpartition("/")[2]

    def drop_connections() -> None:
        address = url.replace("postgresql+psycopg", "postgresql").replace(name, "postgres")
        with psycopg.connect(address, autocommit=True) as administrator:
            administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )

    once_at(where, drop_connections)
    report = desk.poll()
    checkpoint.observe(None)
    assert where == "send.composed" or not report.ok

    desk.healthy_poll()
    all_done(desk)


@contextmanager
def two_runners() -> Iterator[Callable[[Path], list[dict[str, Any]]]]:
    """A function: two passes of a project at the same time, in two processes."""
    with runner() as one, runner() as other, ThreadPoolExecutor(2) as threads:

        def both(root: Path) -> list[dict[str, Any]]:
            jobs = [threads.submit(run, root) for run in (one, other)]
            return [job.result() for job in jobs]

        yield both


@pytest.mark.dovecot
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_fault_05_two_pollers_on_one_mailbox(
    tmp_path: Path, dovecot: Dovecot, request: pytest.FixtureRequest, database: str
) -> None:
    url = "sqlite:///kolibri.db"
    if database == "postgresql":
        url = request.getfixturevalue("postgresql")()
        with closing(Store(url)) as store:
            upgrade(store)
    user = dovecot.new_user("twice")
    folder = ProjectFolder(tmp_path, url)
    folder.use_shipped_rules()
    inbound = dovecot.inbound(user, security="none", after="seen")
    folder.mailbox("support", inbound=inbound, outbound=dovecot.outbound(user))
    dovecot.sink.taken.clear()
    people = [f"person{n}@customer.example" for n in range(40)]
    with two_runners() as both:
        for start in range(0, len(people), 10):
            some = people[start : start + 10]
            dovecot.deliver(user, *(letter(sender=person) for person in some))
            for answer in both(tmp_path):
                assert answer["status"] == 0, answer
                assert not [said for said in answer["checkpoints"] if said.startswith("error")]
    with folder.open() as k:
        (idle,) = k.poll(passes=1)
        assert not any(idle.counts.values()), idle.as_json()
        assert sorted(k.records["incident"].frame()["caller"]) == sorted(people)
        incoming = k.messages.frame(direction="in")
        assert sorted(incoming["from_address"]) == sorted(people)
    assert sorted(taken.recipients[0] for taken in dovecot.sink.taken) == sorted(people)
