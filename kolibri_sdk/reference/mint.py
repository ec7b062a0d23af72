"""Giving an outgoing mail its reference: one token, in every carrier that fits (S12)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.model.entity import Entity, RecordKey
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.reference import carriers
from kolibri_sdk.reference.token import mint, subject_tag
from kolibri_sdk.store import keys

__all__ = ["Carriers", "mint_carriers", "plain_message_id"]


@dataclass(frozen=True, slots=True)
class Carriers:
    """What an outgoing mail carries: plain data, so that it can wait in the outbox."""

    message_id: str
    reply_to: str | None = None
    marker: str = ""  #: HTML
    number: str = ""
    tag: str = ""

    def as_json(self) -> dict[str, Any]:
        """All of it by name, from which it can be made again."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def thread_id(self) -> str | None:
        """A second id with the same token, for References: it outlives a new Message-ID."""
        return carriers.thread_id(self.message_id)

    def subject(self, subject: str) -> str:
        """The subject with its tag, where the record has a number."""
        if not self.number:
            return subject
        return carriers.tagged_subject(subject, self.number, self.tag)


def mint_carriers(
    tx: sa.Connection,
    mailbox: Mailbox,
    entity: Entity,
    key: RecordKey,
    record: Mapping[str, Any],
    signing: tuple[int, bytes] | None = None,
) -> Carriers:
    """A new token for a mail about this record, in all its carriers.

    Where no token has room for the record's key, the Message-ID alone leads back to the record.

    Parameters
    ----------
    signing : tuple of int and bytes, optional
        Id and secret of the key that signs, where it was read before for many mails.
    """
    key_id, secret = signing or keys.current(tx)
    number = str(record.get(entity.number) or "") if entity.number else ""
    try:
        token = mint(key, key_id, secret)
    except ValueError:
        return Carriers(plain_message_id(mailbox))
    return Carriers(
        message_id=carriers.message_id(token, _domain(mailbox)),
        reply_to=carriers.plus_address(token, mailbox),
        marker=carriers.body_marker(token),
        number=number,
        tag=subject_tag(key, secret) if number else "",
    )


def plain_message_id(mailbox: Mailbox) -> str:
    """A Message-ID for a mail that is about no record."""
    return f"{secrets.token_hex(16)}@{_domain(mailbox)}"


def _domain(mailbox: Mailbox) -> str:
    return mailbox.address.rpartition("@")[2]
