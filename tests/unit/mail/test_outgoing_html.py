"""HTML that somebody styled, on its way out: what survives, what goes, what becomes a part."""

from __future__ import annotations

import base64

import pytest

from kolibri_sdk.mail import as_html, embed_images, ready_html


@pytest.mark.parametrize(
    ("html", "ready"),
    [
        ("<p>Hi</p>", "<p>Hi</p>"),
        ("<style>p{color:red}</style><p>Hi</p>", '<p style="color:red">Hi</p>'),
        ('<p class="x" id="y">Hi</p>', "<p>Hi</p>"),
        ('<b style="background: #ff0">x</b>', '<b style="background-color:#ff0">x</b>'),
        ('<b style="background:url(http://x/y)">x</b>', "<b>x</b>"),
        ("<body style='color:red'><p>Hi</p></body>", '<div style="color:red"><p>Hi</p></div>'),
        ("<mark>x</mark>", '<span style="background-color:#ffff00;color:#000000">x</span>'),
        ('<mark style="background-color:red">x</mark>',
         '<span style="color:#000000;background-color:red">x</span>'),
        ('<a href="javascript:x()">x</a>', '<a rel="noopener noreferrer">x</a>'),
        ('<img src="https://x.example/logo.png">', "<img>"),
        ("<p onclick='x()'>a<iframe src='//x'></iframe></p>", "<p>a</p>"),
    ],
)  # fmt: skip
def test_what_becomes_of_it(html: str, ready: str) -> None:
    assert ready_html(html) == ready


def test_a_logo_from_afar_stays_where_it_is_wanted() -> None:
    logo = '<img src="https://x.example/logo.png">'
    assert ready_html(logo, remote_images=True) == logo


def test_no_style_sheet_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    html = '<link rel="stylesheet" href="file:///etc/passwd"><style>@import "x.css"</style><p>a</p>'
    assert ready_html(html) == "<p>a</p>"


def test_a_picture_that_is_there_twice_is_one_part() -> None:
    picture = base64.b64encode(b"GIF89a").decode()
    html, images = embed_images(
        f"<img src='data:image/gif;base64,{picture}'>"
        f'<img src = "data:image/GIF;base64,{picture[:4]}\n{picture[4:]}">'
        '<img src="data:image/png;base64,!!">'
        '<img src="data:image/svg+xml;base64,AAAA"><p>src="data:"</p>'
    )
    (image,) = images
    assert (image.content, image.content_type, image.inline) == (b"GIF89a", "image/gif", True)
    assert ready_html(html).count(f'src="cid:{image.content_id}"') == 2
    assert "data:" not in ready_html(html).replace('src="data:"</p>', "")


def test_a_large_picture_does_not_make_the_mail_plain() -> None:
    picture = base64.b64encode(b"\xff" * 6_000_000).decode()
    html, (image,) = embed_images(f'<b>See</b><img src="data:image/png;base64,{picture}">')
    assert image.size == 6_000_000
    assert ready_html(html).startswith("<b>See</b><img")


def test_text_as_html() -> None:
    assert as_html("a & b\r\n<c>") == "a &amp; b<br>&lt;c&gt;"
