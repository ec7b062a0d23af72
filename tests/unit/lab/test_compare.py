"""Two versions on the same mails: each mail that is treated otherwise is told, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.frames import TRIAL_CHANGES
from kolibri_sdk.model.rule import RuleState
from tests.unit.lab.conftest import mails, rule

FRAME = mails("VPN down", "vpn slow", "Tunnel", "Printer", {"subject": "x", "html": "<p>x</p>"})


def creates(title: str) -> list[dict[str, Any]]:
    return [{"create_record": {"entity": "incident", "set": {"title": title}}}]


def test_gained_lost_and_new_errors(attempt: Any) -> None:
    old = rule(when="/VPN/i.test(message.subject)", state=RuleState.DRAFT)
    new = rule(when="/VPN|Tunnel/.test(message.subject) || message.html.length > 1")
    comparison = attempt(new, FRAME).compare(old)
    assert list(comparison.gained["id"]) == [3, 5]
    assert list(comparison.lost["id"]) == [2]
    errors = comparison.new_errors
    assert list(errors["id"]) == [2, 4]
    assert (errors[["was", "now"]].to_numpy() == [["match", "error"], ["no", "error"]]).all()
    assert errors["reason"].str.contains("TypeError").all()
    (row,) = comparison.summary.to_dict("records")
    assert row == {
        "rule": "vpn", "is": "edited", "same": 1, "gained": 2, "lost": 1, "changed": 0,
        "new_errors": 2, "mended": 0,
    }  # fmt: skip
    assert {n: str(d) for n, d in comparison.summary.dtypes.items()} == {
        n: c.dtype for n, c in TRIAL_CHANGES.items()
    }
    assert "gained" in repr(comparison)
    assert "only the new version fails" in comparison._repr_html_()
    back = attempt(old.model_copy(update={"state": RuleState.ACTIVE}), FRAME).compare(new)
    assert list(back.mended["id"]) == [2, 4]


def test_changed_actions_are_told_by_their_values(attempt: Any) -> None:
    old = rule(then=creates("message.subject"))
    new = rule(then=creates("message.subject.toUpperCase()"))
    changed = attempt(new, FRAME).compare(old).changed
    assert list(changed["id"]) == [1, 2], "the action is another one, whatever it gives"
    assert list(changed["values_was"]) == [
        {"0.create_record.title": "VPN down"}, {"0.create_record.title": "vpn slow"},
    ]  # fmt: skip
    assert changed["values_now"].iloc[1] == {"0.create_record.title": "VPN SLOW"}


def test_the_same_version_changes_nothing(attempt: Any) -> None:
    one = rule(then=creates("message.subject"))
    comparison = attempt(one, FRAME).compare(attempt(one, FRAME))
    (row,) = comparison.summary.to_dict("records")
    assert (row["is"], row["same"]) == ("as it was", 2)
    frames = (comparison.gained, comparison.lost, comparison.changed, comparison.new_errors)
    assert [len(frame) for frame in frames] == [0, 0, 0, 0]
    assert "values_now" in comparison.changed


def test_sets_are_compared_rule_by_rule_stops_included(attempt: Any) -> None:
    vpn, printer = rule(order=2), rule("printer", "message.subject === 'Printer'", order=3)
    gone = rule("gone", "message.subject === 'x'", order=9)
    guard = rule("guard", "message.subject.startsWith('VPN')", order=1, stop=True)
    comparison = attempt([guard, vpn, printer], FRAME).compare([vpn, printer, gone])
    rows = comparison.summary.set_index("rule")
    assert rows["is"].to_dict() == {
        "guard": "new", "vpn": "as it was", "printer": "as it was", "gone": "gone",
    }  # fmt: skip
    assert rows["gained"].to_dict() == {"guard": 1, "vpn": 0, "printer": 0, "gone": 0}
    assert rows["lost"].to_dict() == {"guard": 0, "vpn": 1, "printer": 0, "gone": 1}
    lost = comparison.lost[["id", "rule", "now", "reason"]].to_numpy().tolist()
    assert lost == [[1, "vpn", "skipped", "stopped by guard"], [5, "gone", "no", ""]]


def test_what_cannot_be_compared_is_told(attempt: Any) -> None:
    with pytest.raises(ConfigurationError, match="two rules"):
        attempt(rule("a"), FRAME).compare(rule("b"))
    with pytest.raises(ConfigurationError, match="different mails"):
        attempt(rule(), FRAME).compare(attempt(rule(), FRAME.iloc[:2]))


def test_what_is_gained_and_lost_by_label(attempt: Any) -> None:
    old = rule(when="/VPN/i.test(message.subject)")
    new = rule(when="/VPN|Tun/.test(message.subject)")
    told = attempt(new, FRAME).compare(old).by_label({2: "net", 3: "road"})
    assert told.to_dict("records") == [
        {"rule": "vpn", "label": "net", "gained": 0, "lost": 1},
        {"rule": "vpn", "label": "road", "gained": 1, "lost": 0},
    ]
    assert len(attempt(old, FRAME).compare(old).by_label({2: "net"})) == 0
