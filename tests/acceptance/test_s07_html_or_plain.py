"""S7: an outgoing rule has a template, HTML or plain text, as its text block."""

from __future__ import annotations

from email.message import EmailMessage

from tests.acceptance.conftest import Desk

TITLE = 'Müller & Söhne: "VPN" <script>alert(1)</script>'


def sent_about(desk: Desk, **parts: str) -> EmailMessage:
    """The mail that a template with these parts makes of a new incident."""
    desk.folder.template("news", **parts)
    desk.announce('{list: "duty@example.org"}')
    desk.k.records["incident"].insert(title=TITLE, priority=1)
    desk.healthy_poll()
    return desk.answer_to("duty@example.org").mail


def test_an_html_template_makes_a_mail_with_a_plain_twin(bare_desk: Desk) -> None:
    mail = sent_about(
        bare_desk,
        en_subject="News",
        en_html="<h1>{{ record.title }}</h1><p>Priority <b>{{ record.priority }}</b></p>",
    )

    assert mail.get_content_type() == "multipart/alternative"
    plain, html = mail.iter_parts()
    assert plain.get_content().split("\n")[0].strip() == TITLE
    assert "Priority 1" in plain.get_content()
    assert "<b>1</b>" in html.get_content()


def test_values_of_the_record_cannot_become_markup(bare_desk: Desk) -> None:
    mail = sent_about(bare_desk, en_subject="News", en_html="<p>{{ record.title }}</p>")

    html = mail.get_body(("html",))
    assert html is not None
    assert "<script" not in html.get_content()
    assert "Müller &amp; Söhne" in html.get_content()


def test_a_plain_template_makes_a_plain_mail(bare_desk: Desk) -> None:
    mail = sent_about(bare_desk, en_subject="News", en_txt="Title: {{ record.title }}\n")

    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines()[0] == f"Title: {TITLE}"


def test_the_author_of_a_template_may_write_both(bare_desk: Desk) -> None:
    mail = sent_about(
        bare_desk, en_subject="News", en_html="<p>in HTML</p>", en_txt="in plain text\n"
    )

    plain, html = mail.iter_parts()
    assert plain.get_content().startswith("in plain text")
    assert "in HTML" in html.get_content()


def test_a_subject_is_one_line_whatever_the_record_holds(bare_desk: Desk) -> None:
    bare_desk.folder.template("news", en_subject="{{ record.title }}", en_txt="News.\n")
    bare_desk.announce('{list: "duty@example.org"}')
    bare_desk.k.records["incident"].insert(title="Fire\r\nBcc: thief@example.org")
    bare_desk.healthy_poll()

    mail = bare_desk.answer_to("duty@example.org").mail
    assert mail["Bcc"] is None
    assert mail["Subject"].endswith("Fire Bcc: thief@example.org")


def test_a_template_that_fails_holds_up_only_its_own_mail(bare_desk: Desk) -> None:
    bare_desk.folder.template("broken", en_subject="News", en_txt="Line one\n{{ record.titel }}\n")
    bare_desk.announce('{list: "noc@example.org"}', template="broken")
    bare_desk.announce('{list: "duty@example.org"}')
    bare_desk.k.records["incident"].insert(title="Fire")

    report = bare_desk.poll()

    assert bare_desk.told() == ["duty@example.org"]
    (error,) = report.errors
    assert "rules/templates/broken/en.txt.j2" in error
    assert "line 2" in error
    assert "titel" in error
    assert list(bare_desk.k.outbox.frame(state="failed")["recipients"]) == [["noc@example.org"]]
