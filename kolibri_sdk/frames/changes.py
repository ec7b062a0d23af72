"""Changes of records as a frame, and back, so that an outgoing rule can be tried on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.frames.columns import CHANGES
from kolibri_sdk.frames.frame import frame_of
from kolibri_sdk.model.entity import Entity, RecordKey
from kolibri_sdk.model.provenance import Provenance
from kolibri_sdk.model.stored import RecordEvent

__all__ = ["change_frame", "events_of"]

_ORDER = ("close", "reopen", "insert", "update", "delete")
_NEEDED = ("id", "at", "entity", "record_key", "kind", "before", "after")


def change_frame(events: Iterable[RecordEvent], entities: Mapping[str, Entity]) -> pd.DataFrame:
    """One row per change; columns and dtypes as in ``CHANGES``.

    Parameters
    ----------
    entities : mapping of str to Entity
        They say what is a close; changes of others are inserts, updates and deletes only.
    """
    return frame_of((_row(event, entities.get(event.record.entity)) for event in events), CHANGES)


def _row(event: RecordEvent, entity: Entity | None) -> dict[str, Any]:
    words = {event.kind}
    if entity is not None:
        words = entity.happened(event.kind, event.before, event.after)
    why = event.provenance
    return {
        "id": event.id,
        "at": event.at,
        "entity": event.record.entity,
        "record_key": event.record.key,
        "kind": event.kind,
        "happened": [word for word in _ORDER if word in words],
        "changed": list(event.changed) if event.kind == "update" else [],
        "before": None if event.before is None else dict(event.before),
        "after": None if event.after is None else dict(event.after),
        "message": why.message,
        "rule": why.rule,
        "digest": why.digest,
        "user": why.user,
        "state": event.state,
        "error": event.error,
    }


def events_of(frame: pd.DataFrame) -> Iterator[RecordEvent]:
    """The changes in a frame, as outgoing rules see them.

    Raises
    ------
    ConfigurationError
        When the frame lacks a column.
    """
    missing = [name for name in _NEEDED if name not in frame]
    if missing:
        raise ConfigurationError(
            f"The frame of changes has no column {', '.join(map(repr, missing))}",
            'Take one of k.records["incident"].changes()',
        )
    for given in frame.to_dict("records"):
        row = {str(name): value for name, value in given.items()}
        yield RecordEvent(
            id=int(row["id"]),
            record=RecordKey(entity=row["entity"], key=str(row["record_key"])),
            kind=row["kind"],
            before=row["before"] if isinstance(row["before"], dict) else None,
            after=row["after"] if isinstance(row["after"], dict) else None,
            at=row["at"].to_pydatetime(),
            cause=_cause(row),
            state=_given(row, "state") or "done",
            error=_given(row, "error") or "",
        )


def _cause(row: Mapping[str, Any]) -> str | None:
    message = _given(row, "message")
    why = Provenance(
        message=None if message is None else int(message),
        rule=_given(row, "rule"),
        digest=_given(row, "digest"),
        user=_given(row, "user"),
    )
    return str(why) or None


def _given(row: Mapping[str, Any], name: str) -> Any:
    value = row.get(name)
    return None if pd.isna(value) else value
