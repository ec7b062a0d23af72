"""Mail software that changes what it passes on: one carrier or another comes through."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from kolibri_sdk.model.message import Address
from kolibri_sdk.model.reference import Grade
from kolibri_sdk.reference import Carriers
from tests.unit.reference.conftest import EVE, SEVEN, Desk


def marker(carriers: Carriers) -> str:
    """The text of the marker, ``kr1:TOKEN``."""
    found = re.search(r"kr1:[a-z2-7]+", carriers.marker)
    assert found
    return found[0]


def chopped(text: str, between: str, every: int = 20) -> str:
    """The text with something put in after each so many characters."""
    return between.join(text[at : at + every] for at in range(0, len(text), every))


MARKERS: dict[str, Callable[[str], str]] = {
    "quoted": lambda text: f"> > | {text}",
    "upper case": str.upper,
    "colon as an entity": lambda text: text.replace(":", "&#58;"),
    "colon as hexadecimal entity": lambda text: text.replace(":", "&#x3A;"),
    "in a URL": lambda text: text.replace(":", "%3A"),
    "in a link": lambda text: f'<a href="{text}">{text}</a>',
    "wrapped by a plain text program": lambda text: chopped(text, "\n> "),
    "wrapped in a deep quote": lambda text: chopped(text, "\r\n>>> > "),
    "wrapped, and text behind it": lambda text: chopped(text, "\n") + "\nregards Anna",
    "soft line ends left in": lambda text: chopped(text, "=\r\n"),
    "long words may break": lambda text: chopped(text, "<wbr>", 10),
    "soft hyphens": lambda text: chopped(text, "\u00ad", 12),
    "zero-width spaces": lambda text: chopped(text, "\u200b", 8),
    "zero-width spaces as entities": lambda text: chopped(text, "&#8203;", 8),
    "broken behind the prefix": lambda text: text.replace(":", ":\n> "),
}


@pytest.mark.parametrize("way", MARKERS)
@pytest.mark.parametrize("body", ["text", "html"])
def test_a_marker_that_a_program_has_changed(desk: Desk, way: str, body: str) -> None:
    changed = MARKERS[way](marker(desk.mint()))
    found = desk.find(**{body: f"Thanks!\n{changed}\n-- \nAnna"})
    assert (found.record, found.forged) == (SEVEN, 0), changed
    assert found.hit is not None
    assert (found.hit.grade, found.hit.carrier) == (Grade.SIGNED, "body")


SUBJECTS: dict[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "upper case": str.upper,
    "folded within the tag": lambda text: text.replace(" ", "\r\n\t", 1),
    "two blanks": lambda text: text.replace(" ", "  "),
    "blanks within the brackets": lambda text: text.replace("[", "[ ").replace("]", " ]"),
    "quoted": lambda text: f'Re: "{text}"',
    "starred": lambda text: f"*** {text} ***",
    "nested": lambda text: f"Re: [Re: {text}]",
    "round brackets": lambda text: text.replace("[", "(").replace("]", ")"),
    "no brackets": lambda text: text.replace("[", "").replace("]", ""),
    "behind a list's name": lambda text: f"[helpdesk] AW: {text}",
}


@pytest.mark.parametrize("way", SUBJECTS)
def test_a_subject_that_a_program_has_changed(desk: Desk, way: str) -> None:
    carriers = desk.mint()
    subject = SUBJECTS[way](carriers.subject("Printer"))
    found = desk.find(subject=subject)
    assert (found.record, found.forged) == (SEVEN, 0), subject
    assert desk.find(subject=subject, sender=EVE).hit is None, "proof from a known sender alone"


HEADERS = [
    *("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Delivered-To"),
    *("delivered-to", "Original-Recipient", "X-RCPT-To"),
]


@pytest.mark.parametrize("header", HEADERS)
def test_the_address_where_the_server_notes_it(desk: Desk, header: str) -> None:
    address = desk.mint().reply_to
    for value in (address, f"<{address}>", f"rfc822;{address}", f"root, {address}"):
        found = desk.find(to=(Address("helpdesk@elsewhere.example"),), headers=((header, value),))
        assert found.record == SEVEN, value
        assert found.hit is not None
        assert found.hit.carrier == "address"


ADDRESSES: dict[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "upper case": str.upper,
    "another domain": lambda address: address.replace("kolibri.example", "mx3.inside.example"),
    "tagged against forged bounces": lambda address: f"prvs=1234abcd={address}",
    "rewritten sender": lambda address: f"SRS0=xy=Z7={address.replace('@', '=')}@relay.example",
    "plus encoded": lambda address: address.replace("+", "%2B"),
}


@pytest.mark.parametrize("way", ADDRESSES)
def test_an_address_that_a_program_has_changed(desk: Desk, way: str) -> None:
    address = desk.mint().reply_to
    assert address is not None
    changed = ADDRESSES[way](address)
    found = desk.find(to=(Address(changed),))
    assert found.record == SEVEN, changed


IDS: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "without its domain": lambda name: name.partition("@")[0],
    "domain cut": lambda name: name[:-5],
    "wrapped by a gateway": lambda name: f"20260501.{name}",
    "domain changed": lambda name: name.partition("@")[0] + "@gateway.example",
}


@pytest.mark.parametrize("way", IDS)
def test_a_message_id_that_a_program_has_changed(desk: Desk, way: str) -> None:
    name = IDS[way](desk.mint().message_id)
    found = desk.find(in_reply_to=(name,))
    assert (found.record, found.forged) == (SEVEN, 0), name


@pytest.mark.parametrize("length", [20, 44, 50])
def test_where_the_message_id_is_cut_the_other_carriers_do(desk: Desk, length: int) -> None:
    carriers = desk.mint()
    cut = carriers.message_id[:length]
    assert desk.find(in_reply_to=(cut,)).hit is None
    assert carriers.reply_to is not None
    for values in (
        {"to": (Address(carriers.reply_to),)},
        {"html": carriers.marker},
        {"subject": carriers.subject("x")},
        {"references": (carriers.thread_id,)},
    ):
        assert desk.find(in_reply_to=(cut,), **values).record == SEVEN


def test_a_relay_that_writes_ids_of_its_own_leaves_references(desk: Desk) -> None:
    """Our mail reached Anna as <0102@relay>; her program answers that, and keeps References."""
    carriers = desk.mint()
    found = desk.find(
        in_reply_to=("0102@relay.example",),
        references=("root@example.org", str(carriers.thread_id), "0102@relay.example"),
    )
    assert found.record == SEVEN
    assert found.hit is not None
    assert (found.hit.grade, found.hit.carrier) == (Grade.SIGNED, "references")


def test_a_mail_about_no_record_has_no_thread_id() -> None:
    assert Carriers("0102@kolibri.example").thread_id is None


def test_endless_headers_take_no_time_to_speak_of(desk: Desk) -> None:
    long = "a" * 200_000
    found = desk.find(
        subject=long + " 1" * 50_000,
        headers=(("Delivered-To", long), ("X-Original-To", long + "+" + long)),
        references=(long, "kr1." + long),
        text="kr1:" + long + "kr1:" * 50_000,
    )
    assert found.hit is None
