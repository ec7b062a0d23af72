"""KolibriMessage: from fetched to done, once, whoever else is at work (S19, S22)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from kolibri_sdk.errors import NotFound
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.message import (
    Address,
    Attachment,
    Authentication,
    BounceReport,
    Direction,
    ForwardedMail,
    MessageKind,
    MessageState,
)
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.store import Store, messages
from tests.store.conftest import MOMENT, count, mail

Enter = Callable[..., list[int]]
RECORD = RecordKey(entity="incident", key="7")


def _pending(store: Store, mailbox: str = "support", **options: Any) -> list[StoredMessage]:
    with store.read() as tx:
        return messages.pending(tx, mailbox, 100, **{"max_attempts": 3, **options})


def _parse(store: Store, *numbers: int, **values: object) -> None:
    with store.write() as tx:
        messages.claim_fetched(tx, 100, ["support"])
        messages.save_parsed(tx, {n: mail(**values) for n in numbers})  # type: ignore[arg-type]


def test_everything_that_was_parsed_comes_back(store: Store, fetched: Enter) -> None:
    (number,) = fetched(b"raw")
    parsed = mail(
        "Drücker 🖨",
        message_id="a@b",
        in_reply_to=("x@y",),
        references=("w@y", "x@y"),
        reply_to=(Address("desk@example.org"),),
        to=(Address("support@example.org", "Hilfe, Büro"), Address("b@example.org")),
        cc=(Address("c@example.org"),),
        return_path="",
        sent_at=MOMENT - timedelta(hours=1),
        html="<p>It smokes.</p>",
        reply_text="It",
        headers=(("Received", "one"), ("received", "two")),
        kind=MessageKind.BOUNCE,
        bounces=(BounceReport("d@example.org", "5.1.1", "failed", "no such user"),),
        forwarded=ForwardedMail(
            Address("e@example.org", "E"), (Address("", "F"),), None, "x", "1@e"
        ),
        authentication=Authentication("mx.example.org", "pass", None, "fail", "e.org", ("g.org",)),
        defects=("no date",),
        attachments=(
            Attachment("a.txt", "text/plain", b"one", content_id="c1", inline=True),
            Attachment("b.txt", "text/plain", b"one"),
        ),
    )
    with store.write() as tx:
        messages.save_parsed(tx, {number: parsed})
    with store.read() as tx:
        found = messages.get(tx, number)
    assert found.direction is Direction.IN
    assert found.state is MessageState.PARSED
    assert found.received_at == MOMENT
    assert found.automatic
    for name in (
        *("message_id", "in_reply_to", "references", "sender", "reply_to", "to", "cc", "subject"),
        *("return_path", "sent_at", "text", "html", "reply_text", "headers", "kind", "defects"),
        *("bounces", "forwarded", "authentication"),
    ):
        assert getattr(found, name) == getattr(parsed, name), name
    assert [(p.filename, p.size, p.inline, p.content_id) for p in found.attachments] == [
        ("a.txt", 3, True, "c1"),
        ("b.txt", 3, False, None),
    ]
    assert found.attachments[0].blob == found.attachments[1].blob


def test_one_that_is_not_there(store: Store) -> None:
    with store.read() as tx, pytest.raises(NotFound, match="no message 4711"):
        messages.get(tx, 4711)


@pytest.mark.parametrize("evil", ["a\x00b", "a\ud800b", "\udcff", "\\u0000", "a\U0001f600b"])
def test_no_text_of_a_mail_can_stop_the_store(store: Store, fetched: Enter, evil: str) -> None:
    (number,) = fetched(b"raw")
    person = Address(f"{evil}@example.org", evil)
    parsed = mail(
        evil,
        from_=(person,),
        to=(person,),
        message_id=evil,
        references=(evil,),
        text=evil,
        html=evil,
        reply_text=evil,
        headers=((evil, evil),),
        bounces=(BounceReport(evil, evil, evil, evil, evil),),
        defects=(evil,),
        attachments=(Attachment(evil, evil, b"", content_id=evil),),
    )
    with store.write() as tx:
        messages.save_parsed(tx, {number: parsed})
    with store.read() as tx:
        found = messages.get(tx, number)
    sound = evil.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    assert len(found.subject) == len(evil)
    assert found.subject.replace("?", "\ufffd") == sound.replace("?", "\ufffd")
    assert found.text == found.html == found.subject


def test_long_headers(store: Store, fetched: Enter) -> None:
    (number,) = fetched(b"raw")
    headers = tuple((f"X-{n}", "ä" * 1_000) for n in range(200))
    _parse(store, number, headers=headers)
    with store.read() as tx:
        assert messages.get(tx, number).headers == headers


def test_a_mail_is_claimed_oldest_first_and_its_tries_are_counted(
    store: Store, fetched: Enter
) -> None:
    numbers = fetched(b"1", b"2", b"3")
    fetched(b"4", mailbox="sales")
    with store.write() as tx:
        first = messages.claim_fetched(tx, 2, ["support"])
    assert [(c.id, c.attempts) for c in first] == [(n, 1) for n in numbers[:2]]
    with store.write() as tx:
        assert [c.id for c in messages.claim_fetched(tx, 9, ["support"])] == numbers[2:]
    with store.write() as tx:
        assert messages.claim_fetched(tx, 9, ["support"]) == []
        again = messages.claim_fetched(tx, 1, ["support"], tried=True)
    assert [(c.id, c.attempts) for c in again] == [(numbers[0], 2)]


def test_a_mail_that_two_have_parsed_is_saved_once(
    store: Store, second: Store, fetched: Enter
) -> None:
    """A second poller takes up what the first one seems to have failed on, and is slower."""
    (number,) = fetched(b"raw")
    one, other = (
        mail(subject, attachments=(Attachment("a.txt", "text/plain", b"a"),))
        for subject in ("first", "second")
    )
    with store.write() as tx:
        messages.save_parsed(tx, {number: one})
    with second.write() as tx:
        messages.save_parsed(tx, {number: other})
    with store.read() as tx:
        found = messages.get(tx, number)
        assert count(tx, "kolibri_attachment") == 1
    assert found.subject == "first"


def test_two_claimers_share_the_work(on_postgresql: Store, second: Store, fetched: Enter) -> None:
    numbers = fetched(*(str(n).encode() for n in range(40)))
    with ThreadPoolExecutor(1) as threads:
        with on_postgresql.write() as tx:
            mine = messages.claim_fetched(tx, 20, ["support"])

            def claim() -> list[messages.Claimed]:
                with second.write() as other:
                    return messages.claim_fetched(other, 20, ["support"])

            others = threads.submit(claim).result(timeout=10)  # it does not wait for the first
    assert sorted(c.id for c in (*mine, *others)) == numbers


def test_one_that_cannot_be_parsed_keeps_its_bytes_and_its_reason(
    store: Store, fetched: Enter
) -> None:
    (number,) = fetched(b"raw")
    with store.write() as tx:
        messages.save_unparsed(tx, number, "too deep")
    with store.read() as tx:
        found = messages.get(tx, number)
    assert (found.state, found.error) == (MessageState.UNPARSED, "too deep")
    assert found.blob
    assert _pending(store) == []


def test_pending_is_what_no_rule_has_seen_in_this_mailbox(store: Store, fetched: Enter) -> None:
    numbers = fetched(b"1", b"2", b"3")
    fetched(b"4", mailbox="sales")
    _parse(store, *numbers[:2])
    assert [m.id for m in _pending(store)] == numbers[:2]
    assert [m.id for m in _pending(store, after=numbers[0])] == numbers[1:2]
    assert _pending(store, mailbox="sales") == []


def test_a_failed_message_is_tried_again_until_its_tries_are_used_up(
    store: Store, fetched: Enter
) -> None:
    (number,) = fetched(b"raw")
    _parse(store, number)
    for tries in range(3):
        (found,) = _pending(store)
        assert found.attempts == tries
        with store.write() as tx:
            assert messages.finish(tx, found, MessageState.FAILED, error="no such group")
    assert _pending(store) == []
    with store.read() as tx:
        assert messages.get(tx, number).error == "no such group"


def test_a_message_is_finished_once(store: Store, second: Store, fetched: Enter) -> None:
    (number,) = fetched(b"raw")
    _parse(store, number)
    (found,) = _pending(store)
    (same,) = _pending(second)
    with store.write() as tx:
        assert messages.finish(tx, found, MessageState.DONE, record=RECORD, grade="signed")
    with second.write() as tx:
        assert not messages.finish(tx, same, MessageState.DONE)
        assert not messages.finish(tx, same, MessageState.FAILED, error="late")
    with store.read() as tx:
        done = messages.get(tx, number)
    assert (done.state, done.record, done.grade, done.error) == (
        MessageState.DONE,
        RECORD,
        "signed",
        "",
    )


def test_of_two_that_finish_at_once_one_waits_and_loses(
    on_postgresql: Store, second: Store, fetched: Enter
) -> None:
    (number,) = fetched(b"raw")
    _parse(on_postgresql, number)
    (found,) = _pending(on_postgresql)
    with ThreadPoolExecutor(1) as threads:
        with on_postgresql.write() as tx:
            assert messages.finish(tx, found, MessageState.DONE)

            def finish() -> bool:
                with second.write() as other:
                    return messages.finish(other, found, MessageState.DONE)

            waiting = threads.submit(finish)
        assert waiting.result(timeout=10) is False


def test_an_answer_continues_the_thread(store: Store, fetched: Enter) -> None:
    (number,) = fetched(b"raw")
    _parse(store, number, message_id="theirs@x", references=("root@x",))
    with store.write() as tx:
        messages.insert_outgoing(
            tx,
            number=100,
            mailbox="support",
            message_id="ours@x",
            sender=Address("support@example.org", "Help"),
            to=[Address("anna@example.org")],
            record=None,
            cause=number,
        )
        messages.save_outgoing(tx, 100, subject="Re: Printer", state=MessageState.SENT.value)
    with store.read() as tx:
        sent = messages.get(tx, 100)
    assert sent.in_reply_to == ("theirs@x",)
    assert sent.references == ("root@x", "theirs@x")
    assert (sent.direction, sent.state) == (Direction.OUT, MessageState.SENT)
    assert sent.subject == "Re: Printer"
