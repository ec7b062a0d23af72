"""What a mailbox and the database can differ in, and the report that names each difference."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from html import escape
from typing import Any

__all__ = ["Difference", "Reason", "ReconcileReport"]

_SHOWN = 50  #: faults that are listed one by one in a text; JSON has all


class Reason(Enum):
    """Why a mail is on one side only: a name, whether it is a fault, and what it means."""

    # On the server, and not in the table
    ARRIVED = "arrived_since", False, "came after the last pass; the next one fetches it"
    WAITING = "not_fetched_yet", False, "listed; the next pass fetches it"
    FAILING = "failing", False, "could not be fetched, and is tried again"
    PASSED_OVER = "passed_over", False, "others had read it before the first run"
    TOO_OLD = "too_old", False, "is older than the mailbox's `since`"
    DUPLICATE = "duplicate_of", False, "its very bytes came before; one message stands for both"
    QUARANTINED = "quarantined", True, "could not be fetched, and was given up"
    NEVER_LISTED = "never_listed", True, "the ledger has no entry, and the mark is beyond it"
    MESSAGE_MISSING = "message_missing", True, "the ledger names a message that is not there"
    # In the table, and not whole
    BYTES_MISSING = "bytes_missing", True, "its bytes are not in the database"
    BYTES_DAMAGED = "bytes_damaged", True, "its bytes are not those that were stored"
    # In the ledger, and not on the server
    DELETED_BY_US = "deleted_by_us", False, "deleted as the mailbox's file says"
    MOVED_BY_US = "moved_by_us", False, "moved as the mailbox's file says"
    MOVED = "moved_by_others", False, "somebody moved it into another folder that is read"
    DELETED = "deleted_by_others", False, "stored here, and deleted or moved away by somebody"
    GONE = "gone_unfetched", False, "somebody removed it before it was fetched"
    # On both sides, and not finished
    NOT_TOLD = "server_not_told", False, "stored, and not yet marked, deleted or moved there"
    STILL_THERE = "deleted_and_there", False, "marked as deleted; the server or others remove it"
    MADE_ANEW = "earlier_lives", False, "entries of the folder before it was made anew"

    def __init__(self, label: str, is_fault: bool, meaning: str) -> None:
        self.label = label
        self.is_fault = is_fault
        self.meaning = meaning


@dataclass(frozen=True, slots=True)
class Difference:
    """One mail, or ``number`` entries together, and the reason."""

    mailbox: str
    folder: str
    uid: str
    reason: Reason
    message: int | None = None
    detail: str = ""
    blob: str | None = None
    number: int = 1

    def __str__(self) -> str:
        mail = f" mail {self.uid}" if self.uid else ""
        of = f" (message {self.message})" if self.message is not None else ""
        more = f": {self.detail}" if self.detail else ""
        return f"{self.mailbox}/{self.folder}{mail}{of}: {self.reason.meaning}{more}"

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "mailbox": self.mailbox,
            "folder": self.folder,
            "uid": self.uid,
            "reason": self.reason.label,
            "fault": self.reason.is_fault,
            "message": self.message,
            "detail": self.detail,
            "number": self.number,
        }


@dataclass(slots=True)
class ReconcileReport:
    """What a mailbox and the database differ in.

    Attributes
    ----------
    mails : int
        Mails on the server.
    differences : list of Difference
        Every one with its reason; most reasons are ordinary, and ``faults`` are the others.
    done : list of str
        What the repair did.
    """

    mailbox: str
    mails: int = 0
    differences: list[Difference] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[Difference]:
        """The differences that a healthy box has none of."""
        return [one for one in self.differences if one.reason.is_fault]

    @property
    def ok(self) -> bool:
        """Whether there is no fault."""
        return not self.faults

    @property
    def counts(self) -> Counter[Reason]:
        """How many mails there are of each reason."""
        found: Counter[Reason] = Counter()
        for one in self.differences:
            found[one.reason] += one.number
        return found

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "mailbox": self.mailbox,
            "ok": self.ok,
            "mails": self.mails,
            "counts": {reason.label: number for reason, number in self.counts.items()},
            "differences": [one.as_json() for one in self.differences],
            "done": self.done,
        }

    def __str__(self) -> str:
        counts = self.counts
        lines = [f"{self.mailbox}: {self.mails:,} mails on the server, {len(self.faults)} faults"]
        lines += [f"  {counts[r]:>7,}  {r.label}: {r.meaning}" for r in Reason if counts[r]]
        lines += [f"  FAULT  {fault}" for fault in self.faults[:_SHOWN]]
        if len(self.faults) > _SHOWN:
            lines.append(f"  … and {len(self.faults) - _SHOWN:,} more; --json lists all")
        return "\n".join([*lines, *(f"  done: {done}" for done in self.done)])

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"
