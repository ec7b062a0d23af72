"""Mistakes in documents: the exact line, plain words, and the mend."""

from __future__ import annotations

import pytest

from kolibri_sdk.errors import Problem
from tests.unit.rulebook.conftest import Folder

RULE = "order: 1\nwhen: 'true'\n"
SENT = "on: insert\nto: {field: caller}\ntemplate: hello\nmailbox: support\n"
BOX = "address: a@example.org\n"
IMAP = BOX + "inbound:\n  protocol: imap\n  host: h\n  user: u\n  password: {env: P}\n"

INBOUND = "rules/inbound/support/a.yaml"
OUTBOUND = "rules/outbound/incident/a.yaml"
MAILBOX = "rules/mailboxes/a.yaml"
ENTITY = "rules/entities/a.yaml"


def only(folder: Folder, file: str, text: str) -> Problem:
    folder.write(file, text)
    (problem,) = folder.load().problems
    assert problem.file == file
    assert problem.severity == "error"
    return problem


@pytest.mark.parametrize(
    ("file", "text", "line", "message", "mend"),
    [
        (
            INBOUND,
            "order: 1\nwen: 'true'\n",
            2,
            "there is no key 'wen' here",
            "did you mean 'when'?",
        ),
        (INBOUND, RULE + "colour: red\n", 3, "there is no key 'colour' here", "choose one of"),
        (INBOUND, RULE + "name: x\n", 3, "there is no key 'name' here", "choose one of"),
        (INBOUND, "description: x\nwhen: 'true'\n", 1, "'order' is missing", "add 'order: …'"),
        (INBOUND, "order: 1\nwhen: true\n", 2, "'when' must be text, not true or", '"true"'),
        (INBOUND, "order: 1\nwhen: 3\n", 2, "'when' must be text, not a number", 'quotes: "3"'),
        (INBOUND, "order: 1\nwhen:\n", 2, "'when' must be text, not nothing", "one line of text"),
        (INBOUND, "order: 1\nwhen: ''\n", 2, "'when' is empty", "write it, or delete the key"),
        (
            INBOUND,
            "when: 'true'\norder: soon\n",
            2,
            "'order' must be a whole number, not 'soon'",
            "",
        ),
        (
            INBOUND,
            "when: 'true'\norder: 1.5\n",
            2,
            "'order' must be a whole number, not the",
            "100",
        ),
        (
            INBOUND,
            RULE + "state: activ\n",
            3,
            "'state' cannot be 'activ'",
            "did you mean 'active'?",
        ),
        (INBOUND, RULE + "on_error: no\n", 3, "'on_error' cannot be 'no'", "continue, stop"),
        (INBOUND, RULE + "stop: perhaps\n", 3, "'stop' must be true or false, not 'per", "true or"),
        (INBOUND, RULE + "examples: x.eml\n", 3, "'examples' must be a list, not text", "dash"),
        (
            INBOUND,
            RULE + "then:\n  - x\n",
            4,
            "'then[1]' must hold keys, not text",
            "create_record",
        ),
        (INBOUND, RULE + "then:\n  - {}\n", 4, "an action is exactly one of", ""),
        (
            INBOUND,
            RULE + "then:\n  - add_note: {text: '1'}\n    call: {name: x}\n",
            4,
            "found add_note and call",
            "",
        ),
        (
            INBOUND,
            RULE + "then:\n  - create_recrd: {entity: incident}\n",
            4,
            "there is no key 'create_recrd' here",
            "did you mean 'create_record'?",
        ),
        (
            INBOUND,
            RULE + "then:\n  - create_record:\n      entity: incident\n      set:\n        a: 1\n",
            7,
            "'a' must be text, not a number",
            'put it in quotes: "1"',
        ),
        (
            INBOUND,
            RULE + "then:\n  - create_record:\n      entity: incident\n      set: {}\n",
            6,
            "'set' is empty",
            "at least one",
        ),
        (
            INBOUND,
            RULE + "then:\n  - send_mail:\n      template: hello\n      to: {fild: caller}\n",
            6,
            "there is no key 'fild' here",
            "did you mean 'field'?",
        ),
        (
            INBOUND,
            RULE + "then:\n  - send_mail:\n      template: hello\n",
            4,
            "'to' is missing",
            "add 'to: …'",
        ),
        (OUTBOUND, SENT + "on: close\n", 5, "the key 'on' twice, first in line 1", "keep one"),
        (
            OUTBOUND,
            SENT.replace("insert", "inser"),
            1,
            "cannot be 'inser'",
            "did you mean 'insert'",
        ),
        (
            OUTBOUND,
            SENT.replace("insert", "\n  - insert\n  - {chang: group}"),
            3,
            "there is no key 'chang' here",
            "did you mean 'change'?",
        ),
        (
            OUTBOUND,
            SENT.replace("insert", "\n  - {change: 3}"),
            2,
            "'change' must be text, not a number",
            'put it in quotes: "3"',
        ),
        (OUTBOUND, SENT.replace("insert", "[]"), 1, "'on' is empty", "at least one entry"),
        (OUTBOUND, SENT.replace("{field: caller}", "caller"), 2, "'to' must hold keys", "field"),
        (OUTBOUND, SENT.replace("{field: caller}", "{list: [a]}"), 2, "'list' must be text", ""),
        (OUTBOUND, SENT.replace("mailbox:", "mailbx:"), 4, "no key 'mailbx'", "mean 'mailbox'?"),
        (
            MAILBOX,
            "address: support\ninbound: {protocol: maildir, path: x}\n",
            1,
            "'support' is no",
            "",
        ),
        (MAILBOX, BOX, 1, "a mailbox needs inbound or outbound", ""),
        (
            MAILBOX,
            BOX + "inbound: {protocol: imp}\n",
            2,
            "no protocol 'imp'",
            "imap, pop3, maildir",
        ),
        (MAILBOX, BOX + "inbound: {path: x}\n", 2, "does not say its protocol", "add 'protocol"),
        (MAILBOX, BOX + "inbound: imap\n", 2, "'inbound' must hold keys, not text", ""),
        (MAILBOX, IMAP.replace("host", "hots"), 4, "no key 'hots'", "did you mean 'host'?"),
        (MAILBOX, IMAP + "  port: x\n", 7, "'port' must be a whole number, not 'x'", ""),
        (MAILBOX, IMAP + "  port: 70000\n", 7, "'port' is 70000, out of range", "at most 65535"),
        (MAILBOX, IMAP + "  timeout: 0\n", 7, "'timeout' is 0, out of range", "more than 0"),
        (MAILBOX, IMAP + "  security: ssl\n", 7, "'security' cannot be 'ssl'", "tls, starttls"),
        (MAILBOX, IMAP + "  since: once\n", 7, "'since' must be a date, not 'once'", "2026-05-01"),
        (MAILBOX, IMAP + "  folders: []\n", 7, "'folders' is empty", "at least one entry"),
        (MAILBOX, "- a\n", 1, "the document must hold keys, not a list", "address"),
        (MAILBOX, "just text\n", 1, "the document must hold keys, not text", "address"),
        (ENTITY, "table: a\nfields: {b: txt}\n", 2, "'b' cannot be 'txt'", "did you mean 'text'?"),
        (ENTITY, "table: a\ntitle: t\nfields: {b: text}\n", 1, "title names the field 't'", ""),
        (ENTITY, "key: id\ntable: 6\n", 2, "'table' must be", '"6"'),
        (ENTITY, "table: kolibri_event\n", 1, "one of Kolibri's own", ""),
    ],
)
def test_a_mistake_is_told_with_line_words_and_mend(
    empty: Folder, file: str, text: str, line: int, message: str, mend: str
) -> None:
    problem = only(empty, file, text)
    assert problem.line == line, str(problem)
    assert message in problem.message
    assert mend in problem.mend
    assert problem.mend


def test_a_password_in_the_file_is_refused_and_never_repeated(empty: Folder) -> None:
    problem = only(empty, MAILBOX, IMAP.replace("{env: P}", "hunter2"))
    assert problem.line == 6
    assert "hunter2" not in str(problem)
    assert "{env: NAME}" in problem.mend


def test_no_mistake_under_password_repeats_what_was_written(empty: Folder) -> None:
    for written in ("{env: 4711}", "4711", "{secret: '4711'}", "{env: [4711]}", "[4711]"):
        empty.write(MAILBOX, IMAP.replace("{env: P}", written))
        problems = empty.load().problems
        assert problems
        assert "4711" not in " ".join(map(str, problems))


def test_several_mistakes_are_told_together_in_the_order_of_the_file(empty: Folder) -> None:
    empty.write(INBOUND, "order: x\nwhen: 3\nstate: on\nthen: 5\n")
    assert [problem.line for problem in empty.load().problems] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ("sean", "did you mean 'seen'"),
        ("{mov: Archive}", "did you mean 'move'"),
        ("{move: 3}", "must be text"),
    ],
)
def test_a_mistake_in_after_is_told_once(empty: Folder, after: str, told: str) -> None:
    assert told in str(only(empty, MAILBOX, IMAP + f"  after: {after}\n"))


def test_pop3_cannot_move(empty: Folder) -> None:
    source = IMAP.replace("imap", "pop3") + "  after: {move: Archive}\n"
    assert "pop3 has no folders" in only(empty, MAILBOX, source).message


def test_an_unknown_provider_is_told_with_those_there_are(empty: Folder) -> None:
    source = IMAP + "oauth2: {provider: microsft, client_id: a}\n"
    problem = only(empty, MAILBOX, source)
    assert "knows no provider 'microsft'" in str(problem)
    assert "microsoft" in problem.mend
