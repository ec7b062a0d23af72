"""What comes in at an invented service desk within half a year, and which group solved it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from kolibri_sdk.demo.history.people import DESK, PEOPLE, SLOTS, Person
from kolibri_sdk.rulebook.yaml_file import read_yaml

__all__ = ["HistoricMail", "historic_mails"]

_HERE = Path(__file__).parent
_FIRST_DAY = datetime(2026, 1, 5, 6, tzinfo=UTC)
_DAYS = 178
_REQUESTS, _REPLIES, _ABSENCES, _NEWSLETTERS, _ALERTS = 330, 70, 20, 24, 16
#: How often the groups are asked, roughly as at a real desk.
_WEIGHTS = {
    "network": 22,
    "identity": 26,
    "workplace": 20,
    "applications": 20,
    "facility": 6,
    "purchasing": 6,
}
_NEVER_CLOSED = 0.08  #: requests that nobody gave to a group
_MISTAKEN = 0.012  #: that were closed in a wrong one
_GREETINGS = {
    "de": ("Hallo zusammen,", "Guten Tag,", "Moin,", "Liebe IT,", ""),
    "en": ("Hello,", "Hi team,", "Dear colleagues,", ""),
}
_CLOSINGS = {
    "de": ("Viele Grüße", "Danke und Gruß", "MfG", "Beste Grüße"),
    "en": ("Kind regards", "Thanks", "Best wishes", "Cheers"),
}
_ANSWERS = {
    "de": (
        "Danke, jetzt geht es wieder.",
        "Leider unverändert, auch nach dem Neustart.",
        "Heute ist es wieder aufgetreten, um {hour}.",
        "Hier die Nummer: {device}.",
    ),
    "en": (
        "Thanks, it works again.",
        "Sadly no change, not even after a restart.",
        "It happened again today at {hour}.",
        "The number is {device}.",
    ),
}
_ABSENT = {
    "de": (
        "Automatische Antwort: {subject}",
        "ich bin bis {day} nicht im Haus. In dringenden Fällen hilft {colleague}.",
    ),
    "en": (
        "Automatic reply: {subject}",
        "I am out of the office until {day}. In urgent cases please ask {colleague}.",
    ),
}
_OFFERS = {
    "de": (
        (
            "Ihr Newsletter: Neues für {place}",
            "diese Woche: mehr Sicherheit für Ihr Netzwerk, Drucker im Abo, Webinar am {day}.",
        ),
        (
            "Einladung: Webinar am {day}",
            "so bringen Sie Ihre Anwendungen in die Cloud. Anmeldung genügt.",
        ),
    ),
    "en": (
        (
            "Newsletter: what is new",
            "this week: safer networks, printers by subscription, a webinar on {day}.",
        ),
        ("Invitation: webinar on {day}", "how to bring your applications to the cloud."),
    ),
}
_ALARMS = (
    (
        "[WARNING] Platte auf srv-{number} zu 91 % belegt",
        "Dienst: Dateisystem\nZustand: WARNING",
        "applications",
    ),
    (
        "[CRITICAL] Backup von srv-{number} fehlgeschlagen",
        "Dienst: Backup\nZustand: CRITICAL",
        "applications",
    ),
    (
        "[CRITICAL] Leitung {place} unterbrochen",
        "Dienst: WAN {place}\nZustand: CRITICAL\nSeit: {hour}",
        "network",
    ),
    ("[OK] Leitung {place}", "Dienst: WAN {place}\nZustand: OK", None),
)


@dataclass(frozen=True, slots=True)
class HistoricMail:
    """One mail, and what became of it."""

    message_id: str  #: without angle brackets
    sent: datetime
    sender: Person
    subject: str
    text: str
    language: str
    label: str | None  #: the group that solved it
    to: str = DESK
    headers: Mapping[str, str] = field(default_factory=dict)
    html: bool = False
    attachment: str | None = None


@cache
def historic_mails() -> tuple[HistoricMail, ...]:
    """All of them, oldest first; the same ones every time."""
    dice = Random(20260105)  # noqa: S311 - the same mails every time, no secret
    requests = [*_requests(dice)]
    mails = [*requests, *_hard_cases(dice), *_automatic(dice, requests)]
    mails += _replies(dice, requests)
    mails.sort(key=lambda mail: mail.sent)
    return tuple(mails)


def _requests(dice: Random) -> Iterator[HistoricMail]:
    situations = _read("situations.yaml")
    groups = [*_WEIGHTS]
    for number in range(_REQUESTS):
        group = dice.choices(groups, [*_WEIGHTS.values()])[0]
        sender = dice.choice(PEOPLE)
        subject, text = dice.choice(situations[group][sender.language])
        label: str | None = group
        if dice.random() < _MISTAKEN:
            label = dice.choice([other for other in groups if other != group])
        if dice.random() < _NEVER_CLOSED:
            label = None
        yield _mail(dice, f"request-{number}", sender, subject, text, label)


def _hard_cases(dice: Random) -> Iterator[HistoricMail]:
    for number, case in enumerate(_read("hard_cases.yaml")):
        speak = [person for person in PEOPLE if person.language == case["language"]]
        sender = SLOTS.senders.get(case.get("from", ""), dice.choice(speak))
        made = _mail(dice, f"case-{number}", sender, case["subject"], case["text"], case["label"])
        text = made.text
        if case.get("forwarded"):
            text += _passed_on(dice, case["language"], made.subject)
        yield replace(
            made,
            text=text,
            language=case["language"],
            attachment=case.get("attachment"),
            headers=sender.headers,
        )


def _passed_on(dice: Random, language: str, subject: str) -> str:
    writer = dice.choice([person for person in PEOPLE if person.language == language])
    original = subject.partition(": ")[2]
    if language == "de":
        return (
            f"\n\n-----Ursprüngliche Nachricht-----\nVon: {writer.name} <{writer.address}>\n"
            f"An: Service Desk\nBetreff: {original}\n\nkönnt ihr das bitte ansehen?\n"
        )
    return (
        f"\n\n-----Original Message-----\nFrom: {writer.name} <{writer.address}>\n"
        f"To: Service Desk\nSubject: {original}\n\ncould you look at this, please?\n"
    )


def _replies(dice: Random, requests: list[HistoricMail]) -> Iterator[HistoricMail]:
    for number, asked in enumerate(dice.sample(requests, _REPLIES)):
        words = "Re" if asked.language == "en" or dice.random() < 0.5 else "AW"
        made = _mail(
            dice,
            f"reply-{number}",
            asked.sender,
            f"{words}: {asked.subject}",
            dice.choice(_ANSWERS[asked.language]),
            asked.label,
        )
        quoted = "\n".join(f"> {line}".rstrip() for line in asked.text.splitlines())
        name = f"{asked.sent:%d.%m.%Y %H:%M}"
        head = (
            f"Am {name} schrieb Service Desk:"
            if asked.language == "de"
            else f"On {name}, Service Desk wrote:"
        )
        yield replace(
            made,
            sent=asked.sent + timedelta(hours=dice.randint(1, 70)),
            text=f"{made.text}\n{head}\n{quoted}\n",
            headers={"In-Reply-To": f"<{asked.message_id}>", "References": f"<{asked.message_id}>"},
            html=False,
        )


def _automatic(dice: Random, requests: list[HistoricMail]) -> Iterator[HistoricMail]:
    for number, asked in enumerate(dice.sample(requests, _ABSENCES)):
        subject, text = _ABSENT[asked.language]
        subject = subject.replace("{subject}", asked.subject)
        made = _mail(dice, f"absence-{number}", asked.sender, subject, text, None)
        yield replace(made, headers={"Auto-Submitted": "auto-replied"}, html=False)
    for number in range(_NEWSLETTERS):
        language = dice.choice(("de", "en"))
        subject, text = dice.choice(_OFFERS[language])
        sender = SLOTS.senders["newsletter"]
        made = _mail(dice, f"offer-{number}", sender, subject, text, None)
        yield replace(made, headers=sender.headers, html=True, language=language)
    for number in range(_ALERTS):
        subject, text, label = dice.choice(_ALARMS)
        sender = SLOTS.senders["machine"]
        made = _mail(dice, f"alarm-{number}", sender, subject, text, label)
        yield replace(made, headers=sender.headers, html=False)


def _mail(
    dice: Random, name: str, sender: Person, subject: str, text: str, label: str | None
) -> HistoricMail:
    words = SLOTS.drawn(dice, sender.language)
    body = text.format(**words)
    if not sender.headers:
        greeting = dice.choice(_GREETINGS[sender.language])
        first = sender.name.split()[0]
        signature = dice.choice((first, sender.name, f"{sender.name}\n-- \n{sender.signature}"))
        parts = [greeting, body, f"{dice.choice(_CLOSINGS[sender.language])}\n{signature}"]
        body = "\n\n".join(part for part in parts if part)
    return HistoricMail(
        message_id=f"{name}@{sender.address.partition('@')[2]}",
        sent=_working_hour(dice),
        sender=sender,
        subject=subject.format(**words),
        text=body + "\n",
        language=sender.language,
        label=label,
        html=dice.random() < 0.35,
    )


def _working_hour(dice: Random) -> datetime:
    day = _FIRST_DAY + timedelta(days=dice.randrange(_DAYS))
    if day.weekday() >= 5 and dice.random() < 0.85:
        day += timedelta(days=7 - day.weekday())
    return day + timedelta(minutes=int(dice.triangular(0, 12 * 60, 3 * 60)))


def _read(name: str) -> Any:
    return read_yaml(_HERE / name, name).data
