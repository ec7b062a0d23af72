"""Gates: a trial that keeps them passes, one that does not fails, and what cannot be said fails."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kolibri_sdk.frames import GATES
from kolibri_sdk.lab import check_gates
from kolibri_sdk.model.gates import Gates
from tests.unit.lab.conftest import CREATE, mails, rule

FRAME = mails("VPN down", "vpn slow", "Printer", "Tunnel", every=timedelta(minutes=20))
LABELS = {"vpn": ({1: "network", 2: "desk", 3: "desk", 4: "network"}, "network")}


def found(report: Any) -> dict[str, tuple[Any, bool]]:
    rows = report.frame.to_dict("records")
    return {row["gate"]: (row["found"], row["passed"]) for row in rows}


@pytest.mark.parametrize(
    ("gates", "value", "passes"),
    [
        ({"min_mails": 4}, 4, True),
        ({"min_mails": 5}, 4, False),
        ({"errors": 0}, 0, True),
        ({"min_precision": 0.5}, 0.5, True),
        ({"min_precision": 0.51}, 0.5, False),
        ({"min_recall": 0.6}, 0.5, False),
        ({"min_matches": 2}, 2, True),
        ({"min_matches": 3}, 2, False),
        ({"max_match_rate": 0.5}, 0.5, True),
        ({"max_match_rate": 0.4}, 0.5, False),
        ({"max_actions_per_hour": 2}, 2, True),
        ({"max_actions_per_hour": 1}, 2, False),
        ({"max_mails_per_hour": 0}, 0, True),
        ({"max_failing_mails": 0}, 0, True),
    ],
)
def test_each_gate_says_what_was_found(
    attempt: Any, gates: Any, value: float, passes: bool
) -> None:
    report = check_gates(attempt(rule(then=[CREATE]), FRAME), Gates(**gates), labels=LABELS)
    assert found(report) == {next(iter(gates)): (value, passes)}
    assert report.ok is passes
    assert ("FAILED" in repr(report)) is not passes
    assert {n: str(d) for n, d in report.frame.dtypes.items()} == {
        n: c.dtype for n, c in GATES.items()
    }
    assert report.as_json()["passed"] is passes


def test_against_the_version_before(attempt: Any) -> None:
    old = attempt(rule(when="/vpn|tunnel/i.test(message.subject)"), FRAME)
    new = attempt(rule(when="/VPN/.test(message.subject) || message.html.length > 1"), FRAME)
    gates = Gates(new_errors=0, lost=0, lost_labelled=0)
    report = check_gates(new, gates, old, LABELS)
    assert found(report) == {
        "new_errors": (3, False),
        "lost": (2, False),
        "lost_labelled": (1, False),
    }
    told = report.frame.set_index("gate")["told"]
    assert told["new_errors"] == "mails 2, 3, 4"
    assert told["lost_labelled"] == "mails 4", (
        "that it no longer matches a mail of the desk is right"
    )
    assert check_gates(old, gates, old, LABELS).ok


def test_what_cannot_be_said_is_not_passed(attempt: Any) -> None:
    trial = attempt(rule(), FRAME)
    report = check_gates(trial, Gates(lost=0, lost_labelled=0, min_precision=0.1, min_recall=0))
    assert not report.frame["passed"].any()
    assert "--against" in report.frame["told"][0]
    assert "labels" in report.frame["told"][2]
    nobody = check_gates(trial, Gates(min_precision=0.1), labels={"vpn": ({1: "a"}, "b")})
    assert "No mail has the label" in nobody.frame["told"][0]
    none_right = {"vpn": ({3: "network"}, "network")}
    unsaid = check_gates(trial, Gates(min_precision=0.1), labels=none_right)
    assert "no labelled mail" in unsaid.frame["told"][0]
    assert check_gates(trial, Gates()).ok
    assert repr(check_gates(trial, Gates())) == "No gate was asked for"


def test_an_action_that_would_fail_is_a_gate_too(attempt: Any) -> None:
    note = {"add_note": {"text": "'x'"}}
    report = check_gates(attempt(rule(then=[note]), FRAME), Gates(max_failing_mails=0))
    assert found(report) == {"max_failing_mails": (2, False)}
    assert "mails 1, 2: rule vpn, then[0] (add_note)" in report.frame["told"][0]
