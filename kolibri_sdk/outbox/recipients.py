"""Who gets a mail: the three kinds of recipients, resolved to people, with those left out (S6)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from kolibri_sdk.errors import ActionError
from kolibri_sdk.model.message import Address
from kolibri_sdk.model.rule import Recipient
from kolibri_sdk.model.user import User
from kolibri_sdk.store import users

__all__ = [
    "NOBODY",
    "Directory",
    "Dropped",
    "Person",
    "Resolved",
    "resolve",
    "resolve_in",
    "resolve_values",
]

NOBODY = "is no address, user or group"  #: why a name is dropped that leads to no one

_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+")
_NAMED = re.compile(r'^\s*"?(?P<name>[^"<]*?)"?\s*<(?P<address>[^<>]+)>\s*$')


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who gets a mail; ``user`` where the system knows them."""

    address: Address
    user: User | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A recipient who gets nothing, and why."""

    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """Everybody who gets the mail, once each, and everybody who does not."""

    people: tuple[Person, ...]
    dropped: tuple[Dropped, ...] = ()


class Directory(Protocol):
    """Where the names of users and groups are looked up."""

    def find(self, names: Iterable[str]) -> Mapping[str, User]:
        """The users with these ids or addresses: name asked for → user."""

    def group(self, name: str) -> Sequence[User]:
        """The members of a group; none where there is no such group."""


@dataclass(frozen=True, slots=True)
class _StoredUsers:
    """The users of the database."""

    tx: sa.Connection

    def find(self, names: Iterable[str]) -> Mapping[str, User]:
        return users.find(self.tx, names)

    def group(self, name: str) -> Sequence[User]:
        return users.group(self.tx, name)


def resolve(
    tx: sa.Connection,
    recipients: Sequence[Recipient],
    record: Mapping[str, Any] | None,
    values: Mapping[str, Any],
    excluded: Mapping[str, str],
) -> Resolved:
    """Turn recipients into people.

    Parameters
    ----------
    recipients : sequence of Recipient
        As the rule says them.
    record : mapping or None
        Where ``field`` looks.
    values : mapping of str to object
        What their JavaScript gave, by path: ``to.0`` for the first recipient.
    excluded : mapping of str to str
        Addresses, lower case, that must not get it, with the reason: our own mailboxes, the
        sender of an automatic mail.

    Raises
    ------
    ActionError
        When JavaScript gave something that cannot be a recipient.
    """
    return resolve_in(_StoredUsers(tx), recipients, record, values, excluded)


def resolve_in(
    directory: Directory,
    recipients: Sequence[Recipient],
    record: Mapping[str, Any] | None,
    values: Mapping[str, Any],
    excluded: Mapping[str, str],
) -> Resolved:
    """The same with another directory than the database's users, as a trial has it."""
    given = [_given(one, position, record, values) for position, one in enumerate(recipients)]
    return _resolved(directory, given, excluded)


def resolve_values(tx: sa.Connection, values: Any, where: str, own: Mapping[str, str]) -> Resolved:
    """Turn what a person names as recipients into people.

    Parameters
    ----------
    values : str, mapping, or sequence of these
        Addresses, ids of users, groups; text with commas; ``{address, name}``.
    where : str
        What the error calls it.
    own : mapping of str to str
        Addresses, lower case, that do not get it, with the reason.

    Raises
    ------
    ActionError
        When something in it cannot be a recipient.
    """
    return _resolved(_StoredUsers(tx), [(where, values)], own)


def _resolved(
    directory: Directory, given: Sequence[tuple[str, Any]], excluded: Mapping[str, str]
) -> Resolved:
    named: list[str] = []
    dropped: list[Dropped] = []
    for where, value in given:
        named.extend(_texts(value, where))
    people: dict[str, Person] = {}
    for text, person in _people(directory, named):
        low = person.address.address.lower() if person else ""
        if person is None:
            dropped.append(Dropped(text, NOBODY))
        elif low in excluded:
            dropped.append(Dropped(person.address.address, excluded[low]))
        elif low not in people:
            people[low] = person
    if not named:
        dropped.append(Dropped("anybody", "all recipients are empty"))
    return Resolved(tuple(people.values()), tuple(dropped))


def _given(
    recipient: Recipient,
    position: int,
    record: Mapping[str, Any] | None,
    values: Mapping[str, Any],
) -> tuple[str, Any]:
    if recipient.list_ is not None:
        return f"to[{position}].list", recipient.list_
    if recipient.field is not None:
        return f"field {recipient.field}", (record or {}).get(recipient.field)
    return f"to[{position}].js", values.get(f"to.{position}")


def _texts(value: Any, where: str) -> Iterable[str]:
    """The single recipients in a value: text with commas, {address, name}, or lists of these."""
    if value is None or value == "":
        return
    if isinstance(value, str):
        yield from (part.strip() for part in _split(value) if part.strip())
    elif isinstance(value, Mapping) and isinstance(address := _address_of(value), str):
        name = str(value.get("name") or "").replace('"', "")
        yield f'"{name}" <{address}>' if name else address
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, where)
    else:
        raise ActionError(
            f"{where} gave {json.dumps(value)[:80]}, which is no recipient",
            "Give an address, the id of a user or group, {address, name}, or a list of these",
        )


def _address_of(value: Mapping[str, Any]) -> Any:
    return value.get("address") or value.get("email")


def _split(text: str) -> list[str]:
    """Split at commas and semicolons that stand outside quotes and angle brackets."""
    return re.findall(r'(?:"[^"]*"|<[^>]*>|[^,;"<])+', text)


def _people(directory: Directory, named: Sequence[str]) -> Iterable[tuple[str, Person | None]]:
    parsed = [(text, _parsed(text)) for text in named]
    known = directory.find({a.address if a else text for text, a in parsed})
    for text, address in parsed:
        user = known.get(address.address if address else text)
        if address is not None:
            name = address.name or (user.name if user else "")
            yield text, Person(Address(address.address, name), user)
        elif user is not None:
            yield text, Person(Address(user.address, user.name), user)
        else:
            members = directory.group(text)
            for member in members:
                yield text, Person(Address(member.address, member.name), member)
            if not members:
                yield text, None


def _parsed(text: str) -> Address | None:
    named = _NAMED.match(text)
    address = named["address"].strip() if named else text
    if not _ADDRESS.fullmatch(address):
        return None
    return Address(address, named["name"].strip() if named else "")
