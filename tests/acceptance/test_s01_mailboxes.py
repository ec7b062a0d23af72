"""S1: one or several incoming and outgoing mailboxes, handled as laid down beforehand."""

from __future__ import annotations

from tests.acceptance.conftest import Desk
from tests.project import letter


def test_each_of_several_mailboxes_handles_its_mail_by_its_own_rules(desk: Desk) -> None:
    sales = desk.dovecot.new_user("sales")
    desk.mailbox("sales", sales, protocol="pop3")
    desk.deliver(letter("VPN is down"))
    enquiry = letter("40 seats?", sender="priya@northwind.example", to="sales@kolibri.example")
    desk.dovecot.deliver(sales, enquiry)

    report = desk.healthy_poll()

    assert report.mailboxes["support"]["stored"] == report.mailboxes["sales"]["stored"] == 1
    assert [row["title"] for row in desk.incidents()] == ["VPN is down"]
    assert list(desk.k.records["lead"].frame()["title"]) == ["40 seats?"]
    assert desk.answer_to("anna@customer.example").mail["From"] == "support@kolibri.example"
    assert desk.answer_to("priya@northwind.example").mail["From"] == "sales@kolibri.example"


def test_a_mailbox_that_only_sends_answers_for_one_that_only_receives(bare_desk: Desk) -> None:
    desk = bare_desk
    desk.folder.use_shipped_rules()
    desk.mailbox(outbound=None)
    desk.mailbox("answers", desk.dovecot.new_user(), inbound=None, display_name="Kolibri Desk")
    rule = desk.folder.root / "rules/inbound/support/create-incident.yaml"
    text = rule.read_text("utf-8")
    rule.write_text(text.replace("send_mail: {", "send_mail: {mailbox: answers, "), "utf-8")

    desk.receive(letter())

    sent = desk.answer_to("anna@customer.example").mail
    assert sent["From"] == "Kolibri Desk <answers@kolibri.example>"


def test_a_mail_in_a_mailbox_without_rules_is_kept_and_triggers_nothing(bare_desk: Desk) -> None:
    report = bare_desk.receive(letter())

    assert (report.counts["stored"], report.counts["decisions"]) == (1, 0)
    assert list(bare_desk.k.messages.frame()["state"]) == ["done"]


def test_a_check_logs_in_on_both_sides_and_says_how_much_mail_lies_there(desk: Desk) -> None:
    desk.deliver(letter(), letter())

    found = desk.k.mailboxes["support"].check()

    assert found.ok
    assert [side.side for side in found.sides] == ["inbound", "outbound"]
    assert [str(folder) for folder in found.sides[0].survey.folders] == ["INBOX: 2 mails, 2 unread"]
    assert len(desk.k.messages) == 0
    assert desk.sink.taken == []


def test_a_check_says_which_side_does_not_work_and_what_to_do(desk: Desk) -> None:
    wrong = desk.dovecot.outbound(desk.user, password={"env": "KOLIBRI_NO_SUCH_VARIABLE"})
    desk.mailbox(outbound=wrong)

    inbound, outbound = desk.k.mailboxes["support"].check().sides

    assert inbound.ok
    assert not outbound.ok
    assert "KOLIBRI_NO_SUCH_VARIABLE" in outbound.error
