"""S9: a user sends an HTML mail by hand from a record, whatever the designer holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from kolibri_sdk import Kolibri, connect
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.store import activity
from tests.acceptance.conftest import Desk
from tests.project import ANNA, letter, reply_to

ANNAS, TOMS, BOSS = "anna@customer.example", "tom@customer.example", "boss@elsewhere.example"
HTML = "<p>It works <b>again</b>.</p>"


def incident(desk: Desk, **values: Any) -> Any:
    return desk.k.records["incident"].insert(title="VPN is down", **values)


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


@pytest.fixture
def desk(bare_desk: Desk) -> Desk:
    """Entities, and not one rule or template."""
    bare_desk.folder.use_shipped_rules("entities")
    return bare_desk


def test_it_goes_to_all_of_them_though_there_is_no_rule(either_desk: Desk) -> None:
    record = incident(either_desk)
    sent = record.mail(to=[f"Anna <{ANNAS}>"], cc=TOMS, bcc=[BOSS], html=HTML)
    assert (sent.state, sent.recipients) == ("queued", (ANNAS, TOMS, BOSS))
    assert sent.results[BOSS] == {"status": "waiting"}

    either_desk.healthy_poll()

    taken = either_desk.answer_to(ANNAS)
    assert taken.sender == "support@kolibri.example", "a bounce must come back"
    assert taken.recipients == (ANNAS, TOMS, BOSS)
    assert (taken.mail["To"], taken.mail["Cc"]) == (f"Anna <{ANNAS}>", TOMS)
    assert BOSS not in str(taken.mail), "nobody sees the bcc"
    assert taken.mail["Auto-Submitted"] is None, "a person wrote it"
    assert "It works <b>again</b>." in html_of(taken.mail)
    assert text_of(taken.mail).strip() == "It works again."
    assert sent.state == "sent"
    assert {result["status"] for result in sent.results.values()} == {"accepted"}


def test_users_and_groups_are_named_by_what_they_are_called(desk: Desk) -> None:
    desk.k.users.add("tom", TOMS, name="Tom", groups=("network",))
    desk.k.users.add("anna", ANNAS, name="Anna", groups=("network",))

    incident(desk).mail(to="anna", cc=["network"], text="Please look.")
    desk.healthy_poll()

    taken = desk.answer_to(TOMS)
    assert taken.recipients == (ANNAS, TOMS), "each once"
    assert (taken.mail["To"], taken.mail["Cc"]) == (f"Anna <{ANNAS}>", f"Tom <{TOMS}>")
    assert not taken.mail.is_multipart(), "plain text stays plain"


def test_it_is_queued_with_its_entry_or_not_at_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no room")

    record = incident(desk)
    with monkeypatch.context() as broken:
        broken.setattr(activity, "add", full)
        with pytest.raises(OSError, match="no room"):
            record.mail(to=ANNAS, text="Hello")
    assert (len(desk.k.outbox.frame()), len(desk.k.messages)) == (0, 0)
    record.mail(to=ANNAS, text="Hello")
    assert [kind for kind, _ in desk.stream()] == ["mail_queued"]


def test_the_preview_is_what_goes_out_byte_for_byte_and_only_once(desk: Desk) -> None:
    mail = incident(desk).mail(to=ANNAS, html=HTML, dry_run=True)
    assert "INC-000001" in mail.subject
    assert (len(desk.k.outbox.frame()), desk.stream()) == (0, []), "nothing is queued"
    assert HTML[3:-4] in mail.html
    assert "<iframe" in mail._repr_html_()

    assert mail.send().id == mail.send().id
    desk.healthy_poll()

    assert desk.answer_to(ANNAS).raw.endswith(b"\r\n" + mail.raw)
    assert f"<{mail.message_id}>" == desk.answer_to(ANNAS).mail["Message-ID"]


def test_a_record_without_activity_stream_sends_none(desk: Desk) -> None:
    file = desk.folder.root / "rules/entities/incident.yaml"
    file.write_text(file.read_text().replace("activity_stream: true", "activity_stream: false"))
    record = incident(desk)
    with pytest.raises(ConfigurationError) as refused:
        record.mail(to=ANNAS, text="Hello")
    assert "activity stream of incident is switched off" in str(refused.value)
    assert "rules/entities/incident.yaml" in str(refused.value)
    assert len(desk.k.outbox.frame()) == 0


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"to": "nobody", "text": "x"}, "to= names 'nobody': no address, user or group"),
        ({"cc": ["a@x.example", "b c"], "text": "x"}, "cc= names 'b c'"),
        ({"text": "x"}, "Nobody would get the mail"),
        ({"to": "support@kolibri.example", "text": "x"}, "is the mailbox support itself"),
        ({"to": ANNAS}, "The mail says nothing"),
        ({"to": ANNAS, "text": "x", "attachments": ["nowhere.pdf"]}, "nowhere.pdf cannot be read"),
        ({"to": ANNAS, "text": "x", "attachments": [7]}, "int is no attachment"),
        ({"to": ANNAS, "text": "x", "mailbox": "reading"}, "has no outbound side"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(
    desk: Desk, asked: dict[str, Any], told: str
) -> None:
    desk.mailbox("reading", address="reading@kolibri.example", outbound=None)
    record = incident(desk)
    with pytest.raises(ConfigurationError) as refused:
        record.mail(**asked)
    assert told in str(refused.value)
    assert (len(desk.k.outbox.frame()), desk.stream()) == (0, [])


def test_files_bytes_and_attachments_of_stored_mails_come_along(desk: Desk, tmp_path: Path) -> None:
    original = EmailMessage()
    original["From"], original["To"], original["Subject"] = ANNA, "support@kolibri.example", "Log"
    original.set_content("See the log.")
    original.add_attachment(b"12:00 down", "text", "plain", filename="vpn.log")
    desk.receive(original.as_bytes())
    stored = desk.k.messages[1].attachments[0]
    plan = tmp_path / "Plan \u00fc.pdf"
    plan.write_bytes(b"%PDF")

    incident(desk).mail(to=ANNAS, html=HTML, attachments=[plan, ("a.bin", b"\0\1"), stored])
    desk.healthy_poll()

    got = {
        part.get_filename(): (part.get_content_type(), part.get_payload(decode=True))
        for part in desk.answer_to(ANNAS).mail.iter_attachments()
    }
    assert got == {
        "Plan \u00fc.pdf": ("application/pdf", b"%PDF"),
        "a.bin": ("application/octet-stream", b"\0\1"),
        "vpn.log": ("text/plain", b"12:00 down"),
    }
    (row,) = desk.k.messages.frame(direction="out").to_dict("records")
    assert [one["filename"] for one in row["attachments"]] == list(got)


def with_signatures(desk: Desk) -> None:
    desk.mailbox(
        signature={
            "en": {"html": "signatures/en.html"},
            "de": {"html": "signatures/de.html", "text": "signatures/de.txt"},
        }
    )
    desk.folder.write("signatures/en.html", "<p><i>{{ user.name }}</i><br>Service desk</p>")
    desk.folder.write("signatures/de.html", "<p>{{ user.name }}<br>Servicestelle</p>")
    desk.folder.write("signatures/de.txt", "{{ user.name }}, {{ mailbox.address }}")


def test_the_mailbox_signs_in_the_language_of_the_user_who_gets_it(desk: Desk) -> None:
    with_signatures(desk)
    desk.k.users.add("erika", "erika@kolibri.example", language="de-AT")
    desk.k.users.add("lisa", "lisa@kolibri.example", name="Lisa M\u00fcller & Co")
    record = incident(desk)
    with connect(project=desk.folder.root, user="lisa") as k:
        assert isinstance(k, Kolibri)
        by_lisa = k.records["incident", record.key.key]
        german = by_lisa.mail(to="erika", html=HTML, dry_run=True)
        english = by_lisa.mail(to=["erika", ANNAS], html=HTML, dry_run=True)
        unsigned = by_lisa.mail(to="erika", html=HTML, sign=False, dry_run=True)
        by_lisa.mail(to="erika", html=HTML)
    assert "<p>Lisa M\u00fcller &amp; Co<br>Servicestelle</p>" in german.html
    assert "-- \nLisa M\u00fcller & Co, support@kolibri.example" in german.text
    assert "<i>Lisa M\u00fcller &amp; Co</i><br>Service desk" in english.html
    assert "-- \nLisa M\u00fcller & Co\nService desk" in english.text
    assert "Lisa" not in unsigned.text + unsigned.html
    (author,) = record.activity.frame()["author"]
    assert author == "lisa", "who wrote it"


def test_a_faulty_signature_is_told_with_file_and_line(desk: Desk) -> None:
    with_signatures(desk)
    desk.folder.write("signatures/en.html", "<p>\n{{ user.nmae }}</p>")
    with pytest.raises(Exception, match=r"signatures/en\.html, line 2: 'user\.nmae'"):
        incident(desk).mail(to=ANNAS, html=HTML)
    (desk.folder.root / "signatures/en.html").unlink()
    with pytest.raises(ConfigurationError, match=r"signatures/en\.html of mailbox support"):
        incident(desk).mail(to=ANNAS, html=HTML)
    desk.close()
    problems = [str(problem) for problem in desk.k.check()]
    assert any("signatures/en.html" in problem for problem in problems), problems


def test_an_answer_quotes_the_mail_and_names_it(either_desk: Desk) -> None:
    either_desk.receive(letter("VPN is down", "Since 8 <o'clock>.\n", cc=TOMS))
    (number,) = either_desk.k.messages.frame()["id"]
    asked = either_desk.k.messages[number]
    record = incident(either_desk)

    asked.reply("<p>We look.</p>", all=True, language="de")
    record.mail(to=BOSS, reply_to=asked, text="Is it you?")
    either_desk.healthy_poll()

    mail = either_desk.answer_to(ANNAS).mail
    assert (mail["To"], mail["Cc"]) == ("Anna Weiss <anna@customer.example>", TOMS)
    assert mail["Subject"] == "Re: VPN is down"
    assert mail["In-Reply-To"] == mail["References"] == f"<{asked.message_id}>"
    assert "> Since 8 <o'clock>." in text_of(mail)
    assert "schrieb Anna Weiss <anna@customer.example>:" in text_of(mail)
    assert "Since 8 &lt;o'clock&gt;." in html_of(mail)
    assert 'blockquote type="cite"' in html_of(mail)
    other = either_desk.answer_to(BOSS).mail
    assert other["In-Reply-To"] == f"<{asked.message_id}>"
    assert asked.message_id in other["References"]
    assert other["Subject"].endswith("] Re: VPN is down")
    assert "Anna Weiss <anna@customer.example> wrote:" in text_of(other)


def test_an_answer_shows_the_quoted_images_and_runs_nothing_of_a_stranger(desk: Desk) -> None:
    original = EmailMessage()
    original["From"], original["To"], original["Subject"] = ANNA, "support@kolibri.example", "Look"
    original.set_content("See the picture.")
    original.add_alternative(
        '<p onclick="x()">See <img src="cid:shot"><img src="http://evil.example/p.gif"></p>'
        "<script>x()</script>",
        subtype="html",
    )
    html_part = original.get_payload()[1]  # type: ignore[index]
    html_part.add_related(b"GIF89a", "image", "gif", cid="<shot>")  # type: ignore[union-attr]
    desk.receive(original.as_bytes())

    desk.k.messages[1].reply("<p>Thanks.</p>")
    desk.healthy_poll()

    mail = desk.answer_to(ANNAS).mail
    assert '<img src="cid:shot">' in html_of(mail)
    assert not {word for word in ("onclick", "script", "evil") if word in html_of(mail)}
    (image,) = [part for part in mail.walk() if part.get_content_type() == "image/gif"]
    assert (image["Content-ID"], image.get_payload(decode=True)) == ("<shot>", b"GIF89a")


def test_an_answer_in_a_thread_stays_on_its_record(desk: Desk) -> None:
    desk.folder.use_shipped_rules()
    desk.receive(letter("VPN is down"))
    first = desk.answer_to(ANNAS)
    desk.receive(reply_to(first.raw, "Still down."))
    desk.sink.taken.clear()

    asked = desk.k.messages[int(desk.k.messages.frame(direction="in")["id"].iloc[-1])]
    asked.reply("<p>Now?</p>")
    desk.healthy_poll()

    mail = desk.answer_to(ANNAS)
    assert mail.mail["Subject"].count("[INC-000001") == 1
    assert str(desk.k.messages.frame(direction="out")["record_key"].iloc[-1]) == "1"
    assert html_of(mail.mail).count("kr1:") == 1, "the quoted mail's marker does not pile up"
    desk.receive(reply_to(mail.raw, "Yes!"))
    assert desk.stream()[-1] == ("mail_in", "Yes!")


def test_a_mail_is_passed_on_with_everything_in_it(desk: Desk) -> None:
    original = EmailMessage()
    original["From"], original["To"], original["Subject"] = ANNA, "support@kolibri.example", "Log"
    original.set_content("See the log.")
    original.add_attachment(b"12:00 down", "text", "plain", filename="vpn.log")
    desk.receive(original.as_bytes())

    desk.k.messages[1].forward("vendor@elsewhere.example", "<p>Yours?</p>")
    desk.healthy_poll()

    mail = desk.answer_to("vendor@elsewhere.example").mail
    assert (mail["Subject"], mail["In-Reply-To"]) == ("Fwd: Log", None)
    assert text_of(mail).startswith("Yours?")
    assert "From: Anna Weiss <anna@customer.example>" in text_of(mail)
    assert "See the log." in text_of(mail)
    (file,) = mail.iter_attachments()
    assert (file.get_filename(), file.get_payload(decode=True)) == ("vpn.log", b"12:00 down")


def test_where_the_mailbox_cannot_be_guessed_it_has_to_be_said(desk: Desk) -> None:
    desk.mailbox("sales", address="sales@kolibri.example")
    record = incident(desk)
    with pytest.raises(ConfigurationError, match="Give mailbox=; there are: sales, support"):
        record.mail(to=ANNAS, text="Hello")
    record.mail(to=ANNAS, text="Hello", mailbox="sales")
    assert record.mail(to=ANNAS, text="More").mailbox == "sales", "that of the latest mail"


def test_bytes_that_are_lost_are_composed_again(desk: Desk) -> None:
    sent = incident(desk).mail(to=ANNAS, html=HTML, attachments=[("a.bin", b"\0\1")])
    before = desk.k.messages[sent.message].raw
    with closing(sqlite3.connect(desk.folder.root / "kolibri.db")) as other:
        other.execute("DELETE FROM kolibri_blob WHERE size = ?", [len(before)])
        other.commit()

    report = desk.poll()
    assert "its bytes are missing" in report.errors[0]
    desk.healthy_poll()

    assert desk.answer_to(ANNAS).raw.endswith(before)
    assert sent.state == "sent"
