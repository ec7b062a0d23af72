"""What a condition may say, and what it is told when it may not (faults 39 and 43)."""

from __future__ import annotations

import pytest

from kolibri_sdk.sandbox import Sandbox, Script
from tests.unit.sandbox.conftest import MESSAGE, Ask


@pytest.mark.parametrize(
    "source",
    [
        "/vpn/i.test(message.subject)",
        "\n  message.to.includes('support@example.org') &&\n  message.priority <= 2\n",
        "message.subject.includes('VPN') // says the subject",
        "/* before */ true",
        "new Date(message.received).getUTCFullYear() === 2026",
        "new Date(message.received).getHours() === 10",  # the same on every machine: UTC
        "message.to.toSorted().length === 2",
        "[...message.subject].length === 10",
        "JSON.stringify({a: 1}) === '{\"a\":1}'",
        "message.half.length === 1",
        "(x => { switch (x) { case 2: return true; default: return false; } })(message.priority)",
        "(1, true)",
        "{}.toString !== 1",
        "`${message.priority}` === '2'",
        "'true); evil(' !== \"`${\"",
    ],
)
def test_holds(condition: Ask, source: str) -> None:
    outcome = condition(source)
    assert (outcome.status, outcome.value, outcome.error) == ("ok", True, "")


def test_does_not_hold(condition: Ask) -> None:
    outcome = condition("message.priority > 2")
    assert (outcome.status, outcome.value, outcome.error) == ("ok", False, "")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("1", "gave 1, not true or false"),
        ("''", 'gave the text "", not true or false'),
        ("message.subject.match(/vpn/i)", "gave an Array, not true or false"),
        ("message", "gave an Object, not true or false"),
        ("undefined", "gave undefined, not true or false"),
        ("null", "gave null, not true or false"),
        ("NaN", "gave NaN, not true or false"),
        ("() => true", "gave a function, not true or false"),
        ("Symbol('x')", "gave a Symbol, not true or false"),
        ("1n", "gave a BigInt, not true or false"),
        ("new Boolean(true)", "gave a Boolean, not true or false"),
        (
            "(async () => true)()",
            "gave a Promise, not true or false: an async function is no condition",
        ),
        ("message.subject.slice(9, 10)", 'gave the text "\ufffd", not true or false'),
        ("(() => { throw 3 })()", "threw 3"),
        ("(() => { throw {get name() { throw 1 }} })()", "threw an Object"),
    ],
)
def test_only_true_and_false_count(condition: Ask, source: str, error: str) -> None:
    outcome = condition(source)
    assert (outcome.status, outcome.value, outcome.error) == ("error", None, error)


@pytest.mark.parametrize(
    ("source", "error", "line", "column"),
    [
        ("message.sender.address", "Cannot read properties of undefined", 1, 16),
        ("true &&\n  nothing.there", "ReferenceError: nothing is not defined", 2, 3),
        ("!mesage", "ReferenceError: mesage is not defined", 1, 2),
        ("(mesage = 1)", "ReferenceError: mesage is not defined", 1, 9),
        ("message.priority > 1 &&\n  'nix' !== $nix", "ReferenceError: $nix is not defined", 2, 13),
        ("globalThis.mesage", "ReferenceError: mesage is not defined", 1, 12),
        ("\n\n  message.to.map(a => a.x.y)", "Cannot read properties of undefined", 3, 27),
        ("\r\n null.x", "Cannot read properties of null", 2, 7),
        ("(function f() { return f() + 1 })()", "Maximum call stack size exceeded", 1, None),
        ("'<!-- -->' + message.a.b", "Cannot read properties of undefined", 1, 24),
        ("new Date('x').toISOString()", "RangeError: Invalid time value", 1, 15),
    ],
)
def test_an_error_tells_its_place(
    condition: Ask, source: str, error: str, line: int, column: int | None
) -> None:
    outcome = condition(source)
    assert outcome.status == "error"
    assert error in outcome.error
    assert outcome.line == line
    assert column in (None, outcome.column)


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("message.priority ==== 2", 1, 21),
        ("true &&\n  && false", 2, 3),
        ("1 +", 1, 4),
        ("[1, 2", 1, 6),
        ("message.subject === 'x';", 1, 24),
        ("let x = 1", 1, 1),
        ("return true", 1, 1),
        ("if (true) true", 1, 1),
        ("'unclosed", 1, 1),
        ("/* unclosed", 1, 1),
        ("a <!-- b", 1, 3),
        ("import('fs')", 1, 1),
        ("'<!--'.length + import('fs')", 1, 17),
    ],
)
def test_a_syntax_error_tells_its_place(
    condition: Ask, source: str, line: int, column: int
) -> None:
    outcome = condition(source)
    assert outcome.status == "error"
    assert outcome.error.startswith("SyntaxError: ")
    assert (outcome.line, outcome.column) == (line, column)


@pytest.mark.parametrize(
    "source",
    [
        "true); evil(",
        "true\n); evil(\n",
        "true)} evil(); {(",
        "true); }); evil(); (function () { return (true",
        "true // )\n); evil(",
        "true]; evil([",
        "1, ...[2]",
        "}; evil(); {",
        "`${`",
        "`}`)`;evil(`${1}",
        # a block and a regular expression outside brackets, a division and a text inside them
        "{}/'/;');evil(';//'",
        "{}/'/;'];evil(';//'",
        "",
        " \n",
        "// nothing",
        "/* nothing */",
    ],
)
def test_nothing_breaks_out_of_its_brackets(sandbox: Sandbox, source: str) -> None:
    scripts = [Script("guilty", source), Script("other", "message.priority === 2")]
    [outcomes] = sandbox.evaluate(scripts, [{"message": MESSAGE}])
    assert outcomes["guilty"].status == "error"
    assert outcomes["guilty"].error.startswith("SyntaxError: ")
    assert outcomes["other"].value is True
    assert set(sandbox.check_scripts(scripts)) == {"guilty"}


@pytest.mark.parametrize(
    "source",
    [
        "'<!--'.length === 4 && '-->'.length === 3",
        "/<!--.*-->/.test('<!-- x -->') && /(?<!--)x/.test('x')",
        "/[<!--z]/.test('&') && /[--=]/.test('<')",
        "`<!-- ${message.priority} -->` === '<!' + '-- 2 --' + '>'",
        "'import (x)'.length === 10 && /import (x)/.test('import x')",
        "'\\<!--' === '<!' + '--' && '\\\\import (' === String.fromCharCode(92) + 'import ('",
        "'eval(x)'.length === 7",
    ],
)
def test_text_that_ses_would_refuse_keeps_its_meaning(condition: Ask, source: str) -> None:
    assert condition(source).value is True, condition(source)


@pytest.mark.parametrize(
    "source",
    [
        "Date.now() > 0",
        "new Date() > 0",
        "Date() > ''",
        "Math.random() < 1",
        "fetch('http://example.org')",
        "require('fs')",
        "process.env",
        "setTimeout(() => 1, 1)",
        "new WebAssembly.Module(new Uint8Array())",
        "new SharedArrayBuffer(8)",
        "Atomics.wait(new Int32Array(4), 0, 0)",
        "new WeakRef({})",
        "console.log(1)",
        "new Intl.DateTimeFormat().format()",
        "Temporal.Now.instant()",
        "(() => {}).constructor('return this')()",
        "message.constructor.constructor('return this')()",
        "(async () => {}).constructor('return this')()",
        "new (function* () {}.constructor)('yield 1')",
        "arguments.callee",
        "decide('{}')",
        "lockdown()",
    ],
)
def test_clock_chance_and_the_outside_are_not_to_be_had(condition: Ask, source: str) -> None:
    assert condition(source).status == "error"


@pytest.mark.parametrize("source", ["new Date()", "Date.now()"])
def test_who_asks_for_the_time_is_told_what_to_use(condition: Ask, source: str) -> None:
    assert "new Date(message.received)" in condition(source).error


def test_the_keys_of_an_input_are_the_variables(sandbox: Sandbox) -> None:
    script = Script("rule", "old.group !== record.group && user === null")
    inputs = [
        {"record": {"group": "a"}, "old": {"group": "b"}, "user": None},
        {"user": None, "old": {"group": "b"}, "record": {"group": "b"}},
        {"record": {"group": "a"}, "user": None},
    ]
    first, second, third = (row["rule"] for row in sandbox.evaluate([script], inputs))
    assert (first.value, second.value) == (True, False)
    assert third.error == "ReferenceError: old is not defined"


def test_wanted_limits_the_scripts_of_an_input(sandbox: Sandbox) -> None:
    scripts = [Script("a", "true"), Script("b", "true"), Script("bad", "1 +")]
    rows = sandbox.evaluate(scripts, [{"x": 1}] * 3, wanted=[["a", "bad"], [], {"b"}])
    assert [set(row) for row in rows] == [{"a", "bad"}, set(), {"b"}]


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ([{"x": 1}, {"x": float("nan")}], "Input 1 is not plain JSON data"),
        ([{"x": object()}], "Input 0 is not plain JSON data"),
        ([{"new": 1}], "'new' cannot be the name of a variable"),
        ([{"a, b": 1}], "'a, b' cannot be the name of a variable"),
    ],
)
def test_input_that_cannot_cross(
    sandbox: Sandbox, inputs: list[dict[str, object]], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        sandbox.evaluate([Script("a", "true")], inputs)


def test_ids_are_unique(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="Two scripts have the id 'a'"):
        sandbox.check_scripts([Script("a", "true"), Script("a", "false")])


def test_a_changed_script_is_compiled_again(sandbox: Sandbox) -> None:
    for expected in (True, False, True):
        script = Script("changing", str(expected).lower())
        assert sandbox.evaluate([script], [{"x": 1}])[0]["changing"].value is expected


def test_time_is_told_for_what_is_slow(condition: Ask) -> None:
    loop = "(() => { let n = 0; for (let i = 0; i < 3e7; i += 1) n += i; return n > 0 })()"
    assert condition(loop).micros >= 2000
