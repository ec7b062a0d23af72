"""Faults 34-36: parts within parts, names that lead out of a folder, archives that explode."""

from __future__ import annotations

import hashlib
import io
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.faults.desk import Desk
from tests.project import letter

CORPUS = Path(__file__).parents[1] / "corpus"


def corpus(name: str) -> bytes:
    return (CORPUS / f"{name}.eml").read_bytes()


#: What is in them, where the mail program of whoever reads it would have to open it.
WITHIN = {
    "winmail": ["Bericht Übersicht.pdf", "Alter Router.txt", "log.txt"],
    "winmail-damaged": ["Bericht Übersicht.pdf", "winmail.dat"],
    "nested-mail-shown": ["Old router.eml", "router.pdf"],
    "nested-mail-chain": [f"level {n}.eml" for n in range(2, 8)],
    "smime-signed": ["smime.p7m"],
    "smime-encrypted": ["smime.p7m"],
    "openpgp-encrypted": ["part-1.bin", "encrypted.asc"],
    "report-parts": [],
    "calendar-alone": ["part-1.ics"],
    "uuencode-in-text": ["plan of the floor.txt", "b.txt"],
}


def test_fault_34_winmail_nested_messages_smime_reports_and_calendars(desk: Desk) -> None:
    desk.drop(*(corpus(name) for name in WITHIN), letter("One more"))

    desk.healthy_poll()

    states = desk.column("SELECT state FROM kolibri_message WHERE direction = 'in'")
    assert states == ["done"] * (len(WITHIN) + 1)
    with desk.folder.open() as k:
        mails = [k.messages[number + 1] for number in range(len(states))]
        stored = {mail.raw: [part.filename for part in mail.attachments] for mail in mails}
        texts = {mail.raw: mail.text for mail in mails}
    for name, files in WITHIN.items():
        assert stored[corpus(name)] == files, name
    assert texts[corpus("calendar-alone")].startswith("Invitation: Router swap")
    assert texts[corpus("smime-signed")] == "It is signed: grün.\n"


NAMES = [
    *("../../etc/x", "..", "C:\\x", "a\x00b", "x" * 4096, "x" * 4096, "invoice\u202efdp.exe"),
    *(
        "a (2).txt",
        "a.txt",
        "a.txt",
        "report.pdf",
        "REPORT.pdf",
        "report (2).pdf",
        "CON",
        "/",
        "~/.ssh/id_rsa",
        "a\nb",
        "",
    ),
]


def test_fault_35_names_of_attachments_stay_within_their_folder(desk: Desk, tmp_path: Path) -> None:
    raw = b"From: a@customer.example\nSubject: Names\nContent-Type: multipart/mixed; boundary=b\n\n"
    for number, name in enumerate(NAMES):
        quoted = "".join(f"%{byte:02X}" for byte in name.encode())
        raw += b"--b\nContent-Type: application/octet-stream\nContent-Disposition: attachment;\n "
        raw += b"filename*=utf-8''%s\n\n%d\n" % (quoted.encode(), number)
    desk.drop(raw + b"--b--\n")

    desk.healthy_poll()

    folder = tmp_path / "saved" / "here"
    folder.mkdir(parents=True)
    with desk.folder.open() as k:
        for part in k.messages[1].attachments:
            (folder / part.filename).write_bytes(part.read())
    inside = {path.read_bytes() for path in folder.iterdir()}
    assert inside == {b"%d" % number for number in range(len(NAMES))}, "none overwrote another"
    assert [path.name for path in folder.parent.iterdir()] == ["here"]
    assert "invoicefdp.exe" in {path.name for path in folder.iterdir()}


def bomb() -> bytes:
    """A zip of a hundred kilobytes that unpacks to 100 MB, with a zip and a link out of it."""
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * 100_000_000)
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return outer.getvalue()


@pytest.mark.parametrize("name", ["a.zip", "winmail.dat", "mails.mbox.zip"])
def test_fault_36_archives_are_kept_as_they_came_and_never_unpacked(desk: Desk, name: str) -> None:
    packed = bomb()
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@customer.example", "Open this"
    mail.set_content("Open this.")
    mail.add_attachment(packed, "application", "zip", filename=name)
    desk.drop(mail.as_bytes())

    desk.healthy_poll()

    with desk.folder.open() as k:
        (part,) = k.messages[1].attachments
        assert (part.filename, part.size) == (name, len(packed))
        assert hashlib.sha256(part.read()).digest() == hashlib.sha256(packed).digest()
