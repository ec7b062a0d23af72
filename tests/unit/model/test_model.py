"""The values that every room speaks in: strict, frozen, and sure of what they mean."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from kolibri_sdk.model.binding import FIELDS, message_binding
from kolibri_sdk.model.entity import Closed, Entity, EntityDocument, RecordKey
from kolibri_sdk.model.mailbox import Mailbox, MailboxDocument, Password
from kolibri_sdk.model.message import Address, Attachment, MessageKind, ParsedMail
from kolibri_sdk.model.outbox import Delivery, RecipientResult
from kolibri_sdk.model.reference import Grade, ReferenceHit
from kolibri_sdk.model.rule import Action, InboundRule, OutboundRule, Recipient
from kolibri_sdk.model.stored import RecordEvent, StoredMessage
from kolibri_sdk.model.template import Template, TemplateVariant, fallbacks

MOMENT = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
MAILDIR = {"protocol": "maildir", "path": "in"}


def mailbox(**values: Any) -> Mailbox:
    given = {"name": "support", "address": "Support@kolibri.example", "inbound": MAILDIR, **values}
    return Mailbox.model_validate(given)


def rule(**values: Any) -> InboundRule:
    return InboundRule(
        "vpn",
        **{"mailbox": "support", "when": "true", "then": [{"add_note": {"text": "1"}}], **values},
    )


def outbound(**values: Any) -> OutboundRule:
    given = {
        "entity": "incident",
        "on": "insert",
        "to": {"list": "a@b"},
        "template": "t",
        "mailbox": "support",
        **values,
    }
    return OutboundRule("told", **given)


def test_a_mailbox_knows_its_own_addresses() -> None:
    box = mailbox(aliases=["Hilfe@kolibri.example"])
    assert box.own_addresses == {"support@kolibri.example", "hilfe@kolibri.example"}


def test_the_first_import_is_bounded_by_its_day() -> None:
    assert mailbox().bounds_first_import() is None
    bounded = mailbox(inbound={**MAILDIR, "since": "2026-05-01"})
    assert bounded.bounds_first_import() == datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"inbound": None}, "inbound or outbound"),
        ({"address": "support"}, "address"),
        ({"adress": "x"}, "adress"),
        ({"inbound": {**MAILDIR, "fetch": "new"}}, "'unread' or 'all'"),
        ({"inbound": {**MAILDIR, "batch": 0}}, "greater than or equal to 1"),
        ({"inbound": {"protocol": "imap4"}}, "imap4"),
        ({"inbound": {"protocol": "imap", "host": "h", "user": "u"}}, "password"),
        ({"answers_per_hour": 0}, "greater than or equal to 1"),
    ],
)
def test_a_mailbox_with_a_mistake(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        mailbox(**values)


@pytest.mark.parametrize("given", [{}, {"env": "A", "keyring": "b"}, {"password": "secret"}])
def test_a_password_is_named_by_exactly_one_place(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Password.model_validate(given)


def test_values_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        mailbox().name = "x"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        Address("a@b").name = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "found none"),
        ({"add_note": {"text": "1"}, "call": {"name": "x"}}, "found add_note and call"),
        ({"create_record": {"entity": "incident", "set": {}}}, "at least 1"),
        ({"send_mail": {"template": "t", "to": []}}, "at least 1"),
        ({"forward": {}}, "forward"),
    ],
)
def test_an_action_is_exactly_one(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Action.model_validate(given)


@pytest.mark.parametrize("given", [{}, {"list": "a@b", "js": "1"}, {"user": "anna"}])
def test_a_recipient_is_exactly_one_kind(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Recipient.model_validate(given)


@pytest.mark.parametrize(
    ("given", "kind", "scripts"),
    [
        (
            {"create_record": {"entity": "i", "set": {"a": "1", "b.c": "2"}}},
            "create_record",
            {"set.a": "1", "set.b.c": "2"},
        ),
        ({"update_record": {"set": {"a": "1"}}}, "update_record", {"set.a": "1"}),
        ({"add_note": {"text": "1"}}, "add_note", {"text": "1"}),
        ({"send_mail": {"template": "t", "to": {"js": "1"}}}, "send_mail", {"to.0": "1"}),
        (
            {"send_mail": {"template": "t", "to": [{"list": "a@b"}, {"js": "1"}]}},
            "send_mail",
            {"to.1": "1"},
        ),
        ({"call": {"name": "x"}}, "call", {}),
        ({"call": {"name": "x", "with": {"a": "1"}}}, "call", {"with.a": "1"}),
    ],
)
def test_the_expressions_of_an_action(
    given: dict[str, Any], kind: str, scripts: dict[str, str]
) -> None:
    action = Action.model_validate(given)
    assert (action.kind, action.scripts()) == (kind, scripts)


@pytest.mark.parametrize(
    "change",
    [
        {"when": "false"},
        {"order": 7},
        {"stop": True},
        {"on_error": "stop"},
        {"then": []},
        {"mailbox": "sales"},
    ],
)
def test_the_digest_tells_what_a_rule_does(change: dict[str, Any]) -> None:
    assert rule().digest == rule().digest
    assert rule(**change).digest != rule().digest


@pytest.mark.parametrize(
    "change", [{"state": "shadow"}, {"description": "x"}, {"file": "x.yaml"}, {"examples": []}]
)
def test_the_digest_leaves_out_what_changes_nothing(change: dict[str, Any]) -> None:
    assert rule(**change).digest == rule().digest


def test_a_digest_stays_what_it_is() -> None:
    """Digests are kept in databases for ever: another recipe would make every rule a new one."""
    known = "7f1e6a6de517c294f8d4955e7c2e6b35a8117d9606f49b501b3a9f81d120c89d"
    assert rule().digest == known
    assert rule(then=[{"call": {"name": "ä", "with": {"b": "1", "a": "2"}}}]).digest == (
        rule(then=[{"call": {"name": "ä", "with": {"a": "2", "b": "1"}}}]).digest
    )


def test_single_values_of_an_outgoing_rule() -> None:
    single = outbound(on={"change": "group"}, to={"js": "1"})
    assert single == outbound(on=[{"change": "group"}], to=[{"js": "1"}])
    assert single.scripts() == {"to.0": "1"}
    with pytest.raises(ValidationError):
        outbound(on="created")
    with pytest.raises(ValidationError):
        outbound(on=[])


@pytest.mark.parametrize(
    ("record", "closed"),
    [
        ({"status": "closed"}, True),
        ({"status": 4}, True),
        ({"status": "open"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_when_a_record_counts_as_closed(record: dict[str, Any] | None, closed: bool) -> None:
    incident = Entity(name="i", table="i", closed=Closed(field="status", values=("closed", "4")))
    assert incident.is_closed(record) is closed
    assert not Entity(name="i", table="i").is_closed(record)


@pytest.mark.parametrize("role", [{"number": "no"}, {"title": "no"}, {"group": "no"}])
def test_a_role_names_a_field(role: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="'no', which is not among the fields"):
        EntityDocument.model_validate({"table": "i", "fields": {"a": "text"}, **role})
    assert EntityDocument.model_validate({"table": "i", **role})  # the table's own columns


def test_numbers_for_people() -> None:
    assert Entity(name="request", table="r").numbered(7) == "REQ-000007"
    assert Entity(name="r", table="r", number_format="{:03d}/x").numbered(1234) == "1234/x"


def test_a_record_key_is_a_key() -> None:
    one, same = RecordKey(entity="i", key="7"), RecordKey(entity="i", key="7")
    assert {one: 1}[same] == 1
    assert str(one) == "i 7"


@pytest.mark.parametrize(
    ("language", "chosen"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE_at", "de"),
        ("pt-BR", "pt-br"),
        ("pt", "en"),
        ("fr", "en"),
        ("", "en"),
        (None, "en"),
        ("-", "en"),
    ],
)
def test_the_variant_for_a_language(language: str | None, chosen: str) -> None:
    variants = {name: TemplateVariant(name, name) for name in ("de", "en", "pt-br")}
    assert Template("t", variants).choose(language, "en").language == chosen


def test_without_the_default_language_the_first_one_is_taken() -> None:
    only = Template("t", {"fr": TemplateVariant("fr", "x"), "es": TemplateVariant("es", "x")})
    assert only.choose("de", "en").language == "es"
    assert fallbacks("zh-Hant-TW") == ("zh-hant-tw", "zh-hant", "zh")


@pytest.mark.parametrize(
    ("address", "domain"),
    [("a@B.org", "b.org"), ('"a@b"@c', "c"), ("a", ""), ("", ""), ("a@", "")],
)
def test_the_domain_of_an_address(address: str, domain: str) -> None:
    assert Address(address).domain == domain


def test_a_parsed_mail() -> None:
    headers = (("Subject", "a"), ("X-A", "1"), ("x-a", "2"))
    mail = ParsedMail(size=1, headers=headers, kind=MessageKind.LIST)
    assert (mail.sender, mail.automatic) == (None, True)
    assert (mail.header("X-a"), mail.header("To")) == ("1", None)


def test_a_binding_has_the_fields_that_are_documented() -> None:
    mail = ParsedMail(
        size=7,
        from_=(Address("a@b", "A"),),
        headers=(("X-A", "1"), ("x-a", "2")),
        attachments=(Attachment("a.txt", "text/plain", b"abc"),),
        sent_at=MOMENT,
    )
    message = StoredMessage.of(mail, mailbox="support", received_at=MOMENT)
    bare = message_binding(message)
    assert bare.keys() == FIELDS.keys()
    assert bare["headers"] == {"x-a": ["1", "2"]}
    assert bare["from"] == {"address": "a@b", "name": "A"}
    assert bare["attachments"] == [
        {"filename": "a.txt", "content_type": "text/plain", "size": 3, "inline": False}
    ]
    assert (bare["sent"], bare["reference"], bare["is_reply"]) == (MOMENT.isoformat(), None, False)
    hit = ReferenceHit(RecordKey(entity="incident", key="7"), Grade.HEADER, "references")
    tied = message_binding(message, hit)
    assert tied["reference"] == {"entity": "incident", "key": "7", "grade": "header"}
    assert tied["is_reply"]


def test_a_mail_without_a_sender_is_bound_too() -> None:
    message = StoredMessage.of(ParsedMail(size=0), mailbox="support", received_at=MOMENT)
    assert message_binding(message)["from"] == {"address": "", "name": ""}


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, ("b",)),
        (None, {"b": 1, "a": None}, ("b",)),
        ({"a": 1}, None, ("a",)),
        ({"a": 1}, {"a": 1, "c": 2}, ("c",)),
    ],
)
def test_what_changed(before: Any, after: Any, changed: tuple[str, ...]) -> None:
    event = RecordEvent(1, RecordKey(entity="i", key="7"), "update", before, after, MOMENT)
    assert event.changed == changed


def test_who_was_accepted() -> None:
    results = (RecipientResult("a@b", "accepted", 250), RecipientResult("c@d", "permanent", 550))
    assert Delivery(results).accepted == ("a@b",)


def test_only_a_bare_number_does_not_attach() -> None:
    assert [grade for grade in Grade if not grade.attaches] == [Grade.WEAK]


def test_a_document_says_only_what_was_given() -> None:
    given = {"address": "a@b", "inbound": MAILDIR}
    assert MailboxDocument.model_validate(given).as_json() == {"address": "a@b", "inbound": MAILDIR}
