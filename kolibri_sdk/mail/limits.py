"""The limits within which a mail is read, and the one error that the parser raises."""

from __future__ import annotations

from dataclasses import dataclass

from kolibri_sdk.errors import OperationalError

__all__ = ["LIMITS", "Limits", "MailTooComplex"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a mail may be before reading it costs more than it is worth.

    Examples
    --------
    >>> LIMITS.depth
    100
    """

    depth: int = 100  #: multiparts within each other
    parts: int = 1_000
    header_bytes: int = 256 * 1024  #: of the header block of one part
    addresses: int = 10_000  #: in all address headers together
    decoded_bytes: int = 200 * 1024 * 1024  #: of all parts together


LIMITS = Limits()


class MailTooComplex(OperationalError):
    """A mail exceeds a stated limit; its raw bytes are kept and it is stored as ``unparsed``.

    Examples
    --------
    >>> print(MailTooComplex.exceeds("parts", 1_000))
    The mail exceeds the limit of 1,000 parts. Its raw bytes are kept; read them in a mail program
    """

    @classmethod
    def exceeds(cls, what: str, limit: int) -> MailTooComplex:
        """The error that names the limit."""
        return cls(
            f"The mail exceeds the limit of {limit:,} {what}",
            "Its raw bytes are kept; read them in a mail program",
        )
