"""Who writes to the invented service desk, and the things that they write about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

__all__ = ["DESK", "PEOPLE", "SLOTS", "Person"]

DESK = "support@hafenlog.example"
_LATIN = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"} | dict(zip("éıçłşñ", "eiclsn", strict=True))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, or something, that sends mail."""

    name: str
    address: str
    language: str
    signature: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  #: that its mails carry


def _colleague(name: str, language: str, work: str) -> Person:
    plain = name.lower()
    for letters, latin in _LATIN.items():
        plain = plain.replace(letters, latin)
    address = f"{plain.replace(' ', '.')}@hafenlog.example"
    return Person(name, address, language, f"{work} · Hafenlog · +49 40 555 01{len(name):02}")


PEOPLE = (
    _colleague("Anna Kühn", "de", "Disposition"),
    _colleague("Bernd Oetjen", "de", "Lager Nord"),
    _colleague("Carla Brandt", "de", "Buchhaltung"),
    _colleague("Deniz Yılmaz", "de", "Zoll"),
    _colleague("Elif Şahin", "de", "Personal"),
    _colleague("Frauke Lührs", "de", "Einkauf"),
    _colleague("Gregor Weiß", "de", "Werkstatt"),
    _colleague("Hanna Jürgens", "de", "Vertrieb"),
    _colleague("Ingo Petersen", "de", "Leitstand"),
    _colleague("Jana Łukasik", "de", "Empfang"),
    _colleague("Kai Möller", "de", "Fuhrpark"),
    _colleague("Lena Haß", "de", "Marketing"),
    _colleague("Malik Johnson", "en", "Customs"),
    _colleague("Nora Byrne", "en", "Sales"),
    _colleague("Oliver Grant", "en", "Warehouse"),
    _colleague("Priya Nair", "en", "Finance"),
    _colleague("Quentin Dubé", "en", "Planning"),
    _colleague("Rosa Muñoz", "en", "Purchasing"),
)


class _Slots:
    """What a name in braces may stand for."""

    senders: Mapping[str, Person] = {
        "newsletter": Person(
            "IT heute",
            "news@it-heute.example",
            "de",
            headers={
                "List-Unsubscribe": "<https://it-heute.example/off>",
                "List-Id": "<news.it-heute.example>",
                "Precedence": "bulk",
            },
        ),
        "stranger": Person(
            "Account Team", "no-reply@login-portal.invalid", "en", headers={"X-Mailer": "Blast 2"}
        ),
        "machine": Person(
            "Monitoring",
            "monitor@hafenlog.example",
            "de",
            headers={"Auto-Submitted": "auto-generated"},
        ),
    }
    _either: Mapping[str, tuple[str, ...]] = {
        "drive": ("H:", "P:", "S:", "T:"),
        "room": ("2.14", "3.07", "E.02", "1.21", "4.01"),
        "place": ("Bremen", "Kiel", "Rostock", "Lübeck", "Emden"),
        "partner": ("Nordwind Spedition", "Reederei Klaas", "Contargo Süd", "Baltic Lines"),
        "app": ("SAP", "Tracklog", "Outlook", "Docuvault", "Zeitwerk"),
    }
    _days: Mapping[str, tuple[str, ...]] = {
        "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag"),
        "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    }

    def drawn(self, dice: Random, language: str) -> dict[str, str]:
        """A word for every name."""
        colleague = dice.choice(PEOPLE)
        return {
            **{name: dice.choice(words) for name, words in self._either.items()},
            "day": dice.choice(self._days[language]),
            "colleague": colleague.name,
            "login": colleague.address.partition("@")[0].replace(".", "")[:8],
            "device": f"HL-{dice.choice('NDT')}{dice.randint(1000, 9999)}",
            "number": str(dice.randint(3, 60)),
            "hour": f"{dice.randint(7, 16)}:{dice.choice(('00', '15', '30', '45'))}",
        }


SLOTS = _Slots()
