"""``read_mail`` and ``k.import_mail``: historic mail as a frame, or into the central table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from kolibri_sdk.archives import Archive, ArchivedMail, open_archive
from kolibri_sdk.client.moments import moment
from kolibri_sdk.client.progress import ProgressBar, progress_bar
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.frames import chosen_columns, mail_frame
from kolibri_sdk.mail import arrived_at, parse_mail
from kolibri_sdk.model.message import Direction, MessageState
from kolibri_sdk.pipeline import (
    ArchiveToImport,
    FoldersToImport,
    ImportReport,
    ImportSource,
    System,
    import_mails,
)
from kolibri_sdk.schedule import Stop
from kolibri_sdk.store import messages

__all__ = ["import_mail", "read_mail"]

_LOOK = 50  #: mails between two looks at the bar


def read_mail(
    source: str | Path,
    *,
    mailbox: str = "",
    columns: Sequence[str] | None = None,
    limit: int | None = None,
    since: str | date | None = None,
    trusted_authserv: Sequence[str] = (),
    progress: bool | None = None,
) -> pd.DataFrame:
    """Historic mail as a frame, without any database.

    Parameters
    ----------
    source : str or Path
        An mbox, a Maildir, a folder of .eml files, one .eml, or a zip or tar of these; .gz, .bz2
        and .xz, too.
    mailbox : str, optional
        What the column ``mailbox`` says, for rules that look at it.
    columns : sequence of str, optional
        Only these, which saves memory; a trial of a rule needs them all.
    limit : int, optional
        Stop after so many mails.
    since : str, date or datetime, optional
        Leave out mail that arrived before; ISO 8601, UTC where it names no zone.
    trusted_authserv : sequence of str, optional
        Servers whose Authentication-Results count, as in a mailbox's file.
    progress : bool, optional
        Whether a bar is shown; by default where somebody may be looking.

    Returns
    -------
    DataFrame
        One row per mail, columns and dtypes as in ``k.messages.frame()``. ``source`` says where
        each mail lies. A mail that cannot be read or parsed has the reason in ``error``.

    Raises
    ------
    ConfigurationError
        When there is no such file or folder, or no mail in it.
    NotFound
        When there is no column of such a name.

    Examples
    --------
    >>> mail = read_mail("archive.mbox", since="2025-01-01")        # doctest: +SKIP
    >>> mail.groupby("kind").size()                                 # doctest: +SKIP
    """
    chosen = chosen_columns(columns)
    first = moment(since) if since is not None else None
    archive = open_archive(source)
    with progress_bar(Path(source).name, unit="bytes", wanted=progress) as bar:
        read = partial(_row, mailbox=mailbox, trusted=trusted_authserv)
        return mail_frame(_rows(archive, read, limit, first, bar), chosen)


def _rows(
    archive: Archive,
    read: Callable[[ArchivedMail], dict[str, Any]],
    limit: int | None,
    since: datetime | None,
    bar: ProgressBar,
) -> Iterator[dict[str, Any]]:
    total = archive.total_bytes()
    number = 0
    for seen, mail in enumerate(archive, start=1):
        if number == limit:
            break
        row = read(mail)
        arrived = row["received_at"]
        if since is None or arrived is None or arrived >= since:
            number += 1
            yield {**row, "id": number}
        if seen % _LOOK == 0:
            bar.show(archive.read_bytes, total, f"{seen:,} mails")
    bar.show(total, total, f"{number:,} mails")


def _row(mail: ArchivedMail, mailbox: str, trusted: Sequence[str]) -> dict[str, Any]:
    """A mail by the names of the table's columns."""
    state, error, received, parts = MessageState.UNPARSED, mail.error, mail.received_at, []
    columns: dict[str, Any] = dict(_NOTHING)
    if mail.raw is not None:
        parsed = parse_mail(mail.raw, trusted_authserv=trusted)
        received, error = arrived_at(parsed, mail.received_at), parsed.incomplete
        state = MessageState.UNPARSED if error else MessageState.PARSED
        columns = messages.parsed_columns(parsed)
        parts = [
            {
                "filename": part.filename,
                "content_type": part.content_type,
                "size": part.size,
                "inline": part.inline,
            }
            for part in parsed.attachments
        ]
    return {
        **columns,
        "direction": Direction.IN.value,
        "mailbox": mailbox,
        "state": state.value,
        "received_at": received,
        "size": len(mail.raw or b""),
        "attachments": parts,
        "source": mail.source,
        "error": error,
    }


_NOTHING = dict.fromkeys(
    (
        *("message_id", "in_reply_to", "reference_ids", "headers", "defects"),
        *("to_addresses", "cc_addresses", "reply_to_addresses", "forwarded", "authentication"),
    )
) | {"kind": "ordinary"}


def import_mail(
    system: System,
    source: str | Path,
    *,
    mailbox: str,
    folders: Sequence[str] | None,
    since: str | date | None,
    direction: str | None,
    progress: bool | None,
    stop: Stop | None,
) -> ImportReport:
    """Import; see :meth:`kolibri_sdk.client.kolibri.Kolibri.import_mail`."""
    box = system.mailbox(mailbox)
    first = moment(since) if since is not None else None
    if direction is not None and direction not in {one.value for one in Direction}:
        raise ConfigurationError(f"{direction!r} is no direction", "Write in or out, or leave it")
    chosen, wanted = _source(system, source, mailbox, folders, first)
    with progress_bar(Path(source).name, unit=chosen.unit, wanted=progress) as bar:
        total = chosen.total()

        def show(report: ImportReport, done: int) -> None:
            counts = report.counts
            told = f"{counts['imported']:,} imported, {counts['known']:,} known"
            bar.show(done, total or chosen.total(), told)

        return import_mails(
            system,
            box,
            chosen,
            folders=wanted,
            since=first,
            direction=Direction(direction) if direction else None,
            progress=show,
            stop=stop,
        )


def _source(
    system: System,
    source: str | Path,
    mailbox: str,
    folders: Sequence[str] | None,
    since: datetime | None,
) -> tuple[ImportSource, Sequence[str] | None]:
    """Where to import from, and which of its folders are to be picked out afterwards."""
    if not str(source).startswith("imap:"):
        return ArchiveToImport(open_archive(source)), folders
    name, _, folder = str(source).removeprefix("imap:").partition("/")
    server = name or mailbox
    if server != mailbox:
        raise ConfigurationError(
            f"{source} names the mailbox {server!r}, and the mail would go to {mailbox!r}",
            "The ledger knows folders by their own mailbox; import into that one",
        )
    chosen = [*([folder] if folder else ()), *(folders or ())]
    return FoldersToImport(system, system.mailbox(server), chosen, since), None
