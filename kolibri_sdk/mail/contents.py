"""Which parts of a mail are its text, which its HTML, and which are attachments.

The policy: a text part is part of the body unless it is called an attachment or has a file name;
of alternatives, the plain one is the text and the HTML one the HTML; everything else is an
attachment, a nested mail included, which is not opened.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from kolibri_sdk.mail.charset import decode
from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.filenames import fallback_name, safe_name
from kolibri_sdk.mail.head import read_head
from kolibri_sdk.mail.html import plain_twin
from kolibri_sdk.mail.ids import read_ids
from kolibri_sdk.mail.limits import LIMITS, MailTooComplex
from kolibri_sdk.mail.parameters import split_parameters
from kolibri_sdk.mail.structure import Part
from kolibri_sdk.model.message import Attachment

__all__ = ["Contents", "read_contents"]


@dataclass(slots=True)
class Contents:
    """A mail's text, HTML and attachments."""

    text: str = ""
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()


@dataclass(slots=True)
class _Collected:
    texts: list[str] = field(default_factory=list)
    htmls: list[str] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)
    size: int = 0


def read_contents(root: Part, defects: Defects) -> Contents:
    """Sort the leaves of a mail into text, HTML and attachments.

    Raises
    ------
    MailTooComplex
        When the decoded parts together are larger than the limit.
    """
    collected = _Collected()
    for number, leaf in enumerate(root.leaves(), start=1):
        _sort_in(leaf, number, collected, defects)
    html = "\n".join(collected.htmls) if collected.htmls else None
    text = "\n".join(collected.texts)
    if html is not None and not text.strip():
        text = plain_twin(html)
    return Contents(text, html, tuple(collected.attachments))


def _sort_in(leaf: Part, number: int, collected: _Collected, defects: Defects) -> None:
    disposition, parameters = split_parameters(leaf.head.first("content-disposition"), defects)
    filename = safe_name(parameters.get("filename") or leaf.parameters.get("name", ""))
    content = leaf.content(defects)
    collected.size += len(content)
    if collected.size > LIMITS.decoded_bytes:
        raise MailTooComplex.exceeds("bytes of content", LIMITS.decoded_bytes)
    if disposition != "attachment" and not filename and leaf.content_type in _BODIES:
        text = _as_text(content, leaf, defects)
        (collected.htmls if leaf.content_type == "text/html" else collected.texts).append(text)
        return
    if not content and not filename:
        return
    content_id = next(iter(read_ids(leaf.head.all("content-id"))), None)
    collected.attachments.append(
        Attachment(
            filename=_unique(filename or _name(leaf, content, number), collected.names),
            content_type=leaf.content_type,
            content=content,
            content_id=content_id,
            inline=disposition == "inline" or (content_id is not None and disposition == ""),
        )
    )


_BODIES = frozenset({"text/plain", "text/html", "text/enriched", "text/x-amp-html"})


def _as_text(content: bytes, part: Part, defects: Defects) -> str:
    text, defect = decode(content, part.parameters.get("charset"))
    defects.note(defect)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _name(leaf: Part, content: bytes, number: int) -> str:
    """A name for an attachment without one: of a nested mail, its subject."""
    if leaf.content_type == "message/rfc822":
        ignored = Defects()
        try:
            head, _ = read_head(content, 0, len(content), ignored, top=True)
        except MailTooComplex:
            return fallback_name(leaf.content_type, number)
        if subject := safe_name(head.text("subject").replace("/", "-")[:120]):
            return f"{subject}.eml"
    return fallback_name(leaf.content_type, number)


def _unique(name: str, names: Counter[str]) -> str:
    """A second ``report.pdf`` in one mail becomes ``report (2).pdf``."""
    names[name.lower()] += 1
    count = names[name.lower()]
    if count == 1:
        return name
    stem, dot, extension = name.rpartition(".")
    return safe_name(f"{stem} ({count}).{extension}" if dot else f"{name} ({count})")
