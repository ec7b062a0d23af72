"""What is held: floods, loops, what a stranger has set off; the rest goes out (S25)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.message import Address
from kolibri_sdk.outbox import MailRequest, Person, Provoked, Queued, enqueue
from kolibri_sdk.outbox.caps import MOST_DEPTH, spent_by
from kolibri_sdk.outbox.provoked import thread_of
from kolibri_sdk.store import Store, allowance, messages, outbox
from tests.unit.outbox.conftest import ANNA, BOB, EVE, SEVEN, SUPPORT, items, request

BOX = SUPPORT.model_copy(
    update={
        "answers_per_hour": 3,
        "answers_alike_per_hour": 2,
        "answers_per_hour_to_domain": 5,
        "answers_per_hour_in_total": 7,
        "notices_per_hour": 4,
    }
)


def person(address: str) -> Person:
    return Person(Address(address))


class Answering:
    """Answers to mails that come in, one after the other."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.count = 0

    def to(self, who: Person, subject: str = "", **provoked: Any) -> Queued:
        """Answer a mail of this person; its subject is like no other unless it is given."""
        self.count += 1
        key = RecordKey(entity="incident", key=str(self.count))
        given = {
            "message": self.count,
            "sender": who.address.address.lower(),
            "own": False,
            "stranger": None,
            "thread": thread_of(subject or "about " + "x" * self.count),
            "depth": 0,
            **provoked,
        }
        asked = request(
            who, cause=f"message:{self.count}", mailbox=BOX, record_key=key,
            provoked=Provoked(**given),
        )  # fmt: skip
        with self.store.write() as tx:
            return enqueue(tx, asked)


@pytest.fixture
def answering(store: Store) -> Answering:
    return Answering(store)


def _enqueue(store: Store, asked: MailRequest) -> Queued:
    with store.write() as tx:
        return enqueue(tx, asked)


def _errors(store: Store) -> list[str]:
    with store.read() as tx:
        return [row["error"] for row in outbox.select(tx) if row["state"] == "held"]


def test_above_the_cap_of_an_address_its_mail_is_held(store: Store, answering: Answering) -> None:
    assert [answering.to(EVE).held for _ in range(4)] == [0, 0, 0, 1]
    (error,) = _errors(store)
    assert error == (
        "eve@example.net had 3 automatic mails in the last hour "
        "(answers_per_hour of mailbox support)"
    )
    with store.read() as tx:
        assert messages.get(tx, 4).state == "held"


def test_the_cap_is_for_an_hour_and_a_mailbox(store: Store, answering: Answering) -> None:
    for _ in range(4):
        queued = answering.to(EVE)
    assert queued.reasons == ("answers_per_hour of mailbox support",)
    with clock.fixed(clock.now() + timedelta(minutes=61)):
        assert answering.to(EVE).held == 0
    for number in range(4):
        sales = BOX.model_copy(update={"name": "sales"})
        assert _enqueue(store, request(EVE, cause=f"event:{number}", mailbox=sales)).held == 0


def test_case_makes_no_other_address(answering: Answering) -> None:
    for address in ("eve@x", "EVE@x", "Eve@X"):
        assert answering.to(person(address)).held == 0
    assert answering.to(person("eVe@x")).held == 1


def test_answers_to_mails_that_are_alike_would_be_a_loop(
    store: Store, answering: Answering
) -> None:
    subjects = ["Request 1", "Re: Request 2", "AW: [INC-000002 k7x9q2m4xw] Request 31"]
    assert [answering.to(EVE, subject).held for subject in subjects] == [0, 0, 1]
    assert "had 2 answers to such mail" in _errors(store)[0]
    assert answering.to(EVE, "Something else").held == 0


def test_answers_about_one_record_would_be_a_loop(store: Store) -> None:
    def answer(number: int) -> int:
        provoked = Provoked(number, "eve@example.net", False, None, "x" * number, 0)
        return _enqueue(
            store, request(EVE, cause=f"message:{number}", mailbox=BOX, provoked=provoked)
        ).held

    assert [answer(number) for number in range(3)] == [0, 0, 1]


def test_a_domain_has_its_share(store: Store, answering: Answering) -> None:
    held = [answering.to(person(f"p{number}@many.example")).held for number in range(6)]
    assert held == [0, 0, 0, 0, 0, 1]
    assert "answers_per_hour_to_domain" in _errors(store)[0]
    assert answering.to(EVE).held == 0


def test_and_all_together_have_theirs(store: Store, answering: Answering) -> None:
    held = [answering.to(person(f"p@d{number}.example")).held for number in range(9)]
    assert held == [0] * 7 + [1, 1]
    assert "mailbox support gave 7 answers in the last hour" in _errors(store)[0]


def test_what_is_held_uses_up_nothing(store: Store, answering: Answering) -> None:
    for number in range(50):
        answering.to(person(f"p@d{number}.example"))
    with store.read() as tx:
        rows = tx.execute(sa.text("select count(*) from kolibri_allowance")).scalar()
    assert rows == 7


def test_notices_have_a_cap_of_their_own(store: Store, answering: Answering) -> None:
    """Whoever is on duty hears of every incident, however many strangers ask for an answer."""
    for number in range(9):
        answering.to(person(f"p@d{number}.example"))
    for number in range(4):
        assert _enqueue(store, request(BOB, cause=f"event:{number}", mailbox=BOX)).held == 0
    queued = _enqueue(store, request(ANNA, BOB, cause="event:9", mailbox=BOX))
    assert (len(queued.items), queued.held) == (2, 1)
    assert "notices_per_hour of mailbox support" in _errors(store)[-1]


def test_of_a_group_only_those_above_the_cap_are_held(store: Store) -> None:
    for number in range(4):
        _enqueue(store, request(BOB, cause=f"event:{number}", mailbox=BOX))
    queued = _enqueue(store, request(BOB, EVE, cause="event:9", mailbox=BOX))
    assert (len(queued.items), queued.held) == (2, 1)
    free = [one for one in items(store) if one.cause.startswith("event:9")]
    assert [one.recipients for one in free] == [("eve@example.net",)]
    with store.read() as tx:
        (held,) = [row for row in outbox.select(tx) if row["state"] == "held"]
    assert held["recipients"] == ["bob@example.org"]
    assert _enqueue(store, request(BOB, EVE, cause="event:9", mailbox=BOX)).items == ()


def test_our_own_mail_that_came_back_causes_none(store: Store, answering: Answering) -> None:
    assert answering.to(EVE, own=True).held == 1
    assert "our own mail came back as message 1" in _errors(store)[0]


def test_automatic_mails_cause_each_other_only_so_often(store: Store, answering: Answering) -> None:
    assert [answering.to(EVE, depth=depth).held for depth in range(MOST_DEPTH + 1)] == [
        *[0] * MOST_DEPTH,
        1,
    ]
    assert "3 automatic mails have led to message 4" in _errors(store)[0]
    with store.read() as tx:
        assert [row["depth"] for row in messages.select(tx, columns=["depth"])] == [1, 2, 3, 4]


def test_what_a_strangers_mail_sets_off_waits_for_a_person(
    store: Store, answering: Answering
) -> None:
    """The stranger may be a bot whose code the caller must not read, or an eavesdropper."""
    provoked = Provoked(1, "eve@example.net", False, SEVEN, "", 0)
    caller = person("caller@outside.example")
    asked = request(EVE, caller, ANNA, cause="message:1", mailbox=BOX, provoked=provoked)
    queued = _enqueue(store, asked)
    assert queued.held == 1
    with store.read() as tx:
        states = {tuple(row["recipients"]): row["state"] for row in outbox.select(tx)}
    assert states == {
        ("eve@example.net", "caller@outside.example"): "held",
        ("anna@example.org",): "queued",
    }
    assert "is a stranger to incident 7" in _errors(store)[0]
    # About another record, such as one made from the stranger's mail, it may be answered.
    assert answering.to(EVE, stranger=SEVEN).held == 0


def test_the_caps_are_counted_by_index(store: Store) -> None:
    for who in (EVE, BOB):
        _enqueue(store, request(who, cause=f"event:{who.address}", mailbox=BOX))
    plans: list[str] = []
    with store.read() as tx:

        @sa.event.listens_for(tx, "before_cursor_execute")
        def explain(connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
            if statement.startswith("SELECT") and "kolibri_allowance" in statement:
                rows = connection.connection.execute("EXPLAIN QUERY PLAN " + statement, values)
                plans.extend(str(row[3]) for row in rows)

        provoked = Provoked(1, "eve@example.net", False, None, "x", 0)
        allowance.count(tx, spent_by(BOX, EVE, provoked, SEVEN), clock.now())
    assert not any(plan.startswith("SCAN kolibri") for plan in plans), plans
    for index, number in (("address", 2), ("domain", 1), ("time", 1)):
        used = [plan for plan in plans if f"INDEX kolibri_allowance_by_{index} " in plan]
        assert len(used) == number, plans
        assert all("at>?" in plan for plan in used), plans


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Printer", "Re: Printer"),
        ("Request", "Request 2"),
        ("Printer", "RE: AW: [INC-000017 k7x9q2m4xw] Printer"),
        ("Your request 17 was received", "Your request 18 was received"),
        ("[Ticket#2026112410000017] Received", "[Ticket#2026112410000018] RECEIVED"),
        ("Received: Received: Thanks", "Received: Thanks"),
        ("Automatic reply: Printer", "printer!"),
    ],
)
def test_subjects_of_one_thread(one: str, other: str) -> None:
    assert thread_of(one) == thread_of(other)


def test_subjects_of_two_threads() -> None:
    assert len({thread_of(one) for one in ("Printer", "Printer 2 is on fire", "VPN", "")}) == 4
