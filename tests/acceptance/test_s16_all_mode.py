"""S16: in all mode a time stamp per mailbox sees to it that only new mail is processed, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from imapclient import DELETED, SEEN

from kolibri_sdk import clock
from tests.acceptance.conftest import Desk
from tests.project import letter


@pytest.fixture
def shared(bare_desk: Desk) -> Desk:
    """A desk whose mailbox several people use."""
    bare_desk.mailbox(fetch="all")
    return bare_desk


def subjects(desk: Desk) -> list[str]:
    return list(desk.k.messages.frame()["subject"])


def recreate_inbox(desk: Desk, *mails: bytes) -> None:
    """Give the folder another UIDVALIDITY, as a restored backup has, with these mails in it."""
    with desk.dovecot.imap(desk.user, "Shared") as colleague:
        before = colleague.folder_status("Shared", ["UIDVALIDITY"])[b"UIDVALIDITY"]
        colleague.unselect_folder()
        colleague.delete_folder("Shared")
        colleague.create_folder("Shared")
        assert colleague.folder_status("Shared", ["UIDVALIDITY"])[b"UIDVALIDITY"] != before
        for raw in mails:
            colleague.append("Shared", raw, [SEEN])


def test_mail_that_others_have_read_already_is_processed(shared: Desk) -> None:
    shared.dovecot.append(shared.user, letter("one"), letter("two"), flags=(SEEN,))

    shared.healthy_poll()

    assert subjects(shared) == ["one", "two"]


def test_each_run_processes_what_came_since_the_last_one_only(shared: Desk) -> None:
    shared.receive(letter("one"))
    shared.dovecot.append(shared.user, letter("two"), flags=(SEEN,))
    assert shared.healthy_poll().counts["fetched"] == 1
    assert shared.healthy_poll().counts["fetched"] == 0

    shared.close()

    assert shared.receive(letter("three")).counts["fetched"] == 1
    assert subjects(shared) == ["one", "two", "three"]


def test_flags_that_others_set_and_mail_they_delete_change_nothing(shared: Desk) -> None:
    shared.receive(letter("one"), letter("two"), letter("three"))
    with shared.dovecot.imap(shared.user, "INBOX") as colleague:
        first, *_ = colleague.search()
        colleague.add_flags([first], [DELETED])
        colleague.expunge()
        colleague.add_flags(colleague.search(), [SEEN])

    assert shared.healthy_poll().counts["fetched"] == 0
    assert shared.receive(letter("four")).counts["stored"] == 1
    assert len(subjects(shared)) == 4


def test_a_mail_moved_away_and_back_is_not_processed_twice(shared: Desk) -> None:
    shared.receive(letter("one"))
    with shared.dovecot.imap(shared.user) as colleague:
        colleague.create_folder("Later")
        for source, target in (("INBOX", "Later"), ("Later", "INBOX")):
            colleague.select_folder(source)
            colleague.move(colleague.search(), target)

    report = shared.healthy_poll()

    assert (report.counts["stored"], report.counts["duplicates"]) == (0, 1)
    assert subjects(shared) == ["one"]


def test_an_old_mail_moved_in_is_new_here_however_old_its_time_of_arrival(shared: Desk) -> None:
    shared.receive(letter("one"))
    long_ago = datetime(2019, 3, 1, tzinfo=UTC)
    shared.dovecot.append(shared.user, letter("from the archive"), flags=(SEEN,), at=long_ago)

    shared.healthy_poll()

    assert subjects(shared) == ["one", "from the archive"]


def test_two_mails_with_the_same_message_id_are_two_mails(shared: Desk) -> None:
    one, two = letter("one"), letter("two")
    name = next(line for line in one.splitlines() if line.startswith(b"Message-ID"))
    other = next(line for line in two.splitlines() if line.startswith(b"Message-ID"))

    shared.receive(one, two.replace(other, name))

    assert subjects(shared) == ["one", "two"]


def test_the_time_stamp_moves_with_every_run(shared: Desk) -> None:
    morning = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
    stamps = []
    for run in range(2):
        with clock.fixed(morning + timedelta(minutes=run)):
            shared.receive(letter(str(run)))
        stamps.append(shared.last_run())

    assert stamps == [morning, morning + timedelta(minutes=1)]


def test_the_time_stamp_stays_where_it_was_when_a_run_fails(shared: Desk) -> None:
    with clock.fixed(datetime(2026, 5, 4, 8, 0, tzinfo=UTC)):
        shared.receive(letter("one"))
    before = shared.last_run()
    shared.close()
    inbound = shared.dovecot.inbound(shared.user, fetch="all", port=shared.sink.port)
    shared.mailbox(inbound=inbound)

    assert not shared.poll().ok
    assert shared.last_run() == before


def test_a_first_run_leaves_mail_alone_that_is_older_than_since(shared: Desk) -> None:
    inbound = shared.dovecot.inbound(shared.user, fetch="all", since="2026-05-01")
    shared.mailbox(inbound=inbound)
    for day, subject in ((datetime(2026, 4, 29, tzinfo=UTC), "April"),
                         (datetime(2026, 5, 2, tzinfo=UTC), "May")):  # fmt: skip
        shared.dovecot.append(shared.user, letter(subject), at=day)

    shared.healthy_poll()

    assert subjects(shared) == ["May"]


@pytest.mark.parametrize("fetch", ["unread", "all"])
def test_a_folder_made_anew_is_read_again_and_only_its_new_mail_is_processed(
    shared: Desk, fetch: str
) -> None:
    shared.mailbox(inbound=shared.dovecot.inbound(shared.user, fetch=fetch, folders=["Shared"]))
    mails = [letter("one"), letter("two")]
    with shared.dovecot.imap(shared.user) as colleague:
        colleague.create_folder("Shared")
        for raw in mails:
            colleague.append("Shared", raw)
    shared.healthy_poll()

    recreate_inbox(shared, letter("came meanwhile"), *mails)
    report = shared.healthy_poll()

    assert (report.counts["stored"], report.counts["duplicates"]) == (1, 2)
    assert subjects(shared) == ["one", "two", "came meanwhile"]
    assert shared.healthy_poll().counts["fetched"] == 0


def test_ten_mails_in_batches_of_three_come_each_once(shared: Desk) -> None:
    shared.mailbox(inbound=shared.dovecot.inbound(shared.user, fetch="all", batch=3))

    report = shared.receive(*(letter(str(number)) for number in range(10)))

    assert report.counts["stored"] == 10
    assert subjects(shared) == [str(number) for number in range(10)]


def test_two_pollers_at_once_process_each_mail_once(shared: Desk) -> None:
    shared.deliver(*(letter(str(number)) for number in range(20)))
    shared.k  # noqa: B018 (it makes the database)
    with shared.folder.open() as other, ThreadPoolExecutor(2) as threads:
        jobs = [threads.submit(lambda k: list(k.poll(passes=1)), k) for k in (shared.k, other)]
        reports = [job.result()[0] for job in jobs]

    assert [report.errors for report in reports] == [[], []]
    assert sorted(map(int, subjects(shared))) == list(range(20))
