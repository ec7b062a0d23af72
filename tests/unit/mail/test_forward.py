"""A mail that a person passed on tells of its original; a reply and a report do not."""

from __future__ import annotations

import pytest

from kolibri_sdk.mail import parse_mail
from kolibri_sdk.mail.quoted_date import read_quoted_date
from kolibri_sdk.model.message import ForwardedMail

ORIGINAL = {
    "from": {"address": "bo@example.net", "name": "Bo Øster"},
    "to": [{"address": "anna@example.org", "name": "Anna Kühn"}],
    "sent": "2026-05-04T10:15:00",
    "subject": "Rechnung 4711",
    "message_id": None,
}

#: Subject, and the text of a mail that passes the same original on.
FORWARDS = {
    "Outlook, German": (
        "WG: Rechnung 4711",
        "Bitte prüfen.\n\nVon: Bo Øster <bo@example.net>\nGesendet: Montag, 4. Mai 2026 10:15\n"
        "An: Anna Kühn <anna@example.org>\nBetreff: Rechnung 4711\n\nGuten Tag",
    ),
    "Outlook, an address in brackets": (
        "FW: Rechnung 4711",
        "From: Bo Øster [mailto:bo@example.net]\nSent: Monday, May 4, 2026 10:15 AM\n"
        "To: Anna Kühn <anna@example.org<mailto:anna@example.org>>\nSubject: Rechnung 4711\n",
    ),
    "Gmail": (
        "Fwd: Rechnung 4711",
        "---------- Forwarded message ---------\nFrom: Bo Øster <bo@example.net>\n"
        "Date: Mon, May 4, 2026 at 10:15\nSubject: Rechnung 4711\n"
        "To: Anna Kühn <anna@example.org>\n\n\nGuten Tag",
    ),
    "Apple Mail": (
        "Fwd: Rechnung 4711",
        "Zur Info\n\n> Anfang der weitergeleiteten Nachricht:\n>\n"
        "> Von: Bo Øster <bo@example.net>\n> Betreff: Rechnung 4711\n"
        "> Datum: 4. Mai 2026 um 10:15:00 MESZ\n> An: Anna Kühn <anna@example.org>\n>\n> Guten Tag",
    ),
    "Thunderbird": (
        "Fwd: Rechnung 4711",
        "-------- Weitergeleitete Nachricht --------\nBetreff: \tRechnung 4711\n"
        "Datum: \t04.05.2026 10:15\nVon: \tBo Øster <bo@example.net>\n"
        "An: \tAnna Kühn <anna@example.org>\n\nGuten Tag",
    ),
    "French": (
        "TR: Rechnung 4711",
        "De : Bo Øster <bo@example.net>\nEnvoyé : lundi 4 mai 2026 10:15\n"
        "À : Anna Kühn <anna@example.org>\nObjet : Rechnung 4711\n",
    ),
    "Spanish": (
        "RV: Rechnung 4711",
        "De: Bo Øster <bo@example.net>\nEnviado el: lunes, 4 de mayo de 2026 10:15\n"
        "Para: Anna Kühn <anna@example.org>\nAsunto: Rechnung 4711\n",
    ),
    "marked by a filter": (
        "[EXTERN] WG: Rechnung 4711",
        "*Von:* Bo Øster <bo@example.net>\n*Gesendet:* 4. Mai 2026 10:15\n"
        "*An:* Anna Kühn <anna@example.org>\n*Betreff:* Rechnung 4711\n",
    ),
    "old Mozilla": (
        "[Fwd: Rechnung 4711]",
        "-------- Original Message --------\nSubject: Rechnung 4711\n"
        "Date: Mon, 4 May 2026 10:15\nFrom: Bo Øster <bo@example.net>\n"
        "To: Anna Kühn <anna@example.org>\n\nGuten Tag",
    ),
    "no word of it in the subject": (
        "Rechnung 4711",
        "Kannst du?\n\n---------- Weitergeleitete Nachricht ----------\n"
        "Von: Bo Øster <bo@example.net>\nDatum: 04.05.2026, 10:15\n"
        "An: Anna Kühn <anna@example.org>\nBetreff: Rechnung 4711\n",
    ),
}


def read(subject: str, text: str) -> ForwardedMail | None:
    raw = f"From: anna@example.org\nSubject: {subject}\nContent-Type: text/plain; charset=utf-8\n\n"
    return parse_mail((raw + text).encode()).forwarded


@pytest.mark.parametrize("name", FORWARDS)
def test_the_original_of_a_forward_is_read_from_its_text(name: str) -> None:
    found = read(*FORWARDS[name])
    assert found is not None
    assert found.as_json() == ORIGINAL
    assert ForwardedMail.of_json(found.as_json()) == found


@pytest.mark.parametrize("name", FORWARDS)
def test_all_of_a_forward_is_new_to_its_receiver(name: str) -> None:
    subject, text = FORWARDS[name]
    raw = (
        f"From: a@b.example\nSubject: {subject}\nContent-Type: text/plain; charset=utf-8\n\n{text}"
    )
    assert parse_mail(raw.encode()).reply_text == text.strip()


def test_a_sender_may_be_told_by_name_alone() -> None:
    found = read("WG: x", "Von: Kühn, Anna\nGesendet: heute\nAn: Bo; Carla\nBetreff: x\n")
    assert found is not None
    assert found.sender is not None
    assert (found.sender.address, found.sender.name, found.sent) == ("", "Kühn, Anna", None)
    assert [person.name for person in found.to] == ["Bo", "Carla"]


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("AW: WG: Rechnung 4711", FORWARDS["Outlook, German"][1]),
        ("Re: Rechnung 4711", FORWARDS["Outlook, German"][1]),
        ("Rechnung 4711", FORWARDS["Outlook, German"][1]),
        ("WG: Rechnung 4711", "Die Rechnung liegt bei."),
        (
            "Rechnung",
            "Ich habe es weitergeleitet.\n\nAm 4.5.2026 schrieb Bo <bo@example.net>:\n> x",
        ),
        (
            "Rechnung",
            "Danke.\n\nAm 4.5.2026 um 10:15 schrieb Anna <anna@example.org>:\n"
            + "\n".join(f"> {line}" for line in FORWARDS["Gmail"][1].splitlines()),
        ),
    ],
)
def test_a_reply_is_no_forward(subject: str, text: str) -> None:
    assert read(subject, text) is None


ATTACHED = """\
From: anna@example.org
Subject: {subject}
MIME-Version: 1.0
Content-Type: multipart/{kind}; boundary=b

--b
Content-Type: text/plain

Zur Info
--b
Content-Type: message/rfc822

From: Bo =?utf-8?q?=C3=98ster?= <bo@example.net>
To: Anna <anna@example.org>
Date: Mon, 4 May 2026 10:15:00 +0200
Subject: Rechnung 4711
Message-ID: <r4711@example.net>

Guten Tag
--b--
"""


def test_an_attached_mail_is_a_forward_with_all_that_its_head_says() -> None:
    raw = ATTACHED.format(subject="Rechnung", kind="mixed").encode()
    found = parse_mail(raw).forwarded
    assert found is not None
    assert found.as_json() == {
        "from": {"address": "bo@example.net", "name": "Bo Øster"},
        "to": [{"address": "anna@example.org", "name": "Anna"}],
        "sent": "2026-05-04T08:15:00+00:00",
        "subject": "Rechnung 4711",
        "message_id": "r4711@example.net",
    }


@pytest.mark.parametrize(
    ("subject", "kind"), [("Re: x", "mixed"), ("x", "digest"), ("x", "report")]
)
def test_a_mail_attached_for_another_reason_is_no_forward(subject: str, kind: str) -> None:
    assert parse_mail(ATTACHED.format(subject=subject, kind=kind).encode()).forwarded is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Thursday, 28 January 2016 8:16 p.m.", "2016-01-28T20:16:00"),
        ("5/4/2026 12:07:01 AM", "2026-05-04T00:07:01"),
        ("5/4/2026 13:07", "2026-04-05T13:07:00"),
        ("2026年5月4日 15:37", "2026-05-04T15:37:00"),
        ("mercredi 30 novembre 2016 10h30", "2016-11-30T10:30:00"),
        ("20 окт. 2016 г. 19:37", "2016-10-20T19:37:00"),
        ("den 4 maj 2026 10:15", "2026-05-04T10:15:00"),
        ("04.05.26, 10:15", "2026-05-04T10:15:00"),
        ("Mon, 4 May 2026 10:15:00 GMT", "2026-05-04T10:15:00+00:00"),
        ("31.02.2026 10:15", None),
        ("99999999999", None),
        ("yesterday", None),
    ],
)
def test_dates_are_read_in_many_languages(text: str, moment: str | None) -> None:
    assert read_quoted_date(text) == moment
