"""From a queued row to the bytes that go out (S7, S12)."""

from __future__ import annotations

import email
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest

from kolibri_sdk.model.message import Address
from kolibri_sdk.model.template import Template, TemplateVariant
from kolibri_sdk.outbox import Composed, MailRequest, Person, compose_items, enqueue, save_composed
from kolibri_sdk.sandbox import Sandbox
from kolibri_sdk.store import Store, blobs, messages, outbox
from tests.unit.outbox.conftest import ANNA, BOB, EVE, HELLO, SUPPORT, items, request


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(deadline=0.5) as running:
        yield running


def compose(store: Store, sandbox: Sandbox, *asked: MailRequest, **books: Any) -> list[Composed]:
    with store.write() as tx:
        for one in asked:
            enqueue(tx, one)
    queued = items(store)
    with store.read() as tx:
        pairs = [(item, messages.get(tx, item.message)) for item in queued]
    templates = books.get("templates", {"hello": HELLO})
    return compose_items(pairs, templates, books.get("mailboxes", {"support": SUPPORT}), sandbox)


def parsed(one: Composed) -> EmailMessage:
    assert one.error == ""
    mail = email.message_from_bytes(one.raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def test_a_mail_in_each_language(store: Store, sandbox: Sandbox) -> None:
    german, english = map(parsed, compose(store, sandbox, request(ANNA, BOB)))
    assert str(german["Subject"]).startswith("[INC-000007 ")
    assert str(german["Subject"]).endswith("] Hallo Drücker <1>")
    assert german["To"] == "Anna <anna@example.org>"
    assert "Hallo Anna" in german.get_content()
    assert english.get_content_type() == "multipart/alternative"
    html = english.get_body(("html",))
    assert html is not None
    assert "Drücker &lt;1&gt;" in html.get_content()
    assert "kr1:" in html.get_content()
    plain = english.get_body(("plain",))
    assert plain is not None
    assert "Drücker <1>" in plain.get_content()


def test_what_every_automatic_mail_says_of_itself(store: Store, sandbox: Sandbox) -> None:
    (one,) = compose(store, sandbox, request(BOB))
    mail = parsed(one)
    assert mail["From"] == '"Help, Desk" <support@kolibri.example>'
    assert mail["Message-ID"] == f"<{one.item.message_id}>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Auto-Response-Suppress"] == "All"


def test_of_several_nobody_sees_the_others(store: Store, sandbox: Sandbox) -> None:
    (one,) = compose(store, sandbox, request(BOB, EVE))
    assert b"bob@example.org" not in one.raw
    assert b"eve@example.net" not in one.raw


def test_a_template_that_fails_keeps_only_its_own_mail(store: Store, sandbox: Sandbox) -> None:
    variant = TemplateVariant(
        "en", "Hello", text="a\n{{ record.titel }}", files={"text": "templates/odd/en.txt.j2"}
    )
    odd = Template("odd", {"en": variant})
    failed, good = compose(
        store,
        sandbox,
        request(BOB, template=odd, cause="event:1"),
        request(BOB, cause="event:2"),
        templates={"odd": odd, "hello": HELLO},
    )
    assert failed.raw == b""
    assert failed.error.startswith("templates/odd/en.txt.j2, line 2: ")
    assert "titel" in failed.error
    assert parsed(good)


@pytest.mark.parametrize("books", [{"templates": {}}, {"mailboxes": {}}])
def test_what_is_no_longer_there_is_named(
    store: Store, sandbox: Sandbox, books: dict[str, Any]
) -> None:
    (one,) = compose(store, sandbox, request(BOB), **books)
    assert one.error.startswith("There is no ")
    assert one.error.endswith("any more; add it, then retry")


def test_a_subject_is_one_line(store: Store, sandbox: Sandbox) -> None:
    context = {"record": {"title": "a\r\nBcc: eve@example.net\n b"}}
    (one,) = compose(store, sandbox, request(BOB, context=context))
    mail = parsed(one)
    assert mail["Bcc"] is None
    assert str(mail["Subject"]).endswith("Hello a Bcc: eve@example.net b")


def test_html_of_a_record_cannot_run(store: Store, sandbox: Sandbox) -> None:
    raw = Template("raw", {"en": TemplateVariant("en", "x", html="{{ record.title | safe }}")})
    evil = "<p onclick='x()'>hi</p><script>alert(1)</script><a href='javascript:x()'>a</a>"
    asked = request(BOB, template=raw, context={"record": {"title": evil}})
    (one,) = compose(store, sandbox, asked, templates={"raw": raw})
    assert one.html is not None
    assert "hi" in one.html
    for bad in ("<script", "onclick", "javascript:"):
        assert bad not in one.html


def test_what_was_composed_is_kept_byte_for_byte(store: Store, sandbox: Sandbox) -> None:
    done = compose(store, sandbox, request(ANNA, BOB))
    with store.write() as tx:
        save_composed(tx, done)
    with store.read() as tx:
        for one in done:
            mail = messages.get(tx, one.item.message)
            assert mail.blob is not None
            assert blobs.get(tx, [mail.blob])[mail.blob] == one.raw
            assert (mail.subject, mail.size) == (one.subject, len(one.raw))
        assert outbox.due(tx, 10, rendered=False) == []


def test_a_mail_that_cannot_be_composed_is_failed_and_visible(
    store: Store, sandbox: Sandbox
) -> None:
    done = compose(store, sandbox, request(BOB), templates={})
    with store.write() as tx:
        save_composed(tx, done)
    with store.read() as tx:
        (row,) = outbox.select(tx)
        mail = messages.get(tx, row["message"])
    assert (row["state"], mail.state) == ("failed", "unsent")
    assert row["error"] == mail.error == done[0].error


def test_a_recipient_who_cannot_stand_in_a_header_keeps_only_his_own_mail(
    store: Store, sandbox: Sandbox
) -> None:
    odd = Person(Address("anna@under_score.example"))
    first, second = compose(
        store, sandbox, request(odd), request(BOB, cause="message:2/rule:vpn/0")
    )
    assert "'anna@under_score.example' cannot stand as an address" in first.error
    assert parsed(second)["To"] == "bob@example.org"
