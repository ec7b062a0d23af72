"""What a trial knows beyond its mails: plain data, nothing that could be written to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kolibri_sdk.model.entity import Entity
from kolibri_sdk.model.user import User

__all__ = ["Surroundings"]


@dataclass(frozen=True)
class Surroundings:
    """Everything but the mails that rules and their actions look at, as plain data.

    Without it, a trial has no records and no users: conditions see ``record`` as null, as for
    mail that belongs to none.

    Attributes
    ----------
    entities : mapping of str to Entity
        Whose fields a planned record has.
    records : mapping of int to mapping
        By the id of a mail, the fields of the record that it belongs to, as they were when it
        came.
    users : sequence of User
        Who the names of recipients stand for.
    own_addresses : mapping of str to str
        Addresses, lower case, that no rule writes to, and why.
    templates, mailboxes : frozenset of str, optional
        Names that ``send_mail`` may name; None where that is not known.
    actions : frozenset of str, optional
        Names that ``call`` may name; None where that is not known.
    tied : bool
        Whether a mail stands for its record however it came to that, as for a rule that is
        applied to mail already there; else only by the reference that it came with.
    root : Path, optional
        The folder that the files of rules are relative to, where golden examples are kept.
    """

    entities: Mapping[str, Entity] = field(default_factory=dict)
    records: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    users: Sequence[User] = ()
    own_addresses: Mapping[str, str] = field(default_factory=dict)
    templates: frozenset[str] | None = None
    mailboxes: frozenset[str] | None = None
    actions: frozenset[str] | None = None
    tied: bool = False
    root: Path | None = None

    def find(self, names: Iterable[str]) -> dict[str, User]:
        """The users with these ids or addresses, whatever their case: name asked for → user."""
        known: dict[str, User] = {}
        for person in self.users:
            known.setdefault(person.address.lower(), person)
            known.setdefault(person.id.lower(), person)
        return {name: known[name.lower()] for name in names if name.lower() in known}

    def group(self, name: str) -> list[User]:
        """The members of a group."""
        return [person for person in self.users if name in person.groups]
