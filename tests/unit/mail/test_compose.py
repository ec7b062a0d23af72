"""What is composed can be parsed again, and no field breaks out of its place."""

from __future__ import annotations

import email
import re
from dataclasses import replace
from datetime import UTC, datetime
from email import policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kolibri_sdk.errors import PermanentSendError
from kolibri_sdk.mail import Draft, compose, parse_mail
from kolibri_sdk.model.message import Address, Attachment

DRAFT = Draft(
    message_id="kolibri.1@kolibri.example",
    sender=Address("support@kolibri.example", "Kolibri Support"),
    to=(Address("anna@sender.example", "Kühn, Anna"),),
    date=datetime(2026, 11, 23, 8, tzinfo=UTC),
    subject="Grüße",
    text="Hallo\n",
)
INJECTIONS = [
    "x\r\nBcc: victim@other.example",
    "x\nBcc: victim@other.example",
    "x\rBcc: victim@other.example",
    "x\r\n\r\n<script>body</script>",
    "x\r\n Bcc: victim@other.example\r\nBcc: victim@other.example",
    "x\x00\r\nBcc: victim@other.example",
    "x\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029Bcc: victim@other.example",
    "=?utf-8?q?x=0D=0ABcc:_victim@other.example?=",
    "x\ud800\r\nBcc: victim@other.example",
]


def assert_well_formed(raw: bytes) -> None:
    assert b"\x00" not in raw
    assert raw.isascii()
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def header_names(raw: bytes) -> list[str]:
    return [name.lower() for name in email.message_from_bytes(raw, policy=policy.compat32)]


EXPECTED = header_names(compose(DRAFT))


@pytest.mark.parametrize("evil", INJECTIONS, ids=repr)
@pytest.mark.parametrize("field", ["subject", "text", "sender", "to", "reply_to", "extra"])
def test_no_field_adds_a_header(field: str, evil: str) -> None:
    changes: dict[str, object] = {
        "subject": {"subject": evil},
        "text": {"text": evil},
        "sender": {"sender": Address("support@kolibri.example", evil)},
        "to": {"to": (Address("anna@sender.example", evil),)},
        "reply_to": {"reply_to": Address("support@kolibri.example", evil)},
        "extra": {"headers": (("X-Note", evil),)},
    }[field]  # type: ignore[assignment]
    raw = compose(replace(DRAFT, **changes))  # type: ignore[arg-type]
    assert_well_formed(raw)
    assert set(header_names(raw)) <= {*EXPECTED, "reply-to", "x-note"}
    mail = parse_mail(raw)
    assert mail.bcc == ()
    assert mail.to[0].address == "anna@sender.example"


@pytest.mark.parametrize("evil", INJECTIONS, ids=repr)
def test_no_attachment_adds_a_header(evil: str) -> None:
    part = Attachment(
        evil, f"application/pdf{evil}", b"\x00\r\nBcc: x", content_id=evil, inline=True
    )
    raw = compose(replace(DRAFT, html="<p>x</p>", attachments=(part,)))
    assert_well_formed(raw)
    assert header_names(raw).count("bcc") == 0
    for found in email.message_from_bytes(raw).walk():
        assert found["bcc"] is None
    assert parse_mail(raw).attachments[0].content == part.content


def test_a_recipient_beyond_ascii_is_told_in_a_header_that_every_server_takes() -> None:
    people = (Address("jürgen@x.example", "Jürgen"), Address("anna@x.example"))
    raw = compose(replace(DRAFT, to=people))
    assert raw.isascii()
    (group, anna) = email.message_from_bytes(raw, policy=email.policy.default)["To"].groups
    assert (group.display_name, group.addresses) == ("Jürgen <jürgen@x.example>", ())
    assert anna.addresses[0].addr_spec == "anna@x.example"
    with pytest.raises(PermanentSendError):
        compose(replace(DRAFT, sender=people[0]))


@pytest.mark.parametrize("evil", [*INJECTIONS, "", "two words@x.example", "a@b>, <c@d", "ü, a@x"])
def test_an_address_that_cannot_stand_is_refused(evil: str) -> None:
    with pytest.raises(PermanentSendError):
        compose(replace(DRAFT, to=(Address(evil),)))


@pytest.mark.parametrize("evil", [*INJECTIONS, "", "a b@x", "a>b@x", "x" * 990])
def test_a_message_id_that_cannot_stand_is_refused(evil: str) -> None:
    with pytest.raises(PermanentSendError):
        compose(replace(DRAFT, message_id=evil))
    assert parse_mail(compose(replace(DRAFT, references=(evil, "ok@x")))).references[-1] == "ok@x"


@pytest.mark.parametrize("name", ["Bcc", "from", "Content-Type", "X Y", "X:Y", "", "X\r\nBcc"])
def test_a_header_that_is_not_free_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="header"):
        compose(replace(DRAFT, headers=((name, "x"),)))


def test_a_naive_date_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        compose(replace(DRAFT, date=datetime(2026, 1, 1)))  # noqa: DTZ001 - the point of the test


def test_international_domains_are_written_in_ascii() -> None:
    raw = compose(replace(DRAFT, to=(Address("info@bücher.example"),)))
    assert b"To: info@xn--bcher-kva.example\r\n" in raw


def test_the_whole_draft_comes_back() -> None:
    image = Attachment("logo.png", "image/png", b"\x89PNG\r\n\x00", "logo@kolibri.example", True)
    report = Attachment("Übersicht 2026.pdf", "application/pdf", b"%PDF\n" * 500)
    draft = replace(
        DRAFT,
        cc=(Address("b@x.example", 'Bob "B" Baker'), Address("c@x.example")),
        reply_to=Address("support+t0k3n@kolibri.example", "Kolibri Support"),
        subject="Größe 🎉 " * 30 + "Ende",
        html='<p>Hallo <img src="cid:logo@kolibri.example"></p>\n',
        in_reply_to="q@sender.example",
        references=("p@sender.example", "q@sender.example"),
        attachments=(image, report),
        headers=(("Auto-Submitted", "auto-replied"),),
    )
    raw = compose(draft)
    assert_well_formed(raw)
    mail = parse_mail(raw)
    assert mail.defects == ()
    assert (mail.message_id, mail.sent_at) == (draft.message_id, draft.date)
    assert (mail.from_, mail.to, mail.cc) == ((draft.sender,), draft.to, draft.cc)
    assert mail.reply_to == (draft.reply_to,)
    assert (mail.subject, mail.text, mail.html) == (draft.subject, draft.text, draft.html)
    assert mail.in_reply_to == ("q@sender.example",)
    assert mail.references == draft.references
    assert mail.attachments == (image, report)
    assert mail.header("Auto-Submitted") == "auto-replied"


def test_the_structure_is_the_usual_one() -> None:
    image = Attachment("i.png", "image/png", b"x", "i@x", True)
    report = Attachment("a.pdf", "application/pdf", b"x")
    raw = compose(replace(DRAFT, html="<p>x</p>", attachments=(image, report)))
    assert [part.get_content_type() for part in email.message_from_bytes(raw).walk()] == [
        *("multipart/mixed", "multipart/alternative", "text/plain", "multipart/related"),
        *("text/html", "image/png", "application/pdf"),
    ]


def test_the_same_draft_gives_the_same_bytes() -> None:
    draft = replace(DRAFT, html="<p>x</p>")
    assert compose(draft) == compose(draft)


def test_many_references_keep_the_first_and_the_latest() -> None:
    references = tuple(f"{number}@x" for number in range(500))
    found = parse_mail(compose(replace(DRAFT, references=references))).references
    assert found[0] == "0@x"
    assert found[1:] == references[-49:]


TEXT = st.text(max_size=300)


@settings(max_examples=150, deadline=None)
@given(
    subject=TEXT, name=TEXT, text=TEXT, html=st.none() | TEXT, filename=TEXT, content=st.binary()
)
def test_any_text_survives(
    subject: str, name: str, text: str, html: str | None, filename: str, content: bytes
) -> None:
    part = Attachment(filename, "application/x-any", content + b"x")
    raw = compose(
        replace(
            DRAFT,
            subject=subject,
            sender=Address("a@x.example", name),
            text=text,
            html=html,
            attachments=(part,),
        )
    )
    assert_well_formed(raw)
    mail = parse_mail(raw)
    assert mail.from_[0].address == "a@x.example"
    assert mail.attachments[0].content == part.content
    printable = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "", text)
    wanted = re.sub("\r\n?", "\n", printable)
    if html is None:
        assert mail.text.rstrip("\n") == wanted.rstrip("\n")
