"""Golden examples: a rule keeps its promises on the mails beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kolibri_sdk.decide import check_examples
from kolibri_sdk.rulebook import load_rulebook
from kolibri_sdk.sandbox import Sandbox

MAILBOX = {
    "address": "support@kolibri.example",
    "inbound": {"protocol": "maildir", "path": "in"},
}
ENTITIES = {
    "lead": {"table": "lead", "fields": {"company": "text"}},
    "incident": {"table": "incident", "fields": {"status": "text", "title": "text"}},
}


@pytest.fixture
def problems(tmp_path: Path, sandbox: Sandbox) -> Any:
    """Check a rule with these examples; what is told."""

    def check(when: str, *examples: dict[str, Any], **rule: Any) -> list[str]:
        folder = tmp_path / "rules"
        files = {"mailboxes/support.yaml": MAILBOX}
        files |= {f"entities/{name}.yaml": values for name, values in ENTITIES.items()}
        document = {"order": 1, "when": when, "then": [], "examples": list(examples), **rule}
        files["inbound/support/vpn.yaml"] = document
        for name, values in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values, indent=1))
        mail = folder / "inbound/support/vpn.eml"
        mail.write_bytes(b"From: anna@example.org\r\nSubject: VPN down\r\n\r\nHelp!\r\n")
        book = load_rulebook(folder)
        assert book.problems == ()
        return [str(problem) for problem in check_examples(book, sandbox)]

    return check


def test_a_promise_that_is_kept(problems: Any) -> None:
    when = "/vpn/i.test(message.subject) && message.text.startsWith('Help')"
    assert problems(when, {"mail": "vpn.eml", "match": True}) == []
    assert problems("false", {"mail": "vpn.eml", "match": False}) == []


def test_a_promise_that_is_broken_is_told_with_its_line(problems: Any) -> None:
    yes, no = {"mail": "vpn.eml", "match": True}, {"mail": "vpn.eml", "match": False}
    (told,) = problems("message.size > 0", yes, no)
    assert "inbound/support/vpn.yaml:10:" in told
    assert "golden example vpn.eml should be no match, and is match" in told
    assert "Mend: correct the condition, or the example" in told


def test_an_error_keeps_no_promise(problems: Any) -> None:
    (told,) = problems("message.nothing.more", {"mail": "vpn.eml", "match": False})
    assert "should be no match, and is error (" in told


def test_a_draft_has_to_keep_its_promises_too(problems: Any) -> None:
    (told,) = problems("true", {"mail": "vpn.eml", "match": False}, state="draft")
    assert "should be no match" in told


def test_a_mail_that_is_not_there(problems: Any) -> None:
    there = {"mail": "vpn.eml", "match": True}
    (told,) = problems("true", {"mail": "gone.eml", "match": True}, there)
    assert "golden example gone.eml cannot be read" in told


def test_an_example_with_a_record_is_a_reply_to_it(problems: Any) -> None:
    when = "message.reference.entity === 'incident' && record.status === 'closed'"
    reply = {"mail": "vpn.eml", "match": True, "record": {"status": "closed"}}
    assert problems(when, reply) == []
