"""What the sender of a reply newly wrote, without the quoted mail and the signature."""

from __future__ import annotations

import re

__all__ = ["newly_written"]

_LONGEST = 1000  # characters of a line that can be an attribution or a heading
_ATTRIBUTION_LINES = 4  # mail programs wrap a long attribution

_OPENS = re.compile(r"(?:am|on|at|le|el|il|den|op|em|à)\b", re.I)
_WROTE = re.compile(
    r"\b(?:schrieb|geschrieben|wrote|writes|a écrit|escribió|escreveu|ha scritto|skrev|schreef"
    r"|napisał)\b",
    re.I,
)
_MAILBOX = re.compile(r"<(?:mailto:)?[^<>\s@]+@[^<>\s@]+>")
_DATED = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}\s\d{1,2}:\d\d\b")
# The line above a mail that is answered or forwarded whole.
_HEADING = re.compile(
    r"[-_*\s]*(?:ursprüngliche (?:nachricht|e-?mail)|original[ -](?:message|nachricht|e-?mail)"
    r"|weitergeleitete (?:nachricht|e-?mail)|forwarded message|begin forwarded message"
    r"|message d'origine|mensaje original|messaggio originale)[-_*\s:]*",
    re.I,
)
_HEADER = re.compile(
    r"[\s>*]*(?P<name>von|from|de|da|van|gesendet|sent|enviado|envoyé|inviato|datum|date|data|fecha"
    r"|an|to|a|à|para|risposta|reply-to|cc|betreff|subject|asunto|objet|oggetto)\*?\s?:",
    re.I,
)
_FROM = re.compile(r"[\s*]*(?:von|from|de|da|van)\*?\s?:[\s*]*\S", re.I)
_RULE = re.compile(r"\s*[_=-]{20,}\s*")
_SIGNATURE = re.compile(r"--\s?")
_DEVICE = re.compile(
    r"\s*(?:von meinem .{2,40} gesendet|(?:diese nachricht wurde )?gesendet (?:von meinem|mit der)"
    r"|diese nachricht wurde von meinem|sent from (?:my|mail for|outlook)|get outlook for"
    r"|holen sie sich outlook|envoyé de mon)",
    re.I,
)


def newly_written(text: str) -> str:
    r"""Cut the quoted mail and the signature off a reply.

    Where cutting would leave nothing, nothing is cut.

    Parameters
    ----------
    text : str
        A mail's plain text.

    Examples
    --------
    >>> newly_written("Danke!\n\nAm 1. Mai schrieb Anna <a@x.example>:\n> Bitte sehr.")
    'Danke!'
    """
    lines = text.replace("\r\n", "\n").split("\n")
    kept: list[str] = []
    position = 0
    while position < len(lines) and not _ends_here(lines, position):
        line = lines[position]
        if length := _attribution(lines, position):
            if not _answers_below(lines, position + length):
                break
            position += length
            continue
        if not line.lstrip().startswith(">"):
            kept.append(line.rstrip())
        position += 1
    written = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
    return written or text.strip()


def _ends_here(lines: list[str], position: int) -> bool:
    """Whether nothing below this line is newly written."""
    line = lines[position]
    if not line or len(line) > _LONGEST:
        return False
    return bool(
        _SIGNATURE.fullmatch(line)
        or _DEVICE.match(line)
        or (_HEADING.fullmatch(line) and position + 1 < len(lines))
        or (_FROM.match(line) and _is_header_block(lines, position))
        or (_RULE.fullmatch(line) and _is_header_block(lines, position + 1))
    )


def _is_header_block(lines: list[str], position: int) -> bool:
    """Whether the headers of a mail begin here, as Outlook puts them above what it quotes."""
    following = [line for line in lines[position : position + 10] if line.strip()][:6]
    names = {
        found["name"].lower() for line in following if (found := _HEADER.match(line[:_LONGEST]))
    }
    return bool(following) and _FROM.match(following[0]) is not None and len(names) >= 3


def _attribution(lines: list[str], position: int) -> int:
    """How many lines from here are an "On … wrote:"; 0 where they are none."""
    for count in range(1, _ATTRIBUTION_LINES + 1):
        chunk = " ".join(line.strip() for line in lines[position : position + count])
        if len(chunk) > _LONGEST or not chunk or chunk.startswith(">"):
            return 0
        if chunk.endswith(":") and _is_attribution(
            chunk, lines[position + count : position + count + 3]
        ):
            return count
        if count == 1 and not (_OPENS.match(chunk) or _MAILBOX.search(chunk)):
            return 0
    return 0


def _is_attribution(chunk: str, following: list[str]) -> bool:
    if _DATED.match(chunk) and _MAILBOX.search(chunk):
        return True
    if not _WROTE.search(chunk[-160:]) or not (_OPENS.match(chunk) or _MAILBOX.search(chunk)):
        return False
    # "On the phone she wrote down:" is a sentence; a date, an address or a quote makes the
    # difference.
    return any(char.isdigit() or char == "@" for char in chunk) or any(
        line.lstrip().startswith(">") for line in following
    )


def _answers_below(lines: list[str], position: int) -> bool:
    """Whether the sender wrote between or below what he quotes with ``>``."""
    quoted = False
    for index in range(position, len(lines)):
        stripped = lines[index].strip()
        if stripped.startswith(">"):
            quoted = True
        elif _SIGNATURE.fullmatch(lines[index]):
            return False
        elif stripped:
            return quoted
    return False
