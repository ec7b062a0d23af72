"""``k``: collections, frames and how things show themselves (C1)."""

from __future__ import annotations

import json
import mailbox
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kolibri_sdk import Kolibri, NotFound, RulesWarning, clock, connect
from kolibri_sdk.client.display import definition_table, listing
from kolibri_sdk.errors import ActionError, ConfigurationError, KolibriError
from kolibri_sdk.frames import ACTIVITY, DECISIONS, MESSAGES, OUTBOX, RUNS, USERS, FrameColumn
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.message import Address, Attachment, ParsedMail
from kolibri_sdk.store import Store, blobs, messages
from kolibri_sdk.store.messages import Arrival

EVIL = "<script>alert('x')</script>"
MOMENT = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
INBOUND = {"order": 1, "when": "true", "then": [], "state": "draft"}
OUTBOUND = {"on": "insert", "to": {"list": "a@b"}, "template": "hello", "mailbox": "support"}
FILES: dict[str, Any] = {
    "mailboxes/support.yaml": {
        "address": "support@kolibri.example",
        "inbound": {"protocol": "maildir", "path": "in"},
        "outbound": {"protocol": "maildir", "path": "out"},
    },
    "mailboxes/sales.yaml": {
        "address": "sales@kolibri.example",
        "inbound": {"protocol": "maildir", "path": "sales", "fetch": "all"},
    },
    "entities/incident.yaml": {
        "table": "incident",
        "number": "number",
        "fields": {"number": "text", "title": "text", "due": "datetime"},
    },
    "inbound/support/vpn.yaml": INBOUND,
    "inbound/support/twice.yaml": {**INBOUND, "order": 2},
    "inbound/sales/twice.yaml": INBOUND,
    "outbound/incident/made.yaml": OUTBOUND,
    "templates/hello/en.subject.j2": "Hello",
    "templates/hello/en.txt.j2": "Hi",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "rules" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    for folder in ("in", "sales", "out"):
        mailbox.Maildir(tmp_path / folder, create=True)
    (tmp_path / "kolibri.toml").write_text(
        '[kolibri]\ndatabase = "sqlite:///kolibri.db"\nrules = "rules"\n'
    )
    return tmp_path


@pytest.fixture
def k(project: Path) -> Iterator[Kolibri]:
    with connect(project=project) as opened:
        yield opened


def put(k: Kolibri, subject: str = "VPN", box: str = "support", **values: Any) -> int:
    """Enter a parsed mail, as the poller would have."""
    store: Store = k._system.store
    parsed = ParsedMail(
        size=3, subject=subject, from_=(Address("anna@example.org", "Anna"),), text="It", **values
    )
    with store.write() as tx:
        (name,) = blobs.put(tx, [b"raw"])
        (number,) = messages.insert_fetched(tx, box, [Arrival(name, 3, clock.now())])
        messages.save_parsed(tx, {number: parsed})
    return number


def assert_documented(frame: pd.DataFrame, columns: dict[str, FrameColumn]) -> None:
    told = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert told == {name: column.dtype for name, column in columns.items()}
    assert all(column.meaning for column in columns.values())


def frames(k: Kolibri) -> dict[str, tuple[pd.DataFrame, dict[str, FrameColumn]]]:
    return {
        "messages": (k.messages.frame(), MESSAGES),
        "outbox": (k.outbox.frame(), OUTBOX),
        "decisions": (k.decisions.frame(), DECISIONS),
        "users": (k.users.frame(), USERS),
        "runs": (k.runs.frame(), RUNS),
    }


def test_empty_frames_have_their_columns_and_dtypes(k: Kolibri) -> None:
    for name, (frame, columns) in frames(k).items():
        assert len(frame) == 0, name
        assert_documented(frame, columns)
    record = k.records["incident"].insert(title="a")
    assert_documented(record.activity.frame(), ACTIVITY)
    assert list(k.records["incident"].frame().columns) == ["id", "number", "title", "due"]


def test_full_frames_have_them_too(k: Kolibri, project: Path) -> None:
    k.users.add("anna", "anna@example.org", language="de")
    k.records["incident"].insert(title="a").comment("b")
    put(k)
    list(k.poll(passes=1, every=0))
    for name, (frame, columns) in frames(k).items():
        assert len(frame) > 0, name
        assert_documented(frame, columns)
    activity = k.records["incident", 1].activity.frame()
    assert_documented(activity, ACTIVITY)
    assert "b" in list(activity["text"])


def test_messages_are_filtered(k: Kolibri) -> None:
    one = put(k, "one")
    two = put(k, "two", "sales")
    with k._system.store.write() as tx:
        messages.tie(tx, two, RecordKey(entity="incident", key="7"), "created")

    def ids(**conditions: Any) -> list[int]:
        return list(k.messages.frame(**conditions)["id"])

    assert ids() == [one, two]
    assert ids(mailbox="support") == [one]
    assert ids(direction="out") == []
    assert ids(state="parsed", mailbox="sales") == [two]
    assert ids(record=("incident", 7)) == [two]
    assert ids(record=("incident", "8")) == []


def test_messages_of_a_time_with_and_without_a_zone(k: Kolibri) -> None:
    with clock.fixed(datetime(2026, 5, 1, 8, 0, tzinfo=UTC)):
        early = put(k)
    with clock.fixed(datetime(2026, 5, 1, 10, 0, tzinfo=UTC)):
        late = put(k)

    def ids(**conditions: Any) -> list[int]:
        return list(k.messages.frame(**conditions)["id"])

    assert ids(since="2026-05-01") == [early, late]
    assert ids(since="2026-05-01T09:00:00") == [late]
    assert ids(since="2026-05-01T10:00:00+02:00") == [early, late]
    assert ids(since="2026-05-01T10:30:00+02:00") == [late]
    assert ids(since=datetime(2026, 5, 1, 9)) == [late]  # noqa: DTZ001 - taken as UTC  # noqa: DTZ001 - what a person types
    assert ids(since=pd.Timestamp("2026-05-01 09:00", tz="UTC")) == [late]
    assert ids(since=date(2026, 5, 2)) == []
    assert ids(until="2026-05-01T10:00:00") == [early]
    assert ids(since="2026-05-01T08:00:00Z", until="2026-05-01T10:00:01Z") == [early, late]


def test_a_time_that_is_none_is_named(k: Kolibri) -> None:
    with pytest.raises(KolibriError, match=r"'yesterday' is no time.*ISO 8601"):
        k.messages.frame(since="yesterday")


def test_a_message_shows_what_it_holds(k: Kolibri) -> None:
    part = Attachment("plan.pdf", "application/pdf", b"%PDF")
    number = put(k, EVIL, html=f"<p>{EVIL}</p>", to=(Address("a@b", EVIL),), attachments=(part,))
    mail = k.messages[number]
    assert (mail.subject, mail.sender.address, mail.raw) == (EVIL, "anna@example.org", b"raw")
    (plan,) = mail.attachments
    assert (plan.filename, plan.size, plan.read()) == ("plan.pdf", 4, b"%PDF")
    assert repr(plan) == "<plan.pdf (application/pdf, 4 bytes)>"
    assert "subject" in dir(mail)
    with pytest.raises(AttributeError, match="Did you mean 'subject'"):
        mail.subjekt  # noqa: B018
    assert f"<message {number} in Anna <anna@example.org>" in repr(mail)
    html = mail._repr_html_()
    assert "&lt;script&gt;alert" in html
    assert "<script" not in html
    assert "sandbox" in html  # the preview is an iframe that may do nothing
    assert list(mail.decisions().columns) == list(DECISIONS)


def test_a_message_without_html_shows_its_text(k: Kolibri) -> None:
    number = put(k, "x", reply_text=EVIL)
    assert "It" in k.messages[number]._repr_html_()
    assert len(k.messages) == 1
    assert repr(k.messages).startswith("<1 messages")


@pytest.mark.parametrize(
    ("look", "told"),
    [
        (lambda k: k.messages[4711], "no message 4711"),
        (lambda k: k.mailboxes["suport"], "Did you mean 'support'"),
        (lambda k: k.rules["vnp"], "Did you mean 'vpn'"),
        (lambda k: k.rules["twice"], "Say (support|sales)/twice or (support|sales)/twice"),
        (lambda k: k.rules.inbound("suport"), "Did you mean 'support'"),
        (lambda k: k.rules.outbound("incidnt"), "Did you mean 'incident'"),
        (lambda k: k.templates["helo"], "Did you mean 'hello'"),
        (lambda k: k.users["ana"], "There is no user 'ana'"),
        (lambda k: k.records["incidnt"], "Did you mean 'incident'"),
        (lambda k: k.records["incident", 9], "no record incident 9"),
        (lambda k: k.records["incident"].insert(title="a")["titel"], "Did you mean 'title'"),
        (lambda k: list(k.poll(passes=1, every=0, mailboxes=["suport"])), "Did you mean 'support'"),
    ],
)
def test_what_is_not_there_has_near_names(k: Kolibri, look: Any, told: str) -> None:
    with pytest.raises(NotFound, match=told):
        look(k)


def test_rules_by_name(k: Kolibri) -> None:
    assert k.rules["vpn"].name == "vpn"
    assert k.rules["sales/twice"] == k.rules.inbound("sales")[0]
    assert [rule.name for rule in k.rules.inbound("support")] == ["vpn", "twice"]
    assert [rule.name for rule in k.rules.outbound("incident")] == ["made"]
    assert len(k.rules) == len(list(k.rules)) == 4
    assert "vpn" in k.rules._repr_html_()
    assert "vpn" in repr(k.rules)


def test_collections_show_themselves(k: Kolibri) -> None:
    assert list(k.mailboxes) == sorted(["support", "sales"])
    assert "maildir, all" in k.mailboxes._repr_html_()
    assert "in by maildir, out by maildir" in repr(k.mailboxes["support"])
    assert repr(k.templates) == "<1 templates: hello>"
    assert k.templates["hello"].name == "hello"
    assert repr(k.outbox) == "<outbox: empty>"
    assert repr(k.records) == "<records of incident>"
    assert "2 mailboxes, 4 rules, 0 problems" in repr(k)


def test_a_record_is_made_read_and_changed(k: Kolibri) -> None:
    record = k.records["incident"].insert(title=EVIL, due=MOMENT)
    assert record["number"] == "INC-000001"
    assert record["due"] == MOMENT.isoformat()
    assert len(k.records["incident"]) == 1
    assert "<1 records of incident>" in repr(k.records["incident"])
    record.update(title="b", due=MOMENT).comment("c")
    stream = record.activity.frame()
    assert list(zip(stream["kind"], stream["text"], strict=True)) == [
        ("changed", "title = b"),
        ("note", "c"),
    ]
    assert "title = b" in repr(record.activity)
    record.update(title=EVIL).comment(EVIL)
    for shown in (record._repr_html_(), record.activity._repr_html_()):
        assert "&lt;script&gt;" in shown
        assert "<script" not in shown
    with pytest.raises(ActionError, match="no field 'titel'"):
        record.update(titel="x")


def test_users(k: Kolibri) -> None:
    k.users.add("anna", "anna@example.org", groups=("network",))
    assert k.users["ANNA@example.org"].id == "anna"
    with pytest.raises(ConfigurationError, match="is the address of the user 'anna' already"):
        k.users.add("bob", "Anna@Example.org")


def test_nothing_in_a_table_is_taken_as_html() -> None:
    for shown in (
        definition_table(EVIL, {EVIL: EVIL, "long": "x" * 1_000, "none": None}),
        listing(EVIL, [EVIL], [[EVIL]]),
    ):
        assert "<script" not in shown
        assert shown.count("&lt;script&gt;") == 3
    assert "x" * 401 not in definition_table("", {"long": "x" * 1_000})


def test_a_file_with_a_mistake_is_told_and_left_out(project: Path) -> None:
    (project / "rules/inbound/support/odd.yaml").write_text("order: 3\nwen: true\n")
    with pytest.warns(RulesWarning, match=r"rules/inbound/support/odd.yaml:2"):
        k = connect(project=project)
    with k:
        assert len(k.rules) == 4
        assert any("wen" in str(problem) for problem in k.problems)


def test_check_reads_the_files_anew(k: Kolibri, project: Path) -> None:
    assert [p for p in k.check() if p.severity == "error"] == []
    odd = {**INBOUND, "order": 3, "when": "message.subject =="}
    (project / "rules/inbound/support/odd.yaml").write_text(json.dumps(odd))
    problems = [p for p in k.check() if p.severity == "error"]
    assert [Path(problem.file).name for problem in problems] == ["odd.yaml"]


def test_a_project_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KOLIBRI_DATABASE", raising=False)
    monkeypatch.delenv("KOLIBRI_RULES", raising=False)
    with pytest.raises(ConfigurationError, match=r"kolibri.toml"):
        connect(project=tmp_path)


def test_a_pass_is_noted(k: Kolibri) -> None:
    before = clock.now()
    reports = list(k.poll(passes=2, every=0))
    assert all(report.ok for report in reports)
    runs = k.runs.frame()
    assert len(runs) == 2
    assert runs["started_at"].iloc[0] >= before - timedelta(seconds=1)
