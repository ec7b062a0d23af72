"""Waiting in IDLE on kept connections, on a real Dovecot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kolibri_sdk.mailboxes import Connections, imap_session
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.schedule import Stop
from tests.mail.conftest import NewMailbox, mail
from tests.servers.dovecot import Dovecot
from tests.servers.relay import relaying

pytestmark = pytest.mark.dovecot

LONG = 60.0  #: seconds; no test waits that long unless it fails


@pytest.fixture
def connections() -> Iterator[Connections]:
    kept = Connections(Path())
    yield kept
    kept.close()


@contextmanager
def meanwhile(action: Callable[[], object], after: float = 0.3) -> Iterator[None]:
    """Do something while the test waits."""
    timer = threading.Timer(after, action)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def look(connections: Connections, mailbox: Mailbox, *, above: int | None = None) -> list[str]:
    """What a pass lists, folder by folder."""
    with connections.source(mailbox) as source:
        found = []
        for folder in source.folders():
            source.open(folder)
            found += [m.uid for m in source.list(unread=False, above=above, since=None)]
        return found


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_a_mail_that_arrives_ends_the_wait(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox, connections: Connections, security: str
) -> None:
    mailbox = imap_mailbox(**dovecot.inbound(user, security=security))  # type: ignore[arg-type]
    assert look(connections, mailbox) == []
    with meanwhile(lambda: dovecot.deliver(user, mail(1))):
        assert connections.wait(LONG, Stop()) == ("support",)
    assert look(connections, mailbox) == ["1"]


def test_a_mail_that_arrived_before_the_wait_is_told_at_once(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox, connections: Connections
) -> None:
    mailbox = imap_mailbox()
    look(connections, mailbox)
    dovecot.deliver(user, mail(1))
    assert connections.wait(LONG, Stop()) == ("support",)


@pytest.mark.parametrize("folders", [["INBOX", "Anfragen"], ["Anfragen", "INBOX"]])
def test_each_folder_is_watched(
    dovecot: Dovecot,
    user: str,
    imap_mailbox: NewMailbox,
    connections: Connections,
    folders: list[str],
) -> None:
    with dovecot.imap(user) as colleague:
        colleague.create_folder("Anfragen")
    mailbox = imap_mailbox(folders=folders)
    for number in (1, 2):
        look(connections, mailbox)
        with meanwhile(lambda: dovecot.append(user, mail(1), folder="Anfragen")):
            assert connections.wait(LONG, Stop()) == ("support",)
        assert look(connections, mailbox, above=number - 1) == [str(number)]


def test_the_same_connection_serves_one_pass_after_the_other(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox, connections: Connections
) -> None:
    mailbox = imap_mailbox()
    for number in range(1, 4):
        dovecot.deliver(user, mail(number))
        assert look(connections, mailbox, above=number - 1) == [str(number)]
        connections.wait(0.01, Stop())
    logins = [line for line in dovecot.log().splitlines() if "Login: " in line]
    assert sum(f"user=<{user}>" in line for line in logins) == 1


def test_a_folder_in_which_nothing_has_changed_is_not_searched_again(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox, connections: Connections
) -> None:
    mailbox = imap_mailbox()
    dovecot.append(user, mail(1))
    assert look(connections, mailbox) == ["1"]
    assert look(connections, mailbox) == []
    with dovecot.imap(user, "INBOX") as colleague:
        colleague.add_flags([1], [b"\\Seen"])
    assert look(connections, mailbox) == ["1"], "a flag that changed is a change"
    assert look(connections, mailbox) == []
    assert look(connections, mailbox, above=0) == ["1"], "another question is answered afresh"


def test_a_wait_ends_at_once_when_asked_to(
    imap_mailbox: NewMailbox, connections: Connections
) -> None:
    look(connections, imap_mailbox())
    stop = Stop()
    started = time.monotonic()
    with meanwhile(lambda: setattr(stop, "requested", True)):
        assert connections.wait(LONG, stop) == ()
    assert time.monotonic() - started < LONG / 2


def test_a_connection_that_the_server_closes_is_made_anew_in_the_next_pass(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox, connections: Connections
) -> None:
    mailbox = imap_mailbox()
    look(connections, mailbox)
    with meanwhile(lambda: dovecot.kick(user)):
        assert connections.wait(1.5, Stop()) == ()
    dovecot.deliver(user, mail(1))
    assert look(connections, mailbox) == ["1"]
    dovecot.kick(user)
    dovecot.deliver(user, mail(2))
    assert look(connections, mailbox) == ["1", "2"], "found dead when it is taken up again"


def test_idle_is_begun_again_before_a_router_forgets_the_line(
    dovecot: Dovecot,
    user: str,
    imap_mailbox: NewMailbox,
    connections: Connections,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imap_session, "IDLE_AGAIN", 0.2)
    begun: list[float] = []
    watch = imap_session.ImapSession.watch
    monkeypatch.setattr(
        imap_session.ImapSession, "watch", lambda self: begun.append(1.0) or watch(self)
    )
    look(connections, imap_mailbox())
    with meanwhile(lambda: dovecot.deliver(user, mail(1)), after=1.5):
        assert connections.wait(LONG, Stop()) == ("support",)
    assert len(begun) >= 3


def test_a_mailbox_whose_file_changes_is_connected_anew(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox, connections: Connections
) -> None:
    look(connections, imap_mailbox())
    other = dovecot.new_user()
    dovecot.deliver(other, mail(1))
    assert look(connections, imap_mailbox(user=other)) == ["1"]


def test_pop3_is_not_kept_and_the_wait_is_the_whole_beat(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox, connections: Connections
) -> None:
    dovecot.deliver(user, mail(1))
    mailbox = imap_mailbox(**dovecot.inbound(user, "pop3"))
    assert len(look(connections, mailbox)) == 1
    assert connections.wait(0.01, Stop()) == ()
    assert len(look(connections, mailbox)) == 1


def test_a_line_that_a_router_forgot_is_noticed_in_the_wait_and_made_anew(
    dovecot: Dovecot,
    user: str,
    imap_mailbox: NewMailbox,
    connections: Connections,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imap_session, "IDLE_AGAIN", 0.3)
    with relaying(dovecot.ports["imaps"]) as relay:
        mailbox = imap_mailbox(port=relay.port, timeout=1.0)
        look(connections, mailbox)
        with meanwhile(relay.swallow, after=0.1):
            started = time.monotonic()
            assert connections.wait(4.0, Stop()) == ()
        assert time.monotonic() - started >= 3.9, "the rest of the beat is waited for all the same"
        dovecot.deliver(user, mail(1))
        assert look(connections, mailbox) == ["1"]
        assert relay.connections == 2


def test_a_line_that_is_dead_when_a_pass_begins_costs_one_timeout(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox, connections: Connections
) -> None:
    with relaying(dovecot.ports["imap"]) as relay:
        side = dovecot.inbound(user, security="none", port=relay.port, timeout=1.0)
        look(connections, imap_mailbox(**side))
        relay.swallow()
        dovecot.deliver(user, mail(1))
        assert look(connections, imap_mailbox(**side)) == ["1"]
