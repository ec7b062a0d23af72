"""Fault 60: a day-old backup of the database is restored while the mailbox went on."""

from __future__ import annotations

import shutil

import pytest

from kolibri_sdk.pipeline import reconcile
from tests.faults.desk import INCIDENT, Desk
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
