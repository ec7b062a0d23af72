"""S6: an outgoing rule's recipients: a comma-separated list, a field of the record, JavaScript."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Desk


def new_incident(desk: Desk, **values: object) -> None:
    desk.k.records["incident"].insert(**{"title": "Fire", "group": "Network", **values})
    desk.healthy_poll()


def test_a_comma_separated_list(bare_desk: Desk) -> None:
    people = 'duty@example.org, "Ops, Night" <ops@example.org>,noc@example.org'
    bare_desk.announce(f"{{list: '{people}'}}")
    new_incident(bare_desk)

    assert bare_desk.told() == ["duty@example.org", "noc@example.org", "ops@example.org"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("tom@customer.example", ["tom@customer.example"]),
        ("anna", ["anna@kolibri.example"]),
        ("a@example.org, b@example.org", ["a@example.org", "b@example.org"]),
        (None, []),
    ],
    ids=["an address", "the id of a user", "several", "empty"],
)
def test_a_field_of_the_record(bare_desk: Desk, value: str | None, expected: list[str]) -> None:
    bare_desk.announce("{field: assignee}")
    bare_desk.k.users.add("anna", "anna@kolibri.example")

    new_incident(bare_desk, assignee=value)

    assert bare_desk.told() == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('"duty@example.org"', ["duty@example.org"]),
        ('record.group === "Network" ? ["noc@example.org"] : []', ["noc@example.org"]),
        (
            '[1, 2].map(n => ({address: `shift${n}@example.org`, name: "Shift"}))',
            ["shift1@example.org", "shift2@example.org"],
        ),
        ("record.group", ["anna@kolibri.example", "tom@kolibri.example"]),
        ("null", []),
    ],
    ids=["text", "a list by condition", "objects", "the name of a group", "nobody"],
)
def test_javascript(bare_desk: Desk, script: str, expected: list[str]) -> None:
    bare_desk.announce(f"{{js: '{script}'}}")
    for name in ("anna", "tom"):
        bare_desk.k.users.add(name, f"{name}@kolibri.example", groups=("Network",))

    new_incident(bare_desk)

    assert bare_desk.told() == expected


def test_the_three_kinds_together_write_to_everybody_once(bare_desk: Desk) -> None:
    bare_desk.announce(
        """
        - {list: "duty@example.org, ANNA@kolibri.example"}
        - {field: assignee}
        - {js: '["noc@example.org", "duty@example.org"]'}
        """
    )
    bare_desk.k.users.add("anna", "anna@kolibri.example")

    new_incident(bare_desk, assignee="anna")

    told = [address.lower() for address in bare_desk.told()]
    assert told == ["anna@kolibri.example", "duty@example.org", "noc@example.org"]


def test_what_is_no_recipient_is_said_and_the_others_get_the_mail(bare_desk: Desk) -> None:
    bare_desk.announce('{list: "duty@example.org, nobody-knows"}')
    bare_desk.k.records["incident"].insert(title="Fire")

    report = bare_desk.healthy_poll()

    assert bare_desk.told() == ["duty@example.org"]
    assert any("nobody-knows" in line for line in report.refused), report.refused


def test_javascript_that_fails_sends_nothing_and_names_rule_and_reason(bare_desk: Desk) -> None:
    bare_desk.announce("{js: record.nothing.here}")
    bare_desk.k.records["incident"].insert(title="Fire")

    report = bare_desk.poll()

    assert bare_desk.told() == []
    assert "rules/outbound/incident/announce-0.yaml" in report.errors[0]
    assert "undefined" in report.errors[0]


def test_our_own_mailboxes_never_get_our_mail(bare_desk: Desk) -> None:
    bare_desk.announce('{list: "SUPPORT@kolibri.example, duty@example.org"}')

    new_incident(bare_desk)

    assert bare_desk.told() == ["duty@example.org"]
