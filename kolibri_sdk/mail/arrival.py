"""When a mail arrived, by what the servers on its way wrote into it (RFC 5321 section 4.4)."""

from __future__ import annotations

from datetime import datetime

from kolibri_sdk.mail.dates import read_date
from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.model.message import ParsedMail

__all__ = ["arrived_at"]


def arrived_at(mail: ParsedMail, otherwise: datetime | None = None) -> datetime | None:
    """The date of the last server's ``Received`` field; without one, the second best, or its Date.

    Parameters
    ----------
    mail : ParsedMail
        Read from an archive, so that no server can be asked any more.
    otherwise : datetime, optional
        What the archive says; it may be the day on which the archive was made.

    Examples
    --------
    >>> mail = ParsedMail(0, headers=(("Received", "by mx; Fri, 1 May 2026 10:00:00 +0200"),))
    >>> arrived_at(mail).isoformat()
    '2026-05-01T08:00:00+00:00'
    """
    stamp = (mail.header("received") or "").rpartition(";")[2]
    return read_date(stamp.strip(), Defects()) or otherwise or mail.sent_at
