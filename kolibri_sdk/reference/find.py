"""Which record a mail belongs to, and how sure that is (S23)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.message import MessageKind
from kolibri_sdk.model.reference import Grade, ReferenceHit
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.reference.carriers import broken_markers_in, numbers_in, tags_in, tokens_in
from kolibri_sdk.reference.forward import is_forward
from kolibri_sdk.reference.merged import Survivors
from kolibri_sdk.reference.token import Token, subject_tag, verify
from kolibri_sdk.store import Tables, correspondence, keys

__all__ = ["MOST_FORGED", "Reference", "find_references"]

_MOST_TOKENS = 50  #: tokens of one mail that are verified; a mail of forgeries costs no more
_MOST_SUGGESTIONS = 10
MOST_FORGED = 20  #: wrong references of one sender in an hour; above, nobody is known by that name
_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Reference:
    """What the references of one mail come to: the record it is attached to, and suggestions."""

    hit: ReferenceHit | None = None
    suggestions: tuple[ReferenceHit, ...] = ()
    forged: int = 0  #: references that claim to be ours, and whose signature is wrong
    foreign: int = 0  #: markers of another installation, or damaged ones

    @property
    def record(self) -> RecordKey | None:
        """The record that the mail is attached to."""
        return self.hit.record if self.hit else None


@dataclass(slots=True)
class _Candidates:
    signed: list[ReferenceHit] = field(default_factory=list)
    tagged: list[ReferenceHit] = field(default_factory=list)
    headers: list[ReferenceHit] = field(default_factory=list)
    bounced: list[ReferenceHit] = field(default_factory=list)
    weak: list[ReferenceHit] = field(default_factory=list)
    forged: int = 0
    foreign: int = 0

    def proven(self) -> Iterable[ReferenceHit]:
        """Those that may attach the mail."""
        return (*self.signed, *self.tagged, *self.headers, *self.bounced)


def find_references(
    tx: sa.Connection,
    tables: Tables,
    found: Sequence[StoredMessage],
    own: Collection[str] = (),
) -> list[Reference]:
    """The reference of each of these correspondence.

    What proves the record counts in this order: a signed token from a sender whom the record
    knows, the newest first; a subject tag from such a sender; References or In-Reply-To that name
    a mail which we sent; the same from a sender whom the record does not know, as a stranger's.
    A bounce belongs to the record of the mail that it returns. What a forward carries, a bare
    number, a tag from an unknown sender and the id of a mail that came in are suggestions, and
    never attach by themselves. A record that was merged leads on to the one it was merged into;
    one that no longer exists is no hit.

    Parameters
    ----------
    found : sequence of StoredMessage
        Mails that came in, oldest first.
    own : collection of str
        The addresses of our mailboxes, lower case: a wrong reference that names one of them, or
        its domain, counts against its sender.
    """
    secrets = keys.everything(tx)
    sent = correspondence.of_message_ids(tx, {name for item in found for name in _answered(item)})
    tags, numbers = [tags_in(item) for item in found], [numbers_in(item) for item in found]
    numbered = _numbered(tx, tables, tags, numbers)
    survivors = Survivors(tx, tables)
    every = []
    for item, tagged, bare in zip(found, tags, numbers, strict=True):
        one = _proven(tables, secrets, sent, survivors, own, item)
        _add_named(one, secrets, survivors, numbered, tagged, bare)
        every.append(one)
    known = correspondence.correspondents(tx, {r for one in every for r in _named(one.proven())})
    forgers = _forgers(tx, found, every)
    references = []
    for item, one in zip(found, every, strict=True):
        sender = item.sender.address.lower() if item.sender else ""
        trusted = forgers[sender] < MOST_FORGED
        forgers[sender] += one.forged
        trusted = trusted and sender not in own and not _fails_dmarc(item)
        references.append(_choose(item, one, known, trusted=trusted))
    return references


def _fails_dmarc(item: StoredMessage) -> bool:
    """Whether a server that we trust says that the From address is not the sender's (RFC 7489)."""
    checked = item.authentication
    return checked is not None and (checked.dmarc or "").lower() == "fail"


def _forgers(
    tx: sa.Connection, found: Sequence[StoredMessage], every: Sequence[_Candidates]
) -> Counter[str]:
    """How many wrong references each sender has shown in the last hour; asked only when needed."""
    if not any(one.signed or one.tagged or one.headers for one in every):
        return Counter()
    senders = {item.sender.address for item in found if item.sender}
    return correspondence.forged_since(tx, senders, clock.now() - _WINDOW)


def _proven(
    tables: Tables,
    secrets: dict[int, bytes],
    sent: dict[str, correspondence.Named],
    survivors: Survivors,
    own: Collection[str],
    item: StoredMessage,
) -> _Candidates:
    """What its tokens and the ids that it names come to."""
    result = _Candidates()
    for token, carrier in _verified(tables, secrets, own, item, result):
        hit = ReferenceHit(token.record, Grade.SIGNED, carrier, token.issued_at)
        result.signed.extend(survivors.led_on(hit))
    result.signed.sort(key=lambda hit: -hit.issued_at)
    for name in _answered(item):
        if name not in sent:
            continue
        named = sent[name]
        if named.ours:
            hit = ReferenceHit(named.record, Grade.HEADER, "references")
            to = result.bounced if name in item.bounced else result.headers
        else:
            hit = ReferenceHit(named.record, Grade.WEAK, "thread")
            to = result.weak
        to.extend(survivors.led_on(hit))
    return result


def _add_named(
    result: _Candidates,
    secrets: dict[int, bytes],
    survivors: Survivors,
    numbered: dict[str, list[RecordKey]],
    tags: Sequence[tuple[str, str]],
    numbers: Sequence[str],
) -> None:
    """What the tags and numbers of the subject come to."""
    for number, tag in tags:
        for record in _called(numbered, number):
            if any(subject_tag(record, secret) == tag for secret in secrets.values()):
                hit = ReferenceHit(record, Grade.SIGNED, "subject")
                result.tagged.extend(survivors.led_on(hit))
            else:
                result.forged += 1
                hit = ReferenceHit(record, Grade.WEAK, "number")
                result.weak.extend(survivors.led_on(hit))
    for number in numbers:
        for record in _called(numbered, number):
            result.weak.extend(survivors.led_on(ReferenceHit(record, Grade.WEAK, "number")))


def _verified(
    tables: Tables,
    secrets: dict[int, bytes],
    own: Collection[str],
    item: StoredMessage,
    counts: _Candidates,
) -> Iterable[tuple[Token, str]]:
    """The tokens of a mail whose signature is right, each once; the wrong ones are counted."""
    seen: dict[str, Token | None] = {}
    any_right = False
    for carried in islice(tokens_in(item, own), _MOST_TOKENS):
        if carried.token in seen:
            continue
        token = seen[carried.token] = verify(carried.token, secrets, tables.entities)
        if token is None:
            counts.forged += carried.ours
            counts.foreign += not carried.ours
        else:
            any_right = True
            yield token, carried.carrier
    if any_right:
        return
    for text in broken_markers_in(item):
        if text not in seen and (token := verify(text, secrets, tables.entities)):
            yield token, "body"
            return


def _answered(item: StoredMessage) -> tuple[str, ...]:
    """The Message-IDs that it answers or returns, the nearest first."""
    return (*item.bounced, *reversed(item.in_reply_to), *reversed(item.references))


def _numbered(
    tx: sa.Connection,
    tables: Tables,
    tags: Sequence[Sequence[tuple[str, str]]],
    numbers: Sequence[Sequence[str]],
) -> dict[str, list[RecordKey]]:
    """The records that the subjects name by number; one query per entity for all mails."""
    named = {number for of_one in tags for number, _ in of_one}
    named |= {number for of_one in numbers for number in of_one}
    if not named:
        return {}
    spelled = {one for number in named for one in _spellings(number)}
    result: dict[str, list[RecordKey]] = {}
    for name in tables.entities:
        for number, records in tables.of_numbers(tx, name, spelled).items():
            result.setdefault(number, []).extend(records)
    return result


def _called(numbered: dict[str, list[RecordKey]], number: str) -> Iterable[RecordKey]:
    return dict.fromkeys(one for way in _spellings(number) for one in numbered.get(way, ()))


def _spellings(number: str) -> dict[str, None]:
    """As it stands, and as it was before a program changed the case of the subject."""
    return dict.fromkeys((number, number.upper(), number.lower()))


def _named(hits: Iterable[ReferenceHit]) -> Iterable[RecordKey]:
    for hit in hits:
        yield hit.record
        if hit.merged_from is not None:
            yield hit.merged_from


def _choose(
    item: StoredMessage,
    candidates: _Candidates,
    known: dict[RecordKey, set[str]],
    *,
    trusted: bool,
) -> Reference:
    sender = item.sender.address.lower() if item.sender else ""

    def is_known(hit: ReferenceHit) -> bool:
        return trusted and any(sender in known.get(one, ()) for one in _named([hit]))

    signed, tagged, headers = candidates.signed, candidates.tagged, candidates.headers
    suggested = list(candidates.weak)
    if is_forward(item):
        # It came by the record's own address on purpose; all else was inside what is passed on.
        inside = [hit for hit in (*signed, *tagged, *headers) if hit.carrier != "address"]
        suggested = [replace(h, grade=Grade.WEAK, carrier="forward") for h in inside] + suggested
        signed = [hit for hit in signed if hit.carrier == "address"]
        tagged, headers = [], []
    suggested = [replace(hit, grade=Grade.WEAK) for hit in tagged if not is_known(hit)] + suggested
    ways = [
        *candidates.bounced,
        *filter(is_known, (*signed, *tagged, *headers)),
        *(replace(hit, grade=Grade.STRANGER) for hit in (*signed, *headers)),
    ]
    chosen = ways[0] if ways else None
    unique: dict[RecordKey, ReferenceHit] = {}
    for hit in suggested:
        if chosen is None or hit.record != chosen.record:
            unique.setdefault(hit.record, hit)
    few = tuple(islice(unique.values(), _MOST_SUGGESTIONS))
    if item.kind is MessageKind.BOUNCE:
        few = ()
    return Reference(chosen, few, candidates.forged, candidates.foreign)
