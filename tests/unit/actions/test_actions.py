"""Actions: what a rule does to records, streams and the outbox, in one transaction (S25)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kolibri_sdk.actions import (
    ActionScene,
    action,
    automatic_senders,
    carry_out,
    registered,
    template_context,
)
from kolibri_sdk.actions.registry import find
from kolibri_sdk.errors import ActionError, ConfigurationError, NotFound
from kolibri_sdk.model.decision import Decision, Verdict
from kolibri_sdk.model.entity import Entity, FieldType, RecordKey
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.message import Address, Direction, MessageKind, MessageState
from kolibri_sdk.model.rule import InboundRule
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.model.template import Template, TemplateVariant
from kolibri_sdk.rulebook import Rulebook
from kolibri_sdk.store import Store, Tables, activity, outbox, upgrade

SUPPORT = Mailbox.model_validate(
    {
        "name": "support",
        "address": "support@kolibri.example",
        "outbound": {"protocol": "maildir", "path": "out"},
    }
)
INCIDENT = Entity(
    name="incident",
    table="incident",
    number="number",
    fields={
        "number": FieldType.TEXT,
        "title": FieldType.TEXT,
        "priority": FieldType.INTEGER,
        "caller": FieldType.USER,
    },
)
BOOK = Rulebook(
    root=Path(),
    mailboxes={"support": SUPPORT},
    entities={"incident": INCIDENT},
    templates={"hello": Template("hello", {"en": TemplateVariant("en", "Hello", text="Hi")})},
)
CREATE = {"create_record": {"entity": "incident", "set": {"title": "…"}}}
UPDATE = {"update_record": {"set": {"priority": "…"}}}
NOTE = {"add_note": {"text": "…"}}
MAIL = {"send_mail": {"template": "hello", "to": {"field": "caller"}}}


def mail(**values: Any) -> StoredMessage:
    given = {
        "id": 4711,
        "direction": Direction.IN,
        "mailbox": "support",
        "state": MessageState.PARSED,
        "received_at": None,
        "size": 1,
        "blob": None,
        "subject": "Printer",
        "sender": Address("Anna@example.org", "Anna"),
        **values,
    }
    return StoredMessage(**given)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'kolibri.db'}")
    upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def scene(store: Store) -> Iterator[ActionScene]:
    with store.write() as tx:
        yield ActionScene(
            tx=tx,
            tables=Tables(BOOK.entities),
            rulebook=BOOK,
            message=mail(),
            cause="rule:vpn digest:abc",
        )


def run(scene: ActionScene, *then: Any, name: str = "vpn", **values: Any) -> list[dict[str, Any]]:
    rule = InboundRule(name, mailbox="support", when="true", then=list(then))
    given = {path.replace("__", "."): value for path, value in values.items()}
    decision = Decision(name, rule.digest, Verdict.MATCH, values=given)
    return carry_out(scene, rule, decision)


def stream(scene: ActionScene) -> list[tuple[str, str]]:
    return [(entry["kind"], entry["text"]) for entry in activity.select(scene.tx)]


def test_a_record_is_made_noted_and_at_hand(scene: ActionScene) -> None:
    done = run(
        scene,
        CREATE,
        NOTE,
        UPDATE,
        **{"0.set.title": "Printer", "1.text": "hot", "2.set.priority": 1},
    )
    assert done == [
        {"action": "create_record", "record": ["incident", "1"]},
        {"action": "add_note"},
        {"action": "update_record", "set": {"priority": 1}},
    ]
    assert scene.created == [RecordKey(entity="incident", key="1")]
    assert scene.record is not None
    assert (scene.record["title"], scene.record["priority"]) == ("Printer", 1)
    assert stream(scene) == [
        ("created", "Made from the mail: Printer"),
        ("note", "hot"),
        ("changed", "priority = 1"),
    ]
    (made, *_) = activity.select(scene.tx)
    assert (made["author"], made["message"], made["cause"]) == (
        "Anna@example.org",
        4711,
        "rule:vpn digest:abc",
    )


def test_an_entity_without_a_stream_is_not_noted(scene: ActionScene) -> None:
    scene.tables = Tables({"incident": INCIDENT.model_copy(update={"activity_stream": False})})
    run(scene, CREATE, NOTE, **{"0.set.title": "a", "1.text": "b"})
    assert stream(scene) == []


@pytest.mark.parametrize("text", [7, True, None, ["a"], {"a": 1}])
def test_a_note_may_be_any_value(scene: ActionScene, text: Any) -> None:
    run(scene, CREATE, NOTE, **{"0.set.title": "a", "1.text": text})
    assert stream(scene)[1] == ("note", str(text))


@pytest.mark.parametrize("step", [UPDATE, NOTE])
def test_what_needs_a_record_says_so(scene: ActionScene, step: Any) -> None:
    with pytest.raises(ActionError, match=r"Rule vpn, then\[0\] \((update_record|add_note)\)") as e:
        run(scene, step, **{"0.set.priority": 1, "0.text": "x"})
    assert "message 4711 belongs to none" in e.value.what
    assert "Put create_record before it" in e.value.next_step


def test_a_fault_names_rule_and_action(scene: ActionScene) -> None:
    with pytest.raises(
        ActionError, match=r"Rule vpn, then\[0\] \(create_record\): incident has no"
    ):
        run(scene, CREATE, **{"0.set.titel": "x"})


def test_two_rules_that_disagree_are_told_and_the_later_one_wins(scene: ActionScene) -> None:
    run(scene, CREATE, UPDATE, name="one", **{"0.set.title": "a", "1.set.priority": 1})
    (same,) = run(scene, UPDATE, name="two", **{"0.set.priority": 1})
    (other,) = run(scene, UPDATE, name="three", **{"0.set.priority": 3})
    (itself,) = run(scene, UPDATE, name="three", **{"0.set.priority": 2})
    assert "conflicts" not in same
    assert other["conflicts"] == ["priority: two had set 1, now 3"]
    assert "conflicts" not in itself
    assert scene.record is not None
    assert scene.record["priority"] == 2


def test_a_mail_is_queued_about_the_record_at_hand(scene: ActionScene) -> None:
    values = {"0.set.title": "a", "0.set.caller": "bob@example.org"}
    done = run(scene, CREATE, MAIL, **values)
    (row,) = outbox.select(scene.tx)
    assert done[1] == {"action": "send_mail", "outbox": [row["id"]]}
    assert row["recipients"] == ["bob@example.org"]
    assert (row["entity"], row["record_key"]) == ("incident", "1")
    assert row["cause"] == "message:4711/rule:vpn/1/en"
    assert row["request"]["context"]["record"]["number"] == "INC-000001"
    assert row["request"]["context"]["message"]["subject"] == "Printer"


def test_an_automatic_mail_is_not_answered(scene: ActionScene) -> None:
    scene.message = mail(kind=MessageKind.AUTO_REPLY)
    values = {"0.set.title": "a", "0.set.caller": "ANNA@example.org"}
    done = run(scene, CREATE, MAIL, **values)
    assert done[1]["outbox"] == []
    ((value, reason),) = done[1]["dropped"]
    assert (value, "which is not answered" in reason) == ("ANNA@example.org", True)


def test_no_rule_writes_to_a_mailbox_of_ours(scene: ActionScene) -> None:
    values = {"0.set.title": "a", "0.set.caller": "Support@kolibri.example"}
    done = run(scene, CREATE, MAIL, **values)
    assert done[1]["dropped"] == [["Support@kolibri.example", "is our own mailbox support"]]


@pytest.mark.parametrize("missing", [{"template": "gone"}, {"mailbox": "gone"}])
def test_what_is_not_there_is_named(scene: ActionScene, missing: dict[str, str]) -> None:
    step = {"send_mail": {**MAIL["send_mail"], **missing}}
    with pytest.raises(ActionError, match=r"no usable (template|mailbox) 'gone'.*kolibri check"):
        run(scene, step)


def test_who_wrote_an_automatic_mail() -> None:
    assert automatic_senders(mail()) == {}
    bounce = mail(
        kind=MessageKind.BOUNCE,
        reply_to=(Address("Other@example.org"),),
        return_path="bounce@example.org",
    )
    assert automatic_senders(bounce).keys() == {
        "anna@example.org",
        "other@example.org",
        "bounce@example.org",
    }
    assert automatic_senders(mail(kind=MessageKind.LIST, sender=None, return_path="")) == {}


def test_the_context_of_a_template() -> None:
    key = RecordKey(entity="incident", key="7")
    context = template_context(
        BOOK,
        "support",
        key,
        {"number": "INC-000007"},
        record_link="https://desk.example/{entity}/{number}?k={key}",
    )
    assert context["link"] == "https://desk.example/incident/INC-000007?k=7"
    assert context["mailbox"]["address"] == "support@kolibri.example"
    nothing = template_context(BOOK, "support", None, None, record_link="https://x/{key}")
    assert (nothing["link"], nothing["record"], nothing["old"], nothing["message"]) == (
        "",
        None,
        None,
        None,
    )


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kolibri_sdk.actions.registry._actions", {})


@pytest.mark.usefixtures("functions")
def test_a_python_action_is_called_by_name(scene: ActionScene) -> None:
    @action("count-words")
    def count_words(scene: ActionScene, text: str) -> None:
        scene.add_note(f"{len(text.split())} words")

    call = {"call": {"name": "count-words", "with": {"text": "…"}}}
    done = run(scene, CREATE, call, **{"0.set.title": "a", "1.with.text": "one two"})
    assert done[1] == {"action": "call", "called": "count-words"}
    assert stream(scene)[1] == ("note", "2 words")
    assert dict(registered()) == {"count-words": count_words}


@pytest.mark.usefixtures("functions")
def test_a_python_action_that_raises_is_named(scene: ActionScene) -> None:
    @action("odd")
    def odd(scene: ActionScene) -> None:
        raise ZeroDivisionError("of all things")

    with pytest.raises(ActionError, match=r"'odd' raised ZeroDivisionError: of all things") as told:
        run(scene, {"call": {"name": "odd"}})
    assert told.value.what.startswith("Rule vpn, then[0] (call)")
    assert "test_actions" in told.value.next_step
    with pytest.raises(ActionError, match="TypeError"):
        run(scene, {"call": {"name": "odd", "with": {"x": "…"}}}, **{"0.with.x": 1})


@pytest.mark.usefixtures("functions")
def test_a_python_action_may_refuse_in_its_own_words(scene: ActionScene) -> None:
    @action("refuse")
    def refuse(scene: ActionScene) -> None:
        raise ActionError("The group is full", "Empty it")

    with pytest.raises(ActionError, match=r"\(call\): The group is full\. Empty it"):
        run(scene, {"call": {"name": "refuse"}})


@pytest.mark.usefixtures("functions")
def test_an_unknown_action_has_near_names(scene: ActionScene) -> None:
    action("count-words")(lambda scene: None)
    with pytest.raises(NotFound, match="Did you mean 'count-words'"):
        find("count-word")
    with pytest.raises(ActionError, match="Did you mean 'count-words'"):
        run(scene, {"call": {"name": "count-word"}})


@pytest.mark.usefixtures("functions")
def test_a_name_is_taken_once_and_a_cell_may_run_again() -> None:
    for _ in range(2):

        @action("note")
        def note(scene: ActionScene) -> None: ...

    def other(scene: ActionScene) -> None: ...

    with pytest.raises(ConfigurationError, match="'note' is registered twice"):
        action("note")(other)
