"""Faults 24 and 27-31: floods and old mail, odd dates, deleting, POP3's identities and its QUIT."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from imapclient import DELETED

from kolibri_sdk import PassReport, clock
from kolibri_sdk.mailboxes import Listed
from kolibri_sdk.mailboxes.maildir import MaildirSource
from kolibri_sdk.pipeline.fetch import fetch_mailbox
from tests.faults.conftest import Run
from tests.faults.desk import Desk
from tests.faults.test_faults_09_17_mailbox import password as _password
from tests.project import letter
from tests.servers.dovecot import PASSWORD_VARIABLE, Dovecot
from tests.servers.scripted import Pop3Double, serving

password = _password


def numbered(count: int) -> list[bytes]:
    return [letter(f"Mail {n}") for n in range(count)]


# 24


@pytest.mark.parametrize("fetch", ["all", "unread"])
def test_fault_24_a_first_import_that_is_killed_goes_on_where_it_was(
    desk: Desk, run_pass: Run, fetch: str
) -> None:
    desk.folder.document("rules/inbound/support/incident.yaml", {"order": 1, "when": "false"})
    (desk.root / "rules/inbound/support/incident.yaml").unlink()
    inbound = {"protocol": "maildir", "path": "mail/support", "fetch": fetch, "batch": 50}
    desk.mailbox(inbound=inbound)
    desk.drop(*numbered(600))
    for _ in range(3):
        answer = run_pass(str(desk.root), nth=30)
        assert answer["status"] == -9
    stored = desk.column("SELECT count(*) FROM kolibri_message")[0]
    assert 0 < stored < 600
    assert desk.healthy_poll().counts["stored"] == 600 - stored
    assert sorted(desk.states()) == sorted(f"Mail {n}" for n in range(600))
    assert not any(desk.healthy_poll().counts.values())


def test_fault_24_a_pass_takes_a_part_of_a_large_backlog_and_the_next_one_the_rest(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kolibri_sdk.pipeline.fetch._MOST_PER_PASS", 40)
    desk.drop(*numbered(100))
    stored = [desk.healthy_poll().counts["stored"] for _ in range(4)]
    assert stored == [40, 40, 20, 0]
    assert set(desk.states().values()) == {"done"}


PASS = """
import sys
from kolibri_sdk import connect
with connect(project=sys.argv[1]) as k:
    for report in k.poll(passes=int(sys.argv[2]), every=0.01):
        assert report.ok, report.errors
# ru_maxrss would be that of the tests' process: a child begins with its parent's peak.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) // 1024)
"""


def peak_memory(root: Path, passes: int = 1) -> int:
    """MiB that a process of its own took for these passes."""
    ran = [sys.executable, "-c", PASS, str(root), str(passes)]
    return int(subprocess.run(ran, capture_output=True, text=True, check=True).stdout)


class Listing(MaildirSource):
    """A mailbox of very many mails, which are listed and never looked at."""

    def list(self, *, unread: bool, above: int | None, since: datetime | None) -> list[Listed]:
        return [Listed(f"{1_700_000_000 + n}.old", 2_000, seen=False) for n in range(20_000)]


def test_fault_24_what_is_held_of_each_mail_of_a_large_folder_is_little(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred thousand take less than 100 MB: the peak of a first listing is counted in bytes."""
    box = desk.system.mailbox("support")
    source = Listing("support", desk.root / "mail/support")
    monkeypatch.setattr("kolibri_sdk.pipeline.fetch._MOST_PER_PASS", 0)
    monkeypatch.setattr(desk.system.connections, "source", lambda _: nullcontext(source))
    tracemalloc.start()
    try:
        fetch_mailbox(desk.system, box, PassReport(clock.now()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert desk.column("SELECT count(*) FROM kolibri_ledger WHERE state = 'listed'") == [20_000]
    assert peak / 20_000 < 1_000, f"{peak / 20_000:.0f} bytes a mail"


@pytest.mark.soak
def test_fault_24_a_mail_of_150_megabytes(desk: Desk) -> None:
    body = b"x" * 76 + b"\r\n"
    desk.drop(b"Subject: Large\r\n\r\n" + body * (150 * 2**20 // len(body)), letter("Small"))
    assert peak_memory(desk.root) < 2048
    sizes = desk.column("SELECT size FROM kolibri_message WHERE direction = 'in' ORDER BY size")
    assert len(sizes) == 2
    assert sizes[1] > 149 * 2**20
    assert "Small" in desk.titles()


@pytest.mark.soak
@pytest.mark.dovecot
@pytest.mark.timeout(3600)
def test_fault_24_a_hundred_thousand_old_mails_on_the_first_day(
    desk: Desk, dovecot: Dovecot, run_pass: Run
) -> None:
    total = 100_000
    user = dovecot.new_user("archive")
    inbound = dovecot.inbound(user, security="none", fetch="all")
    desk.mailbox(inbound=inbound)
    (desk.root / "rules/inbound/support/incident.yaml").unlink()
    dovecot.append(user, letter("First"))
    (folder,) = dovecot.folder.glob(f"mail/{user}/Maildir/cur")
    owner = folder.stat()
    import os

    for number in range(total - 1):
        path = folder / f"{1_700_000_000 + number}.M{number}.old:2,S"
        path.write_bytes(letter(f"Mail {number}"))
        os.chown(path, owner.st_uid, owner.st_gid)
    assert run_pass(str(desk.root), at="store.batch", delay=2)["status"] == -9
    memory = peak_memory(desk.root, passes=8)
    with desk.system.store.read() as tx:
        stored = tx.execute(sa.text("SELECT count(DISTINCT blob) FROM kolibri_message")).scalar()
    assert stored == total
    assert memory < 250, f"{memory} MiB"


# 27

ODD_DATES = {
    "1970": (b"Thu, 1 Jan 1970 00:00:00 +0000", datetime(1970, 1, 2, tzinfo=UTC)),
    "2099": (b"Thu, 31 Dec 2099 23:59:59 -1200", datetime(2099, 12, 31, tzinfo=UTC)),
    "nonsense": (b"yesterday, or 32 Foo 20xx", datetime(2026, 5, 1, tzinfo=UTC)),
    "another zone": (b"Fri, 1 May 2026 10:00:00 +1400", datetime(2026, 5, 1, tzinfo=UTC)),
}


@pytest.mark.dovecot
@pytest.mark.parametrize("fetch", ["unread", "all"])
def test_fault_27_dates_of_any_kind_lose_no_mail(desk: Desk, dovecot: Dovecot, fetch: str) -> None:
    user = dovecot.new_user("dated")
    inbound = dovecot.inbound(user, security="none", fetch=fetch, since="2020-01-01")
    desk.mailbox(inbound=inbound)
    desk.healthy_poll()
    for name, (date, arrived) in ODD_DATES.items():
        raw = b"From: anna@customer.example\r\nSubject: %s\r\nDate: %s\r\n\r\nHi\r\n"
        dovecot.append(user, raw % (name.encode(), date), at=arrived)
        desk.healthy_poll()
    assert desk.titles() == list(ODD_DATES), "since counts on the first run only"
    assert not desk.healthy_poll().counts["stored"]


@pytest.mark.dovecot
@pytest.mark.parametrize("protocol", ["imap", "pop3", "maildir"])
@pytest.mark.parametrize("fetch", ["unread", "all"])
def test_fault_27_mail_older_than_since_stays_out_in_later_runs_too(
    desk: Desk, dovecot: Dovecot, protocol: str, fetch: str
) -> None:
    old = letter("Old", received="from a by b; Wed, 1 Apr 2020 10:00:00 +0200")
    if protocol == "maildir":
        desk.drop(old)
        (path,) = (desk.root / "mail/support/new").iterdir()
        import os

        os.utime(path, (1_580_000_000, 1_580_000_000))
        inbound = {"protocol": "maildir", "path": "mail/support"}
    else:
        user = dovecot.new_user("since")
        dovecot.append(user, old, at=datetime(2020, 4, 1, tzinfo=UTC))
        inbound = dovecot.inbound(user, protocol, "none")
    desk.mailbox(inbound=inbound | {"fetch": fetch, "since": "2026-01-01"})
    for _ in range(3):
        assert not desk.healthy_poll().counts["fetched"]
    assert desk.column("SELECT state FROM kolibri_ledger") == ["too_old"]


# 28, 29


@pytest.mark.dovecot
def test_fault_28_without_uidplus_no_mail_of_others_is_expunged(
    desk: Desk, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imapclient import IMAPClient

    have = IMAPClient.has_capability
    monkeypatch.setattr(
        IMAPClient, "has_capability", lambda s, name: name != "UIDPLUS" and have(s, name)
    )
    user = dovecot.new_user("noplus")
    dovecot.append(user, letter("A colleague's"), flags=(rb"\Seen", DELETED))
    desk.mailbox(inbound=dovecot.inbound(user, security="none", after="delete"))
    dovecot.deliver(user, letter("Ours"))
    desk.healthy_poll()
    assert not desk.healthy_poll().counts["stored"]
    with dovecot.imap(user, "INBOX") as client:
        flags = client.get_flags(client.search())
    assert [DELETED in of for of in flags.values()] == [True, True], "marked, and both there"
    assert desk.titles() == ["Ours"]


@pytest.mark.dovecot
@pytest.mark.parametrize("where", ["fetch.before_server_mark", "fetch.after_server_mark"])
def test_fault_29_killed_around_a_move(
    desk: Desk, dovecot: Dovecot, run_pass: Run, where: str
) -> None:
    user = dovecot.new_user("moves")
    inbound = dovecot.inbound(user, security="none", folders=["INBOX", "Done"])
    with dovecot.imap(user) as client:
        client.create_folder("Done")
    desk.mailbox(inbound=inbound | {"after": {"move": "Done"}})
    dovecot.deliver(user, letter("One"), letter("Two"))
    assert run_pass(str(desk.root), at=where)["status"] == -9
    dovecot.deliver(user, letter("Three"))
    desk.healthy_poll()
    desk.healthy_poll()
    assert desk.titles() == ["One", "Two", "Three"]
    with dovecot.imap(user) as client:
        left = {name: client.folder_status(name, ["MESSAGES"]) for name in ("INBOX", "Done")}
    assert {name: said[b"MESSAGES"] for name, said in left.items()} == {"INBOX": 0, "Done": 3}
    assert desk.column("SELECT count(*) FROM kolibri_ledger WHERE NOT server_done") == [0]


@pytest.mark.dovecot
def test_fault_29_marked_as_deleted_and_killed_before_the_expunge(
    desk: Desk, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imapclient import IMAPClient

    user = dovecot.new_user("halfway")
    desk.mailbox(inbound=dovecot.inbound(user, security="none", after="delete"))
    dovecot.deliver(user, letter("One"))
    with monkeypatch.context() as patched:

        def lost(client: IMAPClient, uids: object) -> None:
            raise ConnectionResetError

        patched.setattr(IMAPClient, "uid_expunge", lost)
        assert not desk.poll().ok
    with dovecot.imap(user, "INBOX") as client:
        assert len(client.search("DELETED")) == 1
    assert not desk.healthy_poll().counts["stored"]
    with dovecot.imap(user, "INBOX") as client:
        assert client.search() == []
    assert desk.titles() == ["One"]


# 30, 31


def read_pop3(desk: Desk, port: int, **more: object) -> None:
    server = {"protocol": "pop3", "host": "127.0.0.1", "port": port, "user": "anna"}
    safe = {"password": {"env": PASSWORD_VARIABLE}, "security": "none", "timeout": 5}
    desk.mailbox(inbound=server | safe | more)


@pytest.mark.usefixtures("password")
@pytest.mark.parametrize("uidl", [None, ["", "", ""], ["same", "same", "same"], ["a", "", "c"]])
@pytest.mark.parametrize("after", ["keep", "delete"])
def test_fault_30_uidl_missing_blank_or_the_same_for_all(
    desk: Desk, uidl: list[str] | None, after: str
) -> None:
    double = Pop3Double(numbered(3), uidl)
    with serving(double.talk) as port:
        read_pop3(desk, port, after=after)
        for _ in range(3):
            desk.healthy_poll()
    assert sorted(desk.titles()) == ["Mail 0", "Mail 1", "Mail 2"]
    assert len(double.deleted) == (3 if after == "delete" else 0)


@pytest.mark.usefixtures("password")
def test_fault_30_uidls_that_all_change_at_once(desk: Desk) -> None:
    double = Pop3Double(numbered(3), ["a", "b", "c"])
    with serving(double.talk) as port:
        read_pop3(desk, port)
        desk.healthy_poll()
        double.uidl = ["x", "y", "z"]
        report = desk.healthy_poll()
    assert (report.counts["stored"], report.counts["duplicates"]) == (0, 3)
    assert len(desk.titles()) == 3


@pytest.mark.usefixtures("password")
@pytest.mark.parametrize("after", ["keep", "delete"])
def test_fault_30_a_uidl_that_is_used_again_for_another_mail(desk: Desk, after: str) -> None:
    double = Pop3Double([letter("One")], ["1"])
    with serving(double.talk) as port:
        read_pop3(desk, port, after=after)
        desk.healthy_poll()
        double.mails, double.deleted = [letter("Another one, and longer")], set()
        desk.healthy_poll()
        assert not desk.healthy_poll().counts["stored"]
    assert desk.titles() == ["One", "Another one, and longer"]


@pytest.mark.usefixtures("password")
def test_fault_31_the_line_drops_before_quit_has_counted(desk: Desk) -> None:
    double = Pop3Double(numbered(2), ["a", "b"], drops_at_quit=True)
    with serving(double.talk) as port:
        read_pop3(desk, port, after="delete")
        report = desk.poll()
        assert any("logging out" in error for error in report.errors), report.errors
        assert double.deleted == set()
        assert desk.column("SELECT count(*) FROM kolibri_ledger WHERE NOT server_done") == [2]
        double.drops_at_quit = False
        assert not desk.healthy_poll().counts["stored"]
    assert double.deleted == {1, 2}
    assert desk.titles() == ["Mail 0", "Mail 1"]


@pytest.mark.usefixtures("password")
def test_fault_31_a_mail_arrives_between_list_and_uidl(desk: Desk) -> None:
    class Growing(Pop3Double):
        def _answer(self, command: str, number: int) -> bytes:
            answer = super()._answer(command, number)
            if command == "LIST" and len(self.mails) == 2:
                self.mails.append(letter("Mail 2"))
                assert self.uidl is not None
                self.uidl.append("c")
            return answer

    with serving(Growing(numbered(2), ["a", "b"]).talk) as port:
        read_pop3(desk, port, after="delete")
        desk.healthy_poll()
        desk.healthy_poll()
    assert sorted(desk.titles()) == ["Mail 0", "Mail 1", "Mail 2"]
