"""Golden examples: mails near the boundary, without their people, decided as before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kolibri_sdk.decide import check_examples
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.frames import GOLDEN, GOLDEN_PASSED_OVER
from kolibri_sdk.lab import Surroundings, Trial, backtest
from kolibri_sdk.rulebook import Rulebook, load_rulebook
from kolibri_sdk.sandbox import Sandbox
from tests.unit.lab.conftest import ENTITIES, mails

WHEN = "/vpn/i.test(message.subject) && !message.automatic"
RULE = f"""\
# What the network group gets
order: 1    # the first
state: draft
when: {json.dumps(WHEN)}
"""
FIELDS = {"title": "text", "priority": "integer", "status": "text"}
FILES = {
    "mailboxes/support.yaml": json.dumps(
        {
            "address": "support@kolibri.example",
            "inbound": {"protocol": "maildir", "path": "in"},
        }
    ),
    "entities/incident.yaml": json.dumps({"table": "incident", "fields": FIELDS}),
}
PERSON = {"from_address": "anna.kuehn@stadtwerke.test", "from_name": "Anna Kühn"}
FILE = {"filename": "Kühn.png", "content_type": "image/png", "size": 9, "inline": False,
        "content_id": None, "blob": ""}  # fmt: skip


@pytest.fixture
def tried(tmp_path: Path, sandbox: Sandbox) -> Any:
    """Try a rule with this file on a frame; the trial, and its rulebook anew."""

    def run(frame: Any, text: str = RULE, **around: Any) -> Trial:
        for name, content in {**FILES, "inbound/support/vpn.yaml": text}.items():
            path = tmp_path / "rules" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        book = load_rulebook(tmp_path / "rules")
        (rule,) = book.inbound_rules
        given = {"own_addresses": book.own_addresses(), "entities": ENTITIES, "root": book.root}
        around = {**given, **around}
        return backtest(
            [rule.model_copy(update={"state": "active"})], frame, sandbox, Surroundings(**around)
        )

    return run


def book(tmp_path: Path) -> Rulebook:
    return load_rulebook(tmp_path / "rules")


def test_examples_lie_beside_the_rule_and_hold(
    tried: Any, tmp_path: Path, sandbox: Sandbox
) -> None:
    frame = mails(
        {**PERSON, "subject": "VPN of Kühn, ticket 471100", "text": "Anna Kühn, +49 30 123456"},
        {**PERSON, "subject": "VPN", "text": "a", "kind": "auto_reply",
         "headers": [["Auto-Submitted", "auto-replied"], ["Received", "from kuehn"]]},
        {**PERSON, "subject": "vpn again", "attachments": [FILE], "html": "<p>Kühn</p>"},
        {**PERSON, "subject": "Printer of Anna", "text": "b"},
    )  # fmt: skip
    golden = tried(frame).to_golden(n=4)
    assert {n: str(d) for n, d in golden.kept.dtypes.items()} == {
        n: c.dtype for n, c in GOLDEN.items()
    }
    assert sorted(golden.kept["message"]) == [1, 2, 3, 4]
    assert golden.kept["match"].tolist() == [True, True, False, False]
    assert not len(golden.passed_over), golden
    text = (tmp_path / "rules/inbound/support/vpn.yaml").read_text()
    assert text.startswith(RULE)
    assert text.count("- {mail: examples/vpn-") == 4
    read = book(tmp_path)
    assert len(read.inbound_rules[0].examples) == 4
    assert check_examples(read, sandbox) == ()
    written = [path.read_bytes() for path in (tmp_path / "rules").glob("**/*.eml")]
    assert len(written) == 4
    for raw in written:
        for word in (b"nna", b"hn,", b"kuehn", b"K=C3=BChn", b"471100", b"123456", b"stadtwerke"):
            assert word not in raw
        assert b"support@kolibri.example" in raw
    assert "read them before they go out" in repr(golden) + golden._repr_html_()


def test_the_nearest_to_the_boundary_come_first_one_of_each_way(tried: Any) -> None:
    frame = mails("Printer", "Printer 2", {"subject": "VPN", "kind": "auto_reply", "headers": [
        ["Auto-Submitted", "auto-replied"]]}, {"subject": "Mouse", "kind": "list", "headers": [
        ["Precedence", "bulk"]]})  # fmt: skip
    golden = tried(frame).to_golden(n=7)
    kept = golden.kept
    assert set(kept["message"].iloc[:2]) == {2, 3}, "one leaf is in the way of each"
    assert golden.missing == ("The trial has no mail that vpn matches.",)
    assert kept["distance"].tolist() == [1, 1, 2]
    assert tried(frame).to_golden(n=2, strategy="newest").kept["message"].tolist() == [4]


def test_a_mail_that_would_be_decided_otherwise_is_passed_over(tried: Any, tmp_path: Path) -> None:
    when = "message.from.address.endsWith('.test') || message.size > 2000"
    frame = mails(
        {**PERSON, "subject": "a"}, {**PERSON, "subject": "b"},
        {**PERSON, "from_address": "x@y.example", "subject": "c"},
    )  # fmt: skip
    golden = tried(frame, RULE.replace(json.dumps(WHEN), json.dumps(when))).to_golden(n=2)
    over = golden.passed_over
    assert {n: str(d) for n, d in over.dtypes.items()} == {
        n: c.dtype for n, c in GOLDEN_PASSED_OVER.items()
    }
    assert sorted(over["message"]) == [1, 2]
    assert over["reason"].str.contains("redacted, it would be no and not match").all()
    assert golden.kept["message"].tolist() == [3]
    assert golden.missing == ("No mail that vpn matches could be kept.",)
    assert len(list((tmp_path / "rules").glob("**/*.eml"))) == 1


def test_a_reply_takes_the_fields_of_its_record_along(
    tried: Any, tmp_path: Path, sandbox: Sandbox
) -> None:
    when = "message.reference !== null && record.status === 'closed'"
    tied = {**PERSON, "entity": "incident", "record_key": "7", "grade": "signed"}
    frame = mails({**tied, "subject": "Re: it"}, {**tied, "subject": "Re: that"})
    records = {
        1: {"status": "closed", "title": "Anna", "priority": 1},
        2: {"status": "open", "title": "Anna", "priority": 1},
    }
    text = RULE.replace(json.dumps(WHEN), json.dumps(when))
    golden = tried(frame, text, records=records).to_golden(n=2)
    assert len(golden.kept) == 2
    read = book(tmp_path)
    assert [e.record for e in read.inbound_rules[0].examples] == [
        {"status": "closed"}, {"status": "open"},
    ]  # fmt: skip
    assert check_examples(read, sandbox) == ()


def test_a_second_time_nothing_is_kept_twice(tried: Any, tmp_path: Path) -> None:
    frame = mails("VPN", "Printer")
    assert len(tried(frame).to_golden(n=2).kept) == 2
    text = (tmp_path / "rules/inbound/support/vpn.yaml").read_text()
    again = tried(frame, text).to_golden(n=2)
    assert len(again.kept) == 0
    assert again.passed_over["reason"].tolist() == ["it is kept already"] * 2
    assert (tmp_path / "rules/inbound/support/vpn.yaml").read_text() == text


def test_where_there_is_no_place_for_examples(tried: Any, attempt: Any) -> None:
    from tests.unit.lab.conftest import rule

    with pytest.raises(ConfigurationError, match=r"has no file.*k\.rules\.adopt"):
        attempt(rule(), mails("vpn")).to_golden()
    with pytest.raises(ConfigurationError, match="no strategy 'best'"):
        tried(mails("vpn")).to_golden(strategy="best")
    with pytest.raises(ConfigurationError, match="how many"):
        tried(mails("vpn")).to_golden(n=0)
