"""What programs write is told from what people write (RFC 3834)."""

from __future__ import annotations

import pytest

from kolibri_sdk.mail import parse_mail
from kolibri_sdk.model.message import MessageKind


def kind(head: str, subject: str = "Urlaub") -> MessageKind:
    raw = f"From: anna@example.net\nTo: desk@example.org\nSubject: {subject}\n{head}\nHallo\n"
    return parse_mail(raw.encode()).kind


@pytest.mark.parametrize(
    "head",
    [
        "Auto-Submitted: auto-replied\n",
        "Auto-Submitted: Auto-Replied (vacation)\n",
        "Auto-Submitted: auto-generated\n",
        "Precedence: auto_reply\n",
        "Preference: auto_reply\n",
        "X-Autoreply: yes\n",
        "X-Auto-Reply: true\n",
        "X-Autorespond: away\n",
        "X-Autoresponder: 1\n",
        "X-Mail-Autoreply: 1\n",
        "X-AutoReply-From: anna@example.net\n",
        "X-POST-MessageClass: 9; Autoresponder\n",
        "Delivered-To: Autoresponder\n",
        "X-Vacation: yes\n",
        "X-OTRS-Loop: yes\n",
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n",
        "Auto-Submitted: auto-replied\nList-Id: <x.example.org>\n",
    ],
)
def test_headers_of_answering_programs(head: str) -> None:
    assert kind(head) is MessageKind.AUTO_REPLY


@pytest.mark.parametrize(
    "subject",
    [
        "Automatische Antwort: Ticket 7",
        "Automatic reply: Ticket 7",
        "Abwesenheitsnotiz: Ticket 7",
        "Out of Office: Ticket 7",
        "Réponse automatique : Ticket 7",
        "Respuesta automática: Ticket 7",
        "Risposta automatica: Ticket 7",
        "Automatisch antwoord: Ticket 7",
        "Resposta automática: Ticket 7",
        "Odpowiedź automatyczna: Ticket 7",
        "Automatisk svar: Ticket 7",
        "Autosvar: Ticket 7",
        "Automaattinen vastaus: Ticket 7",
        "Автоматический ответ: Ticket 7",
        "Automatická odpověď: Ticket 7",
        "自动回复: Ticket 7",
        "[EXTERN] Automatische Antwort: Ticket 7",
    ],
)
def test_subjects_as_programs_write_them_need_no_header(subject: str) -> None:
    raw = f"From: anna@example.net\nSubject: {subject}\n\nHallo\n"
    assert parse_mail(raw.encode()).kind is MessageKind.AUTO_REPLY


@pytest.mark.parametrize("hint", ["Return-Path: <>\n", "X-Auto-Response-Suppress: All\n"])
@pytest.mark.parametrize("subject", ["Abwesend bis 4. Mai", "I am away until May", "Afwezig"])
def test_other_subjects_count_where_a_header_hints_at_a_program(subject: str, hint: str) -> None:
    assert kind(hint, subject) is MessageKind.AUTO_REPLY
    assert kind("", subject) is MessageKind.ORDINARY


@pytest.mark.parametrize(
    "head",
    [
        "List-Id: <users.example.org>\n",
        "List-Unsubscribe: <https://example.org/u>\n",
        "List-Post: <mailto:users@example.org>\n",
        "Mailing-List: contact users-help@example.org\n",
        "X-Mailing-List: users@example.org\n",
        "X-BeenThere: users@example.org\n",
        "Precedence: bulk\n",
        "Precedence: list\n",
        "List-Id: <users.example.org>\nAuto-Submitted: auto-generated\n",
    ],
)
def test_lists_and_newsletters(head: str) -> None:
    assert kind(head) is MessageKind.LIST


@pytest.mark.parametrize(
    ("head", "subject"),
    [
        ("", "Automatische Antwort einrichten"),
        ("", "AW: Automatische Antwort: Ticket 7"),
        ("", "Out of office messages do not work"),
        ("Auto-Submitted: no\n", "Ticket"),
        ("X-Autoreply: no\n", "Ticket"),
        ("X-Auto-Response-Suppress: DR, OOF, AutoReply\n", "Ticket"),
        ("Precedence: normal\n", "Ticket"),
        ("In-Reply-To: <1@desk.example.org>\n", "AW: Urlaub"),
    ],
)
def test_people_who_write_of_absence_are_people(head: str, subject: str) -> None:
    assert kind(head, subject) is MessageKind.ORDINARY
