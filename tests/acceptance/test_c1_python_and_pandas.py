"""C1: mailboxes, KolibriMessage and rule objects are Python and pandas-friendly APIs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from html.parser import HTMLParser

import pandas as pd
import pytest

from kolibri_sdk import InboundRule, Kolibri, NotFound, OutboundRule, frames
from tests.acceptance.conftest import Desk
from tests.project import letter, reply_to

ANNAS = "anna@customer.example"

FRAMES: dict[str, tuple[Callable[[Kolibri], pd.DataFrame], dict[str, frames.FrameColumn]]] = {
    "messages": (lambda k: k.messages.frame(), frames.MESSAGES),
    "outbox": (lambda k: k.outbox.frame(), frames.OUTBOX),
    "decisions": (lambda k: k.decisions.frame(), frames.DECISIONS),
    "users": (lambda k: k.users.frame(), frames.USERS),
    "runs": (lambda k: k.runs.frame(), frames.RUNS),
}


@pytest.fixture
def worked(desk: Desk) -> Desk:
    """A desk that has received a mail, answered it, and got the reply."""
    desk.k.users.add("anna", ANNAS, name="Anna Weiss", groups=("customers",))
    desk.receive(letter("VPN is down"))
    desk.receive(reply_to(desk.answer_to(ANNAS).raw, "It works again."))
    return desk


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_has_the_documented_columns_and_dtypes_full_or_empty(desk: Desk, name: str) -> None:
    read, documented = FRAMES[name]
    expected = {column: described.dtype for column, described in documented.items()}

    empty = read(desk.k)
    desk.k.users.add("anna", ANNAS)
    desk.receive(letter())
    full = read(desk.k)

    assert len(empty) == 0 < len(full)
    for frame in (empty, full):
        assert list(frame.columns) == list(expected)
        for column, dtype in expected.items():
            assert frame[column].dtype == dtype, column
    assert all(described.meaning for described in documented.values())


def test_the_activity_of_a_record_is_a_frame_as_documented(worked: Desk) -> None:
    frame = worked.k.records["incident", 1].activity.frame()

    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        name: str(pd.Series([], dtype=column.dtype).dtype)
        for name, column in frames.ACTIVITY.items()
    }
    assert list(frame["kind"]) == ["created", "mail_sent", "mail_in"]


def test_frames_answer_an_analysts_questions(worked: Desk) -> None:
    mails = worked.k.messages.frame()
    per_direction = mails.groupby("direction", observed=True)["size"].count()
    assert per_direction.to_dict() == {"in": 2, "out": 1}

    with_verdicts = worked.k.decisions.frame().merge(mails, left_on="message", right_on="id")
    created = with_verdicts[with_verdicts["rule"] == "create-incident"]
    assert list(created["verdict"]) == ["match", "no"]


def test_messages_are_narrowed_by_mailbox_direction_state_record_and_time(desk: Desk) -> None:
    first_of_may = datetime(2026, 5, 1, 12, tzinfo=UTC)
    for day in range(3):
        with desk.dovecot.imap(desk.user, "INBOX") as client:
            arrived = first_of_may + timedelta(days=day)
            client.append("INBOX", letter(f"day {day}"), msg_time=arrived)
    desk.healthy_poll()

    def subjects(**narrowed: object) -> list[str]:
        return list(desk.k.messages.frame(direction="in", **narrowed)["subject"])  # type: ignore[arg-type]

    assert subjects(mailbox="support") == ["day 0", "day 1", "day 2"]
    assert subjects(mailbox="sales") == []
    assert subjects(since="2026-05-02") == ["day 1", "day 2"]
    assert subjects(until=first_of_may + timedelta(days=1)) == ["day 0"]
    assert subjects(record=("incident", 2)) == ["day 1"]
    assert subjects(state="failed") == []


def test_a_message_is_an_object_with_its_fields(worked: Desk) -> None:
    message = worked.k.messages[3]

    assert message.sender.address == ANNAS
    assert message.reply_text == "It works again."
    assert (str(message.record), message.grade) == ("incident 1", "signed")
    assert message.received_at.tzinfo is not None
    assert list(message.decisions()["rule"]) == ["create-incident", "urgent", "reopen-on-reply"]
    assert "reply_text" in dir(message)


def test_mailboxes_rules_and_templates_are_reached_by_name(desk: Desk) -> None:
    k = desk.k

    assert list(k.mailboxes) == ["support"]
    assert repr(k.mailboxes["support"]) == (
        "<mailbox support support@kolibri.example: in by imap, out by smtp>"
    )
    inbound, outbound = k.rules["create-incident"], k.rules["incident/group-changed"]
    assert isinstance(inbound, InboundRule)
    assert inbound.mailbox == "support"
    assert isinstance(outbound, OutboundRule)
    assert [rule.name for rule in k.rules.inbound("support")] == [
        "create-incident", "urgent", "reopen-on-reply",
    ]  # fmt: skip
    assert set(k.templates["incident-received"].variants) == {"de", "en"}


def test_records_are_made_read_and_changed_by_name(desk: Desk) -> None:
    record = desk.k.records["incident"].insert(title="Printer", caller=ANNAS)

    record.update(title="Printers").comment("Two of them.")

    assert (record["title"], record["number"]) == ("Printers", "INC-000001")
    assert list(desk.k.records["incident"].frame()["title"]) == ["Printers"]
    assert desk.stream() == [("changed", "title = Printers"), ("note", "Two of them.")]


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        (lambda k: k.mailboxes["suport"], "support"),
        (lambda k: k.rules["create-incdent"], "create-incident"),
        (lambda k: k.templates["incident-recieved"], "incident-received"),
        (lambda k: k.records["indicent"], "incident"),
        (lambda k: list(k.poll(passes=1, mailboxes=["suport"])), "support"),
    ],
)
def test_a_name_that_is_none_is_told_with_the_nearest(
    desk: Desk, wrong: Callable[[Kolibri], object], near: str
) -> None:
    with pytest.raises(NotFound, match=f"Did you mean '{near}'"):
        wrong(desk.k)


class _Tags(HTMLParser):
    """Collects the tags of a document."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


def test_objects_show_themselves_in_a_notebook_and_run_nothing_of_a_mail(desk: Desk) -> None:
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"], mail["Subject"] = f'"<b>Anna</b>" <{ANNAS}>', "<script>alert(1)</script>"
    mail.set_content("<script>alert(2)</script><img src=x onerror=alert(3)>", subtype="html")
    desk.receive(mail.as_bytes())
    k = desk.k

    shown = [
        k.messages[1], k.mailboxes, k.rules, k.records["incident", 1],
        k.records["incident", 1].activity, desk.poll(),
    ]  # fmt: skip

    for thing in shown:
        html = thing._repr_html_()
        assert not _Tags(html).seen & {"script", "img", "b"}, html
        assert repr(thing)


def test_a_pass_reports_itself_as_line_object_and_json(desk: Desk) -> None:
    report = desk.receive(letter())

    assert "1 fetched · 1 stored" in report.line()
    assert report.as_json()["mailboxes"] == {"support": {"fetched": 1, "stored": 1}}
    assert report.counts["sent"] == 1
