"""A project folder that a test fills file by file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from kolibri_sdk.rulebook import Rulebook, load_rulebook
from kolibri_sdk.sandbox import Sandbox

MAILBOX = """\
address: support@kolibri.example
inbound: {protocol: maildir, path: mail/support}
outbound: {protocol: maildir, path: mail/sent}
"""
ENTITY = """\
table: incident
fields: {number: text, title: text, caller: user, group: text, status: text}
"""


class Folder:
    """A project folder; files are named as problems name them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, file: str, content: str | bytes = "") -> Path:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = dedent(content).encode()
        path.write_bytes(content)
        return path

    def load(self) -> Rulebook:
        return load_rulebook(self.root / "rules")


@pytest.fixture
def empty(tmp_path: Path) -> Folder:
    """A project folder without any rules."""
    (tmp_path / "rules").mkdir()
    return Folder(tmp_path)


@pytest.fixture
def folder(empty: Folder) -> Folder:
    """A project folder with a mailbox, an entity and a template, all in order."""
    empty.write("rules/mailboxes/support.yaml", MAILBOX)
    empty.write("rules/entities/incident.yaml", ENTITY)
    empty.write("rules/templates/hello/en.subject.j2", "Hello {{ record.title }}\n")
    empty.write("rules/templates/hello/en.txt.j2", "Hello\n")
    empty.write("rules/inbound/support/examples/a.eml", "Subject: a\n\na\n")
    return empty


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox for all tests of the room: it compiles and renders, and keeps nothing."""
    with Sandbox() as running:
        yield running
