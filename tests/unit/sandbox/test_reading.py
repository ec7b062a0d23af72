"""Which fields of a variable expressions read: told exactly where it is plain, else as "any"."""

from __future__ import annotations

import pytest

from kolibri_sdk.sandbox import fields_read


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("true", set()),
        ("message.subject === 'a'", {"subject"}),
        ("message?.to.length + message . cc.length", {"to", "cc"}),
        ("/vpn/.test(message.subject) || message\n.text.includes('x')", {"subject", "text"}),
        ("'see message.html'.length > 3", {"html"}),
        ("record.messages.length + my_message.x", set()),
        ("record.note.message.length", {"length"}),
    ],
)
def test_what_is_plainly_read_is_named(source: str, fields: set[str]) -> None:
    assert fields_read([source], "message") == fields


@pytest.mark.parametrize(
    "source",
    [
        "message",
        "message['html']",
        "'html' in message",
        "JSON.stringify(message)",
        "({...message}).html",
        "(message).html",
        "message/**/.html",
        "message ? 1 : 2",
        "message?.['html']",
        "message?.5:1",
        "arguments[0].html",
        r"m\u0065ssage.html",
        "eval('mess' + 'age').html",
        "message\u00a0.html",
    ],
)
def test_what_may_read_anything_is_told_as_any(source: str) -> None:
    assert fields_read([source], "message") is None
    assert fields_read(["message.subject", source], "message") is None


def test_fields_of_all_expressions_are_put_together() -> None:
    assert fields_read(["message.a", "message.b"], "message") == {"a", "b"}
    assert fields_read([], "message") == frozenset()
