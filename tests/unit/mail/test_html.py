"""HTML from strangers is made harmless, and text is made of it."""

from __future__ import annotations

import html as stdlib_html
import re

import pytest

from kolibri_sdk.mail import inline_css, plain_twin, preview_frame, sanitise

VECTORS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=http://evil.test/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<img src='javascript:alert(1)'>",
    "<svg onload=alert(1)><circle></svg>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='JaVaScRiPt&#58;alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href=' &#14; javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<img src='data:image/svg+xml;base64,PHN2Zz4='>",
    "<img src='data:text/html;base64,PHN2Zz4='>",
    "<iframe src='http://evil.test/'></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='http://evil.test/'></object><embed src='http://evil.test/'>",
    "<form action='http://evil.test/'><input name=p><button>x</button></form>",
    "<meta http-equiv=refresh content='0;url=http://evil.test/'>",
    "<link rel=stylesheet href='http://evil.test/x.css'>",
    "<base href='http://evil.test/'>",
    "<style>@import 'http://evil.test/x.css';</style>",
    "<p style='background:url(http://evil.test/p.gif)'>x</p>",
    "<p style='list-style-image:url(javascript:alert(1))'>x</p>",
    "<p style='width:expression(alert(1))'>x</p>",
    "<p style='color:red;b\\61ckground:url(http://evil.test/)'>x</p>",
    "<p style='position:fixed;top:0;left:0;z-index:9999'>x</p>",
    "<body onload=alert(1) background='http://evil.test/p.gif'>x</body>",
    "<table background='http://evil.test/p.gif'><tr><td>x</td></tr></table>",
    "<video><source onerror=alert(1) src='http://evil.test/'></video>",
    "<audio src='http://evil.test/' autoplay></audio>",
    "<img srcset='http://evil.test/p.gif 1x'>",
    "<img src='http://evil.test/p.gif'>",
    "<img src='//evil.test/p.gif'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--><img src=x onerror=alert(1)>'>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<textarea><img src=x onerror=alert(1)></textarea>",
    "<a href='http://ok.test' onclick=alert(1) target=_top ping='http://evil.test/'>x</a>",
    "<div id=x name=y class=z contenteditable>x</div>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>x</details>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<div>" * 600 + "<img src=x onerror=alert(1)><script>alert(1)</script>",
]
DANGER = re.compile(
    r"<(?:script|svg|math|iframe|object|embed|form|input|button|meta|link|base|style|video|audio"
    r"|source|body|textarea|noscript)\b|<[^>]*\son\w+\s*=|javascript:|vbscript:|data:text|svg\+xml"
    r"|url\(|expression|position|srcset|evil\.test",
    re.I,
)


@pytest.mark.parametrize("vector", VECTORS)
def test_nothing_dangerous_is_left(vector: str) -> None:
    assert not DANGER.search(sanitise(f"<p>before</p>{vector}"))


@pytest.mark.parametrize("vector", VECTORS)
def test_nothing_dangerous_is_left_after_a_second_round(vector: str) -> None:
    once = sanitise(vector)
    assert sanitise(once) == once


@pytest.mark.parametrize(
    "kept",
    [
        '<p style="color:red;font-weight:bold">x</p>',
        '<img src="cid:logo@kolibri.example" alt="logo">',
        '<img src="data:image/png;base64,iVBORw0KGgo=">',
        '<table width="600"><tbody><tr><td colspan="2">x</td></tr></tbody></table>',
        "<ul><li>one</li></ul>",
        "<h1>x</h1><b>b</b><i>i</i><u>u</u><s>s</s><blockquote>q</blockquote>",
    ],
)
def test_what_mails_are_made_of_stays(kept: str) -> None:
    assert sanitise(kept) == kept


@pytest.mark.parametrize("link", ["https://x.example/?a=1", "mailto:a@x.example", "tel:+49123"])
def test_links_stay(link: str) -> None:
    assert f'href="{link}"' in sanitise(f'<a href="{link}">x</a>')


def test_remote_images_stay_only_when_asked_for() -> None:
    image = '<img src="https://kolibri.example/logo.png">'
    assert sanitise(image) == "<img>"
    assert sanitise(image, remote_images=True) == image


def test_styles_move_into_their_elements() -> None:
    styled = inline_css("<style>p.b { color: red }</style><p class='b'>x</p>")
    assert re.search(r'<p[^>]*style="color:\s*red;?"', styled)
    assert "<style" not in styled


def test_style_sheets_are_not_loaded() -> None:
    linked = '<link rel="stylesheet" href="http://127.0.0.1:9/x.css"><p>x</p>'
    assert "<p>x</p>" in inline_css(linked)


def test_text_keeps_lists_and_tables() -> None:
    text = plain_twin(
        "<h1>Offer</h1><ul><li>one</li></ul><table><tr><td>a</td><td>b</td></tr></table>"
    )
    assert text.startswith("Offer")
    assert "* one" in text
    assert re.search(r"a\s+b", text)


@pytest.mark.parametrize("depth", [10, 300, 499, 5_000])
def test_text_is_found_however_deep(depth: int) -> None:
    text = plain_twin("<div>" * depth + "needle <b>in</b> hay" + "</div>" * depth)
    assert " ".join(text.split()) == "needle in hay"


def test_text_has_no_scripts() -> None:
    assert (
        plain_twin("<style>p{}</style><script>x()</script><p>only this</p>").strip() == "only this"
    )


def test_the_frame_puts_its_policy_first_and_ends_where_it_should() -> None:
    frame = preview_frame('<p title="&quot;">"\'></iframe><script>alert(1)</script>')
    attributes = re.fullmatch(r'<iframe ([^<>]*)srcdoc="([^"]*)"></iframe>', frame)
    assert attributes is not None
    assert 'sandbox=""' in attributes[1]
    document = stdlib_html.unescape(attributes[2])
    assert document.startswith('<meta http-equiv="Content-Security-Policy" content="default-src')
    assert "<script" not in document
