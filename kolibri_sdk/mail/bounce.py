"""Bounces read: which recipient did not get which mail, and why (RFC 3464, and its imitations)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.head import Head, read_head
from kolibri_sdk.mail.ids import read_ids
from kolibri_sdk.mail.structure import Part
from kolibri_sdk.model.message import BounceReport

__all__ = ["read_bounces"]

_RETURNED = frozenset({"message/rfc822", "text/rfc822-headers", "message/global"})
_DAEMON = re.compile(r"(?:^|[<\s\"])(?:mailer-daemon|postmaster|mail-daemon|mailerdaemon)@?", re.I)
_SUBJECT = re.compile(
    r"undeliver|unzustellbar|nicht zustellbar|zustellung|non[- ]?deliver|failure notice"
    r"|deliver\w* (?:status|failure|has failed|failed|report|problem|notification)"
    r"|(?:returned|delayed) (?:e-?)?mail|returned to sender|returning to sender"
    r"|mail (?:delivery|system|failed|could not)|could not be delivered|message status"
    r"|(?:failure|failed|problem|error)s? (?:in )?deliver",
    re.I,
)
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY = re.compile(r"(?<![\d.])([45]\d\d)[ -]")
_ADDRESS = re.compile(r"[^\s<>()\[\]\",;:@]{1,64}@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+")
_DISCLAIMERS = re.compile(
    r"^[- \t>]*(?:original message|this is a copy of the message|below this line is a copy"
    r"|(?:received|return-path|message-id):"
    r"|returned message|the original message was|message header|------ )",
    re.I | re.M,
)
_MESSAGE_ID = re.compile(r"^message-id:[ \t]*(?:\r?\n[ \t]+)?(<[^<>\s]+>)", re.I | re.M)
# Where a bounce for people names the recipient on a line of his own, the other addresses in it
# are servers' contacts and the like.
_ON_A_LINE = re.compile(
    r"^[ \t]*(?:to:[ \t]*)?<?([^\s<>()\[\]\",;:@]{1,64}@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+)>?"
    r"[ \t]*(?::|$|\(|\.\.\.)",
    re.I | re.M,
)
_NOBODY = re.compile(r"(?:mailer-daemon|postmaster|abuse|no-?reply)@", re.I)
_MOST = 1000


def read_bounces(
    root: Part, subject: str, text: str, own: frozenset[str]
) -> tuple[BounceReport, ...] | None:
    """What a bounce says of each recipient; None where the mail is no bounce.

    Parameters
    ----------
    root : Part
        The mail.
    subject, text : str
        Decoded; for bounces that are written for people only.
    own : frozenset of str
        Addresses in lower case that are not the failed recipient: sender and receiver of the
        bounce itself.

    Returns
    -------
    tuple of BounceReport or None
        Empty for a bounce that names nobody: it is one all the same, and must not be answered.
    """
    leaves = list(root.leaves())
    statuses = [leaf for leaf in leaves if leaf.content_type == "message/delivery-status"]
    if not statuses and not _looks_like_one(root, subject):
        return None
    original = _original_id(leaves, text)
    reports = {r.address.lower(): r for leaf in statuses for r in _reports(leaf, original)}
    if reports:
        return tuple(reports.values())[:_MOST]
    told = _told(text)
    return tuple(
        _report(address, text_below, told, original)
        for address, text_below in _recipients(root, told, own)
    )


def _looks_like_one(root: Part, subject: str) -> bool:
    head = root.head
    report = root.parameters.get("report-type", "").lower() == "delivery-status"
    null_path = head.first("return-path").replace(" ", "") == "<>"
    daemon = null_path or bool(_DAEMON.search(head.first("from")))
    return report or "x-failed-recipients" in head or (daemon and bool(_SUBJECT.search(subject)))


def _reports(leaf: Part, original: str | None) -> Iterator[BounceReport]:
    """One report per group of fields that names a recipient (RFC 3464 section 2.3)."""
    defects = Defects()
    content = leaf.content(defects).strip()
    for block in re.split(rb"\n[ \t]*\r*\n", content):
        fields, _ = read_head(block.lstrip(b"\r\n"), 0, len(block), defects)
        address = _recipient(fields)
        if not address:
            continue
        diagnostic = fields.text("diagnostic-code").partition(";")[2].strip()
        yield BounceReport(
            address=address,
            status=_precise(fields.first("status"), diagnostic),
            action=fields.first("action").split("(")[0].strip().lower(),
            diagnostic=diagnostic or fields.text("diagnostic-code"),
            original_message_id=original,
        )


def _recipient(fields: Head) -> str:
    for name in ("original-recipient", "final-recipient"):
        kind, _, value = fields.text(name).rpartition(";")
        if kind.strip().lower() in ("", "rfc822", "utf-8") and (found := _ADDRESS.search(value)):
            return found[0]
    value = fields.text("final-recipient").rpartition(";")[2]
    return value.strip(" <>")


def _told(text: str) -> str:
    """What the bounce itself says, without the mail that it returns."""
    cut = _DISCLAIMERS.search(text)
    return text[: cut.start() if cut and text[: cut.start()].strip() else 200_000][:200_000]


def _recipients(root: Part, told: str, own: frozenset[str]) -> Iterator[tuple[str, str]]:
    """The recipients that a bounce for people names, each with the text that follows it."""
    found: set[str] = set()
    candidates = [(m[0], told) for m in _ADDRESS.finditer(root.head.text("x-failed-recipients"))]
    if not candidates:
        candidates = [(m[1], told[m.start() : m.start() + 600]) for m in _ON_A_LINE.finditer(told)]
    if not candidates:
        candidates = [
            (m[0], told[m.start() : m.start() + 600])
            for m in _ADDRESS.finditer(told)
            if m[0].strip(".'").lower() not in own
        ]
    for candidate, below in candidates[:_MOST]:
        address = candidate.strip(".'")
        if address.lower() not in found and not _NOBODY.match(address):
            found.add(address.lower())
            yield address, below


def _report(address: str, below: str, told: str, original: str | None) -> BounceReport:
    status = _status(below) or _status(told)
    action = "delayed" if status.startswith("4") else "failed"
    return BounceReport(address, status, action, " ".join(below.split())[:500], original)


def _precise(status: str, diagnostic: str) -> str:
    """The status given, unless it is x.0.0, "other", and the server's words say which."""
    given, told = _STATUS.search(status), _STATUS.search(diagnostic)
    if given is None:
        return _status(diagnostic)
    if told and given[1].endswith(".0.0") and told[1][0] == given[1][0]:
        return told[1]
    return given[1]


def _status(text: str) -> str:
    """The enhanced status code in a text, or what the SMTP reply code amounts to (RFC 3463)."""
    if found := _STATUS.search(text):
        return found[1]
    reply = _REPLY.search(text)
    return (
        {"550": "5.1.1", "552": "5.2.2", "452": "4.2.2"}.get(reply[1], f"{reply[1][0]}.0.0")
        if reply
        else ""
    )


def _original_id(leaves: list[Part], text: str) -> str | None:
    """The Message-ID of the mail that bounced, from its returned part or from the text."""
    defects = Defects()
    for leaf in leaves:
        if leaf.content_type in _RETURNED:
            content = leaf.content(defects)
            head, _ = read_head(content, 0, len(content), defects, top=True)
            if ids := read_ids(head.all("message-id")[:1]):
                return ids[0]
    found = _MESSAGE_ID.search(text)
    return found[1].strip("<>") if found else None
