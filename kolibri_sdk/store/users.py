"""Users: who the system knows, by id and by address (S8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.model.user import User
from kolibri_sdk.store.dialect import query_in_chunks, upsert
from kolibri_sdk.store.schema import user

__all__ = ["everybody", "find", "group", "put", "select"]


def put(tx: sa.Connection, person: User) -> None:
    """Enter a user, or replace the one with this id.

    Raises
    ------
    ConfigurationError
        When the address is another user's.
    """
    other = find(tx, [person.address]).get(person.address)
    if other is not None and other.id != person.id:
        raise ConfigurationError(
            f"{person.address} is the address of the user {other.id!r} already",
            "Give each user an address of their own",
        )
    values = {
        "address": person.address,
        "name": person.name,
        "language": person.language,
        "groups": list(person.groups),
    }
    tx.execute(
        upsert(tx, user)
        .values(id=person.id, **values)
        .on_conflict_do_update(index_elements=["id"], set_=values)
    )


def find(tx: sa.Connection, names: Iterable[str]) -> dict[str, User]:
    """The users with these ids or addresses (whatever their case): name asked for → user."""
    wanted: dict[str, list[str]] = {}
    for name in names:
        wanted.setdefault(name.lower(), []).append(name)
    found: dict[str, User] = {}
    low_id, low_address = sa.func.lower(user.c.id), sa.func.lower(user.c.address)
    for chunk in query_in_chunks(wanted):
        rows = tx.execute(sa.select(user).where(low_id.in_(chunk) | low_address.in_(chunk)))
        for person in map(_user, rows):
            for low in (person.id.lower(), person.address.lower()):
                found.update(dict.fromkeys(wanted.get(low, ()), person))
    return found


def group(tx: sa.Connection, name: str) -> list[User]:
    """The members of a group, by id."""
    return [person for person in everybody(tx) if name in person.groups]


def everybody(tx: sa.Connection) -> list[User]:
    """All users, by id."""
    return [_user(row) for row in tx.execute(sa.select(user).order_by(user.c.id))]


def select(tx: sa.Connection) -> list[dict[str, Any]]:
    """All users as rows, by id."""
    return [dict(row) for row in tx.execute(sa.select(user).order_by(user.c.id)).mappings()]


def _user(row: Any) -> User:
    return User(
        id=row.id,
        address=row.address,
        name=row.name,
        language=row.language,
        groups=tuple(row.groups or ()),
    )
