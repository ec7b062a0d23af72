"""Rules decide on a mail that was just parsed as they would on the row it is stored in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from kolibri_sdk.mail import parse_mail
from kolibri_sdk.model.binding import message_binding
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.store import Store, messages, require_current
from kolibri_sdk.store.messages import Arrival
from tests.benchmarks.corpus import mails

CORPUS = Path(__file__).parents[2] / "corpus"
ARRIVED = datetime(2026, 5, 1, 8, 0, 0, 123456, tzinfo=UTC)


def test_a_mail_just_parsed_equals_the_row_it_becomes() -> None:
    raws = [file.read_bytes() for file in sorted(CORPUS.rglob("*.eml"))] + list(mails(20))
    parsed = [mail for raw in raws if not (mail := parse_mail(raw)).incomplete]
    store = Store("sqlite://")
    require_current(store)
    with store.write() as tx:
        arrivals = [Arrival("", mail.size, ARRIVED) for mail in parsed]
        numbers = messages.insert_fetched(tx, "support", arrivals)
        messages.save_parsed(tx, dict(zip(numbers, parsed, strict=True)))
        rows = messages.pending(tx, "support", 1_000, max_attempts=5)
    assert len(rows) == len(parsed) > 40
    for number, mail, row in zip(numbers, parsed, rows, strict=True):
        fresh = StoredMessage.of(mail, mailbox="support", received_at=ARRIVED, number=number)
        assert message_binding(fresh) == message_binding(row)
        known = tuple(replace(part, blob="") for part in row.attachments)
        assert fresh == replace(row, blob=None, attachments=known)
