"""What may come out of an expression that sets a field: plain JSON data, or an error."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.conftest import Ask


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("message.subject", "VPN down 😀"),
        ("message.to", ["anna@example.org", "support@example.org"]),
        ("/dringend/i.test(message.subject) ? 1 : 3", 3),
        ("1.5e300", 1.5e300),
        ("-0", 0),
        ("null", None),
        ("undefined", None),
        ("[1, undefined, {a: undefined}]", [1, None, {"a": None}]),
        ("[,1]", [None, 1]),
        ("({__proto__: null, a: {b: [true]}})", {"a": {"b": [True]}}),
        ('JSON.parse(\'{"__proto__": {"a": 1}}\')', {"__proto__": {"a": 1}}),
        ("new Date(message.received).toISOString()", "2026-05-01T10:00:00.000Z"),
        ("'\\u2028\\u0000'", "\u2028\x00"),
        ("({toJSON: 1})", {"toJSON": 1}),
    ],
)
def test_plain_data_comes_out(value: Ask, source: str, expected: Any) -> None:
    outcome = value(source)
    assert (outcome.status, outcome.value) == ("ok", expected)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("() => 1", "gave a function, no plain data"),
        ("Symbol()", "gave a Symbol, no plain data"),
        ("NaN", "gave NaN, no plain data"),
        ("[1 / 0]", "gave Infinity, no plain data"),
        ("1n", "gave a BigInt, no plain data"),
        ("new Date(0)", "gave a Date, no plain data; write .toISOString()"),
        ("/x/", "gave a RegExp, no plain data"),
        ("new Map()", "gave a Map, no plain data"),
        ("{a: new Set()}", "gave a Set, no plain data"),
        ("new Uint8Array(3)", "gave a Uint8Array, no plain data"),
        ("(async () => 1)()", "gave a Promise, no plain data"),
        ("message.subject.slice(9, 10)", "gave text with half of a surrogate pair"),
        ("({[message.half]: 1})", "gave text with half of a surrogate pair"),
        ("message", "gave text with half of a surrogate pair"),
        ("(a => { a.a = a; return a })({})", "in a circle"),
        ("'x'.repeat(6e6)", "gave more than 5000000 characters"),
        ("new Array(4294967295)", "gave more than 100000 values"),
        ("new Proxy({}, {ownKeys() { throw new TypeError('no') }})", "TypeError: no"),
        ("({get a() { throw new Error('late') }})", "Error: late"),
    ],
)
def test_anything_else_is_an_error(value: Ask, source: str, error: str) -> None:
    outcome = value(source)
    assert outcome.status == "error"
    assert outcome.value is None
    assert error in outcome.error
    outcome.error.encode()


def test_half_a_surrogate_pair_breaks_nothing(condition: Ask, value: Ask) -> None:
    assert condition("message.half === '\\ud83d'").value is True
    assert condition("'\ud83d'.length === 1").value is True
    assert condition("'\ud83d' +").error.startswith("SyntaxError")
    error = value("(() => { throw new Error(message.half) })()").error
    assert error == "Error: \ufffd"
