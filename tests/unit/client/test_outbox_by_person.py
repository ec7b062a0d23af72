"""``kolibri outbox``: what a person sees of mail on its way out, and does with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from kolibri_sdk import Kolibri, clock, connect
from kolibri_sdk.cli import app
from kolibri_sdk.errors import ConfigurationError, NotFound, OperationalError
from kolibri_sdk.store import outbox
from tests.faults.desk import ENTITY, maildir_sides
from tests.project import ProjectFolder

ANNAS, TOMS = "anna@customer.example", "tom@customer.example"
REFUSED = {"status": "permanent", "code": 550, "answer": "5.1.1 nobody here"}
ACCEPTED = {"status": "accepted", "code": 250, "answer": "ok"}


@pytest.fixture
def folder(tmp_path: Path) -> ProjectFolder:
    made = ProjectFolder(tmp_path)
    made.document("rules/entities/incident.yaml", ENTITY)
    made.mailbox("support", **maildir_sides("support"))
    return made


@pytest.fixture
def k(folder: ProjectFolder) -> Iterator[Kolibri]:
    with connect(project=folder.root, user="bob") as opened:
        yield opened


def mail(k: Kolibri, state: str = "queued", **results: Any) -> int:
    """A mail of an incident, brought into this state."""
    record = k.records["incident"].insert(title="VPN is down")
    number = record.mail(to=[ANNAS, TOMS], text="Hello").id
    with k._system.store.write() as tx:
        told = {f"{who}@customer.example": result for who, result in results.items()}
        outbox.save(tx, number, state=state, results=told, due_at=clock.now())
    return int(number)


def kolibri(folder: ProjectFolder, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["outbox", *map(str, arguments), "-C", str(folder.root)])


def test_show_tells_of_each_recipient(folder: ProjectFolder, k: Kolibri) -> None:
    number = mail(k, "sent", anna=ACCEPTED, tom=REFUSED)
    shown = kolibri(folder, "show", number)
    assert shown.exit_code == 1, "not everybody got it"
    assert "permanent: 550 5.1.1 nobody here" in shown.stdout
    assert "VPN is down" in shown.stdout
    told = json.loads(kolibri(folder, "show", number, "--json").stdout)
    assert told["results"] == {ANNAS: ACCEPTED, TOMS: REFUSED}
    assert (told["state"], told["record"]) == ("sent", "incident 1")
    assert kolibri(folder, "show", mail(k)).exit_code == 0
    assert kolibri(folder, "show", 4711).exit_code == 2


def test_show_gives_the_mail_byte_for_byte(folder: ProjectFolder, k: Kolibri) -> None:
    number = mail(k)
    shown = kolibri(folder, "show", number, "--raw")
    assert shown.stdout_bytes == k.messages[k.outbox[number].message].raw


def test_list_filters(folder: ProjectFolder, k: Kolibri) -> None:
    first, second, third = mail(k, "failed"), mail(k), mail(k)

    def ids(*arguments: str) -> list[int]:
        return [
            row["id"] for row in json.loads(kolibri(folder, "list", "--json", *arguments).stdout)
        ]

    assert ids() == [first, second, third]
    assert ids("--state", "queued") == [second, third]
    assert ids("--record", "incident/2") == [second]
    assert ids("--last", "1") == [third]
    assert ids("--to", ANNAS.upper()) == [first, second, third]
    assert ids("--to", "nobody@x.example") == []
    assert ids("--since", "2100-01-01") == []
    assert "no record" in kolibri(folder, "list", "--record", "incident").stderr


def test_retry_sends_to_those_who_did_not_get_it(folder: ProjectFolder, k: Kolibri) -> None:
    number = mail(k, "failed", anna=ACCEPTED, tom=REFUSED)
    before = k.outbox[number].message_id

    retried = kolibri(folder, "retry", number, "--by", "bob")

    assert (retried.exit_code, retried.stdout) == (0, "1 queued; they go out in the next pass.\n")
    (report,) = k.poll(passes=1, every=0)
    assert report.counts["sent"] == 1
    (file,) = (folder.root / "mail/sent").glob("new/*")
    delivered = [line for line in file.read_text().splitlines() if line.startswith("Delivered-To")]
    assert delivered == [f"Delivered-To: {TOMS}"]
    assert before in file.read_text()
    assert [k.outbox[number].results[who]["status"] for who in (ANNAS, TOMS)] == ["accepted"] * 2
    stream = k.records["incident", 1].activity.frame()
    assert list(stream["text"])[1] == f"To {TOMS}: tried again by bob"


@pytest.mark.parametrize(
    ("state", "command", "told"),
    [
        ("sent", "retry", "has been sent and cannot be tried again; it did not reach"),
        ("sending", "retry", "is being sent just now and cannot be tried again"),
        ("held", "retry", "is held and cannot be tried again"),
        ("cancelled", "retry", "is cancelled and cannot be tried again"),
        ("sent", "cancel", "has been sent and cannot be cancelled"),
        ("sending", "cancel", "is being sent just now and cannot be cancelled"),
        ("uncertain", "cancel", "may have gone out and cannot be cancelled"),
        ("queued", "release", "is queued and cannot be released"),
        ("failed", "confirm", "is failed: there is nothing to confirm"),
    ],
)
def test_what_makes_no_sense_is_refused(
    folder: ProjectFolder, k: Kolibri, state: str, command: str, told: str
) -> None:
    number = mail(k, state, anna=ACCEPTED, tom=REFUSED)
    refused = kolibri(folder, command, number)
    assert refused.exit_code == 2
    assert told in refused.stderr
    assert k.outbox[number].state == state


def test_all_that_failed_or_are_uncertain(folder: ProjectFolder, k: Kolibri) -> None:
    failed, uncertain = mail(k, "failed"), mail(k, "uncertain")
    assert kolibri(folder, "retry").exit_code == 2
    assert kolibri(folder, "retry", "--all", "failed").exit_code == 0
    assert (k.outbox[failed].state, k.outbox[uncertain].state) == ("queued", "uncertain")
    assert k.outbox.retry("uncertain", mailbox="support") == 1
    with pytest.raises(ConfigurationError, match='Give numbers, or "failed" or "uncertain"'):
        k.outbox.retry("held")  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        k.outbox.retry([4711])


def test_a_person_says_that_an_uncertain_mail_arrived(folder: ProjectFolder, k: Kolibri) -> None:
    unknown = {"status": "uncertain", "code": None, "answer": "line lost"}
    number = mail(k, "uncertain", anna=unknown, tom=REFUSED)
    assert kolibri(folder, "confirm", number, "--by", "bob").exit_code == 0
    view = k.outbox[number]
    assert view.state == "sent"
    assert view.results == {
        ANNAS: {"status": "accepted", "code": None, "answer": "bob says that it arrived"},
        TOMS: REFUSED,
    }
    assert k.records["incident", 1].activity.frame()["kind"].iloc[-1] == "mail_sent"


def test_waiting_for_a_mail(k: Kolibri) -> None:
    sent = k.outbox[mail(k)]
    with pytest.raises(OperationalError, match=r"is queued after 0\.1 s"):
        sent.wait(0.1)
    list(k.poll(passes=1, every=0))
    assert sent.wait(0.1).state == "sent"
    assert "accepted" in sent._repr_html_()
    with pytest.raises(NotFound, match="There is no outbox mail 4711"):
        k.outbox[4711]
