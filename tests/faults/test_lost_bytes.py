"""Bytes that the database has lost, or that are damaged: told by number, and nobody else waits."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from kolibri_sdk import PassReport
from kolibri_sdk.clock import now
from kolibri_sdk.errors import NotFound
from kolibri_sdk.pipeline import reconcile
from kolibri_sdk.pipeline.fetch import fetch_mailbox
from tests.faults.conftest import NewDesk
from tests.faults.desk import INCIDENT, Desk, once_at
from tests.project import letter

SUBJECTS = [f"Mail {n}" for n in range(5)]
ANSWER = {"send_mail": {"template": "received", "to": {"field": "caller"}}}
_OF_TWO = "(SELECT blob FROM kolibri_message WHERE id = 3)"
LOST = {
    "missing": f"DELETE FROM kolibri_blob WHERE sha256 = {_OF_TWO}",
    "not what was stored": (
        "UPDATE kolibri_blob SET codec = 'raw', data = CAST('nonsense' AS BLOB) "
        f"WHERE sha256 = {_OF_TWO}"
    ),
    "not to be unpacked": (
        "UPDATE kolibri_blob SET codec = 'zstd', data = CAST('nonsense' AS BLOB) "
        f"WHERE sha256 = {_OF_TWO}"
    ),
}


def write(desk: Desk, statement: str) -> None:
    with desk.system.store.write() as tx:
        tx.execute(sa.text(statement))


@pytest.fixture(params=LOST)
def lost(request: pytest.FixtureRequest) -> str:
    return LOST[request.param]


def test_a_mail_whose_bytes_are_lost_before_it_was_parsed_stops_nobody(
    desk: Desk, lost: str
) -> None:
    desk.drop(*map(letter, SUBJECTS))
    fetch_mailbox(desk.system, desk.system.mailbox("support"), PassReport(now()))
    write(desk, lost)

    report = desk.poll()

    assert sorted(desk.titles()) == [s for n, s in enumerate(SUBJECTS) if n != 2]
    (told,) = [line for line in report.refused if "Message 3" in line]
    assert "missing or damaged" in told
    assert "kolibri reconcile support --repair" in told
    assert desk.rows("SELECT id FROM kolibri_message WHERE state = 'unparsed'") == [(3,)]
    assert not any("Message 3" in line for line in desk.poll().refused), "once is enough"

    assert reconcile(desk.system, desk.system.mailbox("support"), repair=True).ok
    desk.healthy_poll()
    assert sorted(desk.titles()) == SUBJECTS
    assert set(desk.states().values()) == {"done"}


def test_whoever_reads_lost_bytes_is_told_what_to_do(desk: Desk, lost: str) -> None:
    desk.drop(*map(letter, SUBJECTS))
    desk.healthy_poll()
    write(desk, lost)
    with desk.folder.open() as k, pytest.raises(NotFound, match="kolibri reconcile --repair"):
        _ = k.messages[3].raw


def test_an_answer_whose_bytes_are_lost_is_composed_anew_and_keeps_nobody_waiting(
    new_desk: NewDesk,
) -> None:
    desk = new_desk()
    desk.rule("incident", INCIDENT | {"then": [*INCIDENT["then"], ANSWER]})  # type: ignore[misc]
    desk.folder.template("received", en_subject="Thanks", en_txt="Thank you.")
    people = [f"p{n}@customer.example" for n in range(5)]
    desk.drop(*(letter(f"Mail {n}", sender=who) for n, who in enumerate(people)))
    of_three = "(SELECT blob FROM kolibri_outbox WHERE id = 3)"
    lose = f"DELETE FROM kolibri_blob WHERE sha256 = {of_three}"
    once_at("send.claimed", lambda: write(desk, lose))  # the first is under way

    report = desk.poll()

    assert len(desk.sent()) == 4
    (told,) = report.errors
    assert "Outbox 3" in told
    assert "composed anew" in told
    desk.healthy_poll()
    assert sorted(mail["To"] for mail in desk.sent()) == people
    assert desk.column("SELECT DISTINCT state FROM kolibri_outbox") == ["sent"]
