"""What an outgoing rule may see of a change: plain data, the same everywhere (S5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kolibri_sdk.model.stored import RecordEvent
from kolibri_sdk.model.user import User

__all__ = ["CHANGE_FIELDS", "CHANGE_SHAPES", "change_binding"]

#: The variables of an outgoing rule, and what each holds.
CHANGE_FIELDS = {
    "record": "its fields after the change; of a record that was deleted, before it",
    "old": "its fields before the change, or null where it is new",
    "changed": "names of the fields with another value than before, sorted; of a new one, all",
    "user": "{id, name, address, language, groups} of who did it by hand, or null",
}

#: The same for the static checks, in the form of ``kolibri_sdk.model.binding.SHAPES``; the fields
#: of ``record`` and ``old`` are the entity's.
CHANGE_SHAPES: dict[str, Any] = {
    "changed": ["string"],
    "user": {
        "?": True,
        "id": "string",
        "name": "string",
        "address": "string?",
        "language": "string?",
        "groups": ["string"],
    },
}


def change_binding(event: RecordEvent, people: Mapping[str, User]) -> dict[str, Any]:
    """The variables ``record``, ``old``, ``changed`` and ``user``.

    Parameters
    ----------
    event : RecordEvent
        The change.
    people : mapping of str to User
        Whom the names of those stand for that made changes by hand; of who is not among them,
        only the name is known.

    Examples
    --------
    >>> from kolibri_sdk import clock
    >>> from kolibri_sdk.model.entity import RecordKey
    >>> event = RecordEvent(1, RecordKey(entity="incident", key="7"), "update",
    ...     {"group": "A"}, {"group": "B"}, clock.now(), cause="user:anna")
    >>> change_binding(event, {})["changed"], change_binding(event, {})["user"]["id"]
    (['group'], 'anna')
    """
    return {
        "record": event.after if event.after is not None else event.before,
        "old": event.before,
        "changed": list(event.changed),
        "user": _who(event, people),
    }


def _who(event: RecordEvent, people: Mapping[str, User]) -> dict[str, Any] | None:
    name = event.provenance.user
    if name is None:
        return None
    user = people.get(name) or User(name, "", name)
    return {
        "id": user.id,
        "name": user.name,
        "address": user.address or None,
        "language": user.language,
        "groups": list(user.groups),
    }
