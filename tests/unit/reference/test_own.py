"""Our own mail that comes back is known as such, whatever it lost on its way."""

from __future__ import annotations

import pytest

from kolibri_sdk.model.message import Address, BounceReport, MessageKind
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.reference import recognise_own
from kolibri_sdk.store import messages
from tests.unit.reference.conftest import ANNA, OWN, SEVEN, Desk, message


def marked(desk: Desk, **values: object) -> StoredMessage:
    with desk.store.read() as tx:
        (item,) = recognise_own(tx, [message(**values)], OWN)
    return item


def sent(desk: Desk, message_id: str, depth: int) -> None:
    """A mail that went out to Anna."""
    with desk.store.write() as tx:
        messages.insert_outgoing(
            tx,
            number=depth + 1,
            mailbox="support",
            message_id=message_id,
            sender=Address("support@kolibri.example"),
            to=[ANNA],
            record=SEVEN,
            depth=depth,
        )


OWN_MAILS: list[dict[str, object]] = [
    {"message_id": "ours@kolibri.example"},
    {"sender": Address("support@kolibri.example")},
    {"sender": Address("Support@KOLIBRI.example", "Somebody")},
    {"sender": Address("support+abc@kolibri.example")},
    {"headers": (("X-Loop", "support@kolibri.example"),)},
    {"headers": (("x-loop", "<Support@kolibri.example>"),)},
]


@pytest.mark.parametrize("values", OWN_MAILS)
@pytest.mark.parametrize("kind", [MessageKind.ORDINARY, MessageKind.AUTO_REPLY, MessageKind.LIST])
def test_a_mail_of_ours(desk: Desk, values: dict[str, object], kind: MessageKind) -> None:
    sent(desk, "ours@kolibri.example", 1)
    item = marked(desk, kind=kind, **values)
    assert item.kind is MessageKind.OWN
    assert item.automatic
    assert item.depth == (2 if "message_id" in values else 1)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"message_id": "theirs@example.org", "in_reply_to": ("ours@kolibri.example",)},
        {"message_id": None},
        {"message_id": ""},
        {"sender": None},
        {"headers": (("X-Loop", "help@other.example"), ("X-Loop", ""))},
    ],
)
def test_a_mail_of_somebody_else(desk: Desk, values: dict[str, object]) -> None:
    sent(desk, "ours@kolibri.example", 1)
    sent(desk, "", 2)
    item = marked(desk, **values)
    assert (item.kind, item.depth) == (MessageKind.ORDINARY, 0)


def test_a_bounce_stays_a_bounce(desk: Desk) -> None:
    sent(desk, "ours@kolibri.example", 1)
    report = BounceReport("a@b", original_message_id="ours@kolibri.example")
    item = marked(
        desk,
        kind=MessageKind.BOUNCE,
        sender=Address("support@kolibri.example"),
        bounces=(report,),
    )
    assert (item.kind, item.depth) == (MessageKind.BOUNCE, 2)


def test_an_automatic_reply_is_one_further_than_what_it_answers(desk: Desk) -> None:
    for depth in (1, 3):
        sent(desk, f"{depth}@kolibri.example", depth)
    auto = MessageKind.AUTO_REPLY
    assert marked(desk, kind=auto, in_reply_to=("1@kolibri.example",)).depth == 2
    answered = ("1@kolibri.example", "3@kolibri.example")
    assert marked(desk, kind=auto, references=answered).depth == 4
    assert marked(desk, kind=auto).depth == 1
    assert marked(desk, kind=MessageKind.LIST, in_reply_to=answered).depth == 0
    assert marked(desk, in_reply_to=answered).depth == 0, "a person wrote it"
