"""S12: every mail sent from a record carries a reference that points to exactly that record."""

from __future__ import annotations

import re

import pytest

from tests.acceptance.conftest import Desk
from tests.project import ALL_CARRIERS, letter, reply_to

ANNAS, TOMS = "anna@customer.example", "tom@customer.example"


def two_incidents(desk: Desk) -> None:
    """Anna's is the first incident, Tom's the second."""
    desk.receive(letter("VPN is down"))
    desk.receive(letter("Printer is out of paper", sender=TOMS))


def test_the_reference_is_in_message_id_reply_address_subject_and_body(desk: Desk) -> None:
    two_incidents(desk)
    mail = desk.answer_to(TOMS).mail

    token = re.fullmatch(r"<kr1\.([a-z2-7]+)@kolibri\.example>", mail["Message-ID"])
    assert token
    assert mail["Reply-To"] == f"support+{token[1]}@kolibri.example"
    assert re.match(r"\[INC-000002 [a-z2-7]{10}\] ", mail["Subject"])
    html = mail.get_body(("html",))
    assert html is not None
    assert f"kr1:{token[1]}" in html.get_content()


@pytest.mark.parametrize("carrier", sorted(ALL_CARRIERS))
def test_each_carrier_alone_leads_back_to_exactly_that_record(desk: Desk, carrier: str) -> None:
    two_incidents(desk)
    replies = [
        reply_to(desk.answer_to(who).raw, f"from {who}", sender=who, carriers={carrier})
        for who in (TOMS, ANNAS)
    ]

    report = desk.receive(*replies)

    assert (report.counts["referenced"], report.counts["records"]) == (2, 0)
    assert desk.stream(1)[-1] == ("mail_in", f"from {ANNAS}")
    assert desk.stream(2)[-1] == ("mail_in", f"from {TOMS}")


def test_a_reply_that_lost_every_carrier_is_a_new_mail(desk: Desk) -> None:
    two_incidents(desk)

    report = desk.receive(reply_to(desk.answer_to(ANNAS).raw, carriers=()))

    assert (report.counts["referenced"], report.counts["records"]) == (0, 1)


def test_two_mails_from_one_record_carry_two_tokens(desk: Desk) -> None:
    desk.k.records["incident"].insert(title="A", group="Network", priority=1, caller=ANNAS)
    desk.healthy_poll()

    names = {taken.mail["Message-ID"] for taken in desk.sink.taken}
    desk.k.records["incident", 1].update(group="Service Desk")
    desk.healthy_poll()

    assert not names & {taken.mail["Message-ID"] for taken in desk.sink.taken[len(names) :]}
    assert len(desk.sink.taken) == 2 * len(names)


def test_a_mail_about_no_record_carries_none(bare_desk: Desk) -> None:
    folder = bare_desk.folder
    folder.template("thanks", en_subject="Thank you", en_txt="We have it.\n")
    folder.write(
        "rules/inbound/support/thank.yaml",
        """
        order: 1
        when: "true"
        then: [{send_mail: {template: thanks, to: {js: message.from.address}}}]
        """,
    )
    bare_desk.receive(letter())

    mail = bare_desk.answer_to(ANNAS).mail
    assert not mail["Message-ID"].startswith("<kr1.")
    assert (mail["Reply-To"], mail["Subject"]) == (None, "Thank you")
