"""A hit of the message reference: which record, how sure, by which carrier (S12, S23)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kolibri_sdk.model.entity import RecordKey

__all__ = ["Grade", "ReferenceHit"]


class Grade(StrEnum):
    """How sure a hit is, and so what may be done with it."""

    SIGNED = "signed"  #: valid token, the sender is known to the record: attached
    STRANGER = "stranger"  #: valid token, unknown sender: attached as unverified follow-up
    HEADER = "header"  #: References or In-Reply-To name a mail that we sent: attached
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
    carrier: str  #: "message-id" | "references" | "address" | "body" | "subject" | "number"
    issued_at: float = 0.0  #: seconds since 1970, where the token says so
