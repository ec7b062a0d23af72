"""What is likely a mistake in an expression is told before it runs, with its place and its mend."""

from __future__ import annotations

import pytest

from kolibri_sdk.model.binding import FIELDS, SHAPES
from kolibri_sdk.sandbox import Finding, Sandbox, Script

RECORD = {"id": "any", "status": "any", "title": "any"}


def look(sandbox: Sandbox, source: str, expects: str = "boolean") -> tuple[Finding, ...]:
    script = Script("it", source, expects)  # type: ignore[arg-type]
    return sandbox.inspect([script], {"message": SHAPES, "record": RECORD})["it"].findings


def test_every_field_has_a_shape() -> None:
    assert list(SHAPES) == list(FIELDS)


@pytest.mark.parametrize(
    ("source", "place", "severity", "told", "mend"),
    [
        ("message.subjekt === 'x'", (1, 9), "error", "message has no subjekt", "subject"),
        ("message.size > 1 &&\n  message.from.adress === 'x'", (2, 16), "error",
         "message.from has no adress", "address"),
        ("message.attachments[0].name === 'x'", (1, 24), "error", "has no name", "filename"),
        ("record.state === 'x'", (1, 8), "error", "record has no state", "status"),
        ("message.subject.contains('x')", (1, 17), "error", "has no contains", "includes"),
        ("message.from === 'a@b'", (1, 1), "error", "always false", "message.from.address"),
        ("message.size === '5'", (1, 1), "error", "always false", "one type"),
        ("message.kind === 'autoreply'", (1, 18), "error", "always false", '"auto_reply"'),
        ("message.size === NaN", (1, 1), "error", "always false", "Number.isNaN"),
        ("message.to.includes('a@b')", (1, 1), "error", "always false", "one.address === 'a@b'"),
        ("message.subject.toLowerCase().includes('VPN')", (1, 40), "error", "never found", '"vpn"'),
        ("message.automatic && !message.automatic", (1, 22), "warning", "always false", "leave"),
        ("/vpn/ && message.automatic", (1, 1), "error", "always true", "/vpn/.test("),
        ("message.subject.includes('a') || 'b'", (1, 34), "error", "always true", "includes"),
        ("message.subject", (1, 1), "error", "gives text", "compare"),
        ("message.subject.match(/x/)", (1, 1), "error", "a list or null", ".test("),
        ("message.subject.indexOf('x')", (1, 1), "error", "gives a number", "includes"),
        ("message.reference && message.size > 1", (1, 1), "error", "object or null",
         "message.reference !== null"),
        ("message.html?.includes('x')", (1, 1), "error", "boolean or undefined", "?? false"),
        ("message.size > 1 ? message.text : true", (1, 20), "error", "gives text", "compare"),
        ("message.html.length > 3", (1, 1), "warning", "can be null", "message.html !== null"),
        ("message.kind = 'list'", (1, 1), "error", "sets a value", "==="),
        ("(async () => true)()", (1, 2), "error", "async", "leave out"),
        ("new Date() > 3", (1, 1), "error", "present time", "message.received"),
        ("Date.now() > 3", (1, 1), "error", "present time", "message.received"),
        ("Math.random() > 0.5", (1, 1), "error", "chance", "decides alike"),
        ("(() => { const r = /vpn/gi; return r.test(message.subject) })()", (1, 20), "warning",
         "flag g", "/vpn/i"),
        ("/^(a+)+$/.test(message.text)", (1, 1), "error", "for ever", "repetition"),
        ("/^(x+x+)+y/.test(message.text)", (1, 1), "error", "for ever", "repetition"),
        ("/^(a|a)*$/.test(message.text)", (1, 1), "error", "for ever", "no two alternatives"),
        (r"/(?:\w|\d)+!/.test(message.text)", (1, 1), "error", "for ever", "no two alternatives"),
        ("/(ab|a|ba)*c/.test(message.text)", (1, 1), "error", "for ever", "no two alternatives"),
        ("/(?:A|a){20,}c/i.test(message.text)", (1, 1), "error", "for ever", "no two alternatives"),
        ("/\\s*\\s*x/.test(message.text)", (1, 1), "warning", "square", "bound"),
        ("message.subject.includes('a\u200bb')", (1, 28), "warning", "U+200B", "\\u200b"),
        ("message.subject === 'a\u202eb'", (1, 23), "error", "U+202E", "\\u202e"),
        ("message.subject\u200b === 'a'", (1, 16), "warning", "U+200B", "delete it"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_place_and_mend(
    sandbox: Sandbox, source: str, place: tuple[int, int], severity: str, told: str, mend: str
) -> None:
    found = look(sandbox, source)
    assert found, source
    one = next((one for one in found if told in one.message), found[0])
    assert told in one.message
    assert mend in one.mend
    assert ((one.line, one.column), one.severity) == (place, severity)


@pytest.mark.parametrize(
    "source",
    [
        "true",
        "/vpn/i.test(message.subject) && !message.reference && !message.automatic",
        "message.headers['x-spam']?.[0] === 'yes'",
        "message.attachments.some(a => /\\.exe$/i.test(a.filename) && a.size > 10)",
        "message.html !== null && message.html.length > 3",
        "(message.html ?? '').includes('x')",
        "record !== null && record.status === 'closed'",
        "message.to.concat(message.cc).some(p => p.address.endsWith('@example.org'))",
        "[{subjekt: 1}].some(message => message.subjekt === 1)",
        "new Date(message.received).getUTCHours() < 6",
        "message.subject.replace(/\\s+/g, ' ').trim() === 'x'",
        "message.kind === 'auto_reply' || message.kind !== 'list'",
        "Boolean(message.reference)",
        "!!message.html",
        "/foo.*bar/s.test(message.text)",
        "message.subject.split(' ').length > 3",
        "message.authentication !== null && message.authentication.spf === 'pass'",
        "message.from.name.constructor === String",
        "message.subject === 'naïve – “quoted” 💥'",
    ],
)
def test_sound_conditions_are_left_alone(sandbox: Sandbox, source: str) -> None:
    assert look(sandbox, source) == ()


@pytest.mark.parametrize("source", ["message.subject", "message.reference", "'x'", "[1, 2]", "3"])
def test_values_may_be_anything(sandbox: Sandbox, source: str) -> None:
    assert look(sandbox, source, "value") == ()


def test_without_shapes_no_names_are_looked_at(sandbox: Sandbox) -> None:
    script = Script("it", "message.subjekt === 'x'")
    assert sandbox.inspect([script])["it"].findings == ()
    assert sandbox.inspect([]) == {}


def test_what_cannot_be_compiled_is_the_compilers_business(sandbox: Sandbox) -> None:
    assert look(sandbox, "message.size >") == ()
    assert look(sandbox, "a) || (b") == ()
