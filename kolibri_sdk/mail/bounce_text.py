"""Bounces that are written for people: which recipients they name, and what they say of each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from kolibri_sdk.mail.bounce_words import code_in, status_of
from kolibri_sdk.mail.head import Head
from kolibri_sdk.model.message import BounceReport

__all__ = ["ADDRESS", "MOST_REPORTS", "reports_for_people", "reports_of_ses", "what_is_told"]

ADDRESS = re.compile(r"[^\s<>()\[\]\",;:@=]{1,64}@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+")
MOST_REPORTS = 1000
_LONGEST = 200_000  # characters
_TOP = 20_000  # characters that are searched for a reason
_REACH = 1500  # characters that follow an address and are about it
# Below such a line stands the mail that is returned.
_RETURNED = re.compile(
    r"^[-* \t>]*(?:original message|this is a copy of (?:the|your) message"
    r"|below this line is a copy"
    r"|below is a copy of|a copy of the original|(?:received|return-path|message-id):"
    r"|returned message|(?:the )?original message (?:was|follows|header)|message headers?\b"
    r"|(?:the )?header of the original|unsent message|der text der|ursprüngliche nachricht"
    r"|kopie (?:der|ihrer) nachricht|anfang der (?:original|ursprüng)|message contents|------ )",
    re.I | re.M,
)
# A recipient on a line of his own; other addresses are of servers' contacts and the like.
_ON_A_LINE = re.compile(
    r"^[ \t*|>\xa0-]*(?:[45]\d\d[ -](?:[45]\.\d+\.\d+ )?(?=<))?(?:(?:original[- ])?(?:to"
    r"|rcpt to|recipients?(?: address)?|failed recipient"
    r"|final-recipient|addressed to|empfänger|an|à|para|destinataire|user|mailbox|address|email)"
    r"[ \t]*:[ \t]*(?:rfc822;[ \t]*)?)?['\"<(]*"
    r"([^\s<>()\[\]\"',;:@=*]{1,64}@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+)[>'\")]*"
    r"[ \t]*(?::|;|,|$|\(|\.\.\.|\r| on (?:mon|tue|wed|thu|fri|sat|sun)\b| <)",
    re.I | re.M,
)
# What comes before the list of those who got nothing.
_LISTED = re.compile(
    r"(?:following|folgende\w*|suivante?s?|siguientes?|seguenti)[^\n]{0,60}"
    r"(?:recipient|address|empfänger|adress|destinat)[^\n]{0,80}$",
    re.I | re.M,
)
_NOBODY = re.compile(
    r"(?:mailer-?daemon|post-?_?master|abuse|no-?_?reply|mail-?daemon|support|help-?desk|admin)@",
    re.I,
)
_STILL_TRYING = re.compile(
    r"warning|delayed|will (?:continue|keep|be retried|retry|try)|still (?:being )?(?:tr"
    r"|attempt|queued)"
    r"|not (?:yet )?been delivered (?:yet|after)|no(?:t|thing)? (?:action"
    r"|need)[^.\n]{0,40}(?:required|to)"
    r"|you do not need to resend|verzögert|erneut versuch|weiter versuch|wird weiterhin",
    re.I,
)
_GIVEN_UP = re.compile(
    r"giv(?:e|en|ing) up|gave up|permanent|returned to sender|could not be delivered"
    r"|has been (?:returned|deleted)|endgültig|dauerhaft",
    re.I,
)


def what_is_told(text: str) -> str:
    """What the bounce itself says, without the mail that it returns."""
    for cut in _RETURNED.finditer(text[:_LONGEST]):
        if text[: cut.start()].strip(" -\n\t*"):
            return text[: cut.start()]
    return text[:_LONGEST]


def reports_for_people(
    head: Head, subject: str, told: str, own: frozenset[str], original: str | None
) -> Iterator[BounceReport]:
    """A report on each recipient that the bounce names.

    Parameters
    ----------
    head : Head
        Of the bounce.
    subject : str
        Decoded.
    told : str
        As `what_is_told` gives it.
    own : frozenset of str
        Addresses in lower case that are not the failed recipient: sender and receiver of the
        bounce itself.
    original : str or None
        Message-ID of the mail that bounced.
    """
    delayed = bool(_STILL_TRYING.search(subject) or _STILL_TRYING.search(told)) and not (
        _GIVEN_UP.search(subject) or _GIVEN_UP.search(told)
    )
    found = list(_recipients(head, told, own))
    top = told[:_TOP]
    # Of a single recipient all is told; a code says more than words that resemble one.
    alone = code_in(top) if len(found) == 1 else ""
    in_general = status_of(top)
    told_of: dict[str, str] = {}  #: the same is often said of many
    for address, below in found:
        if below not in told_of:
            told_of[below] = alone or status_of(below) or in_general
        status = told_of[below]
        if delayed and not status:
            status = "4.0.0"
        waits = delayed and status.startswith("4")
        diagnostic = " ".join(below.split())[:500]
        yield BounceReport(address, status, "delayed" if waits else "failed", diagnostic, original)


def _recipients(head: Head, told: str, own: frozenset[str]) -> Iterator[tuple[str, str]]:
    """The recipients, each with the text about him."""
    named = [(one[0], -1) for one in ADDRESS.finditer(head.text("x-failed-recipients"))]
    if named:
        candidates = [(address, told.find(address)) for address, _ in named]
    else:
        listed = _LISTED.search(told)
        candidates = [(m[1], m.start(1)) for m in _ON_A_LINE.finditer(told)]
        below = [one for one in candidates if listed and one[1] > listed.end()]
        candidates = below or candidates
        foreign = [one for one in candidates if one[0].lower() not in own]
        candidates = foreign or candidates
    if not candidates:
        every = [(m[0].strip(".'"), m.start()) for m in ADDRESS.finditer(told)]
        candidates = [one for one in every if one[0].lower() not in own]
    found: dict[str, tuple[str, int]] = {}
    for address, start in candidates[:MOST_REPORTS]:
        bare = address.strip(".'")
        if named or not _NOBODY.match(bare):
            found.setdefault(bare.lower(), (bare, start))
    starts = sorted(start for _, start in found.values() if start >= 0)
    for address, start in found.values():
        if start < 0:
            yield address, told[:_REACH]
            continue
        after = next((one for one in starts if one > start), len(told))
        yield address, told[start : min(after, start + _REACH)]


def reports_of_ses(text: str) -> tuple[BounceReport, ...] | None:
    """What Amazon SES tells of a bounce by mail: JSON; None where it is something else."""
    start = text.find("{")
    if start < 0 or '"bouncedRecipients"' not in text[:_LONGEST]:
        return None
    try:
        # A server on the way may have broken the one long line.
        whole = text[:_LONGEST].replace("!\n ", "")
        told, _ = json.JSONDecoder().raw_decode(whole, start)
        mail, bounce = told.get("mail") or {}, told["bounce"]
        original = (mail.get("commonHeaders") or {}).get("messageId") or mail.get("messageId")
        return tuple(
            BounceReport(
                address=str(one["emailAddress"]).strip("<> "),
                status=status_of(
                    str(one.get("diagnosticCode", "")), given=str(one.get("status", ""))
                ),
                action=str(one.get("action", "failed")).lower(),
                diagnostic=str(one.get("diagnosticCode", ""))[:500],
                original_message_id=str(original).strip("<> ") if original else None,
            )
            for one in bounce["bouncedRecipients"][:MOST_REPORTS]
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
