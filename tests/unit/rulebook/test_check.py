"""The deeper look: syntax of expressions and templates, and names that lead nowhere."""

from __future__ import annotations

import pytest

from kolibri_sdk.errors import Problem
from kolibri_sdk.model.rule import InboundRule
from kolibri_sdk.rulebook import check_rulebook
from kolibri_sdk.sandbox import Sandbox
from tests.unit.rulebook.conftest import ENTITY, MAILBOX, Folder

INBOUND = "rules/inbound/support/a.yaml"
OUTBOUND = "rules/outbound/incident/a.yaml"

EXAMPLES = """\
examples:
  - {mail: examples/a.eml, match: true}
  - {mail: examples/a.eml, match: false}
"""
RULE = "order: 1\nwhen: 'true'\n" + EXAMPLES
SENT = "on: insert\nto: {field: caller}\ntemplate: hello\nmailbox: support\n"


def check(folder: Folder, sandbox: Sandbox, file: str = "", text: str = "") -> list[Problem]:
    if file:
        folder.write(file, text)
    return list(check_rulebook(folder.load(), sandbox))


def only(folder: Folder, sandbox: Sandbox, file: str, text: str) -> Problem:
    (problem,) = check(folder, sandbox, file, text)
    return problem


def test_nothing_wrong_means_no_problems(folder: Folder, sandbox: Sandbox) -> None:
    folder.write(INBOUND, RULE)
    assert check(folder, sandbox, OUTBOUND, SENT) == []


def test_what_loading_found_is_among_the_problems(folder: Folder, sandbox: Sandbox) -> None:
    assert only(folder, sandbox, INBOUND, "order: 1\n").message == "'when' is missing"


@pytest.mark.parametrize(
    ("file", "text", "place"),
    [
        (INBOUND, EXAMPLES + "order: 1\nwhen: 'a b'\n", (5, 10)),
        (INBOUND, EXAMPLES + "order: 1\nwhen: |\n  true &&\n    a b\n", (7, 7)),
        (INBOUND, EXAMPLES + "order: 1\nwhen: >-\n  true &&\n  a b\n", (7, 5)),
        (INBOUND, RULE + "then:\n  - add_note: {text: a b}\n", (7, 24)),
        (
            INBOUND,
            RULE + "then:\n  - create_record:\n      entity: incident\n      set:\n"
            "        title: a b\n",
            (10, 18),
        ),
        (INBOUND, RULE + "then:\n  - call: {name: x, with: {a.b: a b}}\n", (7, 35)),
        (
            INBOUND,
            RULE + "then:\n  - send_mail: {template: hello, to: {js: a b}}\n",
            (7, 45),
        ),
        (
            INBOUND,
            RULE + "then:\n  - send_mail:\n      template: hello\n      to:\n"
            "        - field: caller\n        - js: |\n            a b\n",
            (12, 15),
        ),
        (OUTBOUND, SENT + "when: a b\n", (5, 9)),
        (OUTBOUND, SENT.replace("{field: caller}", "[{field: caller}, {js: a b}]"), (2, 30)),
    ],
)
def test_a_fault_in_an_expression_has_the_place_in_the_file(
    folder: Folder, sandbox: Sandbox, file: str, text: str, place: tuple[int, int]
) -> None:
    problem = only(folder, sandbox, file, text)
    assert (problem.file, problem.line, problem.column) == (file, *place)
    assert "JavaScript" in problem.message


@pytest.mark.parametrize("part", ["subject", "html", "txt"])
def test_a_fault_in_a_template_has_file_and_line(
    folder: Folder, sandbox: Sandbox, part: str
) -> None:
    file = f"rules/templates/hello/en.{part}.j2"
    problem = only(folder, sandbox, file, "{# a\nb #}{{ record.title }\n")
    assert problem.file == file
    assert problem.line == 2
    assert "template is faulty" in problem.message


def test_a_fault_in_a_shared_template_has_file_and_line(folder: Folder, sandbox: Sandbox) -> None:
    file = "rules/templates/_shared/base.html.j2"
    problem = only(folder, sandbox, file, "\n\n{% block %}\n")
    assert (problem.file, problem.line) == (file, 3)


def test_a_shared_template_that_is_not_there(folder: Folder, sandbox: Sandbox) -> None:
    folder.write("rules/templates/_shared/base.html.j2", "{% block body %}{% endblock %}")
    file = "rules/templates/hello/en.html.j2"
    problem = only(folder, sandbox, file, '\n{% extends "bsae.html.j2" %}\n')
    assert (problem.file, problem.line) == (file, 2)
    assert problem.mend == "did you mean 'base.html.j2'?"


@pytest.mark.parametrize(
    ("file", "text", "line", "message", "mend"),
    [
        (
            INBOUND,
            RULE + "then:\n  - create_record:\n      entity: incidnt\n      set: {titel: '1'}\n",
            8,
            "there is no entity 'incidnt'",
            "did you mean 'incident'?",
        ),
        (
            INBOUND,
            RULE + "then:\n  - create_record:\n      entity: incident\n      set: {titel: '1'}\n",
            9,
            "the entity 'incident' has no field 'titel'",
            "did you mean 'title'?",
        ),
        (
            INBOUND,
            RULE + "then:\n  - update_record:\n      set:\n        stats: '1'\n",
            9,
            "the entity 'incident' has no field 'stats'",
            "did you mean 'status'?",
        ),
        (
            INBOUND,
            RULE + "then:\n  - send_mail:\n      template: helo\n      to: {field: caller}\n",
            8,
            "there is no template 'helo'",
            "did you mean 'hello'?",
        ),
        (
            INBOUND,
            RULE + "then:\n  - send_mail:\n      template: hello\n      to: {field: calle}\n",
            9,
            "the entity 'incident' has no field 'calle'",
            "did you mean 'caller'?",
        ),
        (
            INBOUND,
            RULE
            + "then:\n  - send_mail:\n      template: hello\n      to: {field: caller}\n"
            + "      mailbox: suport\n",
            10,
            "there is no mailbox 'suport'",
            "did you mean 'support'?",
        ),
        (
            "rules/inbound/suport/a.yaml",
            "order: 1\nwhen: 'true'\n"
            + EXAMPLES.replace("examples/a.eml", "../support/examples/a.eml"),
            None,
            "there is no mailbox 'suport'",
            "did you mean 'support'?",
        ),
        (
            "rules/outbound/incidents/a.yaml",
            SENT,
            None,
            "there is no entity 'incidents'",
            "did you mean 'incident'?",
        ),
        (
            OUTBOUND,
            SENT.replace("insert", "[insert, {change: grup}]"),
            1,
            "has no field 'grup'",
            "did you mean 'group'?",
        ),
        (OUTBOUND, SENT.replace("caller", "calle"), 2, "no field 'calle'", "mean 'caller'?"),
        (OUTBOUND, SENT.replace("hello", "helo"), 3, "no template 'helo'", "mean 'hello'?"),
        (OUTBOUND, SENT.replace("support", "suport"), 4, "no mailbox 'suport'", "'support'?"),
        (
            INBOUND,
            RULE.replace("a.eml, match: true", "b.eml, match: true"),
            4,
            "there is no mail 'examples/b.eml' beside the rule",
            "did you mean 'examples/a.eml'?",
        ),
        (
            INBOUND,
            RULE.replace("examples/a.eml, match: true", "../../../../b.eml, match: true"),
            4,
            "lies outside of the project",
            "copy it beside the rule",
        ),
    ],
)
def test_a_name_that_leads_nowhere(
    folder: Folder,
    sandbox: Sandbox,
    file: str,
    text: str,
    line: int | None,
    message: str,
    mend: str,
) -> None:
    problem = only(folder, sandbox, file, text)
    assert (problem.file, problem.line, problem.severity) == (file, line, "error")
    assert message in problem.message
    assert mend in problem.mend


def test_fields_of_a_reflected_table_are_not_known_here(folder: Folder, sandbox: Sandbox) -> None:
    folder.write("rules/entities/incident.yaml", "table: incident\n")
    assert check(folder, sandbox, OUTBOUND, SENT.replace("caller", "anything")) == []


def test_a_faulty_file_is_told_once_and_not_as_missing(folder: Folder, sandbox: Sandbox) -> None:
    folder.write("rules/entities/incident.yaml", "tabel: x\n")
    folder.write("rules/mailboxes/support.yaml", "x: [\n")
    folder.write("rules/templates/hello/en.subject.j2", b"\xff")
    folder.write(INBOUND, RULE)
    files = {problem.file for problem in check(folder, sandbox, OUTBOUND, SENT)}
    assert files == {
        "rules/entities/incident.yaml",
        "rules/mailboxes/support.yaml",
        "rules/templates/hello/en.subject.j2",
    }


def test_a_mailbox_that_cannot_send(folder: Folder, sandbox: Sandbox) -> None:
    folder.write("rules/mailboxes/support.yaml", MAILBOX.replace("outbound", "# outbound"))
    problem = only(folder, sandbox, OUTBOUND, SENT)
    assert (problem.line, problem.severity) == (4, "error")
    assert problem.mend == "add outbound to rules/mailboxes/support.yaml"
    (folder.root / OUTBOUND).unlink()
    action = "then:\n  - send_mail:\n      template: hello\n      to: {field: caller}\n"
    assert only(folder, sandbox, INBOUND, RULE + action).line == 7


def test_a_mailbox_that_fetches_nothing_warns(folder: Folder, sandbox: Sandbox) -> None:
    folder.write("rules/mailboxes/support.yaml", MAILBOX.replace("inbound", "# inbound"))
    problem = only(folder, sandbox, INBOUND, RULE)
    assert problem.severity == "warning"
    assert "never runs" in problem.message


def test_a_template_without_the_language_of_its_mailbox_warns(
    folder: Folder, sandbox: Sandbox
) -> None:
    folder.write("rules/mailboxes/support.yaml", MAILBOX + "language: de\n")
    problem = only(folder, sandbox, OUTBOUND, SENT)
    assert (problem.line, problem.severity) == (3, "warning")
    assert "'de'" in problem.message


@pytest.mark.parametrize(
    ("examples", "line", "missing"),
    [
        ("", 2, ["that matches", "that does not match"]),
        ("examples: [{mail: examples/a.eml, match: true}]\n", 3, ["that does not match"]),
        ("examples: [{mail: examples/a.eml, match: false}]\n", 3, ["that matches"]),
    ],
)
@pytest.mark.parametrize("state", ["draft", "shadow", "active"])
def test_a_rule_that_acts_has_both_kinds_of_examples(
    folder: Folder, sandbox: Sandbox, examples: str, line: int, missing: list[str], state: str
) -> None:
    text = f"order: 1\nwhen: 'true'\n{examples}state: {state}\n"
    problems = check(folder, sandbox, INBOUND, text)
    severity = "error" if state == "active" else "warning"
    assert [(problem.line, problem.severity) for problem in problems] == [
        (line, severity) for _ in missing
    ]
    assert all(each in problem.message for each, problem in zip(missing, problems, strict=True))


def test_two_mailboxes_with_one_address(folder: Folder, sandbox: Sandbox) -> None:
    text = "aliases: [Support@kolibri.example]\n" + MAILBOX.replace("support@", "second@")
    problem = only(folder, sandbox, "rules/mailboxes/twin.yaml", text)
    assert (problem.file, problem.line) == ("rules/mailboxes/twin.yaml", 2)
    assert "also an address of the mailbox 'support'" in problem.message


def test_problems_come_by_file_and_line(folder: Folder, sandbox: Sandbox) -> None:
    folder.write("rules/entities/second.yaml", ENTITY + "x: 1\n")
    folder.write(OUTBOUND, SENT.replace("caller", "x").replace("hello", "y"))
    places = [(each.file, each.line or 0) for each in check(folder, sandbox)]
    assert len(places) == 3
    assert places == sorted(places)


def test_a_rule_made_in_python_has_the_place_of_its_own_text(folder: Folder) -> None:
    rule = InboundRule("a", mailbox="support", when="a b")
    assert folder.load().expression_place(rule, "when", 1, 3) == (1, 3)


def test_a_likely_mistake_has_its_place_in_the_file(folder: Folder, sandbox: Sandbox) -> None:
    text = EXAMPLES + "order: 1\nwhen: |\n  message.size > 1 &&\n    message.subjekt === 'x'\n"
    problem = only(folder, sandbox, INBOUND, text)
    assert problem.message == "in the JavaScript: message has no subjekt"
    assert problem.mend == "did you mean subject?"
    assert (problem.line, problem.column, problem.severity) == (7, 13, "error")


def test_fields_of_records_are_those_of_any_entity(folder: Folder, sandbox: Sandbox) -> None:
    text = EXAMPLES + "order: 1\nwhen: \"record !== null && record.calller === 'x'\"\n"
    assert only(folder, sandbox, INBOUND, text).mend == "did you mean caller?"
    folder.write("rules/entities/lead.yaml", "table: lead\n")  # its columns are not known
    assert check(folder, sandbox) == []


def test_a_slow_regular_expression_is_a_warning(folder: Folder, sandbox: Sandbox) -> None:
    text = EXAMPLES + "order: 1\nwhen: /\\s*\\s*x/.test(message.text)\n"
    assert only(folder, sandbox, INBOUND, text).severity == "warning"
