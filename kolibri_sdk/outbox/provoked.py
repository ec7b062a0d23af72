"""What made a rule write: the mail that came in, who wrote it, how far that is from a person."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.message import MessageKind
from kolibri_sdk.model.reference import Grade
from kolibri_sdk.model.stored import StoredMessage

__all__ = ["Provoked", "thread_of"]

_MARKS = re.compile(r"\[[^\]]*\]|\([^)]*\)")
_PREFIXES = re.compile(r"(?:\s*[^\s:\uff1a]{1,20}(?: [^\s:\uff1a]{1,20})?\s*[:\uff1a](?=\s))+")
_NUMBERED = re.compile(r"\S*\d\S*")
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Provoked:
    """The mail that caused an automatic one."""

    message: int
    sender: str  #: lower case; empty where it names none
    own: bool  #: we sent it ourselves, and it came back
    stranger: RecordKey | None  #: the record to which it is attached as a stranger's
    thread: str
    depth: int  #: how many automatic mails led to it since a person wrote

    @classmethod
    def by(cls, message: StoredMessage, record: RecordKey | None, grade: str | None) -> Provoked:
        """The mail, and the record that its reference has led to, with the grade."""
        return cls(
            message=message.id,
            sender=message.sender.address.lower() if message.sender else "",
            own=message.kind is MessageKind.OWN,
            stranger=record if grade == Grade.STRANGER.value else None,
            thread=thread_of(message.subject),
            depth=message.depth,
        )


def thread_of(subject: str) -> str:
    """A subject without what changes from mail to mail: prefixes, marks in brackets, numbers.

    Two programs that answer each other change nothing else.

    Examples
    --------
    >>> thread_of("Re: [INC-000017 k7x9q2m4xw] Received: Request 12")
    'request'
    """
    text = _MARKS.sub(" ", subject[:_LONGEST].lower())
    text = _NUMBERED.sub(" ", _PREFIXES.sub(" ", text, count=1))
    return " ".join(re.findall(r"[^\W_]+", text))
