"""Rules against each other: every number is checked against counting mail by mail."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from kolibri_sdk.frames import TRIAL_MATRIX, TRIAL_PAIRS
from kolibri_sdk.model.rule import RuleState
from tests.unit.lab.conftest import CREATE, mails, rule


def includes(letter: str) -> str:
    return f"message.subject.includes('{letter}')"


def update(**values: str) -> dict[str, Any]:
    return {"update_record": {"set": values}}


def test_overlap_and_what_is_alone(attempt: Any) -> None:
    random.seed(5)
    letters = "abcdef"
    subjects = ["".join(x for x in letters if random.random() < 0.4) for _ in range(150)]
    trial = attempt([rule(x, includes(x)) for x in [*letters, "z"]], mails(*subjects))
    matrix = trial.matrix()
    for one in letters:
        for two in letters:
            both = sum(one in text and two in text for text in subjects)
            assert matrix.overlap.loc[one, two] == both
    rows = matrix.rules.set_index("rule")
    for one in letters:
        mine = [text for text in subjects if one in text]
        alone = sum(len(text) == 1 for text in mine)
        assert rows.loc[one, ["matches", "alone", "overlap", "marginal"]].tolist() == [
            len(mine), alone, len(mine) - alone, alone,
        ]  # fmt: skip
        assert rows.loc[one, "coverage"] == pytest.approx(len(mine) / 150)
    assert list(rows["never_fires"]) == [False] * 6 + [True]
    assert not rows["order_sensitive"].any()
    pairs = matrix.pairs
    assert pairs["both"].is_monotonic_decreasing
    assert pairs["both"].sum() == np.triu(matrix.overlap, 1).sum()
    for frame, columns in ((matrix.rules, TRIAL_MATRIX), (pairs, TRIAL_PAIRS)):
        assert {n: str(d) for n, d in frame.dtypes.items()} == {
            n: c.dtype for n, c in columns.items()
        }


def test_a_stop_shadows_later_rules(attempt: Any) -> None:
    rules = [
        rule("spam", includes("s"), order=1, stop=True),
        rule("vpn", includes("v"), order=2, stop=True),
        rule("any", "true", order=3),
    ]
    matrix = attempt(rules, mails("s", "sv", "v", "x")).matrix()
    rows = matrix.rules.set_index("rule")
    assert list(rows["matches"]) == [2, 1, 1]
    assert list(rows["shadowed"]) == [0, 1, 3]
    assert rows.loc["any", "shadowed_by"] == "spam (2), vpn (1)"
    assert list(rows["shadows"]) == [2, 1, 0]
    assert list(rows["order_sensitive"]) == [True, True, True]
    assert matrix.pairs.set_index(["rule", "other"])["shadowed"].to_dict() == {
        ("spam", "any"): 2, ("vpn", "any"): 1, ("spam", "vpn"): 1,
    }  # fmt: skip


def test_conflicts_are_mails_of_which_two_rules_want_different_things(attempt: Any) -> None:
    tied = {"entity": "incident", "record_key": "7", "grade": "signed"}
    frame = mails(*({**tied, "subject": text} for text in ("a", "ab", "abc", "b")))
    rules = [
        rule("a", includes("a"), order=1, then=[update(status="'open'", priority="1")]),
        rule("b", includes("b"), order=2, then=[update(status="message.subject")]),
        rule("c", includes("c"), order=3, then=[update(priority="1")]),
        rule("quiet", "true", order=4, state=RuleState.SHADOW, then=[update(status="'x'")]),
    ]
    rows = attempt(rules, frame).matrix().rules.set_index("rule")
    assert list(rows["conflicts"]) == [2, 2, 0, 0]
    assert list(rows["order_sensitive"]) == [True, True, False, False]
    assert rows.loc["c", "marginal"] == 0, "a sets the same field to the same value"
    assert rows.loc["quiet", "marginal"] == 0
    assert rows.loc["a", "marginal"] == 3


def test_two_records_from_one_mail_are_a_conflict(attempt: Any) -> None:
    rules = [rule("one", includes("a"), then=[CREATE]), rule("two", includes("b"), then=[CREATE])]
    matrix = attempt(rules, mails("a", "ab", "b")).matrix()
    assert list(matrix.rules["conflicts"]) == [1, 1]
    assert list(matrix.rules["marginal"]) == [2, 2]
    assert list(matrix.pairs["conflicts"]) == [1]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65])
def test_any_number_of_mails_is_counted(attempt: Any, count: int) -> None:
    frame = mails(*["a"] * max(count, 1)).iloc[:count]
    matrix = attempt([rule("a", "true"), rule("b", "true")], frame).matrix()
    assert matrix.overlap.to_numpy().tolist() == [[count, count], [count, count]]


def test_it_shows_itself(attempt: Any) -> None:
    matrix = attempt([rule("a", "true"), rule("<b>", includes("b"))], mails("a", "b")).matrix()
    assert "marginal" in repr(matrix)
    assert "&lt;b&gt;" in matrix._repr_html_()
    assert matrix.plot()._repr_png_()[0].startswith(b"\x89PNG")
