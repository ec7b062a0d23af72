"""Why an automatic mail is held back: floods, loops, and what a stranger must not set off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.outbox import Spent
from kolibri_sdk.outbox.provoked import Provoked
from kolibri_sdk.outbox.recipients import Person
from kolibri_sdk.store import allowance, restores

__all__ = [
    "MOST_DEPTH",
    "WINDOW",
    "Allowances",
    "Held",
    "beyond_cap",
    "spent_by",
    "why_held",
]

WINDOW = timedelta(hours=1)
MOST_DEPTH = 3  #: automatic mails that follow from one another without a person between them


@dataclass(frozen=True, slots=True)
class Held:
    """Why a mail is held: of which kind that is, and what it was in this case."""

    kind: str
    reason: str


def spent_by(
    mailbox: Mailbox,
    person: Person,
    provoked: Provoked | None,
    record: RecordKey | None,
    rule: str = "",
) -> Spent:
    """How a mail to this person counts towards the caps."""
    address = person.address.address.lower()
    answer = provoked is not None and provoked.sender == address
    return Spent(
        mailbox=mailbox.name,
        kind="answer" if answer else "notice",
        address=address,
        thread=provoked.thread if provoked else "",
        record=str(record) if record else None,
        rule=rule,
    )


class Allowances:
    """What mails have gone out lately, with those of the batch at hand.

    Notices are counted for many addresses with one question; answers, of which there are few, one
    by one, so a batch with a mail that another one provoked is of that mail alone.
    """

    def __init__(self, tx: sa.Connection) -> None:
        self._tx = tx
        self._since = clock.now() - WINDOW
        self._notices: dict[tuple[str, str], int] = {}

    def look_up(self, mailbox: Mailbox, people: Iterable[Person]) -> None:
        """Read at once how many notices these people had."""
        addresses = {person.address.address.lower() for person in people}
        had = allowance.of_addresses(self._tx, mailbox.name, "notice", addresses, self._since)
        self._notices |= {(mailbox.name, one): had.get(one, 0) for one in addresses}

    def spend(self, spent: Spent) -> None:
        """Count a mail that will go out."""
        if spent.kind == "notice":
            self._notices[spent.mailbox, spent.address] += 1

    def had(self, spent: Spent) -> Mapping[str, int]:
        """How many such mails there were: to the address; of answers in further ways."""
        if spent.kind == "notice":
            return {"address": self._notices[spent.mailbox, spent.address]}
        return allowance.count(self._tx, spent, self._since)


def why_held(
    tx: sa.Connection,
    mailbox: Mailbox,
    person: Person,
    provoked: Provoked | None,
    record: RecordKey | None,
    allowances: Allowances,
) -> Held | None:
    """Why a mail to this person must wait for somebody to look at it; None where it may go."""
    if provoked is not None:
        if held := _unsafe(person, provoked, record):
            return held
        if restored := restores.answered_before(tx, provoked.message):
            return Held(
                "mails that may have gone out before the database was restored",
                f"message {provoked.message}, which caused this one, lay in mailbox "
                f"{mailbox.name} when the database was restored ({restored:%Y-%m-%d %H:%M}Z): this "
                "mail may have gone out before. Look into the mailbox; if it did not: "
                "kolibri outbox release",
            )
    spent = spent_by(mailbox, person, provoked, record)
    return beyond_cap(mailbox, spent, allowances.had(spent))


def beyond_cap(mailbox: Mailbox, spent: Spent, had: Mapping[str, int]) -> Held | None:
    """Why a mail would exceed a cap of the mailbox, given what there was in the last hour."""
    caps = [("address", "notices_per_hour", f"{spent.address} had {{}} automatic mails")]
    if spent.kind == "answer":
        caps = [
            ("address", "answers_per_hour", f"{spent.address} had {{}} automatic mails"),
            ("alike", "answers_alike_per_hour", f"{spent.address} had {{}} answers to such mail"),
            ("domain", "answers_per_hour_to_domain", f"{spent.domain} had {{}} answers"),
            ("total", "answers_per_hour_in_total", f"mailbox {mailbox.name} gave {{}} answers"),
        ]
    for name, setting, told in caps:
        if had[name] >= getattr(mailbox, setting):
            where = f"{setting} of mailbox {mailbox.name}"
            return Held(where, f"{told.format(had[name])} in the last hour ({where})")
    return None


def _unsafe(person: Person, provoked: Provoked, record: RecordKey | None) -> Held | None:
    """Whatever the caps say: a loop of ours, or what a stranger has set off."""
    number = provoked.message
    if provoked.own:
        return Held(
            "mails that our own mail caused, which came back",
            f"our own mail came back as message {number} and caused this one: a loop",
        )
    if provoked.depth >= MOST_DEPTH:
        return Held(
            f"mails behind {MOST_DEPTH} automatic ones: loops",
            f"{provoked.depth} automatic mails have led to message {number}, which caused this "
            "one, and no person wrote between them: a loop",
        )
    if record is not None and provoked.stranger == record and person.user is None:
        return Held(
            "mails to outside people that a stranger's mail caused",
            f"the sender of message {number}, which caused this one, is a stranger to {record}; "
            "see that it tells nobody outside what they must not read",
        )
    return None
