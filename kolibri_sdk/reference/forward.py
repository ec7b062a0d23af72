"""Telling a forward from a reply: what it carries speaks of the mail inside, not of itself."""

from __future__ import annotations

import re

from kolibri_sdk.mail.forward import is_forward_subject
from kolibri_sdk.model.message import MessageKind
from kolibri_sdk.model.stored import StoredMessage

__all__ = ["is_forward"]

_OLD_WAYS = re.compile(r"\s*\[fwd\s*:|.*\(fwd\)\s*$", re.I)


def is_forward(message: StoredMessage) -> bool:
    """Whether a person passes on somebody's mail, by its subject or by the mail inside.

    "Fwd: Re: Printer" is a forward, "Re: Fwd: Printer" is a reply to one.

    Examples
    --------
    >>> from kolibri_sdk.model.message import Direction, MessageState
    >>> mail = StoredMessage(1, Direction.IN, "support", MessageState.PARSED, None, 5, None,
    ...                      subject="WG: [INC-000007 k7x9q2m4xw] Printer")
    >>> is_forward(mail)
    True
    """
    if message.kind is not MessageKind.ORDINARY:
        return False
    subject = message.subject[:500]
    inside = message.forwarded is not None
    return inside or is_forward_subject(subject) or _OLD_WAYS.match(subject) is not None
