"""Who gets a mail: the three kinds of recipients, resolved to people, with those left out (S6)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa

from kolibri_sdk.errors import ActionError
from kolibri_sdk.model.message import Address
from kolibri_sdk.model.rule import Recipient
from kolibri_sdk.model.user import User
from kolibri_sdk.store import users

__all__ = [
    "MOST_RECIPIENTS",
    "NOBODY",
    "Directory",
    "Dropped",
    "Person",
    "Resolved",
    "StoredUsers",
    "faulty_recipient",
    "named_in",
    "resolve",
    "resolve_in",
    "resolve_values",
]

NOBODY = "is no address, user or group"  #: why a name is dropped that leads to no one
MOST_RECIPIENTS = 1000  #: that one entry of ``to`` may name; a group may have more members

_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+")
_LONGEST = 80  #: characters of a value that is no recipient
_NAMED = re.compile(r'^\s*"?(?P<name>[^"<]*?)"?\s*<(?P<address>[^<>]+)>\s*$')


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who gets a mail; ``user`` where the system knows them.

    ``via`` says which entry of ``to`` named them, such as ``to[0].list``, ``field caller`` or
    ``field group, group Network``.
    """

    address: Address
    user: User | None = None
    via: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A recipient who gets nothing, and why; ``via`` says which entry of ``to`` named them."""

    value: str
    reason: str
    via: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Resolved:
    """Everybody who gets the mail, once each, and everybody who does not.

    ``doubles`` are those who were named once more, for whom nothing is lost.
    """

    people: tuple[Person, ...]
    dropped: tuple[Dropped, ...] = ()
    doubles: tuple[Dropped, ...] = field(default=(), compare=False)


class Directory(Protocol):
    """Where the names of users and groups are looked up."""

    def find(self, names: Iterable[str]) -> Mapping[str, User]:
        """The users with these ids or addresses: name asked for → user."""

    def group(self, name: str) -> Sequence[User]:
        """The members of a group; none where there is no such group."""


class StoredUsers:
    """The users of the database; each name and the groups are looked up once."""

    def __init__(self, tx: sa.Connection) -> None:
        self._tx = tx
        self._known: dict[str, User | None] = {}
        self._groups: dict[str, list[User]] | None = None

    def find(self, names: Iterable[str]) -> Mapping[str, User]:
        """The users with these ids or addresses: name asked for → user."""
        wanted = list(names)
        if new := [name for name in wanted if name not in self._known]:
            self._known |= dict.fromkeys(new) | users.find(self._tx, new)
        return {name: user for name in wanted if (user := self._known[name]) is not None}

    def group(self, name: str) -> Sequence[User]:
        """The members of a group; none where there is no such group."""
        if self._groups is None:
            self._groups = {}
            for person in users.everybody(self._tx):
                for group in person.groups:
                    self._groups.setdefault(group, []).append(person)
        return self._groups.get(name, ())


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
    return resolve_in(StoredUsers(tx), recipients, record, values, excluded)


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
    return _resolved(StoredUsers(tx), [(where, values)], own)


def _resolved(
    directory: Directory, given: Sequence[tuple[str, Any]], excluded: Mapping[str, str]
) -> Resolved:
    named: list[tuple[str, str]] = []
    for where, value in given:
        texts, fault = _texts(value)
        if fault:
            raise ActionError(f"{where} {fault}", _MEND)
        named.extend((where, text) for text in texts)
    people: dict[str, Person] = {}
    dropped: list[Dropped] = []
    doubles: list[Dropped] = []
    for text, via, person in _people(directory, named):
        low = person.address.address.lower() if person else ""
        if person is None:
            dropped.append(Dropped(text, NOBODY, via))
        elif low in excluded:
            dropped.append(Dropped(person.address.address, excluded[low], via))
        elif low in people:
            first = people[low].via
            doubles.append(Dropped(person.address.address, f"gets it already, by {first}", via))
        else:
            people[low] = person
    if not named:
        dropped.append(Dropped("anybody", "all recipients are empty"))
    return Resolved(tuple(people.values()), tuple(dropped), tuple(doubles))


_MEND = "Give an address, the id of a user or group, {address, name}, or a list of these"


def named_in(
    recipients: Sequence[Recipient], record: Mapping[str, Any] | None, values: Mapping[str, Any]
) -> list[str]:
    """What the recipients name, as text, before anybody is looked up: to look all of it up at once.

    Addresses come as they would be looked up: without the name beside them.
    """
    found: list[str] = []
    for position, recipient in enumerate(recipients):
        for text in _texts(_given(recipient, position, record, values)[1])[0]:
            address = _parsed(text)
            found.append(address.address if address else text)
    return found


def faulty_recipient(
    recipients: Sequence[Recipient], record: Mapping[str, Any] | None, values: Mapping[str, Any]
) -> tuple[int, str] | None:
    """The first entry of ``to`` that gave something which cannot be a recipient, and what it gave.

    Returns
    -------
    tuple of int and str, or None
        Its place in ``to``, and words such as ``field watchers gave 5, which is no recipient``.
    """
    for position, recipient in enumerate(recipients):
        where, value = _given(recipient, position, record, values)
        if fault := _texts(value)[1]:
            return position, f"{where} {fault}"
    return None


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


def _texts(value: Any) -> tuple[list[str], str]:
    """The single recipients in a value, and what is wrong with it.

    A value is text with commas, {address, name}, or a flat list of these.
    """
    entries = value if isinstance(value, list | tuple) else [value]
    texts: list[str] = []
    for entry in entries:
        if entry is None or entry == "":
            continue
        if isinstance(entry, str):
            texts.extend(part.strip() for part in _split(entry) if part.strip())
        elif isinstance(entry, Mapping) and isinstance(address := _address_of(entry), str):
            name = str(entry.get("name") or "").replace('"', "")
            texts.append(f'"{name}" <{address}>' if name else address)
        else:
            inside = " in its list" if entry is not value else ""
            return [], f"gave {_shown(entry)}{inside}, which is no recipient"
        if len(texts) > MOST_RECIPIENTS:
            many = f"{len(entries):,}" if entry is not value else f"more than {MOST_RECIPIENTS:,}"
            return [], f"gave {many} recipients, of which {MOST_RECIPIENTS:,} are allowed"
    return texts, ""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _address_of(value: Mapping[str, Any]) -> Any:
    return value.get("address") or value.get("email")


def _split(text: str) -> list[str]:
    """Split at commas and semicolons that stand outside quotes and angle brackets."""
    return re.findall(r'(?:"[^"]*"|<[^>]*>|[^,;"<])+', text)


def _people(
    directory: Directory, named: Sequence[tuple[str, str]]
) -> Iterable[tuple[str, str, Person | None]]:
    """Text and entry of each recipient, with the person; a group gives its members."""
    parsed = [(text, via, _parsed(text)) for via, text in named]
    known = directory.find({a.address if a else text for text, _, a in parsed})
    for text, via, address in parsed:
        user = known.get(address.address if address else text)
        if address is not None:
            name = address.name or (user.name if user else "")
            yield text, via, Person(Address(address.address, name), user, via)
        elif user is not None:
            yield text, via, Person(Address(user.address, user.name), user, via)
        else:
            members = directory.group(text)
            through = f"{via}, group {text}"
            for member in members:
                person = Person(Address(member.address, member.name), member, through)
                yield text, through, person
            if not members:
                yield text, via, None


def _parsed(text: str) -> Address | None:
    named = _NAMED.match(text)
    address = named["address"].strip() if named else text
    if not _ADDRESS.fullmatch(address):
        return None
    return Address(address, named["name"].strip() if named else "")
