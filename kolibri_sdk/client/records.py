"""``k.records``: records of entities, and their activity streams (S3, S13, S23)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import pandas as pd

from kolibri_sdk import clock
from kolibri_sdk.client.display import definition_table
from kolibri_sdk.client.message import stored_message
from kolibri_sdk.client.moments import moment
from kolibri_sdk.client.writing import written_mail
from kolibri_sdk.errors import NotFound
from kolibri_sdk.frames import ACTIVITY, change_frame, frame_of
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.provenance import Provenance
from kolibri_sdk.model.stored import ActivityEntry
from kolibri_sdk.pipeline import Asked, System
from kolibri_sdk.store import activity, capture, past

__all__ = ["Activity", "CaptureWarning", "EntityRecords", "RecordView", "Records"]


class CaptureWarning(UserWarning):
    """Changes of records were not captured, because a table had lost its triggers."""


class Records:
    """Records by entity: ``k.records["incident"]``, or by key: ``k.records["incident", 7]``."""

    def __init__(self, system: System) -> None:
        self._system = system

    def __getitem__(self, name: str | tuple[str, Any]) -> Any:
        """The records of an entity, or one record by entity and key."""
        if isinstance(name, tuple):
            return EntityRecords(self._system, name[0])[name[1]]
        return EntityRecords(self._system, name)

    def __iter__(self) -> Any:
        return iter(self._system.rulebook.entities)

    def __repr__(self) -> str:
        return f"<records of {', '.join(self) or 'no entity yet'}>"


class EntityRecords:
    """All records of one entity."""

    def __init__(self, system: System, name: str) -> None:
        self._system = system
        self.entity = system.tables.entity(name)
        for told in system.use(name):
            warnings.warn(told, CaptureWarning, stacklevel=4)

    def __getitem__(self, key: Any) -> RecordView:
        record = RecordKey(entity=self.entity.name, key=str(key))
        with self._system.store.read() as tx:
            self._system.tables.get(tx, record)
        return RecordView(self._system, record)

    def insert(self, **values: Any) -> RecordView:
        """Make a record; the triggers announce it to the outgoing rules.

        Raises
        ------
        ActionError
            When a field is unknown or the database refuses a value.
        """
        with self._system.store.write() as tx, capture.caused_by(tx, _by_hand(self._system)):
            key, _ = self._system.tables.insert(tx, self.entity.name, values)
        return RecordView(self._system, key)

    def frame(self) -> pd.DataFrame:
        """All records by key; one column per column of the table."""
        with self._system.store.read() as tx:
            rows = self._system.tables.select(tx, self.entity.name)
        if rows:
            return frame_of(rows, None)
        return pd.DataFrame(columns=[self.entity.key, *self.entity.fields])

    def changes(
        self, *, since: str | date | None = None, until: str | date | None = None
    ) -> pd.DataFrame:
        """What happened to the records, oldest first, whoever wrote it.

        Parameters
        ----------
        since, until : str, date or datetime, optional
            ISO 8601, taken as UTC where it names no zone; ``until`` is left out itself.

        Returns
        -------
        DataFrame
            One row per change; columns and dtypes as in ``kolibri_sdk.frames.CHANGES``.

        Examples
        --------
        >>> k.records["incident"].changes(since="2026-05-01")       # doctest: +SKIP
        """
        return _changes(self._system, self.entity.name, since=since, until=until)

    def __len__(self) -> int:
        with self._system.store.read() as tx:
            return len(self._system.tables.select(tx, self.entity.name))

    def __repr__(self) -> str:
        return f"<{len(self)} records of {self.entity.name}>"


class RecordView:
    """One record: read its fields by name, change them with ``update``."""

    def __init__(self, system: System, key: RecordKey) -> None:
        self._system = system
        self.key = key

    def __getitem__(self, field: str) -> Any:
        values = self.values()
        if field not in values:
            raise NotFound.named(f"field of {self.key.entity}", field, list(values))
        return values[field]

    def values(self) -> dict[str, Any]:
        """Its fields as they are now in the database."""
        with self._system.store.read() as tx:
            return self._system.tables.get(tx, self.key)

    def update(self, **values: Any) -> RecordView:
        """Change fields; the triggers announce it to the outgoing rules."""
        with self._system.store.write() as tx:
            before = self._system.tables.get(tx, self.key)
            with capture.caused_by(tx, _by_hand(self._system)):
                after = self._system.tables.update(tx, self.key, values)
            changed = [name for name in values if before.get(name) != after.get(name)]
            if changed and self._system.tables.entity(self.key.entity).activity_stream:
                text = ", ".join(f"{name} = {after.get(name)}" for name in changed)
                activity.add(tx, [_entry(self.key, "changed", text)])
        return self

    def comment(self, text: str) -> RecordView:
        """Write a note into the activity stream."""
        with self._system.store.write() as tx:
            activity.add(tx, [_entry(self.key, "note", text)])
        return self

    def changes(
        self, *, since: str | date | None = None, until: str | date | None = None
    ) -> pd.DataFrame:
        """What happened to this record, with before and after; as those of its entity."""
        return _changes(self._system, self.key.entity, self.key, since=since, until=until)

    def mail(
        self,
        to: Any = (),
        cc: Any = (),
        bcc: Any = (),
        subject: str | None = None,
        html: str | None = None,
        text: str | None = None,
        attachments: Iterable[Any] = (),
        reply_to: Any = None,
        *,
        mailbox: str | None = None,
        language: str | None = None,
        quote: bool = True,
        sign: bool = True,
        dry_run: bool = False,
    ) -> Any:
        """Send a mail by hand from this record, to anybody, whatever the designer holds (S9-S13).

        It is queued at once, in one transaction with its Message-ID, its reference and the entry
        in the activity stream; the poller sends it.

        Parameters
        ----------
        to, cc, bcc : str, Address, User, or sequence of these
            Addresses, ids of users or names of groups; text may hold several, with commas.
        subject : str, optional
            Without its tag, which is put in front; else the record's title, or that of the mail
            that is answered.
        html : str, optional
            Typeface, weight, slant, colour, highlight, lists, links, tables and images (``data:``
            as pasting gives them) survive, with the CSS inlined; scripts and what is loaded go.
        text : str, optional
            The plain twin, made from the HTML where it is not given; alone, a plain mail.
        attachments : iterable
            Paths, pairs (name, bytes), or attachments of stored messages.
        reply_to : message or int, optional
            The mail that is answered: it is quoted, and named in In-Reply-To; without ``to`` its
            sender gets the answer.
        mailbox : str, optional
            By default that of the answered mail, else of the record's latest mail.
        language : str, optional
            Of signature and quote; else the recipient's, where it is one user; else the mailbox's.
        quote, sign : bool
            Whether the answered mail is quoted, and the mailbox's signature put below.
        dry_run : bool
            Queue nothing: the result shows the mail, and its ``send()`` queues those very bytes.

        Returns
        -------
        OutboxView or WrittenMail
            The row of the outbox; with ``dry_run`` the mail.

        Raises
        ------
        ConfigurationError
            When the entity's activity stream is switched off, a recipient is no address, user or
            group, the mail says nothing, an attachment cannot be read, or no mailbox is found.

        Examples
        --------
        >>> k.records["incident", 7].mail(to="anna@example.org", cc="network",
        ...     html="<p>It works <b>again</b>.</p>")               # doctest: +SKIP
        <outbox 17 queued to anna@example.org, tom@example.org>
        """
        asked = Asked(
            to=to,
            cc=cc,
            bcc=bcc,
            subject=subject,
            html=html,
            text=text,
            mailbox=mailbox,
            language=language,
            record=self.key,
            answers=None if reply_to is None else stored_message(self._system, reply_to),
            from_record=True,
            quote=quote,
            sign=sign,
        )
        return written_mail(self._system, asked, attachments, dry_run=dry_run)

    @property
    def activity(self) -> Activity:
        """Its activity stream."""
        return Activity(self._system, self.key)

    def __repr__(self) -> str:
        return f"<{self.key}: {self.values()}>"

    def _repr_html_(self) -> str:
        values: Mapping[str, Any] = self.values()
        return definition_table(str(self.key), values)


class Activity:
    """The activity stream of a record, oldest first."""

    def __init__(self, system: System, key: RecordKey) -> None:
        self._system = system
        self.key = key

    def frame(self) -> pd.DataFrame:
        """One row per entry; columns and dtypes as in ``kolibri_sdk.frames.ACTIVITY``."""
        with self._system.store.read() as tx:
            return frame_of(activity.select(tx, self.key), ACTIVITY)

    def __repr__(self) -> str:
        return f"<activity of {self.key}>\n{self.frame()[['at', 'kind', 'author', 'text']]}"

    def _repr_html_(self) -> str:
        shown = self.frame()[["at", "kind", "author", "text", "message"]]
        return str(shown.to_html(escape=True, index=False))


def _by_hand(system: System) -> Provenance:
    return Provenance(user=system.user)


def _changes(
    system: System,
    entity: str,
    record: RecordKey | None = None,
    *,
    since: str | date | None,
    until: str | date | None,
) -> pd.DataFrame:
    first = moment(since) if since is not None else None
    last = moment(until) if until is not None else None
    with system.store.read() as tx:
        found = past.changes(tx, system.tables, entity, since=first, until=last, record=record)
        return change_frame(found, system.tables.entities)


def _entry(key: RecordKey, kind: str, text: str) -> ActivityEntry:
    return ActivityEntry(record=key, kind=kind, at=clock.now(), text=text)
