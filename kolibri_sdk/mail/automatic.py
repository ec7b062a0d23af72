"""What sort of mail it is: written by a person, by a list, by an absent colleague's program."""

from __future__ import annotations

import re

from kolibri_sdk.mail.head import Head
from kolibri_sdk.mail.structure import Part
from kolibri_sdk.model.message import MessageKind

__all__ = ["kind_of"]

_AUTO_SUBJECT = re.compile(
    r"(?:\[[^\]]*\]\s*)?(?:"
    r"automatische (?:antwort|rückantwort|r[ée]ponse)|abwesenheits(?:notiz|nachricht|meldung)"
    r"|(?:ich bin )?(?:nicht im büro|abwesend|außer haus)|urlaubsvertretung"
    r"|auto(?:matic|mated|matisierte)?[ -]?(?:reply|response|answer|antwort)"
    r"|out[ -]of[ -](?:the[ -])?office|vacation (?:reply|notice|response)"
    r"|r[ée]ponse automatique|respuesta autom[áa]tica|risposta automatica"
    r")",
    re.I,
)
# Receipts (RFC 8098) and complaints about spam (RFC 5965); programs write both.
_REPORTS = frozenset({"disposition-notification", "feedback-report"})
_BULK = frozenset({"bulk", "list", "junk"})


def kind_of(root: Part, subject: str, *, bounce: bool) -> MessageKind:
    """Sort a mail by its headers (RFC 3834 section 2, RFC 2369, and what programs do instead).

    Parameters
    ----------
    root : Part
        The mail.
    subject : str
        Decoded. It alone never makes a mail automatic: people, too, write of "out of office".
    bounce : bool
        Whether it was read as a bounce, which goes before everything.
    """
    if bounce:
        return MessageKind.BOUNCE
    head = root.head
    listed = "list-id" in head or "list-unsubscribe" in head or "list-post" in head
    submitted = head.first("auto-submitted").partition(";")[0].strip().lower()
    if submitted.startswith("auto-replied") or _says_auto_reply(root):
        return MessageKind.AUTO_REPLY
    if listed:
        return MessageKind.LIST
    if submitted not in ("", "no"):
        return MessageKind.AUTO_REPLY
    if _AUTO_SUBJECT.match(subject) and _corroborated(head):
        return MessageKind.AUTO_REPLY
    if _precedence(head) in _BULK:
        return MessageKind.LIST
    return MessageKind.ORDINARY


def _says_auto_reply(root: Part) -> bool:
    head = root.head
    report = root.parameters.get("report-type", "").lower()
    return (
        _precedence(head) in ("auto_reply", "auto-reply")
        or head.first("x-precedence").lower() == "auto_reply"
        or head.first("x-autoreply").lower() not in ("", "no")
        or "x-autorespond" in head
        or "x-autoreply-from" in head
        or "x-mail-autoreply" in head
        or (root.content_type == "multipart/report" and report in _REPORTS)
    )


def _corroborated(head: Head) -> bool:
    """Whether a header, too, hints at a program; each of them alone proves nothing."""
    return (
        "x-auto-response-suppress" in head
        or "in-reply-to" in head
        or head.first("return-path").replace(" ", "") == "<>"
        or _precedence(head) in _BULK
    )


def _precedence(head: Head) -> str:
    return head.first("precedence").strip().lower()
