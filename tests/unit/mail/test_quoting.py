"""What quotes and forwards in a language is read back as what it is, by us as by others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kolibri_sdk.mail import (
    Draft,
    Quotable,
    Quotation,
    compose,
    forward_of,
    forward_subject,
    parse_mail,
    quote_of,
    reply_subject,
)
from kolibri_sdk.model.message import Address, ParsedMail

LANGUAGES = ("en", "de", "de-AT", "fr", "es", "it", "nl", "pt", "pl", "sv", "da", "tlh")
ANNA = Address("anna@customer.example", "Anna Wei\u00df")
ASKED = Quotable(
    sender=ANNA,
    sent_at=datetime(2026, 5, 1, 22, 30, tzinfo=UTC),
    subject="Drucker",
    to=(Address("support@kolibri.example"),),
    text="Er druckt nicht.\n\nSeit 8 Uhr.\n",
    html="<p>Er druckt nicht.</p><p>Seit 8 Uhr.</p>",
    offset=120,
)


def sent(subject: str, quotation: Quotation) -> ParsedMail:
    """The mail with this below it, as it is read at the far end."""
    return parse_mail(
        compose(
            Draft(
                message_id="1@kolibri.example",
                sender=Address("support@kolibri.example"),
                to=(ANNA,),
                date=datetime(2026, 5, 2, 8, 0, tzinfo=UTC),
                subject=subject,
                text=f"Wir sehen nach.\n\n{quotation.text}\n",
                html=f"<p>Wir sehen nach.</p>{quotation.html}",
            )
        )
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("asked", [ASKED, replace(ASKED, sent_at=None), replace(ASKED, html=None)])
def test_a_quote_is_cut_off_again_in_every_language(language: str, asked: Quotable) -> None:
    mail = sent(reply_subject("Drucker"), quote_of(asked, language))
    assert mail.reply_text == "Wir sehen nach."
    assert "> Er druckt nicht." in mail.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_forward_is_known_as_one_in_every_language(language: str) -> None:
    mail = sent(forward_subject("Drucker", language), forward_of(ASKED, language))
    assert mail.forwarded is not None
    assert (mail.forwarded.sender, mail.forwarded.subject) == (ANNA, "Drucker")
    assert mail.forwarded.sent == "2026-05-02T00:30:00", "at the clock of who wrote it"


def test_the_time_is_that_of_the_writers_clock() -> None:
    assert quote_of(ASKED, "de").text.startswith("Am 02.05.2026 um 00:30 schrieb Anna")
    utc = replace(ASKED, offset=None)
    assert quote_of(utc, "en").text.startswith("On 1 May 2026 at 22:30, Anna")


def test_a_strangers_html_does_nothing_in_the_quote() -> None:
    evil = replace(ASKED, html='<p onclick="x()">Hi<script>x()</script><style>p{}</style></p>')
    for html in (quote_of(evil, "en").html, forward_of(evil, "en").html):
        assert "Hi" in html
        assert not {word for word in ("onclick", "script", "style>") if word in html}


def test_the_marker_of_a_reference_does_not_pile_up() -> None:
    marker = f'<div style="display:none;font-size:0" aria-hidden="true">kr1:{"a" * 52}</div>'
    assert "kr1:" not in quote_of(replace(ASKED, html=f"<p>Hi</p>{marker}"), "en").html


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        ("Drucker", "Re: Drucker"),
        ("AW: RE: Aw: Drucker", "Re: Drucker"),
        ("Re[2]: Drucker", "Re: Drucker"),
        ("Re: [INC-000007 k7x9q2m4xw] Drucker", "Re: [INC-000007 k7x9q2m4xw] Drucker"),
        ("Report: ready", "Re: Report: ready"),
        ("", "Re:"),
    ],
)
def test_one_prefix_is_enough(subject: str, answer: str) -> None:
    assert reply_subject(subject) == answer
