"""Bulk changes: what one rule would send in an hour above its cap is held together, as a plan."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.outbox import HOUR, Bulk, MailRequest
from kolibri_sdk.store import allowance, outbox

__all__ = ["bulks_among"]


def bulks_among(tx: sa.Connection, requests: Sequence[MailRequest]) -> dict[str, Bulk]:
    """The rules whose mails are too many to go out unseen, each with what it would send.

    A rule has a number of mails in an hour (``notices_per_hour_of_a_rule`` of its mailbox). Where
    these mails, with those that went out in the last hour, are more, all of them are held.
    """
    wanted: dict[str, tuple[Mailbox, list[str]]] = {}
    for request in requests:
        if request.rule:
            _, addresses = wanted.setdefault(request.rule, (request.mailbox, []))
            addresses.extend(person.address.address.lower() for person in request.to.people)
    had = allowance.of_rules(tx, wanted, clock.now() - HOUR)
    beyond = {
        rule: (mailbox, addresses)
        for rule, (mailbox, addresses) in wanted.items()
        if had.get(rule, 0) + len(addresses) > mailbox.notices_per_hour_of_a_rule
    }
    known = outbox.open_bulks(tx, beyond)
    return {
        rule: Bulk(_reason(rule, mailbox, addresses, had.get(rule, 0)), known.get(rule))
        for rule, (mailbox, addresses) in beyond.items()
    }


def _reason(rule: str, mailbox: Mailbox, addresses: Sequence[str], had: int) -> str:
    people = len(set(addresses))
    before = f", after {had:,} in the last hour" if had else ""
    many = f"{len(addresses):,} mail{'s' * (len(addresses) != 1)}"
    return (
        f"rule {rule} would send {many} to {people:,} {'people' if people != 1 else 'person'}"
        f"{before}: more than {mailbox.notices_per_hour_of_a_rule:,} in an hour "
        f"(notices_per_hour_of_a_rule of mailbox {mailbox.name}). "
        "See: kolibri outbox list --state held"
    )
