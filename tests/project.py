"""What tests need to play a service desk: a project folder, people's mails, and their replies."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

from kolibri_sdk import Kolibri, clock, connect
from kolibri_sdk.rulebook import find_project
from kolibri_sdk.store import Store, upgrade

__all__ = ["ALL_CARRIERS", "ANNA", "ProjectFolder", "letter", "reply_to"]

SHIPPED_RULES = Path(__file__).parents[1] / "rules"
ANNA = "Anna Weiss <anna@customer.example>"
ALL_CARRIERS = frozenset({"references", "address", "subject", "body"})


class ProjectFolder:
    """A project folder that a test fills file by file; files are named as problems name them.

    Parameters
    ----------
    root : Path
        An empty folder.
    database : str
        SQLAlchemy URL, SQLite in the folder by default.
    settings
        Further settings of ``kolibri.toml``.
    """

    def __init__(self, root: Path, database: str = "sqlite:///kolibri.db", **settings: Any) -> None:
        self.root = root
        lines = [
            f"{name} = {json.dumps(value)}"
            for name, value in {"database": database, **settings}.items()
        ]
        self.write("kolibri.toml", "\n".join(["[kolibri]", *lines, ""]))
        (root / "rules").mkdir(exist_ok=True)

    def write(self, file: str, content: str | bytes) -> Path:
        """Write a file, its folder included; text is dedented."""
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dedent(content).encode() if isinstance(content, str) else content)
        return path

    def document(self, file: str, values: Mapping[str, Any]) -> Path:
        """Write a YAML file from plain data (JSON is YAML 1.2)."""
        return self.write(file, json.dumps(values, indent=2))

    def use_shipped_rules(self, *parts: str) -> None:
        """Take these folders of ``rules/``; when none is named, all but the mailboxes."""
        for name in parts or ("entities", "inbound", "outbound", "templates"):
            shutil.copytree(SHIPPED_RULES / name, self.root / "rules" / name, dirs_exist_ok=True)

    def mailbox(self, name: str, **values: Any) -> None:
        """Write ``rules/mailboxes/NAME.yaml``; ``inbound`` and ``outbound`` as Dovecot gives them.

        A side that is None is left out.
        """
        given = {key: value for key, value in values.items() if value is not None}
        document = {"address": f"{name}@kolibri.example", **given}
        self.document(f"rules/mailboxes/{name}.yaml", document)

    def template(self, name: str, **parts: str) -> None:
        """Write the parts of a template: ``de_subject="…", de_html="…"``."""
        for key, source in parts.items():
            language, _, part = key.rpartition("_")
            self.write(f"rules/templates/{name}/{language.replace('_', '-')}.{part}.j2", source)

    def upgrade(self) -> None:
        """Bring the database to the newest schema, as PostgreSQL needs it before the first use."""
        store = Store(find_project(self.root).database)
        upgrade(store)
        store.close()

    def kolibri(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the ``kolibri`` command in this folder, in a process of its own."""
        return subprocess.run(
            [sys.executable, "-c", "from kolibri_sdk.cli import app; app()", *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def open(self) -> Kolibri:
        """Connect to the project."""
        return connect(project=self.root)


def letter(
    subject: str = "VPN drops every ten minutes",
    text: str = "Hello,\n\nsince this morning the VPN drops about every ten minutes.\n\nAnna\n",
    *,
    sender: str = ANNA,
    to: str = "support@kolibri.example",
    **headers: str,
) -> bytes:
    """A mail as a person's program writes it; ``auto_submitted="…"`` gives a further header."""
    mail = _begun(sender, to, subject)
    for name, value in headers.items():
        mail[name.replace("_", "-").title()] = value
    mail.set_content(text)
    return mail.as_bytes()


def reply_to(
    raw: bytes,
    text: str = "Thank you.",
    *,
    sender: str = ANNA,
    carriers: Collection[str] = ALL_CARRIERS,
    **headers: str,
) -> bytes:
    """Answer a mail as a mail program does, quoting it; only these carriers survive on the way.

    Parameters
    ----------
    raw : bytes
        The mail as it came in.
    carriers : collection of str
        ``references`` (with In-Reply-To), ``address`` (the answer goes to Reply-To),
        ``subject`` (kept behind Re:), ``body`` (the quoted HTML).
    """
    original = message_from_bytes(raw, policy=policy.default)
    address = original["Reply-To"] if "address" in carriers else None
    subject = original["Subject"] if "subject" in carriers else "the printer"
    mail = _begun(sender, str(address or original["From"]), f"Re: {subject}")
    if "references" in carriers:
        mail["In-Reply-To"] = original["Message-ID"]
        mail["References"] = f"{original['References'] or ''} {original['Message-ID']}".strip()
    for name, value in headers.items():
        mail[name.replace("_", "-").title()] = value
    mail.set_content(f"{text}\n\nOn Monday somebody wrote:\n{_quoted(original)}")
    html = original.get_body(("html",))
    if "body" in carriers and html is not None:
        quoted = f"<p>{text}</p><blockquote>{html.get_content()}</blockquote>"
        mail.add_alternative(quoted, subtype="html")
    return mail.as_bytes()


def _begun(sender: str, to: str, subject: str) -> EmailMessage:
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = sender
    mail["To"] = to
    mail["Subject"] = subject
    mail["Date"] = format_datetime(clock.now())
    mail["Message-ID"] = make_msgid(domain=sender.rstrip(">").rpartition("@")[2])
    return mail


def _quoted(original: EmailMessage) -> str:
    body = original.get_body(("plain",))
    return indent(body.get_content() if body is not None else "", "> ", lambda _: True)
