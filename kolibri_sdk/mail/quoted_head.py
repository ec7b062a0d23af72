"""The headers that mail programs copy above a mail they quote: "Von: … Gesendet: … An: …"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LEAST_HEADERS", "QuotedHead", "read_quoted_head"]

LEAST_HEADERS = 3  #: of a block, each with a colon

_LONGEST = 1000  # characters of a line that can be a header
_MOST_LINES = 40  # of a block; a list of recipients may go on for many
_MARKS = " \t\r\xa0>*_|•"
_ENDS = " \t\r\xa0*|"  # at the end of a value, where > closes an address

#: What the headers are called, in the languages of the mail programs that copy them.
_NAMES = {
    "from": "from von de da van fra från od ot от від lähettäjä kimden feladó absender mittente "
    "remitente expéditeur afzender avsändare avsender afsender nadawca odesílatel 发件人 寄件者 "
    "差出人 보낸사람|보낸 사람|de la",
    "sent": "sent date datum gesendet data dato fecha enviado enviada envoyé inviato verzonden "
    "sendt skickat wysłano odesláno elküldve küldve lähetetty päiväys отправлено дата надіслано "
    "gönderildi tarih datum: päivämäärä 发送时间 日期 送信日時 寄件日期|gesendet am|envoyé le|"
    "enviado el|enviado em|enviada em|message du|sent at|date d'envoi|보낸 날짜",
    "to": "to an a à para til till aan do komu кому címzett vastaanottaja kime empfänger "
    "destinatario destinataire ontvanger mottagare modtager adresat per pour către 收件人 收件者 "
    "宛先|받는 사람",
    "cc": "cc kopie copia kopia kopi dw копия копія másolat kopio bilgi 抄送 副本|copie à|kopie an",
    "bcc": "bcc bk cci ucc скрытая",
    "subject": "subject betreff betrifft asunto objet sujet oggetto assunto onderwerp emne ämne "
    "temat předmět predmet тема tárgy aihe konu subiect 主题 主旨 件名 제목",
    "reply_to": "reply-to antwort-an risposta|antwort an|répondre à|responder a|rispondi a|"
    "antwoord aan|svar til|svara till",
    "message_id": "message-id nachrichten-id",
    "other": "importance priority wichtigkeit priorität importance importancia priorità "
    "organization organisation newsgroups attachments anlagen anhänge anhang "
    "pièces allegati adjuntos bijlagen sensitivity resent-from sender|pièces jointes|reply to",
}
_KINDS = {
    name.strip().rstrip(":"): kind
    for kind, names in _NAMES.items()
    for first, *phrases in [names.split("|")]
    for name in (*first.split(), *phrases)
}
_LONGEST_NAME = max(map(len, _KINDS)) + 8


@dataclass(frozen=True, slots=True)
class QuotedHead:
    """One block: its values by what they are (``from``, ``sent``, ``to``, …), and where it ends."""

    values: dict[str, str]
    end: int  #: the line below the block


def read_quoted_head(lines: Sequence[str], position: int) -> QuotedHead | None:
    """The block that begins on this line, or None.

    A block has a From and two more headers, From first; or three more in any order. Quote marks,
    asterisks and blank lines between the headers do not matter, nor do values that are wrapped.

    Examples
    --------
    >>> block = read_quoted_head(["Von: Anna", "Gesendet: heute", "An: Bo", "", "Hallo"], 0)
    >>> block.values["from"], block.end
    ('Anna', 3)
    """
    if position >= len(lines) or (first := _header(lines[position])) is None:
        return None
    values: dict[str, str] = {}
    kind, value = first
    end = position
    for index in range(position, min(len(lines), position + _MOST_LINES)):
        line = lines[index]
        if header := _header(line):
            if header[0] in values and header[0] != "other":
                break  # the next block
            kind, value = header
            values[kind] = value
            end = index + 1
        elif not line.strip(_MARKS):
            # One blank line between headers is a matter of layout, two end the block.
            if index + 1 >= len(lines) or _header(lines[index + 1]) is None:
                break
        elif len(line) > _LONGEST or not _goes_on(lines, index):
            break
        else:
            values[kind] = f"{values[kind]} {line.lstrip(_MARKS).rstrip(_ENDS)}"
    real = set(values) - {"other"}
    if "from" not in real or len(real) < LEAST_HEADERS + (first[0] != "from"):
        return None
    return QuotedHead(values, end)


def _header(line: str) -> tuple[str, str] | None:
    """What sort of header the line is, and its value."""
    if len(line) > _LONGEST:
        return None
    text = line.lstrip(_MARKS).rstrip()
    name, colon, value = text[:_LONGEST].replace("：", ":", 1).partition(":")
    if not colon or len(name) > _LONGEST_NAME:
        return None
    kind = _KINDS.get(" ".join(name.strip(_MARKS).lower().split()))
    if kind is None:
        return None
    return kind, re.sub(r"\*(?=[<\s]|$)|(?<=\s)\*", "", value.lstrip(_MARKS).rstrip(_ENDS))


def _goes_on(lines: Sequence[str], index: int) -> bool:
    """Whether a line without a name is the rest of a wrapped value: a header follows soon."""
    for line in lines[index + 1 : index + 6]:
        if _header(line) is not None:
            return True
        if not line.strip(_MARKS):
            return False
    return False
