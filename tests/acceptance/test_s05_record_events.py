"""S5: an outgoing rule has a condition: on insert, update, close, change of group, and so on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
import pytest

from tests.acceptance.conftest import Desk

TRIGGERS = {
    "insert": "insert",
    "update": "update",
    "close": "close",
    "reopen": "reopen",
    "delete": "delete",
    "team-changed": "{change: team}",
    "insert-or-closed": "[insert, close]",
}


class TicketSystem:
    """Another program with a table of its own; it knows nothing of Kolibri, only SQL."""

    def __init__(self, desk: Desk, connect: Callable[[], Any]) -> None:
        self.desk = desk
        self._connect = connect
        self.write("CREATE TABLE ticket (id integer PRIMARY KEY, subject text, team text,"
                   " status text, urgency integer)")  # fmt: skip

    def write(self, *statements: str, commit: bool = True) -> None:
        """Run the statements in one transaction of its own connection."""
        with closing(self._connect()) as connection:
            for statement in statements:
                connection.execute(statement)
            if commit:
                connection.commit()
            else:
                connection.rollback()

    def told_after(self, *statements: str, commit: bool = True) -> list[str]:
        """Which rules have sent a mail after these statements and one pass."""
        self.desk.sink.taken.clear()
        self.write(*statements, commit=commit)
        self.desk.healthy_poll()
        return names_told(self.desk)


def names_told(desk: Desk) -> list[str]:
    """The names of the rules whose mail came out, sorted."""
    return sorted(address.partition("@")[0] for address in desk.told())


@pytest.fixture(params=["sqlite", "postgresql"])
def tickets(request: pytest.FixtureRequest, new_desk: Callable[..., Desk]) -> TicketSystem:
    """A ticket system with two tickets, whose table Kolibri watches."""
    if request.param == "sqlite":
        desk = new_desk()
        path = desk.folder.root / "kolibri.db"
        system = TicketSystem(desk, lambda: sqlite3.connect(path))
    else:
        url = request.getfixturevalue("postgresql")()
        desk = new_desk(database=url)
        system = TicketSystem(desk, lambda: psycopg.connect(url.replace("+psycopg", "")))
    describe_tickets(desk)
    for name, trigger in TRIGGERS.items():
        add_rule(desk, name, f"on: {trigger}")
    desk.healthy_poll()
    system.write(
        "INSERT INTO ticket VALUES (1, 'Printer', 'North', 'open', 2)",
        "INSERT INTO ticket VALUES (2, 'VPN', 'South', 'done', 3)",
    )
    desk.healthy_poll()
    return system


def describe_tickets(desk: Desk) -> None:
    desk.mailbox(answers_per_hour=1000)
    desk.folder.template("told", en_subject="{{ record.subject }}", en_txt="{{ record.team }}\n")
    desk.folder.write(
        "rules/entities/ticket.yaml",
        """
        table: ticket
        title: subject
        group: team
        closed: {field: status, values: [done, rejected]}
        """,
    )


def add_rule(desk: Desk, name: str, *lines: str) -> None:
    rule = [*lines, f"to: {{list: {name}@example.org}}", "template: told", "mailbox: support", ""]
    desk.folder.write(f"rules/outbound/ticket/{name}.yaml", "\n".join(rule))


CHANGES = {
    "an insert": (
        "INSERT INTO ticket VALUES (3, 'Mouse', 'North', 'open', 2)",
        ["insert", "insert-or-closed"],
    ),
    "an update": ("UPDATE ticket SET subject = 'Printers' WHERE id = 1", ["update"]),
    "a close": ("UPDATE ticket SET status = 'rejected' WHERE id = 1",
                ["close", "insert-or-closed", "update"]),
    "from closed to closed": ("UPDATE ticket SET status = 'rejected' WHERE id = 2", ["update"]),
    "a reopen": ("UPDATE ticket SET status = 'open' WHERE id = 2", ["reopen", "update"]),
    "a change of group": (
        "UPDATE ticket SET team = 'West' WHERE id = 1", ["team-changed", "update"],
    ),
    "an update to the same": ("UPDATE ticket SET team = 'North' WHERE id = 1", []),
    "a delete": ("DELETE FROM ticket WHERE id = 1", ["delete"]),
    "one statement, two records": ("UPDATE ticket SET urgency = 1", ["update", "update"]),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_by_another_program_tells_the_rules_that_are_about_it(
    tickets: TicketSystem, change: str
) -> None:
    statement, expected = CHANGES[change]

    assert tickets.told_after(statement) == expected
    assert tickets.told_after("SELECT 1") == [], "and never a second time"


def test_a_change_that_was_rolled_back_never_happened(tickets: TicketSystem) -> None:
    close = "UPDATE ticket SET status = 'done' WHERE id = 1"

    assert tickets.told_after(close, commit=False) == []


def test_every_step_between_two_passes_is_a_change_of_its_own(tickets: TicketSystem) -> None:
    steps = [f"UPDATE ticket SET team = '{team}' WHERE id = 1" for team in ("West", "North")]

    assert tickets.told_after(*steps) == ["team-changed", "team-changed", "update", "update"]
    assert [taken.mail.get_content().strip() for taken in tickets.desk.sink.to(
        "team-changed@example.org")] == ["West", "North"]  # fmt: skip


def test_a_condition_sees_the_record_before_and_after(tickets: TicketSystem) -> None:
    add_rule(
        tickets.desk,
        "more-urgent",
        "on: update",
        "when: changed.includes('urgency') && record.urgency < old.urgency",
    )
    tickets.desk.close()

    assert "more-urgent" in tickets.told_after("UPDATE ticket SET urgency = 1 WHERE id = 1")
    assert "more-urgent" not in tickets.told_after("UPDATE ticket SET urgency = 3 WHERE id = 1")


def test_changes_made_by_the_sdk_are_told_like_any_other(tickets: TicketSystem) -> None:
    desk = tickets.desk
    desk.sink.taken.clear()
    desk.k.records["ticket"].insert(id=9, subject="Mouse", team="North", status="open")
    desk.k.records["ticket", 9].update(status="done")

    desk.healthy_poll()

    expected = ["close", "insert", "insert-or-closed", "insert-or-closed", "update"]
    assert names_told(desk) == expected


def test_what_changed_while_no_poller_ran_is_told_afterwards(tickets: TicketSystem) -> None:
    tickets.desk.close()

    assert "close" in tickets.told_after("UPDATE ticket SET status = 'done' WHERE id = 1")
