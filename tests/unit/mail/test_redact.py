"""Redaction: nothing of a person is left, the same stays the same, and the mail stays a mail."""

from __future__ import annotations

import re

import pytest

from kolibri_sdk.mail import Redactor
from kolibri_sdk.model.message import Address

ANNA = Address("anna.kuehn@stadtwerke.example.org", "Anna Kühn")
BERT = Address("b.meier@stadtwerke.example.org", "Meier, Bert")
OWN = Address("support@kolibri.example", "Kolibri Support")
TEXT = """\
Guten Tag Frau Özdemir,

hier ist Anna Kühn. Herr Meier hat Ticket 4711 schon gesehen, und KÜHN ruft an: +49 (30) 123 456-78.
Anna erreicht man unter anna.kuehn@stadtwerke.example.org, den Server unter 10.20.30.40 und
mx1.stadtwerke.example.org, in Vertretung von Martina Grün, am 31. Mai 2026 um 09:45, sonst
https://intra.stadtwerke.example.org/user/anna/4711?key=AbCdEfGhIjKlMnOpQr12.

Viele Grüße
Klaus Vogel

--
Anna Kühn, Stadtwerke Musterstadt
Tel. 030 98765432

> Hallo Anna, das VPN geht wieder.
"""


@pytest.fixture
def red() -> Redactor:
    made = Redactor(b"mail", [ANNA, BERT, OWN], kept={"vpn"}, own={OWN.address})
    made.learn(TEXT)
    return made


def test_nothing_of_a_person_is_left(red: Redactor) -> None:
    told = red.text(TEXT)
    for word in (
        "Anna",
        "Kühn",
        "KÜHN",
        "Meier",
        "Özdemir",
        "Klaus",
        "Vogel",
        "stadtwerke",
        "Martina",
        "Grün",
    ):
        assert word not in told, told
    assert not {"Martina", "Grün"} & {*told.split(), *told.split(",")}
    for number in ("4711", "123", "456", "98765432", "10.20.30.40", "AbCdEfGhIjKlMnOpQr12"):
        assert number not in told, told
    assert "Musterstadt" not in told, "signatures go as a whole"
    assert "das VPN geht wieder" in told
    assert red.left(TEXT, told) == ""
    assert re.search(r"am [12]\d\. Mai 20[012]\d um [12]\d:[345]\d", told), "believable"
    assert "Anna" not in red.filename("Rechnung_Anna_4711.pdf")
    assert red.filename("Rechnung_Anna_4711.pdf").endswith(".pdf")


def test_the_same_stays_the_same_within_a_mail(red: Redactor) -> None:
    person = red.address(ANNA)
    assert person.name.split() == [red.text("Anna"), red.text("Kühn")]
    assert person.address == red.text(ANNA.address)
    assert person.address.endswith(red.address(BERT).address.partition("@")[2])
    assert red.address(ANNA) != red.address(BERT)
    assert red.text("KÜHN kühn") == f"{red.text('Kühn').upper()} {red.text('Kühn').lower()}"
    assert red.text("4711, 4711") == f"{red.text('4711')}, {red.text('4711')}"
    other = Redactor(b"another", [ANNA])
    assert other.address(ANNA) != person


def test_what_is_ours_or_named_by_the_rule_stays(red: Redactor) -> None:
    assert red.address(OWN).address == OWN.address
    assert Redactor(b"x", [ANNA], kept={"anna", "404"}).text("Anna 404 405")[:9] == "Anna 404 "
    assert red.text("mailer-daemon@stadtwerke.example.org").startswith("mailer-daemon@")


def test_shapes_stay(red: Redactor) -> None:
    for held in ("0", "007", "20260501", "123456789012345678901234567890"):
        told = red.digits(held)
        assert re.fullmatch(r"\d+", told)
        assert len(told) == len(held)
    assert red.text("").splitlines() == []
    assert red.text("a\r\nb\n") in ("a\nb\n", "a\r\nb\n")


def test_html(red: Redactor) -> None:
    html = (
        "<html><!-- by Anna --><style>p {color: #123456}</style><script>anna()</script>"
        '<p class="x1" title="Anna">Liebe K&uuml;hn &amp; Co, <a href="mailto:'
        f'{ANNA.address}">4711</a><img src="cid:logo@1" alt=\'Kühn\'>'
        '<img src="data:x,4711"></p></html>'
    )
    told = red.html(html)
    assert "color: #123456" in told
    assert '<img src="cid:logo@1"' in told
    assert "&amp; Co" in told
    assert 'class="x1"' in told
    for word in ("Anna", "anna", "Kühn", "uuml", "4711", "stadtwerke"):
        assert word not in told, told


def test_what_is_left_is_told(red: Redactor) -> None:
    assert red.left(TEXT, "Anna was here") == "the name 'anna'"
    assert "address" in red.left("x@y.example.org", "see x@y.example.org")
    assert red.left("98765432", "98765432") == "the number 98765432"
