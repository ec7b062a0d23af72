"""What every way of sending a mail promises."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from kolibri_sdk.model.outbox import Delivery, Envelope, RecipientResult

__all__ = ["MailTransport", "address_fault", "refused"]


class MailTransport(Protocol):
    """One connection that takes many mails; a context manager."""

    def send(
        self, envelope: Envelope, raw: bytes, may: Callable[[], bool] | None = None
    ) -> Delivery:
        """Hand over one mail; each recipient has a fate of its own.

        Parameters
        ----------
        may : callable, optional
            Asked once, before the mail itself is handed over, when sender and recipients have been
            named: what it has to wait for costs no time on the line. Where it says no, nobody gets
            the mail, and the delivery has no results.

        Raises
        ------
        TemporarySendError
            Nobody got it, and another try may help: a 4yz reply to the mail as a whole, or the
            line was lost before the mail was complete.
        PermanentSendError
            Nobody got it, and trying again would not help: a 5yz reply, or a mail that this server
            cannot take.
        UncertainSendError
            The line was lost after the final dot was, or may have been, written and before the
            reply: perhaps they got it (RFC 5321 section 4.5.3.2.6, RFC 1047).
        """
        ...

    def close(self) -> None:
        """Say goodbye; never raises."""
        ...

    def __enter__(self) -> Self:
        """Enter."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        ...


_UNFIT = re.compile(r"[\x00-\x20\x7f<>]")  # what would end the argument or the command (RFC 5321)


def address_fault(address: str) -> str:
    r"""Why this cannot be an address of an envelope; empty when it can.

    Examples
    --------
    >>> address_fault("anna@example.org")
    ''
    >>> address_fault("anna@example.org>\r\nDATA")
    "an address holds no '>'"
    """
    found = _UNFIT.search(address)
    if found:
        return f"an address holds no {found[0]!r}"
    local, at, domain = address.rpartition("@")
    return "" if at and local and domain else "an address looks like name@domain"


def refused(address: str, why: str) -> RecipientResult:
    """The result for a recipient that we do not even ask the server about."""
    return RecipientResult(address, "permanent", None, why)
