"""Quoted mail in HTML: what mail programs mark as quoted, turned into lines that begin with >."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from kolibri_sdk.mail.html import is_wild, plain_twin

__all__ = ["text_with_quote_marks"]

#: Elements that hold a quoted mail and nothing else.
_QUOTES = ", ".join(
    (
        "#OLK_SRC_BODY_SECTION",  # Outlook for Mac
        "#mail-editor-reference-message-container",  # Outlook on telephones
        ".ms-outlook-mobile-reference-message",
        ".yahoo_quoted",
        "[id^=yahoo_quoted_]",
        ".protonmail_quote",
        ".tutanota_quote",
        ".zmail_extra",  # Zoho
        "div[name=quote]",  # GMX and web.de
        ".moz-forward-container",
    )
)
#: Lines above a quoted mail: "On … wrote:".
_ATTRIBUTIONS = ".gmail_attr, .moz-cite-prefix, #reply-intro"
#: From here on, everything is the quoted mail: Outlook on the web, Hotmail.
_CUTS = "#divRplyFwdMsg, #appendonsend, #stopSpelling"
_WORTH_A_LOOK = re.compile(
    r"<blockquote|OLK_SRC_BODY|reference-message|yahoo_quoted|protonmail_quote|tutanota_quote"
    r"|zmail_extra|name=[\"']?quote|gmail_attr|moz-cite|moz-forward|reply-intro|divRplyFwdMsg"
    r"|appendonsend|stopSpelling",
    re.I,
)
_BORDER = re.compile(r"border-left(?:-\w+)?\s*:(?!\s*(?:none|0(?:px)?\b))", re.I)


def text_with_quote_marks(html: str) -> str | None:
    r"""The text of HTML in which a line ``>`` stands for each mail that is marked as quoted.

    Parameters
    ----------
    html : str
        Anybody's HTML.

    Returns
    -------
    str or None
        None where nothing in it is marked as quoted.

    Examples
    --------
    >>> text_with_quote_marks('<p>Thanks!</p><blockquote type="cite">Here it is.</blockquote>')
    'Thanks!\n\n>'
    """
    if not _WORTH_A_LOOK.search(html) or is_wild(html):
        return None
    tree = LexborHTMLParser(html)
    if tree.body is None:
        return None
    marked = 0
    if cut := tree.css_first(_CUTS):
        _cut_from(cut)
        marked += 1
    for node in tree.css(f"{_QUOTES}, {_ATTRIBUTIONS}"):
        marked += _mark(node)
    for node in tree.css("blockquote"):
        if _is_quote(node):
            marked += _mark(node)
    return plain_twin(tree.html or "") if marked else None


def _mark(node: LexborNode) -> int:
    """Put a quote mark in the place of an element; 0 where it went with an element around it."""
    around = node.parent
    while around is not None and around.tag not in ("body", "html"):
        around = around.parent
    mark = LexborHTMLParser("<p>&gt;</p>").css_first("p")
    if around is None or mark is None:
        return 0
    node.replace_with(mark)
    return 1


def _is_quote(node: LexborNode) -> bool:
    """Whether a blockquote quotes a mail; people indent with it, too."""
    attributes = {name: value or "" for name, value in node.attributes.items()}
    if attributes.get("type", "").lower() == "cite" or "cite" in attributes:
        return True
    names = attributes.get("class", "").lower()
    if "quote" in names or "cite" in names or _BORDER.search(attributes.get("style", "")):
        return True
    above = node.prev
    while above is not None and not above.text(deep=True).strip():
        above = above.prev
    return above is not None and above.text(deep=True).rstrip().endswith(":")


def _cut_from(node: LexborNode) -> None:
    """Take out everything that comes after this element, and put a quote mark in its place."""
    at: LexborNode | None = node
    while at is not None and at.tag not in ("body", "html"):
        while (after := at.next) is not None:
            after.decompose()
        at = at.parent
    _mark(node)
