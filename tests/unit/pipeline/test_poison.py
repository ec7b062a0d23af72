"""One mail, one record, one entity that goes wrong keeps nobody else waiting."""

from __future__ import annotations

import json
import mailbox
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kolibri_sdk import ActionScene, Kolibri, action, connect
from kolibri_sdk.errors import SandboxError
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.pipeline import parse
from kolibri_sdk.pipeline.rules import Weighed
from kolibri_sdk.pipeline.system import System

FILES: dict[str, Any] = {
    "mailboxes/support.yaml": {
        "address": "support@kolibri.example",
        "inbound": {"protocol": "maildir", "path": "in"},
        "outbound": {"protocol": "maildir", "path": "out"},
    },
    "entities/incident.yaml": {
        "table": "incident",
        "number": "number",
        "fields": {
            "number": "text",
            "title": "text",
            "priority": "integer",
            "urgent": "boolean",
            "due": "datetime",
            "tags": "json",
        },
    },
}
Rule = Callable[..., Kolibri]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "rules" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    for folder in ("in", "out"):
        mailbox.Maildir(tmp_path / folder, create=True)
    text = '[kolibri]\ndatabase = "sqlite:///kolibri.db"\nrules = "rules"\n'
    (tmp_path / "kolibri.toml").write_text(text)
    return tmp_path


@pytest.fixture
def opened(project: Path) -> Iterator[Rule]:
    """Open the project with one rule, after two mails have come: an evil one, and a good one."""
    kolibris: list[Kolibri] = []

    def open_with(*then: dict[str, Any]) -> Kolibri:
        rule = project / "rules/inbound/support/make.yaml"
        rule.parent.mkdir(parents=True, exist_ok=True)
        rule.write_text(json.dumps({"order": 1, "when": "true", "then": list(then)}))
        box = mailbox.Maildir(project / "in")
        for subject in ("evil", "good"):
            box.add(f"From: a@b.example\r\nSubject: {subject}\r\n\r\nx\r\n".encode())
        kolibris.append(connect(project=project))
        return kolibris[-1]

    yield open_with
    for kolibri in kolibris:
        kolibri.close()


def make(**fields: str) -> dict[str, Any]:
    return {"create_record": {"entity": "incident", "set": {"title": "message.subject", **fields}}}


VALUES = {
    "an integer too large": ("priority", "1e20"),
    "text for a truth": ("urgent", "'perhaps'"),
    "no time": ("due", "'tomorrow'"),
    "no such field": ("titel", "'x'"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_that_does_not_fit_fails_its_own_mail_only(opened: Rule, name: str) -> None:
    field, value = VALUES[name]
    evil = f"message.subject === 'evil' ? {value} : null"
    if name == "no such field":
        k = opened(make(), {"update_record": {"set": {field: evil}}})
    else:
        k = opened(make(**{field: evil}))
    (report,) = k.poll(passes=1, every=0)
    states = dict(k.messages.frame()[["subject", "state"]].itertuples(index=False))
    assert states["evil"] == "failed"
    assert any("Rule make" in error and "incident" in error for error in report.errors)
    if name != "no such field":
        assert states["good"] == "done"
        assert list(k.records["incident"].frame()["title"]) == ["good"]


def test_a_python_action_whose_sql_fails_is_told_and_the_others_go_on(
    opened: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kolibri_sdk.actions.registry._actions", {})

    @action("odd")
    def odd(scene: ActionScene, subject: str) -> None:
        if subject == "evil":
            scene.tx.execute(sa.text("select * from nowhere"))

    k = opened(make(), {"call": {"name": "odd", "with": {"subject": "message.subject"}}})
    list(k.poll(passes=1, every=0))
    assert list(k.records["incident"].frame()["title"]) == ["good"]


def test_text_that_no_database_holds_is_stored_all_the_same(opened: Rule) -> None:
    zero = "'a\\u0000b'"
    note = {"add_note": {"text": zero}}
    k = opened(make(title=zero, tags=f"[{zero}]"), note)
    (report,) = k.poll(passes=1, every=0)
    assert report.ok
    assert list(k.records["incident"].frame()["title"]) == ["a\ufffdb"] * 2


def test_a_table_that_does_not_fit_keeps_only_its_own_entity(opened: Rule, project: Path) -> None:
    odd = {"table": "old", "number": "title", "fields": {"title": "text"}}
    (project / "rules/entities/odd.yaml").write_text(json.dumps(odd))
    k = opened(make())
    box = mailbox.Maildir(project / "in")
    box.add(b"From: a@b.example\r\nSubject: what of ABC-000001 [ABC-1 aaaaaaaaaa]?\r\n\r\nx\r\n")
    with k._system.store.write() as tx:
        tx.execute(sa.text("create table old (id integer primary key)"))
    (report,) = k.poll(passes=1, every=0)
    assert any("the table old has no column 'title'" in error for error in report.errors)
    assert len(k.records["incident"]) == 3
    assert set(k.messages.frame()["state"]) == {"done"}


def test_a_table_with_rubbish_in_it_keeps_only_its_own_record(opened: Rule) -> None:
    """A program that writes no times into a column of times."""
    k = opened(make())
    list(k.poll(passes=1, every=0))
    with k._system.store.write() as tx:
        tx.execute(sa.text("update incident set due = 'soon' where title = 'evil'"))
    (report,) = k.poll(passes=1, every=0)
    assert report.counts["events"] == 1
    assert report.ok


def test_rules_that_cannot_run_keep_only_the_mails_of_their_mailbox_waiting(
    opened: Rule, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {
        "address": "sales@kolibri.example",
        "inbound": {"protocol": "maildir", "path": "sales"},
    }
    (project / "rules/mailboxes/sales.yaml").write_text(json.dumps(other))
    mailbox.Maildir(project / "sales").add(b"From: a@b.example\r\nSubject: offer\r\n\r\nx\r\n")
    real = parse.weigh

    def weigh(system: System, name: str, found: Sequence[StoredMessage]) -> list[Weighed]:
        if name == "sales":
            raise SandboxError("The sandbox does not answer")
        return real(system, name, found)

    monkeypatch.setattr(parse, "weigh", weigh)
    k = opened(make())
    (report,) = k.poll(passes=1, every=0)
    assert report.errors == ["The sandbox does not answer"]
    assert dict(k.messages.frame()[["subject", "state"]].itertuples(index=False)) == {
        "offer": "parsed",
        "evil": "done",
        "good": "done",
    }
    monkeypatch.undo()
    (report,) = k.poll(passes=1, every=0)
    assert report.ok
    assert set(k.messages.frame()["state"]) == {"done"}


def test_a_mail_that_was_begun_before_is_saved_before_a_rule_sees_it(
    opened: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a rule that takes the process down would be told as a mail that cannot be parsed."""
    k = opened(make())
    seen: list[str] = []
    real = parse.weigh

    def weigh(system: System, name: str, found: Sequence[StoredMessage]) -> list[Weighed]:
        with system.store.read() as tx:
            seen.extend(tx.scalars(sa.text("select state from kolibri_message order by id")))
        raise KeyboardInterrupt if len(seen) == 2 else SandboxError("The sandbox does not answer")

    monkeypatch.setattr(parse, "weigh", weigh)
    with pytest.raises(KeyboardInterrupt):
        list(k.poll(passes=1, every=0))
    assert seen == ["fetched", "fetched"]
    list(k.poll(passes=1, every=0))
    assert seen[2:] == ["parsed", "fetched", "parsed", "parsed"]
    monkeypatch.setattr(parse, "weigh", real)
    (report,) = k.poll(passes=1, every=0)
    assert report.ok
    assert set(k.messages.frame()["state"]) == {"done"}
