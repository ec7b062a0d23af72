"""S4 (files): rules and templates are files; mistakes are told by file and line, with the mend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kolibri_sdk import RulesWarning
from tests.acceptance.conftest import Desk
from tests.project import letter

ANNAS = "anna@customer.example"
CREATE = "rules/inbound/support/create-incident.yaml"


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """A desk with both mailboxes that the shipped rules are for."""
    desk.mailbox("sales", desk.dovecot.new_user("sales"))
    return desk


def edit(desk: Desk, file: str, old: str, new: str) -> Path:
    """Replace text in a file of the project, as an administrator with an editor does."""
    path = desk.folder.root / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    return path


def check_by_command(desk: Desk) -> tuple[int, list[dict[str, Any]]]:
    """The exit code of ``kolibri check``, and the problems it printed."""
    run = desk.folder.kolibri("check", "--json")
    problems: list[dict[str, Any]] = json.loads(run.stdout)["problems"]
    return run.returncode, problems


def test_the_rules_that_come_with_it_have_no_mistake_and_their_examples_hold(desk: Desk) -> None:
    assert check_by_command(desk) == (0, [])


def test_an_edited_rule_is_used_from_the_next_pass_on(desk: Desk) -> None:
    desk.receive(letter("before"))
    edit(desk, CREATE, "title: message.subject", "title: '\"Mail: \" + message.subject'")
    edit(desk, CREATE, '.trim() || "(no subject)"', "")

    desk.receive(letter("after"))

    assert [row["title"] for row in desk.incidents()] == ["before", "Mail: after"]


def test_an_edited_template_is_used_from_the_next_pass_on(desk: Desk) -> None:
    subject = "rules/templates/incident-received/en.subject.j2"
    desk.healthy_poll()
    edit(desk, subject, "We have your request", "Thank you, Anna")

    desk.receive(letter("VPN is down"))

    assert desk.answer_to(ANNAS).mail["Subject"].endswith("Thank you, Anna: VPN is down")


def test_a_new_rule_file_is_a_new_rule_and_a_deleted_one_is_none(desk: Desk) -> None:
    desk.healthy_poll()
    (desk.folder.root / CREATE).rename(
        desk.folder.root / "rules/inbound/support/an-other-name.yaml"
    )

    desk.receive(letter())

    assert desk.k.rules["an-other-name"].order == 100
    assert "create-incident" not in set(desk.k.decisions.frame()["rule"])


MISTAKES = {
    "no YAML": (CREATE, "order: 100", "order: [100", 4),
    "unknown key": (CREATE, "order: 100", "odrer: 100", 3),
    "wrong value": ("rules/inbound/support/urgent.yaml", "order: 200", "order: first", 3),
    "unknown action": (CREATE, "- send_mail:", "- send_mial:", 18),
    "JavaScript": (CREATE, "!message.reference &&", "!message.reference &&&", 5),
    "JavaScript of an action": (CREATE, "caller: message.from.address", "caller: from(", 12),
    "template that is none": (CREATE, "incident-received", "incident-recieved", 18),
    "entity that is none": (CREATE, "entity: incident", "entity: indicent", 8),
    "Jinja2": ("rules/templates/incident-received/de.txt.j2", "{%- endif %}", "{%- edif %}", 12),
    "golden example": (CREATE, "vpn-down.eml, match: true", "vpn-down.eml, match: false", 20),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_check_names_file_and_line_and_the_mend(desk: Desk, mistake: str) -> None:
    file, old, new, line = MISTAKES[mistake]
    k = desk.k
    edit(desk, file, old, new)

    first, *others = k.check()

    assert (first.file, first.line) == (file, line), str(first)
    assert all(problem.message and problem.mend for problem in (first, *others))


def test_the_check_command_tells_the_same_and_its_exit_code_says_so(desk: Desk) -> None:
    file, old, new, line = MISTAKES["unknown key"]
    edit(desk, file, old, new)

    code, problems = check_by_command(desk)

    assert code == 2
    assert (problems[0]["file"], problems[0]["line"]) == (file, line)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("rules/inbound/support/broken.yaml", "order: 1\nwenn: true\n"),
        ("rules/mailboxes/broken.yaml", "address: broken@kolibri.example\ninbuond: {}\n"),
        ("rules/outbound/incident/broken.yaml", "on: insrt\n"),
        ("rules/templates/incident-received/fr.subject.j2", "{{ record."),
        ("rules/entities/broken.yaml", "table:\n"),
    ],
)
def test_a_faulty_file_is_told_at_connect_and_the_poller_goes_on_with_the_others(
    desk: Desk, file: str, content: str
) -> None:
    path = desk.folder.write(file, content)
    with pytest.warns(RulesWarning, match=file):
        desk.k  # noqa: B018 (opens the project)
    desk.deliver(letter())

    report = desk.poll()

    assert not report.ok
    assert any(error.startswith(file) for error in report.errors), report.errors
    assert any("Mend: " in error for error in report.errors), report.errors
    assert desk.answer_to(ANNAS)

    path.unlink()
    assert desk.healthy_poll().ok


def test_the_exit_code_of_the_poller_tells_of_a_faulty_file(desk: Desk) -> None:
    desk.folder.write("rules/inbound/support/broken.yaml", "order: 1\nwenn: true\n")
    desk.deliver(letter())

    run = desk.folder.kolibri("poll", "--passes", "1", "--json")

    assert run.returncode == 1
    printed = json.loads(run.stdout)
    assert printed["records"] == printed["sent"] == 1
    assert any("rules/inbound/support/broken.yaml:2" in error for error in printed["errors"])
