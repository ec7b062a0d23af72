"""HTML that somebody styled, made to survive mail programs: inlined, harmless, images beside it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from hashlib import sha256

from kolibri_sdk.mail.html import inline_css, is_wild, sanitise
from kolibri_sdk.model.message import Attachment

__all__ = ["as_html", "embed_images", "ready_html"]

_SHOWN_AS_DATA = re.compile(
    r"(?P<before>\bsrc\s*=\s*)(?P<quote>[\"'])\s*data:image/(?P<kind>png|jpe?g|gif|webp);base64,"
    r"(?P<data>[A-Za-z0-9+/=\s]*)(?P=quote)",
    re.I,
)
# Word, which shows mail in Outlook, knows neither <mark> nor the short form of a background.
_MARK = re.compile(r"<(/?)mark\b", re.I)
_MARKED = "<style>mark{background-color:#ffff00;color:#000000}</style>"
_BODY = re.compile(r"<(/?)body\b", re.I)
_STYLE = re.compile(r'\bstyle="([^"]*)"')
_BACKGROUND = re.compile(
    r"(?<![\w-])background\s*:\s*(#[0-9a-f]{3,8}|[a-z]+|rgba?\([\d\s.,%]+\))\s*(?=;|$)", re.I
)


def ready_html(html: str, *, remote_images: bool = False) -> str:
    """HTML that shows alike in mail programs that drop style sheets, with nothing that acts.

    Typeface, weight, slant, colour, highlight, lists, links, tables and images stay; rules of
    ``<style>`` move into ``style`` attributes; scripts, forms and whatever is loaded go.

    Parameters
    ----------
    html : str
        A fragment or a document.
    remote_images : bool
        Keep images that are loaded over http(s).

    Examples
    --------
    >>> ready_html("<style>b{color:red}</style><b>now</b><script>x()</script>")
    '<b style="color:red">now</b>'
    """
    if is_wild(html):
        return sanitise(html)
    marked = _MARKED if "<mark" in html.lower() else ""
    inlined = _MARK.sub(r"<\1span", inline_css(marked + html))
    # The body's own typeface stays where the body is within another one.
    inlined = _BODY.sub(r"<\1div", inlined) if "style=" in _body_tag(inlined) else inlined
    inlined = _STYLE.sub(_long_background, inlined)
    return sanitise(inlined, remote_images=remote_images).strip()


def _long_background(hit: re.Match[str]) -> str:
    style = _BACKGROUND.sub(r"background-color:\1", hit[1])
    return f'style="{style}"'


def _body_tag(html: str) -> str:
    found = re.search(r"<body\b[^>]*>", html, re.I)
    return found[0] if found else ""


def embed_images(html: str) -> tuple[str, tuple[Attachment, ...]]:
    """Images within the HTML (``data:``, as pasting gives them) become parts beside it.

    Most mail programs show no ``data:`` image. Before `ready_html`, which minds the length.

    Returns
    -------
    html : str
        With ``cid:`` in their place; what is no base64 loses its image.
    images : tuple of Attachment
        Inline, each picture once.

    Examples
    --------
    >>> html, (image,) = embed_images('<img src="data:image/gif;base64,R0lGODlhAQABAAAAADs=">')
    >>> html == f'<img src="cid:{image.content_id}">'
    True
    """
    images: dict[str, Attachment] = {}

    def replaced(hit: re.Match[str]) -> str:
        try:
            content = base64.b64decode("".join(hit["data"].split()), validate=True)
        except (binascii.Error, ValueError):
            return f'{hit["before"]}""'
        kind = hit["kind"].lower().replace("jpg", "jpeg")
        name = f"{sha256(content).hexdigest()[:24]}@image.kolibri"
        images.setdefault(
            name,
            Attachment(
                f"image-{len(images) + 1}.{kind}", f"image/{kind}", content, name, inline=True
            ),
        )
        return f'{hit["before"]}"cid:{name}"'

    return _SHOWN_AS_DATA.sub(replaced, html), tuple(images.values())


def as_html(lines: str | Iterable[str]) -> str:
    r"""Plain text as HTML that keeps its lines.

    Examples
    --------
    >>> as_html("1 < 2\nyes")
    '1 &lt; 2<br>yes'
    """
    text = lines if isinstance(lines, str) else "\n".join(lines)
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("\r\n", "\n").replace("\n", "<br>")
