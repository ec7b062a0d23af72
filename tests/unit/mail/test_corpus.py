"""Every mail of our own corpus is read as written down beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kolibri_sdk.mail import parse_mail
from kolibri_sdk.model.message import ParsedMail

CORPUS = Path(__file__).parents[2] / "corpus"
POLICY = Path(__file__).parents[3] / "docs" / "mail.md"
MAILS = sorted(CORPUS.glob("*.eml"))


def told(mail: ParsedMail, field: str) -> Any:
    """A field of a mail in the form in which the expectations are written."""
    if field == "inline":
        return [part.filename for part in mail.attachments if part.inline]
    if field == "contents":
        return {part.filename: part.content.decode("latin-1") for part in mail.attachments}
    value = getattr(mail, field)
    match field:
        case "from_" | "to" | "cc" | "bcc" | "reply_to":
            return [str(address) for address in value]
        case "attachments":
            return [[part.filename, part.size] for part in value]
        case "bounces":
            names = ("address", "status", "action", "permanent", "original_message_id")
            return [{name: getattr(report, name) for name in names} for report in value]
        case "forwarded":
            return value and value.as_json()
        case "headers":
            return [list(header) for header in value]
        case "sent_at":
            return value and value.isoformat()
        case _:
            return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_mail_is_read_as_expected(path: Path) -> None:
    expected = json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8"))
    mail = parse_mail(path.read_bytes())
    found = {field: told(mail, field) for field in expected}
    if "defects" in expected:
        expected["defects"].sort()
        found["defects"].sort()
    assert found == expected


def test_every_expectation_has_its_mail() -> None:
    stems = {path.name.removesuffix(".expected.json") for path in CORPUS.glob("*.json")}
    assert stems == {path.stem for path in MAILS}
    assert len(MAILS) > 40


def test_the_written_policy_names_mails_that_are_there() -> None:
    stems = {path.stem for path in MAILS}
    rows = [line.split("|") for line in POLICY.read_text(encoding="utf-8").splitlines()]
    named = {
        name for row in rows if len(row) == 5 for name in re.findall(r"`([a-z0-9-]+)`", row[-2])
    }
    assert len(named) > 40
    assert named <= stems
