"""The main job in one piece: mailbox → KolibriMessage → reference → rules → record → answer."""

from __future__ import annotations

import json
from typing import Any

from tests.acceptance.conftest import Desk
from tests.project import letter, reply_to


def poll_by_command(desk: Desk) -> dict[str, Any]:
    """One pass in a process of its own, as a scheduler runs it; what it printed."""
    run = desk.folder.kolibri("poll", "--passes", "1", "--json")
    assert run.returncode == 0, run.stderr
    printed: dict[str, Any] = json.loads(run.stdout)
    return printed


def test_a_mail_becomes_an_incident_and_the_reply_to_its_answer_comes_back_to_it(
    desk: Desk,
) -> None:
    desk.deliver(letter("VPN is down"))
    first = poll_by_command(desk)
    assert (first["stored"], first["records"], first["sent"]) == (1, 1, 1)

    answer = desk.answer_to("anna@customer.example")
    desk.deliver(reply_to(answer.raw, "It works again."))
    second = poll_by_command(desk)

    assert (second["stored"], second["referenced"], second["records"]) == (1, 1, 0)
    (incident,) = desk.incidents()
    assert incident["title"] == "VPN is down"
    assert desk.stream(incident["id"]) == [
        ("created", "Made from the mail: VPN is down"),
        ("mail_sent", "To anna@customer.example"),
        ("mail_in", "It works again."),
    ]
    assert len(desk.sink.taken) == 1, "the reply is not answered once more"


def test_another_poll_of_the_same_mailbox_does_nothing_twice(desk: Desk) -> None:
    desk.receive(letter("VPN is down"))
    desk.close()

    report = desk.healthy_poll()

    assert not any(report.counts.values()), report.as_json()
    assert len(desk.incidents()) == len(desk.sink.taken) == 1


def test_the_same_round_on_postgresql(postgresql: Any, new_desk: Any) -> None:
    desk: Desk = new_desk(database=postgresql())
    desk.folder.use_shipped_rules()
    desk.receive(letter("VPN is down"))

    report = desk.receive(reply_to(desk.answer_to("anna@customer.example").raw, "It works again."))

    assert (report.counts["referenced"], report.counts["records"]) == (1, 0)
    assert [kind for kind, _ in desk.stream()] == ["created", "mail_sent", "mail_in"]
