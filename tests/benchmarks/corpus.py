"""Mails for measuring: made from a seed, of the sizes and kinds that a service desk gets."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP

__all__ = ["mails"]

_WORDS = [
    "printer",
    "network",
    "access",
    "password",
    "account",
    "laptop",
    "screen",
    "update",
    "error",
    "meeting",
    "room",
    "request",
    "invoice",
    "Drucker",
    "Netzwerk",
    "Zugang",
    "Passwort",
    "Konto",
    "Bildschirm",
    "Fehler",
    "Besprechung",
    "Anfrage",
    "größer",
    "über",
    "contract",
    "delivery",
    "Rechnung",
    "Vertrag",
    "Lieferung",
    "please",
    "bitte",
    "today",
    "heute",
    "urgent",
]


def mails(count: int, seed: int = 7) -> Iterator[bytes]:
    """That many mails, about 27 KB on average: text, HTML twins, attachments.

    Seven in ten are short text, two have an HTML twin of 20 KB, one carries a file of 160 KB.
    """
    dice = random.Random(seed)
    start = datetime(2026, 1, 1, 8, tzinfo=UTC)
    for number in range(count):
        mail = EmailMessage(policy=SMTP)
        mail["From"] = f"Person {number % 500} <person{number % 500}@customer.example>"
        mail["To"] = "Support <support@kolibri.example>"
        mail["Subject"] = f"{_sentence(dice, 6)} {number}"
        mail["Date"] = start + timedelta(minutes=number)
        mail["Message-ID"] = f"<{number}.{dice.getrandbits(64):x}@customer.example>"
        mail.set_content("\n".join(_sentence(dice, 12) for _ in range(dice.randint(5, 40))))
        kind = number % 10
        if kind in {3, 6}:
            rows = "".join(f"<tr><td>{_sentence(dice, 20)}</td></tr>" for _ in range(120))
            mail.add_alternative(f"<html><body><table>{rows}</table></body></html>", subtype="html")
        if kind == 9:
            mail.add_attachment(
                dice.randbytes(160_000), maintype="application", subtype="pdf", filename="scan.pdf"
            )
        yield mail.as_bytes()


def _sentence(dice: random.Random, words: int) -> str:
    return " ".join(dice.choices(_WORDS, k=words))
