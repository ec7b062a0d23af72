"""The line above a quoted mail: "Am 1. Mai 2026 schrieb Anna <anna@example.org>:"."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["attribution_length"]

_LONGEST = 1000  # characters
_MOST_LINES = 5  # mail programs wrap a long attribution

_OPENS = re.compile(
    r"(?:am|on|at|le|el|il|den|op|em|à|dnia|dňa|dne|w dniu|em data|a|le|la|pe|på|в|у|на|alkaen"
    r"|在|于|on date|datum|il giorno|el día|the)[ \xa0]",
    re.I,
)
# What a word begins with is looked at first: three times as fast as to try each of the words.
_WROTE = re.compile(
    r"(?:\b(?=[aeghjknrsvwyéíέнп])"
    r"(?:schrieb|schreibt|geschrieben|wrote|writes|has written|a écrit|écrit|a ecrit|escribió"
    r"|escribio|ha escrito|va escriure|escribiu|escreveu|escrita|ha scritto|scrive|scrisse|skrev"
    r"|skriver|schreef|geschreven|schrijft|napisał|napisała|napisali|napsal|napsala|napísal"
    r"|napísala|napisao|napisala|je napisal|написал|написала|написав|пишет|пише|писал"
    r"|kirjoitti|írta|yazdı|a scris|έγραψε|rašė|rakstīja|kirjutas)\b(?:\(a\)|/-?a)?"
    r"|(?=[нכكنđmเ写寫님の書])"
    r"(?:написа|כתב|كتب|نوشت|đã viết|menulis|เขียนว่า|写道|寫道|님이 작성|のメール|書きました))",
    re.I,
)
_PRONOUN = re.compile(
    r"\b(?:i|he|she|we|they|je|il|elle)\s+(?:wrote|writes|a écrit)\b"
    r"|\b(?:schrieb|schreibt)\s+(?:ich|er|sie|wir)\b",
    re.I,
)
_MAILBOX = re.compile(r"<(?:mailto:)?[^<>\s@]+@[^<>\s@]+(?:<mailto:[^<>\s]*>)?\s?>")
_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+\.\w")
_DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d(?!\d)|\d{1,2}[:.h]\d\d(?!\d)|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?!\d))"
)
_DAY = re.compile(r"(?<!\d)(?:(?:19|20)\d\d(?!\d)|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?!\d))")
# At the beginning: "2016-03-03 17:21", "20 окт. 2016 г.", "tir. 18. apr. 2017", "2016年12月".
_DATE_FIRST = re.compile(
    r"(?:[^\W\d_]{2,12}\.?,?[ \xa0])?\d{1,4}(?:[.\-/ \xa0年년]|th |st |nd |rd )"
)
_CLOCKED = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2},?\s+\d{1,2}:\d\d\b")
_ZONE = re.compile(r"\b(?:GMT|UTC)(?:[+-]\d|\b)")
_LONGEST_VERB = 40  # characters, with what may stand around it
_FRAME = "- \t\xa0*_\u200e\u200f\u202a\u202b\u202c"


def attribution_length(lines: Sequence[str], position: int) -> int:
    """How many lines from here are an attribution; 0 where they are none.

    Mail programs write it in the language of their user, so what counts is the shape: a date, an
    address, a verb of writing, a colon, a quote below. No one of these alone is enough.

    Examples
    --------
    >>> attribution_length(["On Mon, 4 May 2026, Anna <anna@example.org>", "wrote:", "> Hi"], 0)
    2
    >>> attribution_length(["On the phone she wrote down:", "- bread"], 0)
    0
    """
    first = lines[position].strip(_FRAME)
    opened = _opens(first)
    if not opened and "@" not in first and not first.endswith((":", "：")):
        return 0
    chunk = ""
    for count in range(1, _MOST_LINES + 1):
        line = lines[position + count - 1] if position + count <= len(lines) else ""
        text = line.strip(_FRAME)
        # A line that itself opens with a date begins the attribution; this one is text above it.
        if not text or (_begins_anew(text) and count > 1 and not _WROTE.search(chunk)):
            return 0
        chunk = f"{chunk} {text}".lstrip()
        if len(chunk) > _LONGEST or (count > 1 and text.startswith(">") and text[1:2] != ":"):
            return 0
        below = _first_below(lines, position + count)
        if _is_attribution(chunk, opened=opened, quoted=below.startswith((">", "|"))):
            return count
        if text.endswith((":", "：")) and _WROTE.search(chunk):
            return 0  # whole, and none; the lines below begin another
        if not opened and not _may_go_on(first, lines, position):
            return 0
    return 0


def _opens(line: str) -> bool:
    return bool(_OPENS.match(line) or _DATE_FIRST.match(line))


def _begins_anew(line: str) -> bool:
    return _opens(line) and _DAY.search(line) is not None


def _may_go_on(first: str, lines: Sequence[str], position: int) -> bool:
    """Whether a line that begins with a name can be an attribution that was wrapped."""
    if not _ADDRESS.search(first) and "<" not in first:
        return False
    after = lines[position + 1].strip(_FRAME) if position + 1 < len(lines) else ""
    return bool(_WROTE.search(first) or _WROTE.match(after))


def _first_below(lines: Sequence[str], position: int) -> str:
    """The first line that is not blank among the next three."""
    return next((line.strip() for line in lines[position : position + 3] if line.strip()), "")


def _is_attribution(chunk: str, *, opened: bool, quoted: bool) -> bool:
    colon = chunk.endswith((":", "："))
    if not colon and not chunk.endswith(">"):
        # Most lines: to look for the verb in their end is enough, and much faster.
        end = max(len(chunk) - _LONGEST_VERB, 0)
        if not _CLOCKED.match(chunk) and not _WROTE.search(chunk, end):
            return False
    dated = bool(_DATE.search(chunk))
    mailbox = bool(_MAILBOX.search(chunk))
    wrote = _WROTE.search(chunk)
    if wrote is None:
        # Gmail in many languages, and its old form: the date first, no verb.
        if _CLOCKED.match(chunk) and (_ZONE.search(chunk[:60]) or (mailbox and colon)):
            return colon or mailbox or len(chunk) < 100
        if (
            _DATE_FIRST.match(chunk)
            and _DATE.search(chunk[:40])
            and chunk.endswith(">")
            and mailbox
        ):
            return len(chunk) < 200
        if not colon or not mailbox:
            return False
        return (dated and (opened or quoted)) or (quoted and len(chunk) < 200)
    if _PRONOUN.search(chunk) and not mailbox and not quoted:
        return False
    ends = colon or wrote.end() >= len(chunk) - 1
    if not ends or (not colon and not quoted and not (dated and mailbox)):
        return False
    if not (dated or _ADDRESS.search(chunk) or quoted):
        return False
    return opened or mailbox or quoted or bool(_ADDRESS.search(chunk))
