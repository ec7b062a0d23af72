"""Bounces read: which recipient did not get which mail, and why (RFC 3464, and its imitations)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kolibri_sdk.mail.bounce_text import (
    ADDRESS,
    MOST_REPORTS,
    reports_for_people,
    reports_of_ses,
    what_is_told,
)
from kolibri_sdk.mail.bounce_words import status_of
from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.head import Head, read_head
from kolibri_sdk.mail.ids import read_ids
from kolibri_sdk.mail.structure import Part
from kolibri_sdk.model.message import BounceReport

__all__ = ["read_bounces"]

_STATUSES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RETURNED = frozenset(
    {"message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"}
)
#: A report that says so is good news, and no bounce (RFC 3464 section 2.3.3).
_ARRIVED = frozenset({"delivered", "relayed", "expanded"})
_DAEMON = re.compile(
    r"(?:^|[<\s\"])(?:mailer-?daemon|post[_-]?master|mail-daemon|mailerdaemon"
    r"|mail delivery (?:system|subsystem|service)|mail system|microsoft outlook"
    r"|microsoftexchange[0-9a-f]*)\b@?",
    re.I,
)
_SUBJECT = re.compile(
    r"undeliver|unzustellbar|nicht zustellbar|zustell(?:ung|fehler)|zugestellt|non[- ]?deliver"
    r"|failure notice|deliver\w* (?:status|failure|has failed|failed|report|problem"
    r"|notification|error|delay)"
    r"|(?:returned|delayed) (?:e-?)?mail|returned to sender|returning to sender|delivery:"
    r"|mail (?:delivery|system|failed|failure|could not|error)|could not (?:be delivered|send)"
    r"|message status|(?:failure|failed|problem|error|warning)s? (?:in )?deliver"
    r"|couldn.t be deliver"
    r"|not delivered|delayed \d+|error mail|bounced|non remis|échec de (?:la )?(?:remise"
    r"|distribution)"
    r"|no se (?:puede|pudo|ha podido) entregar|(?:error|fallo) de entrega|entrega (?:fallida"
    r"|falhou)"
    r"|mancato recapito|recapito non riuscito|impossibile recapitare|onbestelbaar|niet bezorgd"
    r"|falha na entrega|não (?:foi possível entregar|entregue)|nie ?dostarcz|не ?доставлен"
    r"|ошибка доставки|kan ikke leveres|ikke leveret|kunde inte levereras|ei voitu toimittaa"
    r"|non recapitabile|non distribuable|não é possível entregar|inte (?:leverera|kunde)"
    r"|ei voi toimittaa"
    r"|nelze doručit|kézbesíth|teslim edilem|не удается доставить|nedoruč"
    r"|配信(?:不能|エラー)|无法投递"
    r"|退信|投递失败",
    re.I,
)
# What is said at the top of a bounce whose subject is that of the returned mail, or none.
_SAID = re.compile(
    r"did not reach the following|could not be delivered|(?:was|were) undeliverable"
    r"|delivery (?:has )?"
    r"failed|unable to deliver|error message below|permanent fatal errors|undelivered message"
    r"|(?:konnte|wurde) nicht zugestellt|nicht zugestellt werden|unzustellbar|n'a pas pu être"
    r"|no se ha podido entregar|delivery to the following|has been rejected by the recipient",
    re.I,
)
_LIST_SAYS = re.compile(r"you are not (?:a |an )?member of (?:this|the) (?:mailing )?list", re.I)
_MESSAGE_ID = re.compile(
    r"^[ \t>]*(?:x-)?(?:original-)?message-id:[ \t]*(?:\r?\n[ \t]+)?(<[^<>\s]+>)", re.I | re.M
)
_NO_FIELD = re.compile(rb"^(?![A-Za-z][A-Za-z0-9-]*[ \t]*:)(?=\S)", re.M)
_FINAL = re.compile(r"^[ \t]*final-recipient[ \t]*:", re.I | re.M)
_MOST_BLOCKS = 2 * MOST_REPORTS
_TOP = 3000  # characters of a text that are its beginning
_LONGEST = 200_000


def read_bounces(
    root: Part, subject: str, text: str, own: frozenset[str]
) -> tuple[BounceReport, ...] | None:
    """What a bounce says of each recipient; None where the mail is no bounce.

    A report that every recipient got the mail is none, nor is an answer of an absent person's
    program or a complaint about spam (RFC 5965).

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
    statuses = [leaf for leaf in leaves if leaf.content_type in _STATUSES]
    if not statuses:
        if from_ses := reports_of_ses(text):
            return from_ses
        if not _looks_like_one(root, subject, text):
            return None
    original = _original_id(leaves, text)
    told = what_is_told(text)
    blocks = [block for leaf in statuses for block in _blocks(leaf.content(Defects()))]
    if not blocks and _FINAL.search(text[:_LONGEST]):
        # The parts of the report have run together: no boundary, or a wrong one.
        blocks = list(_blocks(text[:_LONGEST].encode("utf-8", "replace")))
    reports = {r.address.lower(): r for r in _reports(blocks, told, original)}
    bad = [report for report in reports.values() if report.action not in _ARRIVED]
    if bad:
        return tuple(bad[:MOST_REPORTS])
    if reports:
        return None
    return tuple(reports_for_people(root.head, subject, told, own, original))


def _looks_like_one(root: Part, subject: str, text: str) -> bool:
    head = root.head
    kind = root.parameters.get("report-type", "").lower()
    if kind == "delivery-status" or "x-failed-recipients" in head:
        return True
    if kind:
        return False
    null_path = head.first("return-path").replace(" ", "") == "<>"
    sender = head.first("from")
    daemon = _DAEMON.search(head.text("from") if "=?" in sender else sender) is not None
    if (null_path or daemon) and _SUBJECT.search(subject):
        return True
    top = text[:_TOP]
    if daemon and _SAID.search(top):
        return True
    from_list = "x-mlserver" in head or "x-mailman-version" in head
    return from_list and _LIST_SAYS.search(top) is not None


def _blocks(content: bytes) -> Iterator[Head]:
    """The groups of fields that name a recipient (RFC 3464 section 2.3)."""
    for block in re.split(rb"\n[ \t]*\r*\n", content.strip(), maxsplit=_MOST_BLOCKS)[:_MOST_BLOCKS]:
        # Servers' answers of several lines come without the blank that folds them.
        lines = _NO_FIELD.sub(rb" \g<0>", block.lstrip(b"\r\n"))
        fields, _ = read_head(lines, 0, len(lines), Defects())
        if _recipient(fields):
            yield fields


def _reports(blocks: list[Head], told: str, original: str | None) -> Iterator[BounceReport]:
    for fields in blocks:
        address = _recipient(fields)
        kind, semicolon, words = fields.text("diagnostic-code").partition(";")
        diagnostic = words.strip() if semicolon else kind.strip()
        status = status_of(diagnostic, given=fields.first("status"))
        if not diagnostic and status in ("", "4.0.0", "5.0.0"):
            # The text for people may quote the server that the report passes over.
            start = told.find(address)
            about = told[start : start + 500] if start >= 0 else ""
            status = status_of(about, given=status) or status
            diagnostic = " ".join(about.split())
        yield BounceReport(
            address=address,
            status=status,
            action=fields.first("action").split("(")[0].strip().lower(),
            diagnostic=diagnostic[:1000],
            original_message_id=original,
        )


def _recipient(fields: Head) -> str:
    """Who it is about: as we wrote him where the report says that, else as the server knows him."""
    for name in ("original-recipient", "final-recipient"):
        kind, _, value = fields.text(name).rpartition(";")
        if kind.strip().lower() in ("", "rfc822", "utf-8") and (found := ADDRESS.search(value)):
            return found[0]
    value = fields.text("final-recipient").rpartition(";")[2]
    return value.strip(" <>")


def _original_id(leaves: list[Part], text: str) -> str | None:
    """The Message-ID of the mail that bounced, from its returned part or from the text."""
    defects = Defects()
    for leaf in leaves:
        if leaf.content_type in _RETURNED:
            content = leaf.content(defects)
            head, _ = read_head(content, 0, len(content), defects, top=True)
            if ids := read_ids(head.all("message-id")[:1]):
                return ids[0]
    found = _MESSAGE_ID.search(text[:_LONGEST])
    return found[1].strip("<>") if found else None
