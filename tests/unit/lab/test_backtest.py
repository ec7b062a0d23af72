"""A backtest decides as the poller does, on what a mail was when it came, and does nothing."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import kolibri_sdk.lab
from kolibri_sdk.decide import Subject, decide_messages
from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.frames import (
    TRIAL_DECISIONS,
    TRIAL_ERRORS,
    TRIAL_LEFT_OUT,
    TRIAL_SUMMARY,
    messages_of,
)
from kolibri_sdk.lab import Surroundings, Trial, backtest
from kolibri_sdk.model.rule import RuleState
from kolibri_sdk.sandbox import Sandbox
from tests.unit.lab.conftest import CREATE, ENTITIES, mails, rule

HOSTILE = [
    rule("endless", "message.subject !== 'evil' || (() => { while (true) {} })()"),
    rule("throws", "message.html.length > 3"),
    rule("text", "message.subject"),
    rule("faulty", "message.subject ==="),
    rule("stops", "/spam/i.test(message.subject)", stop=True),
    rule("guard", "message.text.includes('boom') ? message.x.y : false", on_error="stop"),
    rule("shadow", "true", stop=True, state=RuleState.SHADOW),
    rule("creates", "message.size > 3", then=[CREATE, {"add_note": {"text": "record.title"}}]),
    rule("fails-later", "true", then=[{"add_note": {"text": "message.x.y"}}]),
]
FRAME = mails(
    "VPN down",
    {"subject": "evil", "html": "<p>hello</p>"},
    "Spam, spam",
    {"subject": "Printer", "text": "boom"},
    {"subject": "Half \ud83d of a pair \x00 \u2028", "from_address": None},
)


@pytest.fixture(scope="module")
def hostile(sandbox: Sandbox) -> Trial:
    """The trial of hostile rules, which costs some processes their lives."""
    return backtest(HOSTILE, FRAME, sandbox, Surroundings(entities=ENTITIES))


def test_the_lab_says_what_production_says(hostile: Trial, sandbox: Sandbox) -> None:
    subjects = [Subject(mail) for mail in messages_of(FRAME)]
    expected = decide_messages(HOSTILE, subjects, sandbox, ENTITIES)
    told = list(
        hostile.decisions[["rule", "message", "verdict", "acts", "reason"]].itertuples(
            index=False, name=None
        )
    )
    assert told == [
        (one.rule, number, one.verdict.value, one.acts, one.reason)
        for number, said in enumerate(expected, 1)
        for one in said
    ]
    assert {verdict for _, _, verdict, _, _ in told} == {
        "match",
        "no",
        "error",
        "timeout",
        "skipped",
    }


def test_the_order_of_the_mails_changes_nothing(attempt: Any, hostile: Trial) -> None:
    columns = ["rule", "message", "verdict", "reason"]
    forwards = hostile.decisions[columns]
    backwards = attempt(HOSTILE, FRAME.iloc[::-1]).decisions[columns]
    again = backwards.sort_values("message", kind="stable").reset_index(drop=True)
    assert again.astype(object).equals(forwards.astype(object))


def test_columns_and_dtypes_are_documented(hostile: Trial) -> None:
    for frame, columns in (
        (hostile.decisions, TRIAL_DECISIONS),
        (hostile.summary, TRIAL_SUMMARY),
        (hostile.errors, TRIAL_ERRORS),
        (hostile.left_out, TRIAL_LEFT_OUT),
    ):
        assert {n: str(d) for n, d in frame.dtypes.items()} == {
            n: c.dtype for n, c in columns.items()
        }


def test_a_mail_belongs_to_the_record_of_its_reference_and_to_no_later_one(attempt: Any) -> None:
    tied = {"entity": "incident", "record_key": "7"}
    frame = mails(
        {**tied, "grade": "signed"}, {**tied, "grade": "created"}, {**tied, "grade": "accepted"}, {}
    )
    records = {number: {"status": "closed"} for number in (1, 2, 3)}
    around = Surroundings(entities=ENTITIES, records=records)
    replies = rule("reply", "message.reference !== null && record.status === 'closed'")
    unknown = rule("new", "message.reference === null && record === null")
    trial = attempt([replies, unknown], frame, around)
    assert list(trial.matches("reply")["id"]) == [1]
    assert list(trial.matches("new")["id"]) == [2, 3, 4], "what came later is not seen"


def test_only_mail_that_the_poller_would_show_is_tried(attempt: Any) -> None:
    frame = mails(
        {"mailbox": ""}, {"mailbox": "sales"}, {"direction": "out"}, {"state": "unparsed"}, {}
    )
    trial = attempt(rule(when="message.mailbox === 'support'"), frame)
    assert list(trial.matches()["id"]) == [1, 5]
    assert dict(zip(trial.left_out["message"], trial.left_out["reason"], strict=True)) == {
        2: "came in by the mailbox sales", 3: "went out", 4: "could not be read",
    }  # fmt: skip
    assert "3 left out" in repr(trial)


def test_nothing_to_try(attempt: Any) -> None:
    empty = attempt(rule(), mails("a").iloc[:0])
    assert (len(empty.decisions), len(empty.errors), len(empty.plan().effects)) == (0, 0, 0)
    assert list(empty.summary["matches"]) == [0]
    assert "0 mails" in repr(empty)
    assert empty._repr_html_()
    drafts = attempt(rule(state=RuleState.DRAFT), mails("a"))
    assert len(drafts.summary) == 0
    assert repr(drafts) == "<trial of 0 rules on 1 mails>"


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (mails("a").drop(columns="headers"), "has no column headers"),
        (pd.DataFrame({"x": [1]}), "has no column id"),
        (pd.concat([mails("a"), mails("b")]), "two mails with the id 1"),
    ],
)
def test_a_frame_that_will_not_do_is_told(attempt: Any, frame: pd.DataFrame, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        attempt(rule(), frame)


def test_rules_that_cannot_be_tried_together_are_told(attempt: Any) -> None:
    other = rule("b").model_copy(update={"mailbox": "sales"})
    with pytest.raises(ConfigurationError, match="2 mailboxes: sales, support"):
        attempt([rule("a"), other], FRAME)
    with pytest.raises(ConfigurationError, match="Two rules are called 'a'"):
        attempt([rule("a"), rule("a")], FRAME)


def test_summary_errors_and_timeline_count_right(attempt: Any) -> None:
    frame = mails(*["VPN", "Printer", "vpn again", "x"] * 25)
    odd = rule("odd", "message.subject === 'x' && message.html.length > 1")
    stops = rule("first", "message.subject === 'Printer'", stop=True)
    trial = attempt([stops, rule(), odd], frame)
    summary = trial.summary.set_index("rule")
    assert list(summary["tried"]) == [100, 75, 75]
    assert list(summary["matches"]) == [25, 50, 0]
    assert list(summary["skipped"]) == [0, 25, 25]
    assert summary.loc["vpn", "rate"] == pytest.approx(50 / 75)
    assert summary.loc["vpn", "first_match"] == datetime(2026, 5, 4, 8, tzinfo=UTC)
    assert (summary["median_us"] <= summary["p99_us"]).all()
    (error,) = trial.errors.to_dict("records")
    assert error["reason"].startswith("TypeError: Cannot read properties of null")
    assert (error["rule"], error["line"], error["count"]) == ("odd", 1, 25)
    assert error["examples"] == [4, 8, 12]
    daily = trial.timeline("D")
    assert list(daily.columns) == ["mails", "first", "vpn", "odd"]
    assert daily.sum().to_dict() == {"mails": 100, "first": 25, "vpn": 50, "odd": 0}
    assert len(trial.rest("vpn")) == 50
    with pytest.raises(NotFound, match="vpn"):
        trial.matches("vpm")
    with pytest.raises(NotFound, match="Name one of"):
        trial.place()


def test_what_is_shown_is_never_taken_as_html(attempt: Any) -> None:
    evil = rule("vpn", "(() => { throw new Error('<img src=x>') })()")
    trial = attempt(evil, mails("<script>alert(1)</script>"))
    shown = trial._repr_html_() + trial.plan()._repr_html_()
    assert "<img" not in shown
    assert "<script" not in shown
    assert "&lt;img" in shown


def test_the_picture_is_drawn(attempt: Any) -> None:
    trial = attempt([rule(), *(rule(f"r{n}", "true") for n in range(8))], FRAME)
    picture = trial.plot()
    png, _ = picture._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert "matched by" in repr(picture)
    assert attempt(rule(), FRAME.iloc[:0]).plot()._repr_png_()


def test_the_lab_knows_nothing_that_writes_or_sends() -> None:
    """By construction: no room module of the lab imports a store, a mailbox, or the pipeline."""
    room = Path(kolibri_sdk.lab.__file__).parent
    for file in room.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                forbidden = ("store", "mailboxes", "pipeline", "smtplib", "socket", "sqlalchemy")
                assert not any(part in forbidden for part in name.split(".")), (file, name)
