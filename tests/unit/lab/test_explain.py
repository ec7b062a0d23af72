"""A condition explains itself: what each leaf saw, and what was never looked at."""

from __future__ import annotations

from typing import Any

import pytest

from kolibri_sdk.errors import NotFound
from kolibri_sdk.lab import Surroundings
from tests.unit.lab.conftest import ENTITIES, mails, rule

FRAME = mails("VPN down", {"subject": "Printer <b>", "html": "<p>x</p>"})


def outcomes(attempt: Any, when: str, message: int = 1) -> list[tuple[str, str]]:
    tree = attempt(rule(when=when), FRAME).explain(message).tree
    return [(leaf.text, leaf.outcome) for leaf in tree.leaves]


def test_each_leaf_says_what_it_saw(attempt: Any) -> None:
    when = "/vpn/i.test(message.subject) && !(message.size > 99 || message.automatic)"
    trial = attempt(rule(when=when), FRAME)
    assert repr(trial.explain(1)) == (
        'vpn on mail 1 "VPN down": match\n'
        "  ✓ all of\n"
        "    ✓ /vpn/i.test(message.subject)\n"
        '          message.subject = "VPN down"\n'
        "    ✓ not\n"
        "      ✗ any of\n"
        "        ✗ message.size > 99\n"
        "              message.size = 5\n"
        "        ✗ message.automatic\n"
        "              message.automatic = false"
    )
    assert "·" in repr(trial.explain(2))
    assert "Printer &lt;b&gt;" in trial.explain(2)._repr_html_()


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("message.size > 9 && message.html.length > 1",
         [("message.size > 9", "false"), ("message.html.length > 1", "not reached")]),
        ("message.size > 1 || message.html.length > 1",
         [("message.size > 1", "true"), ("message.html.length > 1", "not reached")]),
        ("message.html.length > 1 || message.size > 1",
         [("message.html.length > 1", "error"), ("message.size > 1", "not reached")]),
        ("message.size > 1 ? message.subject === 'VPN down' : message.html.x",
         [("message.size > 1", "true"), ("message.subject === 'VPN down'", "true"),
          ("message.html.x", "not reached")]),
        ("message.html.x ? true : false",
         [("message.html.x", "error"), ("true", "not reached"), ("false", "not reached")]),
        ("!!message.html", [("message.html", "false")]),
    ],
)  # fmt: skip
def test_what_can_no_longer_matter_is_not_looked_at(
    attempt: Any, when: str, expected: list[tuple[str, str]]
) -> None:
    assert outcomes(attempt, when) == expected


@pytest.mark.parametrize(
    "when",
    [
        "message.size > 3 && (message.subject.includes('VPN') || message.html !== null)",
        "message.html !== null ? message.html.includes('x') : !/vpn/.test(message.subject)",
        "!(message.size === 5 && !(message.cc.length > 0 || message.subject === 'x'))",
        "message.to.some(p => p.address.endsWith('kolibri.example') && message.size) && true",
        "(message.html ?? '') === '' || message.html.length > 1",
    ],
)
def test_the_tree_comes_to_what_the_rule_said(attempt: Any, when: str) -> None:
    trial = attempt(rule(when=when), FRAME)
    for number, verdict in zip(FRAME["id"], trial.decisions["verdict"], strict=True):
        tree = trial.explain(number).tree
        assert tree is not None
        assert tree.outcome == {"match": "true", "no": "false"}[verdict]


def test_what_cannot_be_split_says_so(attempt: Any) -> None:
    when = "(() => { const s = message.subject;\n return s.length > 3 && s.length < 99 })()"
    explanation = attempt(rule(when=when), FRAME).explain(1)
    assert explanation.tree.kind == "opaque"
    assert "cannot be split" in repr(explanation)
    assert explanation.tree.seen == (("message.subject", '"VPN down"'),)


def test_an_error_has_its_place_in_the_whole_condition(attempt: Any) -> None:
    when = "message.size > 1\n  && message.html.length\n  > 3"
    (_, leaf) = attempt(rule(when=when), FRAME).explain(1).tree.leaves
    assert (leaf.outcome, leaf.line, leaf.column) == ("error", 2, 19)
    assert leaf.seen == (("message.html.length", leaf.seen[0][1]),)


def test_the_record_is_seen_as_it_was(attempt: Any) -> None:
    frame = mails({"entity": "incident", "record_key": "7", "grade": "signed"})
    around = Surroundings(entities=ENTITIES, records={1: {"status": "closed"}})
    when = "record !== null && record.status === 'closed'"
    leaves = attempt(rule(when=when), frame, around).explain(1).tree.leaves
    assert leaves[1].seen == (("record.status", '"closed"'),)


def test_names_that_are_hidden_are_not_shown(attempt: Any) -> None:
    when = "[{a: 1}].some(message => message.a === 1)"
    (leaf,) = attempt(rule(when=when), FRAME).explain(1).tree.leaves
    assert leaf.seen == ()


def test_a_faulty_condition_and_unknown_mails(attempt: Any) -> None:
    trial = attempt(rule(when="message.size >"), FRAME)
    assert trial.explain(1).tree is None
    assert "SyntaxError" in repr(trial.explain(1))
    with pytest.raises(NotFound, match="mail 99 was not tried"):
        trial.explain(99)
