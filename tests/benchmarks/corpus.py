"""Mails for measuring: made from a seed, of the sizes and kinds that a service desk gets."""

from __future__ import annotations

import base64
import binascii
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.header import Header
from email.utils import format_datetime, formataddr

__all__ = ["mails"]

_WORDS = re.findall(
    r"\S+",
    """printer network access password account laptop screen update error meeting room request
    invoice contract delivery please today urgent server folder calendar licence order number phone
    again since yesterday cannot would could thanks regards monitor keyboard docking station
    Drucker Netzwerk Zugang Passwort Konto Bildschirm Fehler Besprechung Anfrage größer über
    Rechnung Vertrag Lieferung bitte heute dringend leider seit gestern funktioniert nicht mehr
    können würde freundlichen Grüßen danke nächste Woche Büro Schlüssel Gerät Rückmeldung""",
)
_FIRST = [
    "Anna",
    "Jörg",
    "Käthe",
    "Paul",
    "Mehmet",
    "Sofia",
    "Łukasz",
    "Grace",
    "René",
    "Ingrid",
    "Tom",
    "Björn",
    "Claire",
    "Jürgen",
]
_LAST = [
    "Müller",
    "Smith",
    "Kühn",
    "Weiß",
    "Yılmaz",
    "Novák",
    "Garcia",
    "Brown",
    "Schröder",
    "O'Neill",
    "Lindqvist",
    "Möller",
]
_PROGRAMS = [
    "X-Mailer: Microsoft Outlook 16.0",
    "User-Agent: Mozilla Thunderbird 128.5.0",
    "X-Mailer: Apple Mail (2.3826.300.87.4.3)",
    "X-MS-Has-Attach: \r\nX-MS-TNEF-Correlator: \r\nx-ms-exchange-transport-forked: True",
]
_HELP_DESK = "Kolibri Support <support@kolibri.example>"
_START = datetime(2026, 1, 5, 8, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Language:
    greeting: str
    farewell: str
    wrote: str
    reply: str


_LANGUAGES = [
    _Language("Hello,", "Kind regards\n{name}", "On {when}, {name} wrote:", "Re: "),
    _Language("Guten Tag,", "Mit freundlichen Grüßen\n{name}", "Am {when} schrieb {name}:", "AW: "),
]


def mails(count: int, seed: int = 7) -> Iterator[bytes]:
    """That many mails, 27 KB on average, German and English, with the headers of their way here.

    Of ten, seven are text alone (three of them answers that quote what they answer), two have an
    HTML twin of about 20 KB, and one has a photograph and a PDF file, 134 KB together.
    """
    dice = random.Random(seed)
    phrases = [" ".join(dice.choices(_WORDS, k=dice.randint(4, 14))) for _ in range(2_000)]
    for number in range(count):
        yield _Letter(number, dice, phrases).as_bytes()


class _Letter:
    """One mail while it is written."""

    def __init__(self, number: int, dice: random.Random, phrases: list[str]) -> None:
        self.number = number
        self.dice = dice
        self.phrases = phrases
        self.language = dice.choice(_LANGUAGES)
        self.name = f"{dice.choice(_FIRST)} {dice.choice(_LAST)}"
        self.address = f"person{dice.randrange(2_000)}@customer{dice.randrange(40)}.example"
        self.when = _START + timedelta(minutes=number)
        self.is_reply = number % 10 in {1, 4, 7}

    def as_bytes(self) -> bytes:
        kind = self.number % 10
        text = self.text()
        if kind in {3, 6}:
            body = self.multipart(
                "alternative", self.text_part("plain", text), self.text_part("html", self.html())
            )
        elif kind == 9:
            photo = self.file_part("image/png", "screenshot.png", 50_000, "<shot@customer.example>")
            pdf = self.file_part("application/pdf", f"Beleg_{self.number}.pdf", 84_000)
            body = self.multipart("mixed", self.text_part("plain", text), photo, pdf)
        else:
            body = self.text_part("plain", text)
        return self.headers().encode() + body

    def headers(self) -> str:
        stamp = format_datetime(self.when)
        lines = [f"Return-Path: <{self.address}>"]
        lines += [
            f"Received: from mx{hop}.relay.example (mx{hop}.relay.example [192.0.2.{hop + 1}])\r\n"
            f"\tby mail{hop}.kolibri.example (Postfix) with ESMTPS id {self.token(10)}\r\n"
            f"\tfor <support@kolibri.example>; {stamp}"
            for hop in range(3)
        ]
        signature = "\r\n\t ".join(self.token(64) for _ in range(4))
        domain = self.address.partition("@")[2]
        subject = f"{self.phrase()[:60]} {self.number}"
        lines += [
            f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s=mail;\r\n"
            f"\tt={int(self.when.timestamp())}; h=from:to:subject:date:message-id;\r\n"
            f"\tb={signature}",
            f"Authentication-Results: mail0.kolibri.example;\r\n\tdkim=pass header.d={domain};\r\n"
            f"\tspf=pass smtp.mailfrom={domain}",
            f"From: {formataddr((self.name, self.address))}",
            f"To: {_HELP_DESK}",
            f"Subject: {_encoded((self.language.reply if self.is_reply else '') + subject)}",
            f"Date: {stamp}",
            f"Message-ID: <{self.number}.{self.token(16)}@{domain}>",
        ]
        if self.is_reply:
            parent = f"<{self.token(20)}@kolibri.example>"
            lines += [f"In-Reply-To: {parent}", f"References: {parent}"]
        if self.number % 3 == 0:
            lines.append(f"Cc: {formataddr((self.name, f'cc-{self.address}'))}, ops@{domain}")
        lines += [self.dice.choice(_PROGRAMS), "MIME-Version: 1.0"]
        return "\r\n".join(lines) + "\r\n"

    def text(self) -> str:
        paragraphs = [
            "\n".join(self.phrase() for _ in range(4)) for _ in range(self.dice.randint(1, 8))
        ]
        written = [
            self.language.greeting,
            *paragraphs,
            self.language.farewell.format(name=self.name),
        ]
        if self.is_reply:
            when = f"{self.when:%d.%m.%Y, %H:%M}"
            written.append(self.language.wrote.format(when=when, name="Kolibri Support"))
            written.append("\n".join(f"> {self.phrase()}" for _ in range(self.dice.randint(5, 30))))
        else:
            written.append(f"-- \n{self.name}\n+49 30 {self.dice.randrange(10**7)}")
        return "\n\n".join(written) + "\n"

    def html(self) -> str:
        cell = '<td style="padding:4px;border:1px solid #ccc">{}</td>'
        row = "<tr>" + cell * 3 + "</tr>\n"
        rows = "".join(row.format(*(self.phrase() for _ in range(3))) for _ in range(60))
        return (
            f"<html><body><p>{self.language.greeting}</p>\n<table>\n{rows}</table></body></html>\n"
        )

    def text_part(self, subtype: str, text: str) -> bytes:
        """A text in the transfer encoding of its sender's program."""
        crossing = text.replace("\n", "\r\n").encode()
        encoding = ("8bit", "quoted-printable", "base64")[self.number % 7 % 3]
        if encoding == "quoted-printable":
            crossing = binascii.b2a_qp(crossing, istext=True)
        elif encoding == "base64":
            crossing = _base64(crossing)
        head = (
            f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}"
        )
        return f"{head}\r\n\r\n".encode() + crossing

    def file_part(self, content_type: str, name: str, size: int, content_id: str = "") -> bytes:
        place = "inline" if content_id else "attachment"
        lines = [
            f'Content-Type: {content_type}; name="{name}"',
            f'Content-Disposition: {place}; filename="{name}"',
            *([f"Content-ID: {content_id}"] if content_id else []),
            "Content-Transfer-Encoding: base64",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + _base64(self.dice.randbytes(size))

    def multipart(self, subtype: str, *parts: bytes) -> bytes:
        boundary = f"=_{self.token(24)}"
        head = f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"\r\n\r\n'
        inner = b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts)
        return head.encode() + inner + f"--{boundary}--\r\n".encode()

    def phrase(self) -> str:
        return self.dice.choice(self.phrases)

    def token(self, length: int) -> str:
        return f"{self.dice.getrandbits(4 * length):0{length}x}"


def _encoded(text: str) -> str:
    if text.isascii():
        return text
    return Header(text, "utf-8", header_name="Subject").encode(linesep="\r\n")


def _base64(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")
