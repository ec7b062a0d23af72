"""Fault 60: a day-old backup of the database is restored while the mailbox went on."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from kolibri_sdk import clock
from kolibri_sdk.pipeline import reconcile
from tests.faults.desk import INCIDENT, Desk, maildir_sides, once_at
from tests.project import letter
from tests.servers.dovecot import Dovecot

ANSWER = {"send_mail": {"template": "received", "to": {"field": "caller"}}}


@pytest.mark.dovecot
@pytest.mark.parametrize("fetch", ["unread", "all"])
@pytest.mark.parametrize("after", ["keep", "seen"])
def test_fault_60_the_mail_of_the_day_is_taken_in_again_and_what_is_missing_is_named(
    desk: Desk, dovecot: Dovecot, fetch: str, after: str
) -> None:
    user = dovecot.new_user("restored")
    desk.rule("incident", INCIDENT | {"then": [*INCIDENT["then"], ANSWER]})  # type: ignore[misc]
    desk.folder.template("received", en_subject="Thanks", en_txt="Thank you.")
    inbound = dovecot.inbound(user, security="none", fetch=fetch, after=after)
    desk.mailbox(inbound=inbound)
    dovecot.deliver(user, letter("Monday"))
    desk.healthy_poll()
    desk.close()
    shutil.copy(desk.root / "kolibri.db", desk.root / "backup.db")

    dovecot.deliver(user, letter("Tuesday"), letter("Tuesday, too"))
    desk.healthy_poll()
    with dovecot.imap(user, "INBOX") as client:  # a colleague reads one, deletes none
        client.add_flags([2], [rb"\Seen"])
    desk.close()
    for path in desk.root.glob("kolibri.db*"):
        path.unlink()
    shutil.copy(desk.root / "backup.db", desk.root / "kolibri.db")

    report = reconcile(desk.system, desk.system.mailbox("support"))
    assert [one.reason.label for one in report.differences] == ["arrived_since"] * 2
    desk.healthy_poll()

    assert sorted(desk.titles()) == ["Monday", "Tuesday", "Tuesday, too"]
    assert set(desk.states().values()) == {"done"}
    assert not reconcile(desk.system, desk.system.mailbox("support")).differences


def back_up(desk: Desk) -> None:
    with (
        closing(sqlite3.connect(desk.root / "kolibri.db")) as now,
        closing(sqlite3.connect(desk.root / "backup.db")) as then,
    ):
        now.backup(then)


@pytest.mark.dovecot
def test_fault_60_what_was_answered_before_the_restore_waits_for_a_person(
    desk: Desk, dovecot: Dovecot
) -> None:
    user = dovecot.new_user("answered")
    desk.rule("incident", INCIDENT | {"then": [*INCIDENT["then"], ANSWER]})  # type: ignore[misc]
    desk.folder.template("received", en_subject="Thanks", en_txt="Thank you.")
    sides = {**maildir_sides("support"), "inbound": dovecot.inbound(user, security="none")}
    desk.mailbox(**sides)
    dovecot.deliver(user, letter("Monday", sender="mona@customer.example"))
    once_at("send.composed", lambda: back_up(desk))  # the answer to Monday is queued in it
    desk.healthy_poll()
    dovecot.deliver(user, letter("Tuesday", sender="tim@customer.example"))
    desk.healthy_poll()
    assert len(desk.sent()) == 2
    desk.close()
    for path in desk.root.glob("kolibri.db*"):
        path.unlink()
    shutil.copy(desk.root / "backup.db", desk.root / "kolibri.db")

    told = desk.folder.kolibri("reconcile", "--after-restore")
    assert told.returncode == 0, told.stderr
    assert "support: 1 queued mails are held" in told.stderr
    report = desk.healthy_poll()

    assert len(desk.sent()) == 2, "nobody is answered twice"
    assert report.counts["held"] == 1
    assert any("before the database was restored" in line for line in report.not_done)
    held = desk.rows("SELECT state, error FROM kolibri_outbox ORDER BY id")
    assert [state for state, _ in held] == ["held", "held"]
    assert all("kolibri outbox release" in why for _, why in held)
    assert sorted(desk.titles()) == ["Monday", "Tuesday"]

    later = clock.now() + timedelta(hours=1)
    dovecot.append(user, letter("Wednesday", sender="wes@customer.example"), at=later)
    desk.healthy_poll()
    assert [mail["To"] for mail in desk.sent()].count("wes@customer.example") == 1
    assert desk.folder.kolibri("outbox", "release", "1").returncode == 0
    desk.healthy_poll()
    states = desk.column("SELECT state FROM kolibri_outbox ORDER BY id")
    assert states == ["sent", "held", "sent"], "a person may let it go"
