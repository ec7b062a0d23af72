"""What the tests on real mail servers share: a user of their own, and mailboxes of that user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kolibri_sdk.mailboxes import Fetched, MailSource
from kolibri_sdk.model.mailbox import Mailbox
from tests.servers.dovecot import Dovecot

NewMailbox = Callable[..., Mailbox]
ImportMail = Callable[[MailSource], list[Fetched]]


@pytest.fixture
def user(dovecot: Dovecot) -> str:
    """A user whom no other test knows."""
    return dovecot.new_user()


@pytest.fixture
def imap_mailbox(dovecot: Dovecot, user: str) -> NewMailbox:
    """Makes a mailbox that reads the user's mail by IMAP and submits as the user."""

    def new(**inbound: Any) -> Mailbox:
        return Mailbox.model_validate(
            {
                "name": "support",
                "address": f"{user}@example.org",
                "inbound": dovecot.inbound(user) | inbound,
                "outbound": dovecot.outbound(user),
            }
        )

    return new


def mail(number: int, body: str = "Guten Tag") -> bytes:
    """A small mail that its number tells from the others."""
    return (
        f"Subject: mail {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\n{body}\r\n".encode()
    )


def subjects(batches: Any) -> list[str]:
    """The subjects of fetched mails, in order; what could not be had shows its error."""
    return [
        fetched.error
        if fetched.raw is None
        else fetched.raw.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode()
        for batch in batches
        for fetched in batch
    ]
