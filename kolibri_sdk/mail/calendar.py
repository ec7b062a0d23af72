"""What an invitation says, as text, for mails that hold nothing else (RFC 5545, RFC 5546)."""

from __future__ import annotations

import re
from datetime import datetime

from kolibri_sdk.mail.charset import clean

__all__ = ["summary"]

_FOLD = re.compile(r"\r?\n[ \t]")
_PROPERTY = re.compile(
    r"^(METHOD|SUMMARY|DTSTART|DTEND|LOCATION|ORGANIZER|DESCRIPTION|ATTENDEE)"
    r"((?:;[A-Z0-9-]{1,40}=(?:\"[^\"\n]{0,500}\"|[^;:\n]{0,500})){0,20}):(.{0,10000})",
    re.I | re.M,
)
_PARAMETER = re.compile(r";([A-Z0-9-]+)=(?:\"([^\"]*)\"|([^;:]*))", re.I)
_ESCAPE = re.compile(r"\\(.)")
_METHODS = {
    "REQUEST": "Invitation",
    "REPLY": "Reply to an invitation",
    "CANCEL": "Cancellation",
    "COUNTER": "Counter-proposal",
    "DECLINECOUNTER": "Counter-proposal declined",
    "PUBLISH": "Event",
}
_LONGEST = 1_000_000  # characters of a calendar that are looked at


def summary(calendar: str) -> str:
    r"""The first event or task of a calendar in a few lines; empty where there is none.

    Examples
    --------
    >>> print(summary("METHOD:REQUEST\nBEGIN:VEVENT\nSUMMARY:Budget\nDTSTART:20261201T090000Z\n"))
    Invitation: Budget
    Start: 2026-12-01 09:00 UTC
    """
    unfolded = _FOLD.sub("", calendar[:_LONGEST])
    begin = re.search(r"^BEGIN:(?:VEVENT|VTODO)", unfolded, re.I | re.M)
    if begin is None:
        return ""
    end = re.compile(r"^END:(?:VEVENT|VTODO)", re.I | re.M).search(unfolded, begin.end())
    # METHOD stands above the event; whatever else has these names outside of it is a time zone's.
    head = _PROPERTY.finditer(unfolded[: begin.start()])
    body = _PROPERTY.finditer(unfolded[begin.end() : end.start() if end else None])
    found: dict[str, tuple[dict[str, str], str]] = {}
    for one in (*(one for one in head if one[1].upper() == "METHOD"), *body):
        found.setdefault(one[1].upper(), (_parameters(one[2]), one[3].strip()))
    return clean("\n".join(_lines(found)))


def _lines(found: dict[str, tuple[dict[str, str], str]]) -> list[str]:
    def value(name: str) -> str:
        return _ESCAPE.sub(_unescaped, found.get(name, ({}, ""))[1])

    method = value("METHOD").upper()
    kind = _METHODS.get(method, "Event")
    if method == "REPLY" and (status := found.get("ATTENDEE", ({}, ""))[0].get("PARTSTAT")):
        kind = f"{kind} ({status.lower()})"
    lines = [f"{kind}: {value('SUMMARY')}".rstrip(": ")]
    for name, label in (("DTSTART", "Start"), ("DTEND", "End")):
        if name in found:
            lines.append(f"{label}: {_moment(*found[name])}")
    if place := value("LOCATION"):
        lines.append(f"Place: {place}")
    if "ORGANIZER" in found:
        parameters, address = found["ORGANIZER"]
        address = re.sub(r"^mailto:", "", address, flags=re.I)
        name = parameters.get("CN", "")
        lines.append(f"Organiser: {name} <{address}>" if name else f"Organiser: {address}")
    if description := value("DESCRIPTION").strip():
        lines += ("", description)
    return lines


def _parameters(text: str) -> dict[str, str]:
    return {one[1].upper(): one[2] or one[3] for one in _PARAMETER.finditer(text)}


def _unescaped(escape: re.Match[str]) -> str:
    return "\n" if escape[1] in "nN" else escape[1]


def _moment(parameters: dict[str, str], value: str) -> str:
    zone = "UTC" if value.endswith("Z") else parameters.get("TZID", "")
    for form, shown in (("%Y%m%dT%H%M%S", "%Y-%m-%d %H:%M"), ("%Y%m%d", "%Y-%m-%d")):
        try:
            moment = datetime.strptime(value.removesuffix("Z"), form)  # noqa: DTZ007 - as written
        except ValueError:
            continue
        return f"{moment.strftime(shown)} {zone}".strip()
    return value
