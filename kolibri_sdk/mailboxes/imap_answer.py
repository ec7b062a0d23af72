"""IMAP's FETCH answers, read by two regular expressions instead of a lexer: five times as fast."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["MONTHS", "Answer", "members", "read_answers", "uid_set"]

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Part = bytes | tuple[bytes, bytes] | None  # what imaplib makes of a line; a tuple ends in a literal

_STARTS = re.compile(rb"\d+ \(")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)", re.IGNORECASE)
_UID = re.compile(rb"[( ]UID (\d+)", re.IGNORECASE)
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)", re.IGNORECASE)
_DATE = re.compile(
    rb'INTERNALDATE "([ \d]\d)-(\w{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"',
    re.IGNORECASE,
)
_LITERAL = re.compile(rb"BODY\[\] \{(\d+)\}$", re.IGNORECASE)
#: As most servers answer us; whatever looks different is read piece by piece.
_USUAL = re.compile(
    rb"\d+ \(UID (\d+) FLAGS \(([^)]*)\) (INTERNALDATE \"[^\"]{26}\") BODY\[\] \{(\d+)\}"
)
_QUOTED = re.compile(rb'BODY\[\] "((?:[^"\\]|\\.)*)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said of one mail; ``raw`` None: it did not give its bytes."""

    uid: int
    seen: bool
    received_at: datetime | None
    size: int | None
    raw: bytes | None


def uid_set(uids: Sequence[int]) -> str:
    """UIDs as a command names them, neighbours drawn together (RFC 3501, ``sequence-set``).

    Examples
    --------
    >>> uid_set([1, 2, 3, 7, 9, 10])
    '1:3,7,9:10'
    """
    runs: list[list[int]] = []
    for uid in uids:
        if runs and uid == runs[-1][1] + 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in runs)


def members(sequence: str) -> Iterator[int]:
    """The UIDs that a ``sequence-set`` names.

    Examples
    --------
    >>> list(members("1:3,7"))
    [1, 2, 3, 7]
    """
    for part in sequence.split(","):
        ends = [int(end) for end in part.split(":")]
        yield from range(min(ends), max(ends) + 1)


def read_answers(parts: Iterable[Part]) -> dict[int, Answer]:
    r"""The mails in the lines that imaplib collected, by UID.

    A mail whose bytes are cut short, or whose answer does not end, is left out. Where the server
    speaks twice of a mail (it may at any time, RFC 3501 section 7), its bytes are kept.

    Examples
    --------
    >>> answers = read_answers([(b"1 (UID 7 FLAGS (\\Seen) BODY[] {2}", b"hi"), b")"])
    >>> answers[7].raw, answers[7].seen
    (b'hi', True)
    """
    answers: dict[int, Answer] = {}
    left: list[Part] = []
    before: tuple[bytes, bytes] | None = None  # what may turn out to be a usual answer
    for part in parts:
        if before is not None and part == b")" and (usual := _usual(*before)):
            answers[usual.uid] = usual
            before = None
            continue
        if before is not None:
            left.append(before)
        before = part if isinstance(part, tuple) else None
        if before is None:
            left.append(part)
    if before is not None:
        left.append(before)
    for outline, literal in _responses(left):
        answer = _read(outline, literal)
        if answer and (answer.raw is not None or answer.uid not in answers):
            answers[answer.uid] = answer
    return answers


def _usual(text: bytes, literal: bytes) -> Answer | None:
    told = _USUAL.fullmatch(text)
    if told is None or not literal or len(literal) != int(told[4]):
        return None
    seen = b"\\seen" in told[2].lower().split()
    return Answer(int(told[1]), seen, _moment(_DATE.match(told[3])), None, literal)


def _responses(parts: Iterable[Part]) -> Iterable[tuple[bytes, bytes | None]]:
    """Put together again what imaplib cut at the literals: the text around them, and the body."""
    outline, literal = b"", None
    for part in parts:
        text, body = part if isinstance(part, tuple) else (part or b"", None)
        if _STARTS.match(text):
            yield outline, literal
            outline, literal = b"", None
        outline += text
        announced = _LITERAL.search(text) if body is not None else None
        if announced and literal is not None:
            return  # a literal longer than announced has swallowed what followed: all is in doubt
        if announced and body is not None and len(body) == int(announced[1]):
            literal = body
    yield outline, literal


def _read(outline: bytes, literal: bytes | None) -> Answer | None:
    flags = _FLAGS.search(outline)
    # Without the flags: a colleague may have made a keyword that is called UID.
    rest = outline[: flags.start()] + outline[flags.end() :] if flags else outline
    uid = _UID.search(rest)
    if uid is None or not outline.endswith(b")"):
        return None
    size = _SIZE.search(rest)
    quoted = _QUOTED.search(rest) if literal is None else None
    raw = re.sub(rb"\\(.)", rb"\1", quoted[1]) if quoted else literal
    return Answer(
        uid=int(uid[1]),
        seen=flags is not None and b"\\seen" in flags[1].lower().split(),
        received_at=_moment(_DATE.search(rest)),
        size=int(size[1]) if size else None,
        raw=raw or None,  # an expunged mail comes as an empty one from some servers
    )


def _moment(date: re.Match[bytes] | None) -> datetime | None:
    if date is None:
        return None
    try:
        day, month, year, hour, minute, second, sign, hours, minutes = date.groups()
        number = MONTHS.index(month.decode("ascii", "replace").title()) + 1
        local = datetime(
            int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=UTC
        )
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        return local - offset if sign == b"+" else local + offset
    except (ValueError, OverflowError):
        return None
