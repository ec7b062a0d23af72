"""What tests of the lab share: a sandbox, frames of mails that a test writes down, and rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from kolibri_sdk.frames import mail_frame
from kolibri_sdk.lab import Surroundings, Trial, backtest
from kolibri_sdk.model.entity import Entity, FieldType
from kolibri_sdk.model.rule import InboundRule
from kolibri_sdk.sandbox import Sandbox

FIRST = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
FIELDS = {"title": FieldType.TEXT, "priority": FieldType.INTEGER, "status": FieldType.TEXT}
ENTITIES = {"incident": Entity(name="incident", table="incident", fields=FIELDS)}
CREATE = {"create_record": {"entity": "incident", "set": {"title": "message.subject"}}}


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(deadline=0.3) as running:
        yield running


def mails(*given: Mapping[str, Any] | str, every: timedelta = timedelta(hours=1)) -> pd.DataFrame:
    """A frame of mails: a subject each, or columns of the central table."""
    rows = []
    for number, one in enumerate(given, 1):
        columns = {"subject": one} if isinstance(one, str) else dict(one)
        text = columns.get("text", "Hello")
        rows.append(
            {
                "id": number, "direction": "in", "mailbox": "support", "state": "done",
                "received_at": FIRST + (number - 1) * every, "size": len(text), "text": text,
                "reply_text": text, "from_address": "anna@customer.example", "kind": "ordinary",
                "to_addresses": [{"address": "support@kolibri.example", "name": ""}],
                "cc_addresses": [], "reply_to_addresses": [], "in_reply_to": [],
                "reference_ids": [], "headers": [], "attachments": [], "defects": [],
                "message_id": f"{number}@customer.example", "error": "", "forwarded": None,
                "authentication": None, **columns,
            }
        )  # fmt: skip
    return mail_frame(rows)


def rule(name: str = "vpn", when: str = "/vpn/i.test(message.subject)", **more: Any) -> InboundRule:
    return InboundRule(name, mailbox="support", when=when, **more)


@pytest.fixture
def attempt(sandbox: Sandbox) -> Any:
    """Try rules on a frame: ``attempt([rules], frame, surroundings)``."""

    def run(rules: Any, frame: pd.DataFrame, around: Surroundings | None = None) -> Trial:
        given = rules if isinstance(rules, list) else [rules]
        return backtest(given, frame, sandbox, around or Surroundings(entities=ENTITIES))

    return run
