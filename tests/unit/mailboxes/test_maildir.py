"""Maildirs: read beside other programs, delivered into without doubles."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kolibri_sdk.errors import ConnectionFailed, PermanentSendError, TemporarySendError
from kolibri_sdk.mailboxes import MailSource, check_mailbox, open_source, open_transport
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.outbox import Envelope

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MAILBOX = Mailbox.model_validate(
    {
        "name": "support",
        "address": "support@example.org",
        "inbound": {"protocol": "maildir", "path": "in"},
        "outbound": {"protocol": "maildir", "path": "out"},
    }
)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    for number, name in enumerate(("new/3.c", "cur/2.b:2,F", "cur/1.a:2,S", "tmp/4.d", "new/.x")):
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"Subject: %s\n\nbody\n" % name.encode())
        moment = (NOON - timedelta(hours=number)).timestamp()
        os.utime(file, (moment, moment))
    return tmp_path / "in"


def opened(inbox: Path) -> MailSource:
    source = open_source(MAILBOX, root=inbox.parent)
    source.open("INBOX")
    return source


def test_all_mail_in_order_of_arrival_with_its_flag(inbox: Path) -> None:
    source = opened(inbox)
    listed = source.list(unread=True, above=None, since=None)
    assert [(mail.uid, mail.seen) for mail in listed] == [
        ("1.a", True),
        ("2.b", False),
        ("3.c", False),
    ]
    ((first, *_),) = source.fetch(listed)
    assert first.raw == b"Subject: cur/1.a:2,S\n\nbody\n"
    assert first.received_at == NOON - timedelta(hours=2)


def test_within_one_tick_the_numbers_in_the_names_tell_the_order(inbox: Path) -> None:
    for name in ("1764.M41P7Q10.host", "1764.M41P7Q9.host", "1764.M9P7Q8.host"):
        file = inbox / "new" / name
        file.write_bytes(b"Subject: Hello\n\nbody\n")
        os.utime(file, (NOON.timestamp(), NOON.timestamp() + 1))
    listed = opened(inbox).list(unread=True, above=None, since=None)
    assert [mail.uid for mail in listed[-3:]] == [
        "1764.M9P7Q8.host",
        "1764.M41P7Q9.host",
        "1764.M41P7Q10.host",
    ]


def test_since_is_exact(inbox: Path) -> None:
    since = NOON - timedelta(hours=1)
    listed = opened(inbox).list(unread=False, above=None, since=since)
    assert [mail.uid for mail in listed] == ["2.b", "3.c"]


def test_a_mail_renamed_or_removed_between_list_and_fetch(inbox: Path) -> None:
    source = opened(inbox)
    listed = source.list(unread=False, above=None, since=None)
    (inbox / "new/3.c").rename(inbox / "cur/3.c:2,S")
    (inbox / "cur/2.b:2,F").unlink()
    ((one, two, three),) = source.fetch(listed)
    assert one.raw is not None
    assert (two.raw, bool(two.error)) == (None, True)
    assert three.raw == b"Subject: new/3.c\n\nbody\n"
    assert three.seen


def test_marks(inbox: Path) -> None:
    source = opened(inbox)
    source.mark_seen(["3.c", "2.b", "1.a", "gone"])
    assert sorted(os.listdir(inbox / "cur")) == ["1.a:2,S", "2.b:2,FS", "3.c:2,S"]
    source.mark_deleted(["3.c"])
    assert (inbox / "cur/3.c:2,ST").exists()
    assert len(source.list(unread=False, above=None, since=None)) == 3


def test_there_is_no_maildir(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed, match=r"support.*no Maildir at .*in.*path:"):
        open_source(MAILBOX, root=tmp_path)


def test_a_repeat_writes_no_second_file_though_a_reader_took_the_first(tmp_path: Path) -> None:
    raw = b"Message-ID: <1@example.org>\r\nSubject: a\r\n\r\nbody\r\n"
    envelope = Envelope("support@example.org", ("anna@example.org", "ben@example.org"))
    with open_transport(MAILBOX, root=tmp_path) as transport:
        assert transport.send(envelope, raw).accepted == envelope.recipients
        transport.send(envelope, raw)
    (file,) = (tmp_path / "out/new").iterdir()
    assert file.read_bytes() == (
        b"Return-Path: <support@example.org>\r\nDelivered-To: anna@example.org\r\n"
        b"Delivered-To: ben@example.org\r\n" + raw
    )
    file.rename(tmp_path / "out/cur" / f"{file.name}:2,S")
    with open_transport(MAILBOX, root=tmp_path) as transport:
        transport.send(envelope, raw)
        transport.send(Envelope("", ("carla@example.org",)), raw)  # another envelope: another mail
    assert len(list((tmp_path / "out/new").iterdir())) == 1
    assert list((tmp_path / "out/tmp").iterdir()) == []


def test_unfit_addresses(tmp_path: Path) -> None:
    with open_transport(MAILBOX, root=tmp_path) as transport:
        delivery = transport.send(Envelope("", ("a@x\nBcc: b@x", "c@x")), b"Subject: a\n\n")
        assert delivery.accepted == ("c@x",)
        with pytest.raises(PermanentSendError, match="sender"):
            transport.send(Envelope("a@x\nBcc: b@x", ("c@x",)), b"Subject: a\n\n")
    (file,) = (tmp_path / "out/new").iterdir()
    assert b"Bcc" not in file.read_bytes()


def test_a_maildir_that_went_away_is_temporary(tmp_path: Path) -> None:
    with open_transport(MAILBOX, root=tmp_path) as transport:
        (tmp_path / "out/tmp").rmdir()
        with pytest.raises(TemporarySendError, match="cannot be written"):
            transport.send(Envelope("", ("c@x",)), b"Subject: a\n\n")


def test_check(inbox: Path) -> None:
    check = check_mailbox(MAILBOX, root=inbox.parent)
    assert check.ok
    assert "INBOX: 3 mails, 2 unread" in str(check)
    assert "out: 0 mails" in str(check)
