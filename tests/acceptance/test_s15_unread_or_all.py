"""S15: a mailbox is read for unread mail only (the normal case), or for all mail."""

from __future__ import annotations

import pytest
from imapclient import SEEN

from tests.acceptance.conftest import Desk
from tests.project import letter


def subjects(desk: Desk) -> list[str]:
    return sorted(desk.k.messages.frame()["subject"])


def open_all_mail(desk: Desk) -> None:
    """What a colleague does who opens every mail in the shared mailbox."""
    with desk.dovecot.imap(desk.user, "INBOX") as colleague:
        colleague.add_flags(colleague.search(), [SEEN])


@pytest.mark.parametrize(("fetch", "expected"), [("unread", ["new"]), ("all", ["new", "old"])])
def test_the_first_run_takes_what_its_mode_says(
    bare_desk: Desk, fetch: str, expected: list[str]
) -> None:
    bare_desk.mailbox(fetch=fetch)
    bare_desk.dovecot.append(bare_desk.user, letter("old"), flags=(SEEN,))
    bare_desk.deliver(letter("new"))

    bare_desk.healthy_poll()

    assert subjects(bare_desk) == expected


def test_unread_mode_is_what_a_mailbox_file_means_that_says_nothing(bare_desk: Desk) -> None:
    bare_desk.mailbox(inbound=bare_desk.dovecot.inbound(bare_desk.user))
    bare_desk.dovecot.append(bare_desk.user, letter("old"), flags=(SEEN,))

    bare_desk.receive(letter("new"))

    assert subjects(bare_desk) == ["new"]


def test_unread_mode_still_fetches_what_a_colleague_opened_between_two_polls(
    bare_desk: Desk,
) -> None:
    bare_desk.receive(letter("before"))
    bare_desk.deliver(letter("opened meanwhile"))
    open_all_mail(bare_desk)

    report = bare_desk.healthy_poll()

    assert report.counts["stored"] == 1
    assert subjects(bare_desk) == ["before", "opened meanwhile"]


def test_an_old_unread_mail_is_taken_once_and_so_is_one_marked_unread_again(
    bare_desk: Desk,
) -> None:
    bare_desk.receive(letter("one"))
    with bare_desk.dovecot.imap(bare_desk.user, "INBOX") as colleague:
        colleague.add_flags(colleague.search(), [SEEN])
        colleague.remove_flags(colleague.search(), [SEEN])

    report = bare_desk.healthy_poll()

    assert not report.counts["fetched"]
    assert subjects(bare_desk) == ["one"]


def test_an_old_mail_that_somebody_marks_unread_is_fetched_then(bare_desk: Desk) -> None:
    bare_desk.dovecot.append(bare_desk.user, letter("old"), flags=(SEEN,))
    bare_desk.receive(letter("new"))
    with bare_desk.dovecot.imap(bare_desk.user, "INBOX") as colleague:
        colleague.remove_flags(colleague.search(), [SEEN])

    bare_desk.healthy_poll()

    assert subjects(bare_desk) == ["new", "old"]


@pytest.mark.parametrize("fetch", ["unread", "all"])
def test_reading_leaves_the_mail_unread_for_colleagues(bare_desk: Desk, fetch: str) -> None:
    bare_desk.mailbox(fetch=fetch)

    bare_desk.receive(letter())

    with bare_desk.dovecot.imap(bare_desk.user, "INBOX") as colleague:
        assert len(colleague.search("UNSEEN")) == 1
