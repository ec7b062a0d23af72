"""S10: mail by hand goes to people, too, who are no users of the system."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Desk
from tests.project import reply_to

VENDOR, LAWYER = "help@vendor.example", "lawyer@far-away.example"


@pytest.mark.parametrize("place", ["to", "cc"])
def test_somebody_nobody_knows_gets_the_mail_and_answers_into_the_record(
    either_desk: Desk, place: str
) -> None:
    assert len(either_desk.k.users.frame()) == 0
    record = either_desk.k.records["incident"].insert(title="VPN is down")
    record.mail(**{"to": LAWYER, place: VENDOR}, html="<p>Can you help?</p>")
    either_desk.healthy_poll()

    either_desk.receive(reply_to(either_desk.answer_to(VENDOR).raw, "We can.", sender=VENDOR))

    assert either_desk.stream()[-1] == ("mail_in", "We can.")
    grades = list(either_desk.k.messages.frame(direction="in")["grade"])
    assert grades == ["signed"], "he was written to, and is no stranger to the record"


def test_outside_and_inside_people_share_a_mail(bare_desk: Desk) -> None:
    bare_desk.folder.use_shipped_rules("entities")
    bare_desk.k.users.add("tom", "tom@kolibri.example", name="Tom", language="de")
    record = bare_desk.k.records["incident"].insert(title="VPN is down")
    record.mail(to=["tom", VENDOR], text="Please talk.")
    bare_desk.healthy_poll()
    (taken,) = bare_desk.sink.taken
    assert taken.mail["To"] == f"Tom <tom@kolibri.example>, {VENDOR}"


def test_an_address_beyond_ascii_is_refused_alone(bare_desk: Desk) -> None:
    """Dovecot's submission relays to a server that has no SMTPUTF8: the others get theirs."""
    bare_desk.folder.use_shipped_rules("entities")
    record = bare_desk.k.records["incident"].insert(title="VPN is down")
    sent = record.mail(to=["j\u00fcrgen@vendor.example", VENDOR], text="Hello")
    bare_desk.poll()
    assert sent.state == "sent"
    told = sent.results["j\u00fcrgen@vendor.example"]
    assert (told["status"], "SMTPUTF8" in told["answer"]) == ("permanent", True)
    assert sent.results[VENDOR]["status"] == "accepted"
    (taken,) = bare_desk.sink.taken
    assert taken.recipients == (VENDOR,)
