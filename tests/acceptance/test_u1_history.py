"""U1: historic mail, in a frame without a database or in the central table, triggers nothing."""

from __future__ import annotations

import json
import mailbox as formats
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from imapclient import SEEN

from kolibri_sdk import read_mail
from kolibri_sdk.errors import ConfigurationError
from tests.acceptance.conftest import Desk
from tests.benchmarks.history import HUGE, LIMIT, import_measured, write_mbox
from tests.project import ANNA, letter, reply_to
from tests.servers.postgresql import NewDatabase


def as_mbox(path: Path, *mails: bytes) -> Path:
    """An mbox as Python's standard library writes it: LF, and ">From " in the text."""
    box = formats.mbox(path)
    for raw in mails:
        box.add(raw)
    box.close()
    return path


def rows(desk: Desk) -> list[tuple[str, str]]:
    frame = desk.k.messages.frame()
    return list(zip(frame["subject"], frame["state"], strict=True))


def nothing_was_triggered(desk: Desk) -> None:
    k = desk.k
    assert len(k.outbox.frame()) == len(k.decisions.frame()) == len(desk.incidents()) == 0
    desk.healthy_poll()
    assert len(k.outbox.frame()) == len(k.decisions.frame()) == len(desk.incidents()) == 0
    assert desk.told() == []


@pytest.fixture(params=["sqlite", "postgresql"])
def any_desk(request: pytest.FixtureRequest, new_desk: Callable[..., Desk]) -> Desk:
    """A desk that works by the shipped rules, on either database."""
    url = "sqlite:///kolibri.db"
    if request.param == "postgresql":
        new_database: NewDatabase = request.getfixturevalue("postgresql")
        url = new_database()
    desk = new_desk(database=url)
    desk.folder.use_shipped_rules()
    return desk


def test_an_import_triggers_nothing_and_twice_is_once(any_desk: Desk, tmp_path: Path) -> None:
    mails = [letter(f"VPN urgent {n}", "From now on it drops.\n") for n in range(20)]
    archive = as_mbox(tmp_path / "old.mbox", *mails)
    first = any_desk.k.import_mail(archive, mailbox="support")
    assert first.ok
    assert first.counts == {"read": 20, "imported": 20}
    assert set(rows(any_desk)) == {(f"VPN urgent {n}", "imported") for n in range(20)}
    (text,) = set(any_desk.k.messages.frame()["text"])
    assert text.startswith("From now on"), "the quoting of the mbox is undone"
    nothing_was_triggered(any_desk)

    again = any_desk.k.import_mail(archive, mailbox="support")
    assert again.counts == {"read": 20, "known": 20}
    assert len(any_desk.k.messages) == 20


def test_what_the_poller_fetched_is_already_there_and_the_other_way_round(
    any_desk: Desk, tmp_path: Path
) -> None:
    early, late = letter("early"), letter("late")
    any_desk.receive(early)
    with any_desk.dovecot.imap(any_desk.user, "INBOX") as client:
        ((_, answer),) = client.fetch("1", ["BODY.PEEK[]"]).items()
    as_fetched = answer[b"BODY[]"]
    archive = as_mbox(tmp_path / "old.mbox", as_fetched, late)
    report = any_desk.k.import_mail(archive, mailbox="support")
    assert report.counts == {"read": 2, "known": 1, "imported": 1}

    decided = len(any_desk.k.decisions.frame())
    with any_desk.dovecot.imap(any_desk.user, "INBOX") as client:
        client.append("INBOX", late)
    seen = any_desk.healthy_poll()
    assert seen.counts["duplicates"] == 1, "visible, and not doubled"
    assert len(any_desk.k.decisions.frame()) == decided
    incoming = any_desk.k.messages.frame(direction="in")
    assert sorted(incoming["subject"]) == ["early", "late"]


def test_imports_and_the_poller_at_the_same_moment_store_each_mail_once(
    any_desk: Desk, tmp_path: Path
) -> None:
    mails = [letter(f"mail {number:02}") for number in range(60)]
    with any_desk.dovecot.imap(any_desk.user, "INBOX") as client:
        for raw in mails:
            client.append("INBOX", raw)
    archive = as_mbox(tmp_path / "old.mbox", *mails)
    others = [any_desk.folder.open() for _ in range(2)]
    with ThreadPoolExecutor(3) as threads:
        poll = threads.submit(any_desk.healthy_poll)
        jobs = [threads.submit(k.import_mail, archive, mailbox="support") for k in others]
        reports = [job.result() for job in jobs]
    stored = poll.result().counts["stored"]
    for k in others:
        k.close()
    assert all(report.ok for report in reports), reports
    assert stored + sum(report.counts["imported"] for report in reports) == len(mails)
    incoming = any_desk.k.messages.frame(direction="in")
    assert sorted(incoming["subject"]) == [f"mail {number:02}" for number in range(60)]
    assert len(any_desk.incidents()) == stored


def test_the_frame_and_the_table_agree(desk: Desk, tmp_path: Path) -> None:
    request = letter("the printer", attachment="no")
    archive = as_mbox(tmp_path / "old.mbox", request, reply_to(request))
    desk.k.import_mail(archive, mailbox="support")
    stored = desk.k.messages.frame()
    read = read_mail(archive, mailbox="support")
    for column in ("subject", "text", "reply_text", "to", "headers", "received_at", "source"):
        assert list(stored[column]) == list(read[column]), column
    assert len(set(stored["thread"])) == 1, "an answer is in the thread of what it answers"


def test_our_own_mail_is_outgoing_and_ties_nobody_to_a_record(desk: Desk, tmp_path: Path) -> None:
    desk.receive(letter("VPN"))
    answer = desk.answer_to("anna@customer.example").raw
    stream = desk.stream()
    ours = letter("our answer", sender="Support <support@kolibri.example>", to=ANNA)
    archive = as_mbox(tmp_path / "old.mbox", ours, reply_to(answer, text="It works again."))
    report = desk.k.import_mail(archive, mailbox="support")
    assert report.counts["imported"] == 2
    imported = desk.k.messages.frame(state="imported")
    assert list(imported["direction"]) == ["out", "in"]
    assert imported["entity"].isna().all()
    assert desk.stream() == stream, "no stream changes by what is old"
    forced = as_mbox(
        tmp_path / "sent.mbox", letter("sent by a colleague", sender="cy@kolibri.example")
    )
    desk.k.import_mail(forced, mailbox="support", direction="out")
    assert list(desk.k.messages.frame(direction="out")["subject"])[-1] == "sent by a colleague"


def test_a_folder_of_the_server_with_its_flags_untouched(bare_desk: Desk) -> None:
    bare_desk.receive(letter("new"))
    with bare_desk.dovecot.imap(bare_desk.user, "INBOX") as client:
        client.create_folder("Archive.2024")
        for number in range(30):
            client.append("Archive.2024", letter(f"old {number}"), [SEEN] if number % 2 else [])
        client.append("Archive.2024", letter("new"))
    report = bare_desk.k.import_mail("imap:support/Archive.2024", mailbox="support")
    assert report.ok, report.errors
    assert report.counts["imported"] == 31
    assert bare_desk.k.messages.frame(state="imported")["received_at"].notna().all()
    with bare_desk.dovecot.imap(bare_desk.user, "Archive.2024") as client:
        assert len(client.search("UNSEEN")) == 16

    # Now the poller is told to read this folder, too: nothing of it comes again.
    inbound = bare_desk.dovecot.inbound(bare_desk.user, fetch="all")
    inbound["folders"] = ["INBOX", "Archive.2024"]
    bare_desk.mailbox(inbound=inbound)
    bare_desk.close()
    seen = bare_desk.healthy_poll()
    assert seen.counts["stored"] == 0
    again = bare_desk.k.import_mail("imap:support/Archive.2024", mailbox="support")
    assert again.counts == {"read": 31, "known": 31}


def test_what_the_poller_is_going_to_fetch_is_left_to_it(desk: Desk) -> None:
    with desk.dovecot.imap(desk.user, "INBOX") as client:
        client.append("INBOX", letter("read long ago"), [SEEN])
    desk.healthy_poll()
    with desk.dovecot.imap(desk.user, "INBOX") as client:
        client.append("INBOX", letter("has just come"))
    report = desk.k.import_mail("imap:support", mailbox="support")
    assert report.counts == {"read": 2, "imported": 1, "poller": 1}
    desk.healthy_poll()
    assert rows(desk)[:2] == [("read long ago", "imported"), ("has just come", "done")]
    assert len(desk.incidents()) == 1, "the new mail has triggered what it has to"


def test_the_command(desk: Desk, tmp_path: Path) -> None:
    archive = as_mbox(tmp_path / "old.mbox", *(letter(f"old {n}") for n in range(3)))
    told = desk.folder.kolibri("import", str(archive), "--mailbox", "support")
    assert told.returncode == 0, told.stderr
    assert "3 read · 3 imported · 0 already there" in told.stdout
    again = desk.folder.kolibri("import", str(archive), "-M", "support", "--json")
    answer = json.loads(again.stdout)
    assert (answer["read"], answer["imported"], answer["known"]) == (3, 0, 3)
    assert answer["folders"]["old"]["known"] == 3

    for arguments, code, message in (
        (["nothing.mbox", "-M", "support"], 2, "no file or folder"),
        ([str(archive), "-M", "suport"], 2, "Did you mean 'support'?"),
        (["imap:sales/Old", "-M", "support"], 2, "import into that one"),
        (["imap:support/Olld", "-M", "support"], 1, "The server has the folders"),
        ([str(archive), "-M", "support", "--since", "soon"], 2, "ISO 8601"),
    ):
        refused = desk.folder.kolibri("import", *arguments)
        assert refused.returncode == code, refused.stderr
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr


def test_since_folders_and_what_cannot_be_read(desk: Desk, tmp_path: Path) -> None:
    root = tmp_path / "old"
    for folder, name in (("Inbox", "a"), ("Inbox", "b"), ("Sent", "c")):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / f"{name}.eml").write_bytes(letter(name))
    (root / "Inbox" / "b.eml").write_bytes(b"Date: Fri, 1 May 2020 12:00:00 +0000\nSubject: b\n\n")
    (root / "Inbox" / "empty.eml").write_bytes(b"")
    (root / "Inbox" / "x.eml").write_bytes(b"X-A: %b\n\nHello" % (b"a" * 300_000))
    report = desk.k.import_mail(root, mailbox="support", folders=["Inbox"], since="2021-01-01")
    assert not report.ok
    assert report.counts == {"read": 4, "imported": 2, "older": 1, "unreadable": 1, "unparsed": 1}
    assert "empty.eml: it is empty" in report.errors[0]
    (number,) = desk.k.messages.frame(state="imported").query("error != ''")["id"]
    assert desk.k.messages[number].raw.startswith(b"X-A: aaa"), "kept with its bytes"
    assert desk.folder.kolibri("import", str(root), "-M", "support", "-f", "Inbox").returncode == 1
    with pytest.raises(ConfigurationError, match="no direction"):
        desk.k.import_mail(root, mailbox="support", direction="up")


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_importing_three_gigabytes_stays_below_250_megabytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "huge.mbox"
    count = write_mbox(archive, HUGE)
    measured = import_measured(tmp_path, archive)
    with capsys.disabled():
        told = ", ".join(f"{name} {value:,.0f}" for name, value in measured.items())
        print(f"\n{archive.stat().st_size:,} bytes: {told}")
    assert measured["mails"] == count
    assert measured["peak"] + measured["children"] < LIMIT
