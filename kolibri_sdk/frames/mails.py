"""Mails to rows of a frame and back: the same for the central table and for archives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.frames.columns import MESSAGES, FrameColumn
from kolibri_sdk.frames.frame import frame_of
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.message import (
    Address,
    Authentication,
    Direction,
    ForwardedMail,
    MessageKind,
    MessageState,
)
from kolibri_sdk.model.stored import StoredAttachment, StoredMessage

__all__ = ["chosen_columns", "mail_frame", "messages_of", "stored_columns"]

#: Columns for people, made from other ones or of no account to a condition.
_ASIDE = {"source", "thread", "forwarded_from", "spf", "dkim", "dmarc"}
#: What a trial needs of a frame: the fields of a condition's ``message``, and which mail it is.
_NEEDED = tuple(name for name in MESSAGES if name not in _ASIDE)


def chosen_columns(names: Sequence[str] | None) -> dict[str, FrameColumn]:
    """These columns of ``MESSAGES``, all where none are named.

    Raises
    ------
    NotFound
        When there is no column of such a name.
    """
    for name in names or ():
        if name not in MESSAGES:
            raise NotFound.named("column of messages", name, list(MESSAGES))
    return {name: MESSAGES[name] for name in names} if names is not None else dict(MESSAGES)


def mail_frame(
    rows: Iterable[Mapping[str, Any]], columns: Mapping[str, FrameColumn] = MESSAGES
) -> pd.DataFrame:
    """A frame of mails.

    Parameters
    ----------
    rows : iterable of mapping
        By the names of the table's columns, with ``attachments`` as a list of mappings.
    columns : mapping
        Some of ``MESSAGES``.
    """
    threads = _Threads()
    shown = frame_of(_shown(rows, columns, threads if "thread" in columns else None), columns)
    if "thread" in columns:
        shown["thread"] = pd.Series(threads.roots(), dtype=columns["thread"].dtype)
    return shown


def stored_columns(columns: Iterable[str]) -> list[str]:
    """Which columns of the table these columns of a frame are made from, each once."""
    needed = [name for column in columns for name in _MADE_FROM.get(column, (column,))]
    return list(dict.fromkeys(needed))


def messages_of(frame: pd.DataFrame) -> list[StoredMessage]:
    """The mails of a frame as values, as a rule is tried on them.

    Parameters
    ----------
    frame : DataFrame
        Of ``read_mail`` or ``k.messages.frame``, whole or some of its rows.

    Raises
    ------
    ConfigurationError
        When columns are missing that a condition may look at.
    """
    missing = [name for name in _NEEDED if name not in frame.columns]
    if missing:
        raise ConfigurationError(
            f"The frame has no column {', '.join(missing)}",
            "Read it without `columns=`, so that conditions find all they may ask for",
        )
    return [_message(row) for row in _records(frame[list(_NEEDED)])]


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _addresses(row: Mapping[str, Any], name: str) -> list[str]:
    return [person["address"] for person in row[name] or ()]


def _names(row: Mapping[str, Any], name: str) -> list[str]:
    return [person["name"] for person in row[name] or ()]


def _list(row: Mapping[str, Any], name: str) -> list[Any]:
    return list(row[name] or ())


def _headers(row: Mapping[str, Any], name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in row[name] or ():
        found.setdefault(key.lower(), []).append(value)
    return found


_PART = ("filename", "content_type", "size", "inline")


def _parts(row: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return [{key: part[key] for key in _PART} for part in row[name]]


def _forwarder(row: Mapping[str, Any], name: str) -> str | None:
    sender = (row[name] or {}).get("from") or {}
    return sender.get("address") or sender.get("name")


def _check(method: str) -> Callable[[Mapping[str, Any], str], Any]:
    return lambda row, name: (row[name] or {}).get(method)


_MAKERS: dict[str, tuple[str, Callable[[Mapping[str, Any], str], Any]]] = {
    "to": ("to_addresses", _addresses),
    "to_names": ("to_addresses", _names),
    "cc": ("cc_addresses", _addresses),
    "cc_names": ("cc_addresses", _names),
    "reply_to": ("reply_to_addresses", _addresses),
    "reply_to_names": ("reply_to_addresses", _names),
    "headers": ("headers", _headers),
    "attachments": ("attachments", _parts),
    "in_reply_to": ("in_reply_to", _list),
    "references": ("reference_ids", _list),
    "forwarded_from": ("forwarded", _forwarder),
    "spf": ("authentication", _check("spf")),
    "dkim": ("authentication", _check("dkim")),
    "dmarc": ("authentication", _check("dmarc")),
    "defects": ("defects", _list),
}
_MADE_FROM = {
    **{name: (stored,) for name, (stored, _) in _MAKERS.items()},
    "thread": ("message_id", "in_reply_to", "reference_ids"),
}


def _shown(
    rows: Iterable[Mapping[str, Any]], columns: Iterable[str], threads: _Threads | None
) -> Iterator[dict[str, Any]]:
    made = [(name, *_MAKERS[name]) for name in columns if name in _MAKERS]
    plain = [name for name in columns if name not in _MAKERS and name != "thread"]
    for row in rows:
        if threads is not None:
            threads.add(row)
        yield {
            **{name: row.get(name) for name in plain},
            **{name: make(row, stored) for name, stored, make in made},
        }


class _Threads:
    """Which mail began the thread of each, by References and In-Reply-To (RFC 5322 3.6.4)."""

    def __init__(self) -> None:
        self._names: list[str | None] = []
        self._above: dict[str, str] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Take note of the next row."""
        above = [*(row["reference_ids"] or ())[:1], *(row["in_reply_to"] or ())[:1]]
        name = row["message_id"]
        if above and name:
            self._above.setdefault(name, above[0])
        self._names.append(above[0] if above else name)

    def roots(self) -> list[str | None]:
        """For each row in order the Message-ID of the first mail of its thread."""
        known: dict[str, str] = {}
        return [name and self._root(name, known) for name in self._names]

    def _root(self, name: str, known: dict[str, str]) -> str:
        way: dict[str, None] = {}
        while name not in known and name in self._above and name not in way:
            way[name] = None
            name = self._above[name]
        # Mails that answer each other in a circle are one thread, named for one of them.
        root = known.get(name) or (min(way) if name in way else name)
        known.update(dict.fromkeys(way, root))
        return root


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _or_none(value: Any) -> Any:
    return None if pd.isna(value) else value


def _mapping(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, Mapping) else None


def _people(row: Mapping[str, Any], name: str) -> tuple[Address, ...]:
    return tuple(map(Address, row[name], row[f"{name}_names"]))


def _message(row: Mapping[str, Any]) -> StoredMessage:
    sender, entity = _or_none(row["from_address"]), _or_none(row["entity"])
    forwarded, checked = _mapping(row["forwarded"]), _mapping(row["authentication"])
    received, sent = _or_none(row["received_at"]), _or_none(row["sent_at"])
    return StoredMessage(
        id=row["id"],
        direction=Direction(row["direction"]),
        mailbox=_text(row["mailbox"]),
        state=MessageState(row["state"]),
        received_at=received and received.to_pydatetime(),
        size=row["size"],
        blob=None,
        message_id=_or_none(row["message_id"]),
        in_reply_to=tuple(row["in_reply_to"]),
        references=tuple(row["references"]),
        sender=Address(sender, _text(row["from_name"])) if sender is not None else None,
        to=_people(row, "to"),
        cc=_people(row, "cc"),
        reply_to=_people(row, "reply_to"),
        subject=_text(row["subject"]),
        sent_at=sent and sent.to_pydatetime(),
        text=_text(row["text"]),
        html=_or_none(row["html"]),
        reply_text=_text(row["reply_text"]),
        headers=tuple((name, value) for name, values in row["headers"].items() for value in values),
        kind=MessageKind(row["kind"]),
        record=RecordKey(entity=entity, key=row["record_key"]) if entity is not None else None,
        grade=_or_none(row["grade"]),
        forwarded=ForwardedMail.of_json(forwarded) if forwarded else None,
        authentication=Authentication.of_json(checked) if checked else None,
        defects=tuple(row["defects"]),
        error=_text(row["error"]),
        attachments=tuple(
            StoredAttachment(**part, content_id=None, blob="") for part in row["attachments"]
        ),
    )
