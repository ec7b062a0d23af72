"""``k.messages.suggestions()``, ``.attach()`` and the like, ``k.reference_keys``, and commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kolibri_sdk import Kolibri, connect
from kolibri_sdk.frames import REFERENCE_KEYS, SUGGESTIONS
from tests.faults.desk import INCIDENT, drop, maildir_sides
from tests.project import ProjectFolder, letter

ENTITY = {
    "table": "incident",
    "number": "number",
    "fields": {"number": "text", "title": "text", "caller": "user", "status": "text"},
}


@pytest.fixture
def folder(tmp_path: Path) -> ProjectFolder:
    """A desk with incident 1, and a mail that names its number and made incident 2."""
    made = ProjectFolder(tmp_path)
    made.document("rules/entities/incident.yaml", ENTITY)
    made.document("rules/inbound/support/incident.yaml", INCIDENT)
    made.mailbox("support", **maildir_sides("support"))
    drop(tmp_path, "support", letter("Printer"))
    with connect(project=tmp_path) as k:
        list(k.poll(passes=1, every=0))
        drop(tmp_path, "support", letter("About INC-000001"))
        (report,) = k.poll(passes=1, every=0)
        assert report.ok
        assert report.counts["suggested"] == 1
    return made


@pytest.fixture
def k(folder: ProjectFolder) -> Iterator[Kolibri]:
    with connect(project=folder.root, user="bob") as opened:
        yield opened


def test_suggestions_are_a_frame_of_documented_columns(k: Kolibri) -> None:
    frame = k.messages.suggestions()
    assert {n: str(t) for n, t in frame.dtypes.items()} == {
        name: column.dtype for name, column in SUGGESTIONS.items()
    }
    (row,) = frame.to_dict("records")
    assert (row["message"], row["subject"]) == (2, "About INC-000001")
    assert (row["entity"], row["record_key"], row["carrier"]) == ("incident", "1", "number")
    assert (row["tied_entity"], row["tied_key"]) == ("incident", "2")
    assert k.messages.suggestions(mailbox="sales").empty
    assert k.messages.suggestions(state="accepted").empty


def test_a_suggestion_is_accepted(k: Kolibri) -> None:
    rules = len(k.decisions.frame())
    events = k.runs.frame()["counts"]
    assert str(k.messages[2].accept().record) == "incident 1"
    stream = k.records["incident", 1].activity.frame()
    assert stream["text"].iloc[-1].startswith("Attached by bob. ")
    assert k.messages.suggestions().empty
    (report,) = k.poll(passes=1, every=0)
    assert not any(report.counts.values()), "it triggers nothing"
    assert (len(k.decisions.frame()), len(events)) == (rules, 2)


def test_a_mail_is_attached_and_taken_away(k: Kolibri) -> None:
    mail = k.messages[2]
    assert str(mail.attach(("incident", 1)).record) == "incident 1"
    assert mail.detach().record is None
    assert list(k.records["incident", 1].activity.frame()["kind"])[-2:] == ["mail_in", "detached"]
    (report,) = k.poll(passes=1, every=0)
    assert not any(report.counts.values())


def test_a_suggestion_is_dismissed(k: Kolibri) -> None:
    assert str(k.messages[2].dismiss().record) == "incident 2"
    (row,) = k.messages.suggestions(state=None).to_dict("records")
    assert (row["state"], row["decided_by"]) == ("dismissed", "bob")


def test_keys_are_rotated_and_revoked(k: Kolibri) -> None:
    assert k.reference_keys.rotate() == 2
    assert k.reference_keys.revoke(1) == 2
    frame = k.reference_keys.frame()
    assert list(frame.columns) == list(REFERENCE_KEYS)
    assert list(frame["state"]) == ["revoked", "signs"]
    assert repr(k.reference_keys) == "<reference keys: 1 revoked, 1 signs>"


def test_the_commands(folder: ProjectFolder) -> None:
    def ran(*arguments: str, code: int = 0) -> str:
        done = folder.kolibri(*arguments)
        assert done.returncode == code, done
        return done.stdout + done.stderr

    listed = json.loads(ran("suggestions", "list", "--json"))
    assert [(one["message"], one["record_key"]) for one in listed] == [(2, "1")]
    told = ran("suggestions", "list")
    assert "About INC-000001" in told
    assert "incident 1" in told
    assert "1 suggestion is open" in ran("status")
    assert "2 belongs to incident 1." in ran("suggestions", "accept", "2", "--by", "carl")
    with connect(project=folder.root) as k:
        stream = k.records["incident", 1].activity.frame()
        assert "Attached by carl." in stream["text"].iloc[-1]
    assert "Nothing is suggested for message 2" in ran("suggestions", "dismiss", "2", code=2)
    assert "no state 'opne'" in ran("suggestions", "list", "--state", "opne", code=2)
    assert "2 belongs to incident 1 no more." in ran("messages", "detach", "2")
    assert "2 belongs to incident 2." in ran("messages", "attach", "2", "incident/2")
    assert "Write entity/key" in ran("messages", "attach", "2", "incident 2", code=2)
    assert "no record incident 9" in ran("messages", "attach", "2", "incident/9", code=2)


def test_the_commands_for_keys(folder: ProjectFolder) -> None:
    rotated = folder.kolibri("reference", "rotate")
    assert "Key 2 signs from now on" in rotated.stdout, rotated
    revoked = folder.kolibri("reference", "revoke", "2")
    assert "Key 2 verifies nothing any more; key 3 signs." in revoked.stdout, revoked
    shown = json.loads(folder.kolibri("reference", "keys", "--json").stdout)
    assert [(key["id"], key["state"]) for key in shown] == [
        (1, "retired"),
        (2, "revoked"),
        (3, "signs"),
    ]
    assert not any("secret" in key for key in shown)
    assert "revoked" in folder.kolibri("reference", "keys").stdout
    unknown = folder.kolibri("reference", "revoke", "9")
    assert (unknown.returncode, "There are: 1, 2, 3" in unknown.stderr) == (2, True), unknown
