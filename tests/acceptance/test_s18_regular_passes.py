"""S18: mailboxes are checked regularly, every 30 seconds, whatever went wrong the last time."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.mailboxes import Connections
from tests.acceptance.conftest import Desk
from tests.project import letter
from tests.servers import free_port
from tests.servers.dovecot import PASSWORD, PASSWORD_VARIABLE

MORNING = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)


def test_a_pass_begins_every_thirty_seconds(
    bare_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(Connections, "wait", lambda _, seconds, stop: waits.append(seconds))

    reports = list(bare_desk.k.poll(passes=3))

    worked = sum(report.seconds for report in reports[:2])
    assert sum(waits) + worked == pytest.approx(2 * 30, abs=0.5), "none after the last pass"


def test_the_beat_is_the_projects_where_it_says_one(new_desk: Callable[..., Desk]) -> None:
    desk = new_desk(every=1)

    first, second = desk.k.poll(passes=2)

    assert (second.started_at - first.started_at).total_seconds() == pytest.approx(1, abs=0.3)


def test_mail_that_comes_between_two_passes_is_handled_in_the_next(desk: Desk) -> None:
    passes = desk.k.poll(passes=3, every=0.01)
    assert next(passes).counts["stored"] == 0
    desk.deliver(letter())
    assert next(passes).counts["records"] == 1
    assert next(passes).counts["stored"] == 0


def test_where_the_server_tells_of_new_mail_it_is_handled_between_two_beats(desk: Desk) -> None:
    passes = desk.k.poll(passes=2, every=60)
    assert next(passes).counts["stored"] == 0
    timer = threading.Timer(0.3, desk.deliver, [letter()])
    timer.start()
    report = next(passes)
    timer.join()
    passes.close()

    assert report.early
    assert report.counts["records"] == report.counts["sent"] == 1


def test_an_early_pass_is_not_counted_and_does_not_shift_the_beat(desk: Desk) -> None:
    reports = []
    for report in desk.k.poll(passes=2, every=4):
        reports.append(report)
        if len(reports) == 1:
            desk.deliver(letter())

    assert [report.early for report in reports] == [False, True, False]
    first, _, last = reports
    assert (last.started_at - first.started_at).total_seconds() >= 3.9


def test_an_early_pass_looks_into_the_mailbox_alone_that_has_mail(desk: Desk) -> None:
    desk.mailbox("sales", user=desk.dovecot.new_user(), protocol="pop3")
    passes = desk.k.poll(passes=2, every=60)
    next(passes)
    desk.dovecot.append(desk.user, letter())
    report = next(passes)
    passes.close()

    assert report.early
    assert list(report.mailboxes) == ["support"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_for_mail_at_once(desk: Desk, number: int) -> None:
    desk.k.close()
    command = [sys.executable, "-c", "from kolibri_sdk.cli import app; app()", "poll"]
    with subprocess.Popen(
        [*command, "--every", "600"], cwd=desk.folder.root, stdout=subprocess.PIPE, text=True
    ) as poller:
        assert poller.stdout is not None
        assert "0 fetched" in poller.stdout.readline()
        time.sleep(0.5)  # now it waits
        poller.send_signal(number)
        assert poller.wait(timeout=30) == 0


def test_each_pass_leaves_a_row_with_what_it_did(desk: Desk) -> None:
    desk.receive(letter())

    (run,) = desk.k.runs.frame().to_dict("records")
    assert run["counts"]["stored"] == run["counts"]["records"] == run["counts"]["sent"] == 1
    assert run["started_at"] < run["finished_at"]


def test_a_server_that_is_down_is_said_and_the_other_mailboxes_go_on(desk: Desk) -> None:
    desk.mailbox("sales", inbound=desk.dovecot.inbound("anybody", port=free_port()))
    desk.deliver(letter())

    report = desk.poll()

    (error,) = report.errors
    assert error.startswith("Mailbox sales: ")
    assert "127.0.0.1" in error
    assert desk.answer_to("anna@customer.example")


def test_the_next_pass_after_an_outage_fetches_what_came_meanwhile(desk: Desk) -> None:
    down = desk.dovecot.inbound(desk.user, port=free_port())
    desk.mailbox(inbound=down)
    desk.deliver(letter("one"))
    passes = desk.k.poll(passes=3, every=0.01)
    assert not next(passes).ok
    desk.deliver(letter("two"))
    assert not next(passes).ok

    desk.mailbox()
    report = next(passes)

    assert report.ok
    assert [row["title"] for row in desk.incidents()] == ["one", "two"]


def logins(desk: Desk) -> int:
    """How often the server has refused the user so far."""
    log = desk.dovecot.log().splitlines()
    return sum(f"user=<{desk.user}>" in line and "auth failed" in line for line in log)


def test_a_refused_login_is_said_and_does_not_become_a_storm(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.deliver(letter())
    desk.k  # noqa: B018 (opens the project)
    monkeypatch.setitem(os.environ, PASSWORD_VARIABLE, "yesterday's")
    with clock.fixed(MORNING):
        first = desk.poll()
        assert "Mailbox support" in first.errors[0]
        assert logins(desk) == 1

    for beat in range(1, 41):  # twenty minutes of passes
        with clock.fixed(MORNING + timedelta(seconds=30 * beat)):
            report = desk.poll()
            assert not report.ok, "an outage does not fall silent"
    assert logins(desk) == 5, "each wait is twice as long as the one before"

    monkeypatch.setitem(os.environ, PASSWORD_VARIABLE, PASSWORD)
    with clock.fixed(MORNING + timedelta(hours=3)):
        assert desk.healthy_poll().counts["records"] == 1


def test_while_one_mailbox_waits_after_a_refused_login_the_others_are_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOLIBRI_TEST_WRONG", "wrong")
    wrong = desk.dovecot.inbound(desk.dovecot.new_user(), password={"env": "KOLIBRI_TEST_WRONG"})
    desk.mailbox("sales", inbound=wrong)
    assert not desk.poll().ok

    desk.deliver(letter())
    report = desk.poll()

    (error,) = report.errors
    assert "Mailbox sales" in error
    assert "not tried again before" in error
    assert report.counts["records"] == 1


@contextmanager
def write_lock(desk: Desk) -> Iterator[None]:
    """Another program writes into the same SQLite file, and takes its time."""
    with closing(sqlite3.connect(desk.folder.root / "kolibri.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()


def test_a_locked_database_is_said_and_nothing_is_lost(new_desk: Callable[..., Desk]) -> None:
    desk = new_desk(database="sqlite:///kolibri.db?timeout=0.1")
    desk.mailbox(after="delete")
    desk.folder.use_shipped_rules()
    desk.healthy_poll()
    desk.deliver(letter())

    with write_lock(desk):
        report = desk.poll()

    assert any("database is locked" in error for error in report.errors), report.errors
    assert all("next pass tries again" in error for error in report.errors), report.errors
    assert len(desk.k.messages) == 0
    assert desk.healthy_poll().counts["records"] == 1


@contextmanager
def no_room_left(desk: Desk) -> Iterator[None]:
    """Let SQLite grow by a few pages only."""

    def limit(connection: Any, _record: Any) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 8}")

    desk.close()
    sa.event.listen(sa.Engine, "connect", limit)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "connect", limit)
        desk.close()


def test_a_full_disk_is_said_and_nothing_is_lost(desk: Desk) -> None:
    desk.mailbox(after="delete")
    desk.healthy_poll()
    desk.deliver(letter(text=os.urandom(300_000).hex()))

    with no_room_left(desk):
        report = desk.poll()
        assert any("no room left" in error for error in report.errors), report.errors
        assert len(desk.k.messages) == 0

    assert desk.healthy_poll().counts["records"] == 1


def test_a_database_that_is_gone_for_a_while_is_said(
    new_desk: Callable[..., Desk], postgresql: Callable[[], str]
) -> None:
    url = postgresql()
    desk = new_desk(database=url)
    desk.folder.use_shipped_rules()
    desk.healthy_poll()
    name = url.rpartition("/")[2]
    with psycopg.connect(url.replace("+psycopg", "").replace(name, "postgres")) as other:
        other.autocommit = True
        other.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                      [name])  # fmt: skip
        desk.deliver(letter())
        report = desk.poll()
        other.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")

    assert not report.ok
    assert any("database" in error for error in report.errors), report.errors
    assert desk.healthy_poll().counts["records"] == 1
