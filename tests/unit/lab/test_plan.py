"""The plan names every effect that production would have, and what would fail with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kolibri_sdk.frames import TRIAL_CONFLICTS, TRIAL_EFFECTS
from kolibri_sdk.lab import Surroundings
from kolibri_sdk.model.rule import RuleState
from kolibri_sdk.model.user import User
from tests.unit.lab.conftest import CREATE, ENTITIES, mails, rule

TIED = {"entity": "incident", "record_key": "7", "grade": "signed"}
ANSWER = {"send_mail": {"template": "received", "to": {"js": "message.from.address"}}}


def update(**values: str) -> dict[str, Any]:
    return {"update_record": {"set": values}}


def test_records_with_their_fields(attempt: Any) -> None:
    priority = "/urgent/i.test(message.subject) ? 1 : 3"
    fields = {"title": "message.subject", "priority": priority}
    create = {"create_record": {"entity": "incident", "set": fields}}
    plan = attempt(rule(then=[create]), mails("VPN urgent", "Printer", "vpn")).plan()
    made = plan.records
    assert list(made["message"]) == [1, 3]
    assert list(made["title"]) == ["VPN urgent", "vpn"]
    assert list(made["priority"]) == [1, 3]
    assert plan.summary.to_dict("records") == [
        {"effect": "+ incident", "rule": "vpn", "count": 2, "most_in_an_hour": 1}
    ]
    assert {n: str(d) for n, d in plan.effects.dtypes.items()} == {
        n: c.dtype for n, c in TRIAL_EFFECTS.items()
    }
    assert "+ incident" in repr(plan)
    assert "records would be made" in plan._repr_html_()


def test_changes_tell_what_was_there_before(attempt: Any) -> None:
    around = Surroundings(entities=ENTITIES, records={1: {"status": "closed", "priority": 3}})
    reopen = rule(when="record !== null", then=[update(status="'open'")])
    (change,) = attempt(reopen, mails(TIED), around).plan().changes.to_dict("records")
    assert change["record"] == "incident 7"
    assert (change["field"], change["before"], change["after"]) == ("status", "closed", "open")


def test_two_rules_that_set_a_field_differently_are_a_conflict(attempt: Any) -> None:
    around = Surroundings(entities=ENTITIES, records={1: {"status": "closed"}})
    rules = [
        rule("a", "true", order=1, then=[update(status="'open'", priority="1")]),
        rule("b", "true", order=2, then=[update(status="'waiting'", priority="1")]),
    ]
    plan = attempt(rules, mails(TIED), around).plan()
    (conflict,) = plan.conflicts.to_dict("records")
    assert conflict == {
        "message": 1, "record": "incident 7", "field": "status", "earlier": "a",
        "earlier_value": "open", "later": "b", "later_value": "waiting",
    }  # fmt: skip
    assert {n: str(d) for n, d in plan.conflicts.dtypes.items()} == {
        n: c.dtype for n, c in TRIAL_CONFLICTS.items()
    }
    assert "1 conflicts" in repr(plan)


def test_an_action_that_would_fail_takes_its_whole_mail_with_it(attempt: Any) -> None:
    rules = [
        rule("creates", "message.subject === 'b'", order=1, then=[CREATE]),
        rule("notes", "true", order=2, then=[{"add_note": {"text": "'seen'"}}]),
        rule("answers", "true", order=3, then=[ANSWER]),
    ]
    plan = attempt(rules, mails("a", "b")).plan()
    assert list(plan.failures["message"]) == [1]
    assert "rule notes, then[0] (add_note): add_note needs a record" in plan.failures["error"][0]
    assert list(plan.effects["message"]) == [1, 2, 2, 2]
    assert list(plan.notes["about"]) == ["new incident"]
    assert list(plan.mails["message"]) == [2]


def test_mails_to_whom_and_to_whom_not(attempt: Any) -> None:
    mail = {"send_mail": {"template": "t", "to": [
        {"list": "Duty@example.org, support@kolibri.example, network"}, {"field": "title"},
        {"js": "[message.from, 'nobody-knows']"}]}}  # fmt: skip
    create = {"create_record": {"entity": "incident", "set": {"title": "'bert'"}}}
    around = Surroundings(
        entities=ENTITIES,
        users=[
            User("bert", "bert@example.org"),
            User("cleo", "cleo@example.org", groups=("network",)),
        ],
        own_addresses={"support@kolibri.example": "is our own mailbox support"},
    )
    frame = mails({}, {"kind": "auto_reply"})
    first, second = attempt(rule(when="true", then=[create, mail]), frame, around).plan().mails[
        ["to", "dropped"]
    ].itertuples(index=False)  # fmt: skip
    assert first.to == [
        "Duty@example.org", "cleo@example.org", "bert@example.org", "anna@customer.example",
    ]  # fmt: skip
    assert first.dropped == [
        "support@kolibri.example is our own mailbox support",
        "nobody-knows is no address, user or group",
    ]
    assert "anna@customer.example" not in second.to, "an automatic mail is not answered"


def test_at_most_so_many_in_an_hour(attempt: Any) -> None:
    frame = mails(*["vpn"] * 30, every=timedelta(minutes=7))
    (mail,) = attempt(rule(then=[ANSWER]), frame).plan().summary.to_dict("records")
    assert mail == {"effect": "> received (mail)", "rule": "vpn", "count": 30, "most_in_an_hour": 9}


def test_a_rule_in_the_shadow_does_nothing(attempt: Any) -> None:
    plan = attempt(rule(then=[CREATE], state=RuleState.SHADOW), mails("vpn")).plan()
    assert repr(plan) == "<plan: nothing would be done>"


@pytest.mark.parametrize(
    ("action", "around", "told"),
    [
        (ANSWER, Surroundings(templates=frozenset()), "no usable template 'received'"),
        (ANSWER, Surroundings(mailboxes=frozenset()), "no usable mailbox 'support'"),
        ({"call": {"name": "x"}}, Surroundings(actions=frozenset()), "no Python action 'x'"),
        ({"create_record": {"entity": "lead", "set": {"a": "1"}}}, Surroundings(entities=ENTITIES),
         "no entity 'lead'"),
        ({"send_mail": {"template": "t", "to": {"js": "5"}}}, Surroundings(), "no recipient"),
    ],
)  # fmt: skip
def test_names_that_lead_nowhere_would_fail(
    attempt: Any, action: Any, around: Surroundings, told: str
) -> None:
    plan = attempt(rule(then=[action]), mails("vpn"), around).plan()
    assert told in plan.failures["error"][0]


def test_calls_are_named_and_never_made(attempt: Any) -> None:
    call = {"call": {"name": "telephone", "with": {"number": "'+49'"}}}
    plan = attempt(rule(then=[call]), mails("vpn")).plan()
    assert plan.calls[["text", "number"]].to_dict("records") == [
        {"text": "telephone", "number": "+49"}
    ]
