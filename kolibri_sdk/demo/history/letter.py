"""An invented mail as its sender's mail program would write it."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import format_datetime
from html import escape

from kolibri_sdk.demo.history.year import HistoricMail

__all__ = ["written"]

_FILES = {
    ".png": ("image", "png", b"\x89PNG\r\n\x1a\n" + bytes(40)),
    ".pdf": ("application", "pdf", b"%PDF-1.4\n%%EOF\n"),
}


def written(mail: HistoricMail) -> bytes:
    """Its bytes, lines ended by LF as in an mbox; the same every time."""
    made = EmailMessage()
    made["From"] = f'"{mail.sender.name}" <{mail.sender.address}>'
    made["To"] = mail.to
    made["Subject"] = mail.subject
    made["Date"] = format_datetime(mail.sent)
    made["Message-ID"] = f"<{mail.message_id}>"
    for name, value in mail.headers.items():
        made[name] = value
    made.set_content(mail.text, cte="8bit" if mail.text.isascii() else "quoted-printable")
    if mail.html:
        paragraphs = escape(mail.text).replace("\n\n", "</p><p>").replace("\n", "<br>")
        made.add_alternative(
            f'<div style="font-family:Calibri,sans-serif"><p>{paragraphs}</p></div>',
            subtype="html",
            cte="quoted-printable",
        )
    if mail.attachment:
        kind, subtype, data = _FILES["." + mail.attachment.rpartition(".")[2]]
        made.add_attachment(data, maintype=kind, subtype=subtype, filename=mail.attachment)
    for number, part in enumerate(made.walk()):
        if part.is_multipart():
            # Left alone, it would be another one every time.
            part.set_boundary(f"=_{mail.message_id.partition('@')[0]}-{number}")
    return made.as_bytes()
