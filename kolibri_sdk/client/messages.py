"""``k.messages``: KolibriMessage as objects and as a frame (S19, S20, S22)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd

from kolibri_sdk.client.message import MessageView
from kolibri_sdk.client.moments import moment
from kolibri_sdk.frames import (
    SUGGESTIONS,
    chosen_columns,
    frame_of,
    mail_frame,
    stored_columns,
)
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.pipeline import System
from kolibri_sdk.store import messages, past, suggestions
from kolibri_sdk.store.schema import message as table

__all__ = ["Messages"]


class Messages:
    """The central table of all mail, in and out.

    Examples
    --------
    >>> k.messages.frame(mailbox="support", since="2026-05-01")     # doctest: +SKIP
    >>> k.messages[4711].subject                                    # doctest: +SKIP
    """

    def __init__(self, system: System) -> None:
        self._system = system

    def __getitem__(self, number: int) -> MessageView:
        """The message with this id; NotFound where there is none."""
        with self._system.store.read() as tx:
            return MessageView(self._system, messages.get(tx, int(number)))

    def __len__(self) -> int:
        with self._system.store.read() as tx:
            return len(messages.select(tx, columns=["id"]))

    def __repr__(self) -> str:
        return f"<{len(self)} messages; .frame() shows them, [id] opens one>"

    def frame(
        self,
        *,
        mailbox: str | None = None,
        direction: str | None = None,
        state: str | None = None,
        since: str | date | None = None,
        until: str | date | None = None,
        record: tuple[str, Any] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The messages that meet the conditions, oldest first.

        Parameters
        ----------
        mailbox, direction, state : str, optional
            As in the columns of these names.
        since, until : str, date or datetime, optional
            By the time the server got it, or it was sent: ISO 8601, taken as UTC where it names
            no zone; ``until`` is left out itself.
        record : tuple of (str, object), optional
            Entity and key, such as ``("incident", 7)``.
        columns : sequence of str, optional
            Only these, which saves time and memory; a trial of a rule needs them all.

        Returns
        -------
        DataFrame
            One row per message, in the order in which they were stored; columns and dtypes as in
            ``kolibri_sdk.frames.MESSAGES``.

        Raises
        ------
        NotFound
            When there is no column of such a name.
        """
        chosen = chosen_columns(columns)
        conditions = [
            table.c[name] == value
            for name, value in {"mailbox": mailbox, "direction": direction, "state": state}.items()
            if value is not None
        ]
        if since is not None:
            conditions.append(messages.mail_time >= moment(since))
        if until is not None:
            conditions.append(messages.mail_time < moment(until))
        if record is not None:
            conditions += [table.c.entity == record[0], table.c.record_key == str(record[1])]
        needed = stored_columns(chosen)
        with self._system.store.read() as tx:
            rows = messages.select(tx, *conditions, columns=needed)
        return mail_frame(rows, chosen)

    def labels(self, frame: pd.DataFrame, field: str) -> pd.Series[Any]:
        """What people made of the mails of a frame: a field of their records, to judge rules by.

        Parameters
        ----------
        frame : DataFrame
            Of ``k.messages.frame()``.
        field : str
            Such as the group, or the category that a record is closed with.

        Returns
        -------
        Series
            With the frame's index: the value that a person (or a program other than our rules)
            last gave the field; missing where nobody did, or there is no record.

        Examples
        --------
        >>> labels = k.messages.labels(mail, "group")                # doctest: +SKIP
        >>> rule.backtest(mail).score(labels, "network")             # doctest: +SKIP
        """
        tied = frame[["entity", "record_key"]].dropna()
        keys = {
            index: RecordKey(entity=entity, key=key)
            for index, entity, key in zip(
                tied.index, tied["entity"], tied["record_key"], strict=True
            )
        }
        with self._system.store.read_only() as tx:
            values = past.set_by_people(tx, keys.values(), field)
        found = [values.get(keys[index]) if index in keys else None for index in frame.index]
        return pd.Series(found, index=frame.index, name=field, dtype="object")

    def suggestions(
        self, *, state: str | None = "open", mailbox: str | None = None
    ) -> pd.DataFrame:
        """The records that mails may belong to; ``k.messages[id].accept()`` or ``.dismiss()``.

        Parameters
        ----------
        state : {"open", "accepted", "dismissed"}, optional
            None gives all of them.
        mailbox : str, optional
            Only of this one.

        Returns
        -------
        DataFrame
            One row per suggestion; columns and dtypes as in ``kolibri_sdk.frames.SUGGESTIONS``.
        """
        with self._system.store.read() as tx:
            rows = suggestions.select(tx, state=state, mailbox=mailbox)
        return frame_of(rows, SUGGESTIONS)
