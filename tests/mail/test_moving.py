"""Mail that is moved once it is safe, on a Dovecot with MOVE and on one with nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from kolibri_sdk.errors import ConfigurationError, ServerRefused
from kolibri_sdk.mailboxes import Connections, open_source
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.schedule import Stop
from tests.mail.conftest import mail, subjects
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.dovecot


@pytest.fixture(params=["dovecot", "bare_dovecot"])
def server(request: pytest.FixtureRequest) -> Dovecot:
    found: Dovecot = request.getfixturevalue(request.param)
    return found


def box(server: Dovecot, user: str, **inbound: object) -> Mailbox:
    described = {"name": "support", "address": f"{user}@example.org"}
    return Mailbox.model_validate({**described, "inbound": server.inbound(user, **inbound)})


def lying(server: Dovecot, user: str, folder: str) -> list[tuple[str, bool]]:
    """Subjects in a folder, and whether each is marked as deleted."""
    with server.imap(user, folder) as colleague:
        found = colleague.fetch(colleague.search(), ["FLAGS", "ENVELOPE"])
    return [
        (item[b"ENVELOPE"].subject.decode(), b"\\Deleted" in item[b"FLAGS"])
        for item in found.values()
    ]


@pytest.mark.parametrize("folder", ["Archive", "Erledigt & geprüft"])
def test_mail_is_moved_and_the_folder_made(server: Dovecot, folder: str) -> None:
    user = server.new_user()
    server.append(user, mail(1), mail(2), mail(3))
    with server.imap(user, "INBOX") as colleague:
        colleague.add_flags([3], [b"\\Deleted"])
    with open_source(box(server, user)) as source:
        source.open("INBOX")
        moved = source.move(["1", "2"], folder)
    assert lying(server, user, folder) == [("mail 1", False), ("mail 2", False)]
    left = [("mail 3", True)]
    if server.more:  # it can expunge everybody's mail only: ours stays, marked
        left = [("mail 1", True), ("mail 2", True), *left]
    assert lying(server, user, "INBOX") == left
    if not server.more:
        assert [one.uids for one in moved] == [("1", "2")]
        with open_source(box(server, user, folders=[folder])) as source:
            assert source.open(folder).uidvalidity == moved[0].uidvalidity


def test_mail_that_a_colleague_took_away_stops_nothing(server: Dovecot) -> None:
    user = server.new_user()
    server.append(user, mail(1), mail(2))
    with open_source(box(server, user)) as source:
        source.open("INBOX")
        with server.imap(user, "INBOX") as colleague:
            colleague.delete_messages([1])
            colleague.expunge()
        source.move(["1", "2"], "Archive")
    assert ("mail 2", False) in lying(server, user, "Archive")


def test_a_folder_that_cannot_be_made_is_told(server: Dovecot) -> None:
    user = server.new_user()
    server.append(user, mail(1))
    with open_source(box(server, user)) as source:
        source.open("INBOX")
        with pytest.raises(ServerRefused, match="moving mail to"):
            source.move(["1"], "a/b/../../c")
        with pytest.raises(ConfigurationError, match="line break"):
            source.move(["1"], "Archive\r\nA1 LOGOUT")
    assert lying(server, user, "INBOX") == [("mail 1", False)]


def test_a_server_with_nothing_but_the_standard_is_read_marked_and_waited_for(
    bare_dovecot: Dovecot,
) -> None:
    user = bare_dovecot.new_user()
    bare_dovecot.append(user, mail(1), mail(2))
    mailbox = box(bare_dovecot, user)
    connections = Connections(Path())
    with connections.source(mailbox) as source:
        source.open("INBOX")
        listed = source.list(unread=True, above=None, since=None)
        assert subjects(source.fetch(listed)) == ["mail 1", "mail 2"]
        source.mark_seen(["1"])
        source.mark_deleted(["2"])
    bare_dovecot.append(user, mail(3))
    assert connections.wait(0.5, Stop()) == (), "it cannot tell"
    with connections.source(mailbox) as source:
        source.open("INBOX")
        assert [m.uid for m in source.list(unread=False, above=2, since=None)] == ["3"]
        assert [m.uid for m in source.list(unread=False, above=2, since=None)] == ["3"]
    connections.close()
    assert lying(bare_dovecot, user, "INBOX") == [
        ("mail 1", False),
        ("mail 2", True),
        ("mail 3", False),
    ]
