"""S17: mail can be marked as deleted (or seen) in the mailbox right after it was read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from imapclient import DELETED, SEEN

from kolibri_sdk import checkpoint
from tests.acceptance.conftest import Desk
from tests.project import letter
from tests.servers.dovecot import Dovecot


def left_on_server(desk: Desk) -> list[tuple[str, bool]]:
    """Subject of every mail in the mailbox, and whether it counts as read."""
    with desk.dovecot.imap(desk.user, "INBOX") as colleague:
        found = colleague.fetch(colleague.search(), ["FLAGS", "ENVELOPE"])
    return [(mail[b"ENVELOPE"].subject.decode(), SEEN in mail[b"FLAGS"]) for mail in found.values()]


@contextmanager
def power_lost_at(point: str) -> Iterator[None]:
    """Break off the work when it comes to this checkpoint."""

    def reached(name: str) -> None:
        if name == point:
            raise KeyboardInterrupt

    checkpoint.observe(reached)
    try:
        yield
    finally:
        checkpoint.observe(None)


@pytest.mark.parametrize("fetch", ["unread", "all"])
@pytest.mark.parametrize(
    ("after", "left"), [("keep", [("one", False)]), ("seen", [("one", True)]), ("delete", [])]
)
def test_imap_mail_is_treated_as_the_administrator_says(
    bare_desk: Desk, fetch: str, after: str, left: list[tuple[str, bool]]
) -> None:
    bare_desk.mailbox(fetch=fetch, after=after)

    bare_desk.receive(letter("one"))

    assert left_on_server(bare_desk) == left
    assert list(bare_desk.k.messages.frame()["subject"]) == ["one"]


@pytest.mark.parametrize(("after", "left"), [("keep", 1), ("delete", 0)])
def test_pop3_mail_is_kept_or_deleted(bare_desk: Desk, after: str, left: int) -> None:
    bare_desk.mailbox(protocol="pop3", after=after)

    bare_desk.receive(letter("one"))

    assert len(left_on_server(bare_desk)) == left
    assert bare_desk.healthy_poll().counts["stored"] == 0


def test_deleting_takes_our_mail_only_and_not_what_a_colleague_marked(bare_desk: Desk) -> None:
    bare_desk.mailbox(after="delete")
    bare_desk.dovecot.append(bare_desk.user, letter("a colleague's"), flags=(SEEN, DELETED))

    bare_desk.receive(letter("ours"))

    assert left_on_server(bare_desk) == [("a colleague's", True)]


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_nothing_is_deleted_before_it_is_safe_in_the_database(
    bare_desk: Desk, protocol: str
) -> None:
    bare_desk.mailbox(protocol=protocol, after="delete")
    bare_desk.deliver(letter("one"))

    with pytest.raises(KeyboardInterrupt), power_lost_at("store.batch"):
        bare_desk.poll()

    assert [subject for subject, _ in left_on_server(bare_desk)] == ["one"]
    assert len(bare_desk.k.messages) == 0

    bare_desk.healthy_poll()

    assert left_on_server(bare_desk) == []
    assert list(bare_desk.k.messages.frame()["subject"]) == ["one"]


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_what_was_stored_and_not_deleted_any_more_is_deleted_by_the_next_pass(
    bare_desk: Desk, protocol: str
) -> None:
    bare_desk.mailbox(protocol=protocol, after="delete")
    bare_desk.deliver(letter("one"))

    with pytest.raises(KeyboardInterrupt), power_lost_at("fetch.before_server_mark"):
        bare_desk.poll()

    assert [subject for subject, _ in left_on_server(bare_desk)] == ["one"]

    report = bare_desk.healthy_poll()

    assert report.counts["stored"] == 0
    assert left_on_server(bare_desk) == []
    assert list(bare_desk.k.messages.frame()["subject"]) == ["one"]


@pytest.mark.parametrize("fetch", ["unread", "all"])
@pytest.mark.parametrize("folders", [["INBOX"], ["INBOX", "Archive"], ["Archive", "INBOX"]])
def test_mail_is_moved_and_not_fetched_again_where_it_is_now(
    bare_desk: Desk, fetch: str, folders: list[str]
) -> None:
    with bare_desk.dovecot.imap(bare_desk.user) as colleague:
        colleague.create_folder("Archive")
    inbound = bare_desk.dovecot.inbound(bare_desk.user, folders=folders, fetch=fetch)
    bare_desk.mailbox(inbound={**inbound, "after": {"move": "Archive"}})
    assert bare_desk.receive(letter("one")).counts["stored"] == 1

    for _ in range(2):
        report = bare_desk.healthy_poll()
        assert report.counts["fetched"] == 0
    bare_desk.dovecot.append(bare_desk.user, letter("two"), folder="Archive")
    assert bare_desk.healthy_poll().counts["stored"] == ("Archive" in folders)

    assert left_on_server(bare_desk) == []
    with bare_desk.dovecot.imap(bare_desk.user, "Archive") as colleague:
        assert len(colleague.search()) == 2


def test_without_uidplus_a_moved_mail_is_known_by_its_content(
    bare_desk: Desk, bare_dovecot: Dovecot
) -> None:
    user = bare_dovecot.new_user()
    inbound = bare_dovecot.inbound(user, folders=["INBOX", "Archive"])
    with bare_dovecot.imap(user) as colleague:
        colleague.create_folder("Archive")
    bare_desk.mailbox(inbound={**inbound, "after": {"move": "Archive"}})
    bare_dovecot.append(user, letter("one"))
    report = bare_desk.healthy_poll()
    assert report.counts["stored"] == 1
    assert bare_desk.healthy_poll().counts["stored"] == 0
    assert len(bare_desk.k.messages) == 1
    with bare_dovecot.imap(user, "Archive") as colleague:
        assert len(colleague.search()) == 1, "it was moved once"


def test_what_was_stored_and_not_moved_any_more_is_moved_by_the_next_pass(
    bare_desk: Desk,
) -> None:
    inbound = bare_desk.dovecot.inbound(bare_desk.user)
    bare_desk.mailbox(inbound={**inbound, "after": {"move": "Archive"}})
    bare_desk.deliver(letter("one"))

    with pytest.raises(KeyboardInterrupt), power_lost_at("fetch.before_server_mark"):
        bare_desk.poll()
    assert len(left_on_server(bare_desk)) == 1

    assert bare_desk.healthy_poll().counts["stored"] == 0
    assert left_on_server(bare_desk) == []


def test_a_maildirs_mail_is_moved_beside_it(bare_desk: Desk) -> None:
    inbox = bare_desk.folder.root / "mail/drop"
    for name in ("new", "cur", "tmp"):
        (inbox / name).mkdir(parents=True)
    side = {"protocol": "maildir", "path": "mail/drop", "after": {"move": "Archive/2026"}}
    bare_desk.mailbox(inbound=side)
    (inbox / "new" / "1.mail").write_bytes(letter("one"))

    assert bare_desk.healthy_poll().counts["stored"] == 1
    assert bare_desk.healthy_poll().counts["fetched"] == 0

    assert not list((inbox / "new").iterdir()) + list((inbox / "cur").iterdir())
    assert [f.name for f in (inbox / ".Archive.2026/cur").iterdir()] == ["1.mail:2,"]
