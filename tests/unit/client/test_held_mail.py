"""``k.outbox.release()`` and ``.cancel()``, and their commands: what becomes of held mail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kolibri_sdk import Kolibri, connect
from kolibri_sdk.errors import ConfigurationError, NotFound
from tests.faults.desk import ENTITY, INCIDENT, drop, maildir_sides
from tests.project import ProjectFolder, letter


@pytest.fixture
def folder(tmp_path: Path) -> ProjectFolder:
    """A desk that may answer once an hour, and got four mails of Anna's: three answers are held."""
    made = ProjectFolder(tmp_path)
    made.document("rules/entities/incident.yaml", ENTITY)
    answer = {"send_mail": {"template": "received", "to": {"field": "caller"}}}
    then = [*INCIDENT["then"], answer]  # type: ignore[misc]
    made.document("rules/inbound/support/incident.yaml", INCIDENT | {"then": then})
    made.template("received", en_subject="Thanks", en_txt="Thank you.")
    made.mailbox("support", answers_per_hour=1, **maildir_sides("support"))
    drop(tmp_path, "support", *(letter(name) for name in ("VPN", "Printer", "Screen", "Desk")))
    with connect(project=tmp_path) as k:
        (report,) = k.poll(passes=1, every=0)
    assert (report.ok, report.counts["sent"], report.counts["held"]) == (True, 1, 3)
    (told,) = report.not_done
    assert told == (
        "3 held: answers_per_hour of mailbox support; see `kolibri outbox list --state held`"
    )
    return made


@pytest.fixture
def k(folder: ProjectFolder) -> Iterator[Kolibri]:
    with connect(project=folder.root, user="bob") as opened:
        yield opened


def test_held_mail_is_released_and_cancelled(k: Kolibri) -> None:
    first, *rest = k.outbox.frame(state="held")["id"]
    assert k.outbox.release([first]) == 1
    assert k.outbox.cancel("held") == len(rest) == 2
    (report,) = k.poll(passes=1, every=0)
    assert (report.counts["sent"], report.counts["held"]) == (1, 0)
    assert dict(k.outbox.frame()["state"].value_counts()) == {"sent": 2, "cancelled": 2}
    entry = k.records["incident", 4].activity.frame().iloc[-1]
    assert (entry["kind"], entry["author"]) == ("mail_cancelled", "bob")


def test_what_cannot_be_is_told(k: Kolibri) -> None:
    (sent,) = k.outbox.frame(state="sent")["id"]
    with pytest.raises(
        ConfigurationError, match=f"mail {sent} has been sent and cannot be released"
    ):
        k.outbox.release([sent])
    with pytest.raises(NotFound, match="no mailbox 'sales'"):
        k.outbox.release("held", mailbox="sales")
    with pytest.raises(ConfigurationError, match="'all' names no mails"):
        k.outbox.cancel("all")  # type: ignore[arg-type]
    assert len(k.outbox.frame(state="held")) == 3


def test_the_commands(folder: ProjectFolder) -> None:
    def ran(*arguments: str, code: int = 0) -> str:
        done = folder.kolibri("outbox", *arguments)
        assert done.returncode == code, done
        return done.stdout + done.stderr

    listed = json.loads(ran("list", "--state", "held", "--json"))
    assert len(listed) == 3
    assert "anna@customer.example had 1 automatic mails in the last hour" in listed[0]["error"]
    assert "It is not said which mails" in ran("release", code=2)
    assert "It is not said which mails" in ran("cancel", "--all", "1", code=2)
    assert "1 released" in ran("release", str(listed[0]["id"]))
    assert "cannot be released" in ran("release", str(listed[0]["id"]), code=2)
    assert "2 cancelled" in ran("cancel", "--all", "--mailbox", "support", "--by", "carl")
    assert "0 released" in ran("release", "--all")
    assert folder.kolibri("poll", "--passes", "1").stdout.count("1 sent") == 1
