"""Quoting a mail in the answer to it, and passing it on, as mail programs do in a language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime

from kolibri_sdk.mail.forward import is_forward_subject
from kolibri_sdk.mail.html import sanitise
from kolibri_sdk.mail.outgoing_html import as_html
from kolibri_sdk.model.message import Address

__all__ = ["Quotable", "Quotation", "forward_of", "forward_subject", "quote_of", "reply_subject"]

#: The line above the quoted mail: {date}, {time} and {sender}; at its end the colon by which
#: programs that cut replies know it.
_WROTE = {
    "en": "On {date} at {time}, {sender} wrote:",
    "de": "Am {date} um {time} schrieb {sender}:",
    "fr": "Le {date} à {time}, {sender} a écrit :",
    "es": "El {date} a las {time}, {sender} escribió:",
    "it": "Il giorno {date} alle {time}, {sender} ha scritto:",
    "nl": "Op {date} om {time} schreef {sender}:",
    "pt": "Em {date} às {time}, {sender} escreveu:",
    "pl": "W dniu {date} o {time}, {sender} napisał(a):",
    "sv": "Den {date} kl. {time} skrev {sender}:",
    "da": "Den {date} kl. {time} skrev {sender}:",
}
_ON = {  # where the mail does not say when it was written
    "en": "{sender} wrote:",
    "de": "{sender} schrieb:",
    "fr": "{sender} a écrit :",
    "es": "{sender} escribió:",
    "it": "{sender} ha scritto:",
    "nl": "{sender} schreef:",
    "pt": "{sender} escreveu:",
    "pl": "{sender} napisał(a):",
    "sv": "{sender} skrev:",
    "da": "{sender} skrev:",
}
#: What stands above a mail that is passed on, and the names of its headers.
_FORWARDED = {
    "en": ("Forwarded message", "From", "Date", "Subject", "To", "Cc"),
    "de": ("Weitergeleitete Nachricht", "Von", "Datum", "Betreff", "An", "Kopie"),
    "fr": ("Message transféré", "De", "Date", "Sujet", "Pour", "Copie à"),
    "es": ("Mensaje reenviado", "De", "Fecha", "Asunto", "Para", "CC"),
    "it": ("Messaggio inoltrato", "Da", "Data", "Oggetto", "A", "CC"),
    "nl": ("Doorgestuurd bericht", "Van", "Datum", "Onderwerp", "Aan", "CC"),
    "pt": ("Mensagem encaminhada", "De", "Data", "Assunto", "Para", "CC"),
    "pl": ("Przekazana wiadomość", "Od", "Data", "Temat", "Do", "DW"),
    "sv": ("Vidarebefordrat meddelande", "Från", "Datum", "Ämne", "Till", "Kopia"),
    "da": ("Videresendt meddelelse", "Fra", "Dato", "Emne", "Til", "Kopi"),
}
_FORWARD_PREFIX = {"de": "WG", "fr": "TR", "es": "RV", "it": "I", "sv": "VB"}
_FALLBACK = "en"
_PREFIX = re.compile(r"\s*(?:re|aw|antw|antwort|sv|r|odp|vs)\s*(?:\[\d+\])?\s*:\s*", re.I)
_BLOCK = "margin:0 0 0 0.8ex;border-left:2px solid #cccccc;padding-left:1ex"
# The unseen marker of a reference in a mail of ours that is quoted: the new mail has its own.
_MARKER = re.compile(r"<div style=\"display:none[^\"]*\"[^>]*>\s*kr1:[a-z2-7]+\s*</div>", re.I)
_LONGEST = 500_000  #: characters of a mail that are quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotable:
    """What is needed of a mail to quote it."""

    sender: Address | None
    sent_at: datetime | None  #: aware
    subject: str = ""
    to: Sequence[Address] = ()
    cc: Sequence[Address] = ()
    text: str = ""
    html: str | None = None
    offset: int | None = None  #: minutes east of UTC where it was written


@dataclass(frozen=True, slots=True)
class Quotation:
    """A quoted mail, as HTML and as plain text."""

    html: str
    text: str


def quote_of(mail: Quotable, language: str) -> Quotation:
    """The mail as it stands below the answer to it.

    Parameters
    ----------
    mail : Quotable
        A stranger's mail: its HTML is sanitised.
    language : str
        Of the line above it, such as ``de`` or ``de-AT``; English for one that is not known.

    Examples
    --------
    >>> mail = Quotable(sender=Address("anna@x.example", "Anna"), text="It is down.",
    ...                 sent_at=datetime(2026, 5, 1, 8, 0, tzinfo=UTC))
    >>> print(quote_of(mail, "de").text)
    Am 01.05.2026 um 08:00 schrieb Anna <anna@x.example>:
    > It is down.
    """
    line = _attribution(mail, _language(language))
    quoted = "\n".join(f"> {one}".rstrip() if one else ">" for one in _lines(mail.text))
    return Quotation(
        f'<div>{as_html(line)}</div><blockquote type="cite" style="{_BLOCK}">'
        f"{_html(mail)}</blockquote>",
        f"{line}\n{quoted}",
    )


def forward_of(mail: Quotable, language: str) -> Quotation:
    """The mail as it stands in one that passes it on, below its headers."""
    tag = _language(language)
    heading, *names = _FORWARDED[tag]
    values = (
        str(mail.sender or ""),
        " ".join(_moment(mail, tag) or ()),
        mail.subject,
        ", ".join(map(str, mail.to)),
        ", ".join(map(str, mail.cc)),
    )
    headers = [f"{name}: {value}" for name, value in zip(names, values, strict=True) if value]
    head = [f"-------- {heading} --------", *headers]
    return Quotation(
        f"<div>{as_html(head)}</div><br><div>{_html(mail)}</div>",
        "\n".join([*head, "", *_lines(mail.text)]),
    )


def reply_subject(subject: str) -> str:
    """The subject of an answer: one Re:, however many answers there were.

    Examples
    --------
    >>> reply_subject("AW: Re: Drucker")
    'Re: Drucker'
    """
    rest = subject
    while found := _PREFIX.match(rest):
        rest = rest[found.end() :]
    return f"Re: {rest.strip()}".strip()


def forward_subject(subject: str, language: str) -> str:
    """The subject of a mail that is passed on.

    Examples
    --------
    >>> forward_subject("Drucker", "de"), forward_subject("WG: Drucker", "en")
    ('WG: Drucker', 'WG: Drucker')
    """
    if is_forward_subject(subject):
        return subject
    return f"{_FORWARD_PREFIX.get(_language(language), 'Fwd')}: {subject}".strip()


def _language(tag: str) -> str:
    first = tag.replace("_", "-").lower().split("-")[0]
    return first if first in _WROTE else _FALLBACK


def _attribution(mail: Quotable, language: str) -> str:
    sender = str(mail.sender) if mail.sender else "…"
    moment = _moment(mail, language)
    if moment is None:
        return _ON[language].format(sender=sender)
    date, time = moment
    return _WROTE[language].format(date=date, time=time, sender=sender)


def _moment(mail: Quotable, language: str) -> tuple[str, str] | None:
    """Day and time as the language writes them, at the clock of who wrote the mail."""
    if mail.sent_at is None:
        return None
    zone = UTC if mail.offset is None else timezone(timedelta(minutes=mail.offset))
    there = mail.sent_at.astimezone(zone)
    try:
        locale = Locale.parse(language)
    except (UnknownLocaleError, ValueError):
        locale = Locale(_FALLBACK)
    day = "dd.MM.yyyy" if language == "de" else "d MMM yyyy"
    return format_datetime(there, day, tzinfo=zone, locale=locale), f"{there:%H:%M}"


def _lines(text: str) -> list[str]:
    return text[:_LONGEST].replace("\r\n", "\n").strip("\n").split("\n")


def _html(mail: Quotable) -> str:
    if mail.html is None or len(mail.html) > _LONGEST:
        return as_html(_lines(mail.text))
    return _MARKER.sub("", sanitise(mail.html))
