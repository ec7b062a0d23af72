"""What the sender of a reply newly wrote, without the quoted mail and the signature."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

from kolibri_sdk.mail.attribution import attribution_length
from kolibri_sdk.mail.quoted_head import read_quoted_head
from kolibri_sdk.mail.signature import DEVICE_BEGINNINGS, is_device_line, is_signature

__all__ = ["is_forward_heading", "newly_written"]

_LONGEST = 1000  # characters of a line that can be a heading

# Only a line that holds or begins with such can begin a quote or a signature: most lines of most
# mails are not looked at further.
_SYMBOLS = frozenset(">|_=*~#(<[\u2014\u2013-")
# With the blanks of all scripts that can stand before them.
_SYMBOLS_OR_BLANKS = _SYMBOLS | {char for char in map(chr, range(0x3001)) if char.isspace()}
_MOST_CANDIDATES = 5_000  # a mail of nothing but such lines is not worth seconds
#: "-----Original Message-----" and its like: below stands a mail that is answered.
_ANSWERED = (
    r"original[ -](?:message|nachricht|e-?mail|appointment|mail)"
    r"|ursprüngliche (?:nachricht|e-?mail)|originalnachricht|antwortnachricht"
    r"|reply message|message (?:d'origine|original|initial)"
    r"|mensaje original|mensagem original|correo original|messaggio (?:originale|di risposta)"
    r"|oorspronkelijk bericht|origineel bericht|oprindelig meddelelse|opprinnelig melding"
    r"|ursprungligt meddelande|originalmeddelande|alkuperäinen viesti|wiadomość oryginalna"
    r"|oryginalna wiadomość|treść oryginalnej wiadomości|původní (?:zpráva|e-?mail)"
    r"|pôvodná správa|eredeti üzenet|mesaj original|исходное сообщение|оригинальное сообщение"
    r"|оригінальне повідомлення|orijinal (?:mesaj|ileti)|原始邮件|原始郵件"
    r"|元のメッセージ|원본 메시지"
)
#: "---------- Forwarded message ---------" and its like: below stands a mail that is passed on.
_FORWARDED = (
    r"forwarded (?:message|mail|e-?mail)(?: follows)?|weitergeleitete (?:nachricht|e-?mail|mail)"
    r"|message transféré|message transmis|mensaje reenviado|mensagem (?:encaminhada|reencaminhada)"
    r"|messaggio inoltrato|doorgestuurd bericht|videresendt (?:meddelelse|melding|besked)"
    r"|vidarebefordrat (?:meddelande|mail)|välitetty viesti|edelleen lähetetty viesti"
    r"|(?:przekazana|przesłana dalej) wiadomość|wiadomość przekazana|přeposlaná zpráva"
    r"|preposlaná správa|továbbított (?:üzenet|levél)|mesaj redirecționat|пересылаемое сообщение"
    r"|переадресоване повідомлення|iletilen (?:mesaj|ileti)|转发的邮件|轉寄郵件"
    r"|転送(?:された)?メッセージ"
    r"|begin forwarded message|anfang der weitergeleiteten (?:nachricht|e-?mail)"
    r"|début du message (?:réexpédié|transféré)|inicio del mensaje reenviado"
    r"|inizio messaggio inoltrato|begin doorgestuurd bericht|início da mensagem reencaminhada"
    r"|start på vidarebefordrat meddelande|begynnelse på videresendt melding"
    r"|początek przekazywanej wiadomości|начало переадресованного сообщения"
)
_EDGE = r"[-_*=>#\s\xa0]*"
_FORWARD_HEADING = re.compile(
    rf"{_EDGE}(?:{_FORWARDED})(?: (?:from|von|de) .{{1,80}})?{_EDGE}:?{_EDGE}", re.I
)
_HEADING = re.compile(rf"{_EDGE}(?:{_ANSWERED}|{_FORWARDED}){_EDGE}:?{_EDGE}", re.I)
_FRAMED = re.compile(r"\s*[-=_*]{4,}\s*\S[^-=_]{2,60}[-=_*]{4,}\s*")
_RULE = re.compile(r"[\s>]*[_=*-]{3,}\s*")
# What help desks put on top of their mails between dashes or the like, so that the answer
# stands above them.
_ABOVE = re.compile(
    r"reply above this line|(?:oberhalb|über) dieser (?:zeile|linie)|au-dessus de cette ligne"
    r"|por encima de esta línea|sopra questa (?:riga|linea)|boven deze (?:regel|lijn)",
    re.I,
)
_LIST_FOOTER = re.compile(
    r"\b(?:mailing[- ]?list|listinfo|unsubscribe|mailman|abbestellen)\b", re.I
)


def newly_written(text: str) -> str:
    r"""Cut the quoted mail and the signature off a reply.

    The policy: what stands in a quoted mail goes, with the line that announces it; so do lines
    that begin with ``>``, a signature behind its separator, what a telephone puts below, and the
    footer of a mailing list. Answers between and below quoted lines stay. A greeting and a name
    that no separator sets off stay: they belong to what was written. A mail that holds nothing
    but a quoted mail gives an empty text; any other mail of which nothing would be left stays
    whole.

    Parameters
    ----------
    text : str
        A mail's plain text.

    Examples
    --------
    >>> newly_written("Danke!\n\nAm 1. Mai 2026 schrieb Anna <a@x.example>:\n> Bitte sehr.")
    'Danke!'
    """
    whole = text.replace("\r\n", "\n") if "\r" in text else text
    lines = whole.split("\n")
    candidates = _candidates(whole, lines)
    kept: list[str] = []
    announced = False
    done = 0  #: lines that were looked at
    end = below = len(lines)
    for position in candidates[:_MOST_CANDIDATES]:
        if position < done:
            continue
        kept += lines[done:position]
        done = position
        line = lines[position]
        if line.lstrip().startswith(">"):
            announced = announced or _announces(lines, position)
            done = position + (2 if _is_rest_of_quote(lines, position + 1) else 1)
        elif _ends_here(lines, position):
            end = below = position
            break
        elif len(line) <= _LONGEST and (length := attribution_length(lines, position)):
            announced = True
            below = position + length
            if not _answers_below(lines, below):
                end = position
                break
            done = below
    kept += lines[done:end]
    written = "\n".join(map(str.rstrip, kept)).strip()
    if "\n\n\n" in written:
        written = re.sub(r"\n{3,}", "\n\n", written)
    if written:
        return written
    only_quoted = announced and all(
        line.lstrip().startswith(">") or not line.strip() for line in lines[below:]
    )
    return "" if only_quoted else text.strip()


def _candidates(text: str, lines: Sequence[str]) -> list[int]:
    """The numbers of the lines that are looked at.

    Most lines of most mails are none, so it is the time that this takes which counts.
    """
    found = set(_marked(text))
    found.update(
        [
            number
            for number, line in enumerate(lines)
            if (line[:1] in _SYMBOLS_OR_BLANKS or line[:3] in DEVICE_BEGINNINGS) and _begins(line)
        ]
    )
    return sorted(found)


def _begins(line: str) -> bool:
    return line.lstrip()[:1] in _SYMBOLS or is_device_line(line)


_MARKED = bytes.maketrans(b"@123456789", b":000000000")


def _marked(text: str) -> list[int]:
    """The numbers of the lines with a colon, an @, a 年 or four digits of any script.

    Searched in bytes of one character each: five times as fast as by a pattern.
    """
    data = text.encode("latin-1", "kolibri.marks").translate(_MARKED)
    numbers = []
    for mark in (b":", b"0000"):
        number = last = 0
        position = data.find(mark)
        while position >= 0:
            number += data.count(b"\n", last, position)
            numbers.append(number)
            last = data.find(b"\n", position)
            position = data.find(mark, last) if last >= 0 else -1
    return numbers


def _as_marks(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    run = error.object[error.start : error.end]
    marks = (":" if one in "：年" else "0" if one.isdecimal() else "?" for one in run)
    return "".join(marks), error.end


codecs.register_error("kolibri.marks", _as_marks)


def is_forward_heading(line: str) -> bool:
    """Whether the line announces a mail that is passed on.

    Examples
    --------
    >>> is_forward_heading("---------- Forwarded message ---------")
    True
    """
    return len(line) <= 200 and _FORWARD_HEADING.fullmatch(line) is not None


def _ends_here(lines: Sequence[str], position: int) -> bool:
    """Whether nothing below this line is newly written."""
    line = lines[position]
    if not line or len(line) > _LONGEST:
        return False
    if is_signature(lines, position) or read_quoted_head(lines, position):
        return True
    framed = line.lstrip()[:1] in _SYMBOLS
    if not framed and not line.rstrip().endswith(":"):
        return False
    if _HEADING.fullmatch(line):
        return position + 1 < len(lines)
    if not framed:
        return False
    if _RULE.fullmatch(line):
        below = _next_line(lines, position + 1)
        return bool(read_quoted_head(lines, below)) or _is_list_footer(lines, position + 1)
    if _FRAMED.fullmatch(line):
        return bool(read_quoted_head(lines, _next_line(lines, position + 1)))
    return _ABOVE.search(line) is not None


def _next_line(lines: Sequence[str], position: int) -> int:
    """Where the next line stands that is not blank."""
    while position < len(lines) and not lines[position].strip():
        position += 1
    return position


def _is_list_footer(lines: Sequence[str], position: int) -> bool:
    rest = [line for line in lines[position : position + 12] if line.strip()]
    return 0 < len(rest) <= 6 and any(_LIST_FOOTER.search(line[:_LONGEST]) for line in rest)


def _announces(lines: Sequence[str], position: int) -> bool:
    """Whether a quoted line is an attribution: what follows is a mail, not a citation."""
    unquoted = [line.lstrip("> ") for line in lines[position : position + 5]]
    return bool(unquoted[0]) and attribution_length(unquoted, 0) > 0


def _is_rest_of_quote(lines: Sequence[str], position: int) -> bool:
    """Whether the line was broken off a long quoted one; the mark did not come along."""
    if not 0 < position < len(lines) - 1 or not lines[position][:1].islower():
        return False
    above, below = lines[position - 1], lines[position + 1]
    return above.startswith(">") and len(above) >= 65 and below.startswith(">")


def _answers_below(lines: Sequence[str], position: int) -> bool:
    """Whether the sender wrote between or below what he quotes with ``>``."""
    quoted = False
    for index in range(position, len(lines)):
        stripped = lines[index].strip()
        if stripped.startswith((">", "|")):
            quoted = True
        elif stripped and not _is_rest_of_quote(lines, index):
            return quoted and not _ends_here(lines, index)
    return False
