"""``k.outbox``: mail to be sent, being sent, and sent; what became of every recipient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Literal

import pandas as pd

from kolibri_sdk import clock
from kolibri_sdk.client.display import definition_table, listing
from kolibri_sdk.client.moments import moment
from kolibri_sdk.errors import ConfigurationError, NotFound, OperationalError
from kolibri_sdk.frames import OUTBOX, frame_of
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.outbox import OutboxState
from kolibri_sdk.model.stored import OutboxItem
from kolibri_sdk.outbox import cancel, confirm, release, retry
from kolibri_sdk.pipeline import System
from kolibri_sdk.schedule import Stop
from kolibri_sdk.store import messages, outbox, sent_copies
from kolibri_sdk.store.schema import outbox as outbox_table

__all__ = ["Outbox", "OutboxView", "recipient_told", "results_of"]

_LOOK = 0.2  #: seconds between two looks at a mail that is waited for
_UNDER_WAY = frozenset({"queued", "sending"})


class OutboxView:
    """One mail of the outbox, as it is now in the database.

    Examples
    --------
    >>> mail = k.records["incident", 7].mail(to="anna@example.org", text="Hi")  # doctest: +SKIP
    >>> mail.wait().results                                                     # doctest: +SKIP
    {'anna@example.org': {'status': 'accepted', 'code': 250, 'answer': '2.0.0 OK'}}
    """

    def __init__(self, system: System, number: int, notes: Iterable[str] = ()) -> None:
        self._system = system
        self.id = number
        #: What its writer should know, such as: mails to this address came back.
        self.notes = tuple(notes)

    @property
    def _item(self) -> OutboxItem:
        with self._system.store.read() as tx:
            found = outbox.of_ids(tx, [self.id])
        if not found:
            raise NotFound(f"There is no outbox mail {self.id}", "Run: kolibri outbox list")
        return found[0]

    @property
    def state(self) -> str:
        """queued, sending, sent, failed, uncertain, held or cancelled."""
        return self._item.state.value

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody who gets it, those included whom no header shows."""
        return self._item.recipients

    @property
    def results(self) -> dict[str, Mapping[str, Any]]:
        """What became of each recipient: ``status``, ``code`` and ``answer`` of the server.

        ``status`` is ``waiting`` for those whom nobody was asked about yet; else ``accepted``,
        ``temporary`` (tried again), ``permanent`` (refused), ``uncertain``, ``bounced`` or
        ``delayed``.
        """
        return results_of(self._item)

    @property
    def error(self) -> str:
        """What went wrong last, with the next step; empty where nothing did."""
        return self._item.error

    @property
    def attempts(self) -> int:
        """How often a server was asked to take it."""
        return self._item.attempts

    @property
    def due_at(self) -> datetime | None:
        """When it is tried next."""
        return self._item.due_at

    @property
    def mailbox(self) -> str:
        """The mailbox it goes out by."""
        return self._item.mailbox

    @property
    def message_id(self) -> str:
        """Its Message-ID, without angle brackets."""
        return self._item.message_id

    @property
    def record(self) -> RecordKey | None:
        """The record it was sent from."""
        return self._item.record

    @property
    def message(self) -> int:
        """The number of its KolibriMessage."""
        return self._item.message

    @property
    def copy(self) -> str | None:
        """Of its copy in the Sent folder: due, filed or failed; None where none is wanted."""
        with self._system.store.read() as tx:
            row = sent_copies.get(tx, self.id)
        return str(row["state"]) if row is not None else None

    def wait(self, seconds: float = 60.0) -> OutboxView:
        """Wait until it is neither queued nor being sent; somebody has to run the poller.

        Raises
        ------
        OperationalError
            When it is still under way after these seconds.
        """
        elapsed, pause = clock.stopwatch(), Stop()
        while self.state in _UNDER_WAY:
            if elapsed() >= seconds:
                item = self._item
                told = f" ({item.error})" if item.error else ""
                raise OperationalError(
                    f"Outbox mail {self.id} is {item.state.value} after {seconds:g} s{told}",
                    "Is a poller running? k.poll(passes=1) sends what is due",
                )
            pause.wait(_LOOK)
        return self

    def cancel(self) -> OutboxView:
        """See that it never goes out; as ``k.outbox.cancel``."""
        with self._system.store.write() as tx:
            cancel(tx, [self.id], self._system.user)
        return self

    def as_json(self) -> dict[str, Any]:
        """Everything about it as plain JSON types."""
        item = self._item
        with self._system.store.read() as tx:
            mail = messages.get(tx, item.message)
        return {
            "id": item.id,
            "state": item.state.value,
            "mailbox": item.mailbox,
            "message": item.message,
            "message_id": item.message_id,
            "sender": item.sender,
            "subject": mail.subject,
            "record": str(item.record) if item.record else None,
            "cause": item.cause,
            "attempts": item.attempts,
            "due_at": item.due_at.isoformat() if item.due_at else None,
            "sent_at": mail.sent_at.isoformat() if mail.sent_at else None,
            "size": mail.size,
            "error": item.error,
            "sent_copy": self.copy,
            "results": self.results,
        }

    def __repr__(self) -> str:
        item = self._item
        told = f": {item.error}" if item.error else ""
        return f"<outbox {item.id} {item.state.value} to {', '.join(item.recipients)}{told}>"

    def _repr_html_(self) -> str:
        told = self.as_json()
        results = told.pop("results")
        rows = [(who, recipient_told(result)) for who, result in results.items()]
        return definition_table(f"Outbox mail {self.id}", told) + listing(
            "Recipients", ("address", "what became of it"), rows
        )


def results_of(item: OutboxItem) -> dict[str, Mapping[str, Any]]:
    """What became of each recipient of a mail; ``waiting`` where nobody was asked yet."""
    return {one: item.results.get(one, {"status": "waiting"}) for one in item.recipients}


def recipient_told(result: Mapping[str, Any]) -> str:
    """One recipient's result as a line.

    Examples
    --------
    >>> recipient_told({"status": "permanent", "code": 550, "answer": "5.1.1 nobody here"})
    'permanent: 550 5.1.1 nobody here'
    """
    said = " ".join(str(result[name]) for name in ("code", "answer") if result.get(name))
    return f"{result['status']}: {said}" if said else str(result["status"])


class Outbox:
    """Mail to be sent, being sent, and sent: ``k.outbox[17]`` is one, with its results."""

    def __init__(self, system: System) -> None:
        self._system = system

    def __getitem__(self, number: int) -> OutboxView:
        """The mail of this number; NotFound where there is none."""
        view = OutboxView(self._system, int(number))
        view.state  # noqa: B018 - raises where there is none
        return view

    def frame(
        self,
        *,
        state: str | None = None,
        mailbox: str | None = None,
        to: str | None = None,
        record: tuple[str, Any] | None = None,
        since: str | date | None = None,
    ) -> pd.DataFrame:
        """The mails that meet the conditions, oldest first.

        Parameters
        ----------
        state, mailbox : str, optional
            As in the columns of these names.
        to : str, optional
            The address of a recipient, whatever its case.
        record : tuple of (str, object), optional
            Entity and key, such as ``("incident", 7)``.
        since : str, date or datetime, optional
            By when it was queued: ISO 8601, taken as UTC where it names no zone.

        Returns
        -------
        DataFrame
            One row per mail; columns and dtypes as in ``kolibri_sdk.frames.OUTBOX``.
        """
        wanted = {"state": state, "mailbox": mailbox}
        if record is not None:
            wanted |= {"entity": record[0], "record_key": str(record[1])}
        conditions = [
            outbox_table.c[n] == value for n, value in wanted.items() if value is not None
        ]
        if since is not None:
            conditions.append(outbox_table.c.created_at >= moment(since))
        with self._system.store.read() as tx:
            rows = outbox.select(tx, *conditions)
        if to is not None:
            rows = [row for row in rows if to.lower() in map(str.lower, row["recipients"])]
        return frame_of(rows, OUTBOX)

    def release(self, mails: Iterable[int] | Literal["held"], *, mailbox: str | None = None) -> int:
        """Let held mails go out in the next pass; how many. No cap holds them again.

        Parameters
        ----------
        mails : iterable of int, or "held"
            Numbers of outbox rows, or all that are held.
        mailbox : str, optional
            With ``"held"``, only of this one.

        Raises
        ------
        NotFound
            When there is no mail of such a number.
        ConfigurationError
            When one of them is not held.
        """
        with self._system.store.write() as tx:
            return release(tx, self._numbers(tx, mails, mailbox))

    def cancel(self, mails: Iterable[int] | Literal["held"], *, mailbox: str | None = None) -> int:
        """See that these mails never go out; how many. As with ``release``; queued ones as well."""
        with self._system.store.write() as tx:
            return cancel(tx, self._numbers(tx, mails, mailbox), self._system.user)

    def retry(
        self, mails: Iterable[int] | Literal["failed", "uncertain"], *, mailbox: str | None = None
    ) -> int:
        """Have mails sent in the next pass, to those who did not get them; how many.

        What is uncertain may then arrive twice, with the same Message-ID.

        Parameters
        ----------
        mails : iterable of int, "failed" or "uncertain"
            Numbers of outbox rows, or all that are in this state.
        mailbox : str, optional
            With a state, only of this one.

        Raises
        ------
        NotFound
            When there is no mail of such a number.
        ConfigurationError
            When one of them is neither failed, uncertain nor queued.
        """
        with self._system.store.write() as tx:
            numbers = self._numbers(tx, mails, mailbox, ("failed", "uncertain"))
            return retry(tx, numbers, self._system.user)

    def confirm(self, mails: Iterable[int]) -> int:
        """Say that uncertain mails have arrived: they count as sent; how many.

        Raises
        ------
        NotFound
            When there is no mail of such a number.
        ConfigurationError
            When one of them is not uncertain.
        """
        numbers = [self[int(number)].id for number in mails]
        with self._system.store.write() as tx:
            for number in numbers:
                confirm(tx, number, self._system.user)
        return len(numbers)

    def _numbers(
        self,
        tx: Any,
        mails: Iterable[int] | str,
        mailbox: str | None,
        states: tuple[str, ...] = ("held",),
    ) -> list[int]:
        if not isinstance(mails, str):
            return [int(number) for number in mails]
        if mails not in states:
            named = " or ".join(f'"{state}"' for state in states)
            raise ConfigurationError(f"{mails!r} names no mails", f"Give numbers, or {named}")
        name = self._system.mailbox(mailbox).name if mailbox is not None else None
        return outbox.in_state(tx, OutboxState(mails), name)

    def __repr__(self) -> str:
        states = self.frame()["state"].value_counts()
        told = ", ".join(f"{number} {state}" for state, number in states.items())
        return f"<outbox: {told or 'empty'}>"
