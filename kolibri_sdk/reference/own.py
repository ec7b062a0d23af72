"""Our own mail that comes back, and how far an automatic mail is from one that a person wrote."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import sqlalchemy as sa

from kolibri_sdk.model.message import MessageKind
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.store import correspondence

__all__ = ["recognise_own"]

_ANSWERING = frozenset({MessageKind.AUTO_REPLY, MessageKind.BOUNCE, MessageKind.OWN})


def recognise_own(
    tx: sa.Connection, found: Sequence[StoredMessage], own: Collection[str]
) -> list[StoredMessage]:
    """The messages, those that we sent ourselves marked as such, automatic ones with their depth.

    Ours is a mail with a Message-ID of ours, with an address of ours as its sender, or with our
    X-Loop: a list, a redirection or an alias has brought it back. No answering rule may act on it.

    Parameters
    ----------
    found : sequence of StoredMessage
        Mails that came in.
    own : collection of str
        The addresses of our mailboxes, lower case.
    """
    sent = correspondence.sent_by_us(tx, _names(found))
    return [_marked(item, sent, own) for item in found]


def _names(found: Sequence[StoredMessage]) -> set[str]:
    names = {item.message_id for item in found if item.message_id}
    for item in found:
        if item.kind in _ANSWERING:
            names |= {*item.bounced, *item.in_reply_to, *item.references}
    return names


def _marked(item: StoredMessage, sent: dict[str, int], own: Collection[str]) -> StoredMessage:
    kind = item.kind
    if kind is not MessageKind.BOUNCE and _is_own(item, sent, own):
        kind = MessageKind.OWN
    if kind not in _ANSWERING:
        return item
    answered = (item.message_id or "", *item.bounced, *item.in_reply_to, *item.references)
    depths = [sent[name] for name in answered if name in sent]
    return replace(item, kind=kind, depth=max(depths, default=0) + 1)


def _is_own(item: StoredMessage, sent: dict[str, int], own: Collection[str]) -> bool:
    if item.message_id in sent:
        return True
    senders = [item.sender.address] if item.sender else []
    loops = [value for name, value in item.headers if name.lower() == "x-loop"]
    return any(_bare(address) in own for address in (*senders, *loops))


def _bare(address: str) -> str:
    """The address in lower case, without the part behind its plus sign."""
    local, at, domain = address.strip().strip("<>").lower().rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"
