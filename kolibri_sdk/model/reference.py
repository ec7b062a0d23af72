"""A hit of the message reference: which record, how sure, by which carrier (S12, S23)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kolibri_sdk.model.entity import RecordKey

__all__ = ["Grade", "ReferenceHit"]


class Grade(StrEnum):
    """How sure a hit is, and so what may be done with it."""

    SIGNED = "signed"  #: valid token, the sender is known to the record: attached
    STRANGER = "stranger"  #: proof, but from an unknown sender: attached as unverified follow-up
    HEADER = "header"  #: the id of a mail that we sent, from a known sender or a bounce: attached
    WEAK = "weak"  #: a bare record number: a suggestion, never attached by itself

    @property
    def attaches(self) -> bool:
        """Whether the mail goes into the record's activity stream by itself."""
        return self is not Grade.WEAK


@dataclass(frozen=True, slots=True)
class ReferenceHit:
    """One record that a mail refers to."""

    record: RecordKey
    grade: Grade
    carrier: str  #: "references" | "address" | "body" | "subject" | "number" | "thread" | "forward"
    issued_at: float = 0.0  #: seconds since 1970, where the token says so
    merged_from: RecordKey | None = None  #: the record it names, where that was merged into this
