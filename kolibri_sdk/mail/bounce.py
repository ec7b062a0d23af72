"""Bounces read: which recipient did not get which mail, and why (RFC 3464, and its imitations)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.head import Head, read_head
from kolibri_sdk.mail.ids import read_ids
from kolibri_sdk.mail.limits import MailTooComplex
from kolibri_sdk.mail.structure import Part
from kolibri_sdk.model.message import BounceReport

__all__ = ["read_bounces"]

_RETURNED = frozenset({"message/rfc822", "text/rfc822-headers", "message/global"})
_DAEMON = re.compile(r"(?:^|[<\s\"])(?:mailer-daemon|postmaster|mail-daemon|mailerdaemon)@?", re.I)
_SUBJECT = re.compile(
    r"undeliver|unzustellbar|delivery (?:status|failure|has failed|report|problem|notification)"
    r"|returned (?:mail|to sender)|failure notice|mail delivery (?:fail|system|error|problem)"
    r"|nicht zustellbar|zustellung|non[- ]?deliver|could not be delivered|message status",
    re.I,
)
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY = re.compile(r"(?<![\d.])([45]\d\d)[ -]")
_ADDRESS = re.compile(r"[^\s<>()\[\]\",;:@]{1,64}@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+")
_DISCLAIMERS = re.compile(
    r"^[- \t]*(?:original message|this is a copy of the message|below this line is a copy"
    r"|returned message|the original message was|message header|------ )",
    re.I | re.M,
)
_MESSAGE_ID = re.compile(r"^message-id:[ \t]*(?:\r?\n[ \t]+)?(<[^<>\s]+>)", re.I | re.M)
_MOST = 1000


def read_bounces(
    root: Part, subject: str, text: str, own: frozenset[str]
) -> tuple[BounceReport, ...]:
    """What a bounce says of each recipient; empty where the mail is no bounce.

    Parameters
    ----------
    root : Part
        The mail.
    subject, text : str
        Decoded; for bounces that are written for people only.
    own : frozenset of str
        Addresses in lower case that are not the failed recipient: sender and receiver of the
        bounce itself.
    """
    leaves = list(root.leaves())
    original = _original_id(leaves, text)
    statuses = [leaf for leaf in leaves if leaf.content_type == "message/delivery-status"]
    reports = [report for leaf in statuses for report in _reports(leaf, original)]
    if reports:
        return tuple(reports[:_MOST])
    if statuses or _looks_like_one(root, subject):
        return _from_text(text, own, original)
    return ()


def _looks_like_one(root: Part, subject: str) -> bool:
    head = root.head
    if head.first("return-path").replace(" ", "") == "<>" or "x-failed-recipients" in head:
        daemon = True
    else:
        daemon = bool(_DAEMON.search(head.first("from")))
    report = root.parameters.get("report-type", "").lower() == "delivery-status"
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
        status = _STATUS.search(fields.first("status"))
        yield BounceReport(
            address=address,
            status=status[1] if status else _status(diagnostic),
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


def _from_text(text: str, own: frozenset[str], original: str | None) -> tuple[BounceReport, ...]:
    """The addresses named in a bounce for people, each with the status that stands nearest."""
    cut = _DISCLAIMERS.search(text)
    told = text[: cut.start()] if cut and cut.start() > 0 else text
    found: dict[str, BounceReport] = {}
    for match in _ADDRESS.finditer(told[:200_000]):
        address = match[0].strip(".'")
        if address.lower() in own or address.lower() in found or len(found) >= _MOST:
            continue
        around = told[match.start() : match.end() + 600]
        status = _status(around) or _status(told)
        diagnostic = " ".join(around.split())[:500]
        action = "delayed" if status.startswith("4") else "failed"
        found[address.lower()] = BounceReport(address, status, action, diagnostic, original)
    return tuple(found.values())


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
            try:
                head, _ = read_head(content, 0, len(content), defects, top=True)
            except MailTooComplex:
                continue
            if ids := read_ids(head.all("message-id")[:1]):
                return ids[0]
    found = _MESSAGE_ID.search(text)
    return found[1].strip("<>") if found else None
