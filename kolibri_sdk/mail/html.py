"""HTML of mails: sanitised, with inline styles, as plain text, in a frame that is safe to show."""

from __future__ import annotations

import re
from html import escape, unescape

import css_inline
import nh3
from inscriptis import get_text
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig
from selectolax.lexbor import LexborHTMLParser

from kolibri_sdk.mail.charset import clean

__all__ = [
    "inline_css",
    "is_wild",
    "plain_twin",
    "preview_frame",
    "sanitise",
    "shows_something",
]

_TAGS = nh3.ALLOWED_TAGS | {"font", "center", "u", "s", "big", "section", "article", "main"}
_LAYOUT = {
    "align",
    "valign",
    "width",
    "height",
    "bgcolor",
    "border",
    "dir",
    "lang",
    "style",
    "title",
}
_ATTRIBUTES = {
    "*": _LAYOUT,
    "a": {"href", "name"},
    "img": {"src", "alt"},
    "font": {"color", "face", "size"},
    "table": {"cellpadding", "cellspacing", "summary", "role"},
    "td": {"colspan", "rowspan", "nowrap"},
    "th": {"colspan", "rowspan", "nowrap", "scope"},
    "ol": {"start", "type"},
    "ul": {"type"},
    "li": {"value"},
    "blockquote": {"cite", "type"},
}
# Nothing here lays one thing over another (position, z-index) or names a resource (url()).
_STYLES = {
    *("color", "background-color", "direction", "display", "opacity", "float", "clear"),
    *("font", "font-family", "font-size", "font-style", "font-variant", "font-weight"),
    *("text-align", "text-decoration", "text-indent", "text-transform", "vertical-align"),
    *("letter-spacing", "word-spacing", "line-height", "white-space", "word-break", "word-wrap"),
    *("width", "max-width", "min-width", "height", "max-height", "min-height"),
    *(
        f"{box}{side}"
        for box in ("margin", "padding", "border")
        for side in ("", "-top", "-right", "-bottom", "-left")
    ),
    *("border-collapse", "border-color", "border-radius", "border-spacing", "border-style"),
    *("border-width", "list-style-type", "table-layout", "overflow-wrap"),
}
_SCHEMES = {"http", "https", "mailto", "tel", "cid", "data"}
_DATA_IMAGE = re.compile(r"data:image/(?:png|jpe?g|gif|webp);base64,[A-Za-z0-9+/=\s]+", re.I)
_STYLE_TRICKS = re.compile(r"url\s*\(|expression|javascript|@import|\\|/\*", re.I)
_TEXT = ParserConfig(css=CSS_PROFILES["strict"])
_LONGEST = 4_000_000  # characters that are handed to a layout engine
_DEEPEST = 500
_MOST_ATTRIBUTES = 500
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/<>]*)([^<>]*)")
# Tags that end by themselves or have no content; counting them would call ordinary mails deep.
_SELF_ENDING = frozenset(
    {
        *("area", "base", "br", "col", "dd", "dt", "hr", "img", "input", "link", "li", "meta"),
        *("option", "p", "param", "source", "td", "th", "tr", "wbr"),
    }
)
_SILENT = re.compile(
    r"<(script|style|head|template|noscript)\b(?:(?!</\1).)*(?:</\1|$)", re.I | re.S
)
_BREAKING = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6]|/blockquote)\b[^<>]*>?", re.I)
_ANY_TAG = re.compile(r"<[!/?a-zA-Z][^<>]*>?")
_CSP = "default-src 'none'; img-src data: cid:; style-src 'unsafe-inline'; form-action 'none'"


def sanitise(html: str, *, remote_images: bool = False) -> str:
    """HTML without scripts, forms, frames, remote styles and whatever else acts on its own.

    Parameters
    ----------
    html : str
        Anybody's HTML.
    remote_images : bool
        Keep images that are loaded over http(s). For mail of our own that shows a logo; in a
        stranger's mail they tell him that it was read.

    Returns
    -------
    str
        Links to http(s), mailto and tel, images by ``cid:`` or as ``data:``, styles that stay
        within their box.

    Examples
    --------
    >>> sanitise('<p onclick="x()">Hi<script>x()</script> <a href="javascript:x()">you</a></p>')
    '<p>Hi <a rel="noopener noreferrer">you</a></p>'
    """
    if is_wild(html):
        return f"<pre>{escape(_stripped(html))}</pre>"

    def keep(tag: str, attribute: str, value: str) -> str | None:
        if attribute == "style":
            return None if _STYLE_TRICKS.search(value) else value
        if attribute in ("src", "href", "cite"):
            return value if _allowed(tag, attribute, value.strip(), remote_images) else None
        return value

    return nh3.clean(
        clean(html),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        filter_style_properties=_STYLES,
        url_schemes=_SCHEMES,
        clean_content_tags={"script", "style", "title", "template", "noscript", "textarea"},
    )


def _allowed(tag: str, attribute: str, value: str, remote_images: bool) -> bool:
    scheme = value.partition(":")[0].lower()
    if tag == "img" and attribute == "src":
        if scheme == "data":
            return _DATA_IMAGE.fullmatch(value) is not None
        return scheme == "cid" or (remote_images and scheme in ("http", "https"))
    return scheme in ("http", "https", "mailto", "tel") or value.startswith("#")


def inline_css(html: str) -> str:
    """Move the rules of ``<style>`` into ``style`` attributes; nothing is loaded.

    Mail programs drop style sheets. Sanitise afterwards: this step keeps whatever else is there.
    """
    if is_wild(html):
        return sanitise(html)
    return css_inline.inline(html, load_remote_stylesheets=False, keep_style_tags=False)


def plain_twin(html: str) -> str:
    r"""The text of HTML, with its tables and lists laid out.

    Examples
    --------
    >>> plain_twin("<p>Hello</p><ul><li>one</li></ul>")
    'Hello\n\n  * one'
    """
    html = clean(html)
    if is_wild(html):
        return _stripped(html)
    return _laid_out(html) or _words(html)


def shows_something(html: str) -> bool:
    """Whether there is a word or an image in it.

    Examples
    --------
    >>> shows_something("<div><br>&nbsp;</div>"), shows_something("<img src='cid:a'>")
    (False, True)
    """
    return "<img" in html.lower() or any(char.isalnum() for char in _stripped(html))


def is_wild(html: str) -> bool:
    """Whether the engines would take seconds over it, or overflow the stack and die.

    Their cost grows with the square of nesting and of the attributes in one tag.
    """
    if len(html) > _LONGEST:
        return True
    depth = 0
    for tag in _TAG.finditer(html):
        if tag[2].lower() not in _SELF_ENDING:
            depth += -1 if tag[1] else 1
        if depth > _DEEPEST or len(tag[3].split(None, _MOST_ATTRIBUTES)) > _MOST_ATTRIBUTES:
            return True
    return False


def _stripped(html: str) -> str:
    """What is left without the tags; linear, for HTML that no engine should see."""
    text = _ANY_TAG.sub(" ", _BREAKING.sub("\n", _SILENT.sub(" ", html)))
    return _unspaced(unescape(text))


def _unspaced(text: str) -> str:
    """The lines that hold something, without the blanks around them."""
    lines = (" ".join(line.split()) for line in clean(text).splitlines())
    return "\n".join(line for line in lines if line)


def _laid_out(html: str) -> str:
    try:
        text = get_text(html, _TEXT)
    except Exception:  # noqa: BLE001 - a foreign layout engine on a stranger's HTML; _words goes on
        return ""
    lines = (line.rstrip() for line in text.replace("\xa0", " ").splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def _words(html: str) -> str:
    """The bare text; inscriptis gives none where tags are nested some hundred deep."""
    tree = LexborHTMLParser(html)
    for node in tree.css("script, style, head, template, noscript"):
        node.decompose()
    text = tree.body.text(separator="\n") if tree.body else ""
    return _unspaced(text)


def preview_frame(html: str, *, height: int = 400) -> str:
    """A frame that shows a mail's HTML in a notebook without running or loading anything.

    Parameters
    ----------
    html : str
        Anybody's HTML.
    height : int
        Pixels.

    Returns
    -------
    str
        An ``<iframe>`` with an empty sandbox, its content policy first in the document: the
        sandbox alone still loads pixels, style sheets and frames.
    """
    document = (
        f'<meta http-equiv="Content-Security-Policy" content="{_CSP}">'
        f'<meta charset="utf-8"><base target="_blank">{sanitise(html)}'
    )
    return (
        f'<iframe sandbox="" referrerpolicy="no-referrer" title="mail" '
        f'style="width:100%;height:{int(height)}px;border:1px solid #ddd;background:#fff" '
        f'srcdoc="{escape(document, quote=True)}"></iframe>'
    )
