"""The limits within which a mail is read."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LIMITS", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a mail is read; what lies beyond costs more than it is worth.

    A mail that exceeds one of them is read as far as it goes and marked as incomplete
    (``ParsedMail.incomplete``); nothing is raised.

    Examples
    --------
    >>> LIMITS.depth
    100
    """

    depth: int = 100  #: multiparts within each other
    parts: int = 1_000  #: of the mail and of the messages in it that are opened, together
    header_bytes: int = 256 * 1024  #: of the header block of one part
    addresses: int = 10_000  #: in all address headers together
    decoded_bytes: int = 200 * 1024 * 1024  #: of all parts together
    seconds: float = 10.0  #: of computing, after which no further part is read

    # Beyond these, something is read in another way; the mail still counts as complete.
    parameters: int = 200  #: of one header; further ones are passed over
    text_bytes: int = 10 * 1024 * 1024  #: of a text part; a larger one is an attachment
    reply_characters: int = 500_000  #: of a text that are searched for quoted mail
    nested_messages: int = 5  #: within each other, that are opened for their text


LIMITS = Limits()
