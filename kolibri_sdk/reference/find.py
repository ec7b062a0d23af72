"""Which record a mail belongs to, and how sure that is (S23)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import sqlalchemy as sa

from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.reference import Grade, ReferenceHit
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.reference.carriers import numbers_in, tags_in, tokens_in
from kolibri_sdk.reference.token import subject_tag, verify
from kolibri_sdk.store import Tables, keys, messages

__all__ = ["Reference", "find_references"]

_MOST_TOKENS = 50  #: tokens of one mail that are verified; a mail of forgeries costs no more


@dataclass(frozen=True, slots=True)
class Reference:
    """What the references of one mail come to: the record it is attached to, and suggestions."""

    hit: ReferenceHit | None = None
    suggestions: tuple[ReferenceHit, ...] = ()
    forged: int = 0  #: tokens whose signature is wrong

    @property
    def record(self) -> RecordKey | None:
        """The record that the mail is attached to."""
        return self.hit.record if self.hit else None


@dataclass(slots=True)
class _Candidates:
    signed: list[ReferenceHit] = field(default_factory=list)
    tagged: list[ReferenceHit] = field(default_factory=list)
    headers: list[ReferenceHit] = field(default_factory=list)
    numbers: list[ReferenceHit] = field(default_factory=list)
    forged: int = 0


def find_references(
    tx: sa.Connection, tables: Tables, found: Sequence[StoredMessage]
) -> list[Reference]:
    """The reference of each of these messages.

    A signed token counts most, the newest first; then a subject tag from a known sender; then
    References, In-Reply-To or a bounce that name a mail which we sent. A bare number, or a tag
    from an unknown sender, is a suggestion and never attaches by itself. A record that no longer
    exists is no hit.
    """
    secrets = keys.everything(tx)
    sent = messages.of_message_ids(tx, {name for item in found for name in _answered(item)})
    every = [_candidates(tx, tables, secrets, sent, item) for item in found]
    known = messages.correspondents(
        tx, {hit.record for one in every for hit in (*one.signed, *one.tagged)}
    )
    return [_choose(tx, tables, item, one, known) for item, one in zip(found, every, strict=True)]


def _candidates(
    tx: sa.Connection,
    tables: Tables,
    secrets: dict[int, bytes],
    sent: dict[str, RecordKey],
    item: StoredMessage,
) -> _Candidates:
    result = _Candidates()
    for carried in islice(tokens_in(item), _MOST_TOKENS):
        token = verify(carried.token, secrets, tables.entities)
        if token is None:
            result.forged += 1
        else:
            result.signed.append(
                ReferenceHit(token.record, Grade.SIGNED, carried.carrier, token.issued_at)
            )
    result.signed.sort(key=lambda hit: -hit.issued_at)
    for name in _answered(item):
        if name in sent:
            result.headers.append(ReferenceHit(sent[name], Grade.HEADER, "references"))
    for number, tag in tags_in(item):
        for record in _numbered(tx, tables, [number]):
            if any(subject_tag(record, secret) == tag for secret in secrets.values()):
                result.tagged.append(ReferenceHit(record, Grade.SIGNED, "subject"))
            else:
                result.forged += 1
    bare = numbers_in(item)
    result.numbers = [
        ReferenceHit(record, Grade.WEAK, "number")
        for record in (_numbered(tx, tables, bare) if bare else ())
    ]
    return result


def _answered(item: StoredMessage) -> tuple[str, ...]:
    """The Message-IDs that it answers or returns, the nearest first."""
    return (*item.bounced, *reversed(item.in_reply_to), *reversed(item.references))


def _numbered(tx: sa.Connection, tables: Tables, numbers: list[str]) -> Iterable[RecordKey]:
    for name in tables.entities:
        yield from tables.of_numbers(tx, name, numbers)


def _choose(
    tx: sa.Connection,
    tables: Tables,
    item: StoredMessage,
    candidates: _Candidates,
    known: dict[RecordKey, set[str]],
) -> Reference:
    sender = item.sender.address.lower() if item.sender else ""

    def is_known(hit: ReferenceHit) -> bool:
        return sender in known.get(hit.record, ())

    signed = [
        hit
        if is_known(hit)
        else ReferenceHit(hit.record, Grade.STRANGER, hit.carrier, hit.issued_at)
        for hit in candidates.signed
    ]
    tagged = [hit for hit in candidates.tagged if is_known(hit)]
    chosen = next(
        (
            hit
            for hit in (*signed, *tagged, *candidates.headers)
            if tables.find(tx, hit.record) is not None
        ),
        None,
    )
    weak = [
        ReferenceHit(hit.record, Grade.WEAK, hit.carrier)
        for hit in (*candidates.tagged, *candidates.numbers)
    ]
    unique = {
        hit.record: hit for hit in reversed(weak) if chosen is None or hit.record != chosen.record
    }
    return Reference(chosen, tuple(reversed(unique.values())), candidates.forged)
