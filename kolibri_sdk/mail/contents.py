"""Which parts of a mail are its text, which its HTML, and which are attachments.

The policy, at length in ``docs/mail.md``: a text part is part of the body unless it is called an
attachment or has a file name; of alternatives, the plain one is the text and the HTML one the
HTML; everything else is an attachment. A nested mail is one, whole; it is opened only where the
mail around it says nothing itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from kolibri_sdk.mail.bodies import BODY_TYPES, as_html, as_text, html_of, without_commands
from kolibri_sdk.mail.calendar import summary
from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.filenames import name_of, safe_name, type_of, unique_name
from kolibri_sdk.mail.html import plain_twin, shows_something
from kolibri_sdk.mail.ids import read_ids
from kolibri_sdk.mail.limits import LIMITS
from kolibri_sdk.mail.parameters import split_parameters
from kolibri_sdk.mail.smime import is_smime, signed_content
from kolibri_sdk.mail.structure import Part, read_structure
from kolibri_sdk.mail.tnef import is_tnef, read_tnef
from kolibri_sdk.mail.uuencode import take_out_files
from kolibri_sdk.model.message import Attachment

__all__ = ["Contents", "read_contents"]

_MESSAGES = frozenset({"message/rfc822", "message/global"})
# What machines tell machines in a multipart/report (RFC 6522); the bounce reader reads it.
_REPORTS = frozenset(
    {
        *("message/delivery-status", "message/global-delivery-status"),
        *("message/disposition-notification", "message/global-disposition-notification"),
        *("message/feedback-report", "text/rfc822-headers", "message/global-headers"),
    }
)
_RENDITIONS = frozenset({"text/enriched", "text/richtext", "text/x-amp-html"})


@dataclass(slots=True)
class Contents:
    """A mail's text, HTML and attachments."""

    text: str = ""
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    text_from_html: bool = False  #: whether there is no plain text but what was made from the HTML


def read_contents(root: Part, defects: Defects) -> Contents:
    """Sort the leaves of a mail into text, HTML and attachments.

    Parameters
    ----------
    root : Part
        The mail.
    defects : Defects
        Takes what is wrong with the parts, and which limit they exceed together; the parts beyond
        are not read.
    """
    reader = _Reader(defects)
    reader.read(root)
    text, html = reader.text(), reader.html()
    return Contents(text, html, tuple(reader.attachments(html)), reader.is_html_alone())


@dataclass(slots=True)
class _Body:
    """What the sender wrote in one place: as text, as HTML, or as alternatives of each other."""

    level: int  #: 0 in the mail itself, 1 in a message within it, and so on
    around: Part | None = None  #: the alternatives
    texts: list[str] = field(default_factory=list)
    htmls: list[str] = field(default_factory=list)

    def text(self) -> str:
        told = "\n".join(self.texts)
        return told if told.strip() or not self.htmls else plain_twin("\n".join(self.htmls))

    def html(self) -> str:
        if self.htmls:
            return "\n".join(self.htmls)
        told = "\n".join(self.texts)
        return html_of(told) if told.strip() else ""


@dataclass(slots=True)
class _File:
    """An attachment before it is known whether the HTML shows it."""

    name: str
    content_type: str
    content: bytes
    content_id: str | None = None
    location: str = ""
    disposition: str = ""


class _Reader:
    """Goes through the leaves of a mail and of the messages in it that have to be opened."""

    def __init__(self, defects: Defects) -> None:
        self._defects = defects
        self._bodies: list[_Body] = []
        self._stand_ins: list[str] = []  #: texts for a mail that says nothing itself
        self._files: list[_File] = []
        self._names: Counter[str] = Counter()
        self._size = self._leaves = self._level = 0

    def read(self, root: Part) -> None:
        """Take in what a mail holds, and what the messages in it hold that are shown with it."""
        closed: list[bytes] = []
        for leaf in root.leaves():
            if self._leaves and self._defects.out_of_time():
                break
            content = leaf.content(self._defects)
            self._size += len(content)
            self._leaves += 1
            if self._size > LIMITS.decoded_bytes:
                self._defects.exceed(LIMITS.decoded_bytes, "bytes of content")
                break
            disposition = self._sort_in(leaf, content, root)
            if leaf.content_type in _MESSAGES and content:
                if disposition == "attachment":
                    closed.append(content)
                else:
                    self._open(content)
        if closed and self._says_nothing():
            for message in closed:
                self._open(message)

    def _open(self, message: bytes) -> None:
        most = LIMITS.parts - self._leaves
        if self._level < LIMITS.nested_messages and most > 0:
            self._level += 1
            self.read(read_structure(message, self._defects, most))
            self._level -= 1

    def _sort_in(self, leaf: Part, content: bytes, root: Part) -> str:
        """Put a part where it belongs; its disposition comes back."""
        disposition, parameters = split_parameters(
            leaf.head.first("content-disposition"), self._defects
        )
        name = safe_name(parameters.get("filename") or leaf.parameters.get("name", ""))
        if self._is_body(leaf, root, disposition, name, len(content)):
            self._take_body(leaf, content)
        elif leaf.content_type in _RENDITIONS and _has_better(leaf):
            pass
        elif is_tnef(leaf.content_type, name, content):
            self._take_tnef(leaf, content, name)
        elif leaf.content_type in _REPORTS and not name and disposition != "attachment":
            self._take_report(leaf, content, root)
        elif content or name:
            self._take_file(leaf, content, name, disposition)
            self._look_into(leaf, content, name)
        return disposition

    def _look_into(self, leaf: Part, content: bytes, name: str) -> None:
        """What an attachment tells besides being one."""
        if leaf.content_type == "text/calendar":
            self._stand_ins.append(summary(as_text(content, leaf, Defects())))
        elif leaf.content_type == "application/pgp-encrypted":
            self._defects.note("encrypted with OpenPGP; its text cannot be read")
        elif is_smime(leaf.content_type, name):
            if (signed := signed_content(content)) is not None:
                self._open(signed)
            else:
                self._defects.note("encrypted with S/MIME; its text cannot be read")

    def _is_body(self, leaf: Part, root: Part, disposition: str, name: str, size: int) -> bool:
        if leaf.content_type not in BODY_TYPES or disposition == "attachment":
            return False
        if leaf.content_type in _RENDITIONS and _has_better(leaf):
            return False
        if size > LIMITS.text_bytes:
            self._defects.note(f"a text larger than {LIMITS.text_bytes:,} bytes is an attachment")
            return False
        # A part's name makes it a file, unless it is all there is, or one of alternatives.
        alternative = leaf.parent and leaf.parent.content_type == "multipart/alternative"
        return not name or leaf is root or bool(alternative)

    def _take_body(self, leaf: Part, content: bytes) -> None:
        if not content:
            return
        body = self._body_of(leaf)
        if leaf.content_type == "text/html":
            body.htmls.append(as_html(content, leaf, self._defects))
            return
        if leaf.content_type == "text/plain":
            content, files = take_out_files(content, self._defects, LIMITS.parts - len(self._files))
            for name, data in files:
                self._add(_File(safe_name(name), type_of(name), data))
        text = as_text(content, leaf, self._defects)
        body.texts.append(without_commands(text) if leaf.content_type in _RENDITIONS else text)

    def _body_of(self, leaf: Part) -> _Body:
        """Where a text belongs: alternatives of each other are one."""
        around = next(filter(_alternative, leaf.ancestors()), None)
        if around is not None:
            for body in reversed(self._bodies):
                if body.around is around:
                    return body
        self._bodies.append(_Body(self._level, around))
        return self._bodies[-1]

    def _take_report(self, leaf: Part, content: bytes, root: Part) -> None:
        if _reported(leaf) or leaf is root:
            self._stand_ins.append(as_text(content, leaf, Defects()))
        elif content:
            self._take_file(leaf, content, "", "")

    def _take_tnef(self, leaf: Part, content: bytes, name: str) -> None:
        found = read_tnef(content, self._defects)
        if found.text or found.html:
            self._stand_ins.append(found.text or plain_twin(found.html))
        for file in found.files:
            kind = file.content_type or type_of(file.name)
            self._add(_File(safe_name(file.name), kind, file.content, file.content_id))
        if not found.complete:  # what is behind the damage is in there alone
            self._take_file(leaf, content, name, "attachment")

    def _take_file(self, leaf: Part, content: bytes, name: str, disposition: str) -> None:
        name = name or name_of(leaf, content, self._leaves)
        content_id = next(iter(read_ids(leaf.head.all("content-id"))), None)
        location = leaf.head.text("content-location")
        self._add(_File(name, leaf.content_type, content, content_id, location, disposition))

    def _add(self, file: _File) -> None:
        if len(self._files) == LIMITS.parts:
            self._defects.exceed(LIMITS.parts, "parts")
            return
        file.name = unique_name(file.name or f"part-{self._leaves}.bin", self._names)
        self._files.append(file)

    def _says_nothing(self) -> bool:
        texts = (*self._stand_ins, *(text for body in self._bodies for text in body.texts))
        htmls = (html for body in self._bodies for html in body.htmls)
        return not any(text.strip() for text in texts) and not any(map(shows_something, htmls))

    def is_html_alone(self) -> bool:
        """Whether nothing of the text came as plain text."""
        return any(b.htmls for b in self._bodies) and not any(
            text.strip() for body in self._bodies for text in body.texts
        )

    def text(self) -> str:
        """All that was written, as text; where the mail itself says nothing, what stands in."""
        texts = [body.text() for body in self._bodies]
        if not any(
            text.strip() for text, body in zip(texts, self._bodies, strict=True) if not body.level
        ):
            texts = [*filter(None, self._stand_ins), *texts]
        return "\n".join(texts)

    def html(self) -> str | None:
        """All that was written, as HTML, where some of it was."""
        if not any(body.htmls for body in self._bodies):
            return None
        return "\n".join(body.html() for body in self._bodies)

    def attachments(self, html: str | None) -> Iterator[Attachment]:
        """The files, each with whether the HTML shows it in its place."""
        shown = unquote(html or "") if self._files else ""
        for file in self._files:
            cid = file.content_id
            yield Attachment(
                filename=file.name,
                content_type=file.content_type,
                content=file.content,
                content_id=cid,
                inline=(cid is not None and f"cid:{unquote(cid)}" in shown)
                or (bool(file.location) and file.location in shown)
                or (file.disposition == "inline" and file.content_type.startswith("image/")),
            )


def _reported(leaf: Part) -> bool:
    return any(part.content_type == "multipart/report" for part in leaf.ancestors())


def _alternative(part: Part) -> bool:
    return part.content_type == "multipart/alternative"


def _has_better(leaf: Part) -> bool:
    """Whether plain text or HTML says the same as this rendition."""
    around = next(filter(_alternative, leaf.ancestors()), None)
    return around is not None and any(
        other.content_type in ("text/plain", "text/html") for other in around.leaves()
    )
