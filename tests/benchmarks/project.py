"""What the benchmarks poll: a Dovecot, and a project with fifty active rules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.servers.dovecot import PASSWORD_VARIABLE, Dovecot, running_dovecot

__all__ = ["RULES", "server", "write_project"]

RULES = 50


@contextmanager
def server() -> Iterator[Dovecot]:
    """A running Dovecot; imaplib's LOGIN, which a peer uses, knows ASCII passwords only."""
    os.environ[PASSWORD_VARIABLE] = "plain-password"
    with running_dovecot(os.environ[PASSWORD_VARIABLE]) as dovecot:
        yield dovecot


def write_project(root: Path, inbound: dict[str, Any]) -> None:
    """A project of one mailbox, ``support``, with rules on subject and text that match nothing."""
    (root / "kolibri.toml").write_text("[kolibri]\n")
    documents: dict[str, object] = {
        "mailboxes/support.yaml": {"address": "support@kolibri.example", "inbound": inbound}
    }
    for number in range(RULES):
        subject, text = f"/\\bword{number}\\b/i.test(message.subject)", f'"w{number}x"'
        documents[f"inbound/support/rule-{number}.yaml"] = {
            "order": number,
            "when": f"{subject} || message.text.includes({text})",
            "then": [],
        }
    for name, document in documents.items():
        path = root / "rules" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        YAML().dump(document, path)
