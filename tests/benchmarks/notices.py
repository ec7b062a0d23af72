"""Outgoing: changes of records through twenty rules into the outbox, against Jinja2 and an ORM.

The peer (``peers/orm_notices.py``) does the same work one by one: it reads a change, asks the
rules, looks up the recipient, what they had in the last hour and whether mails to them came back,
renders the mail with plain Jinja2, and commits mail, outbox row and decision. Ours are decided
together, and the mails of five hundred changes are one transaction; they are rendered after it
(docs/decisions/0004), which has a figure of its own and is shown beside this one.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from ruamel.yaml import YAML

from kolibri_sdk import Kolibri, connect
from kolibri_sdk.clock import now
from kolibri_sdk.pipeline.events import run_events
from kolibri_sdk.pipeline.outbound import compose_outbox
from kolibri_sdk.pipeline.report import PassReport
from tests.benchmarks.measure import Result, Settings, in_turn
from tests.benchmarks.peers.orm_notices import queue_notices

__all__ = ["measure_notices"]

RULES = 20
CHANGES = 10_000
MATCHING = 2  #: of the rules, on each change
_PEER = 500  #: changes that the peer is measured on: it is slow, and even
_GROUPS = RULES // MATCHING
_PEOPLE = 300
_SUBJECT = "{{ record.number }}: {{ record.title }}"
_TEXT = """\
Hello {{ user.name }},

{{ record.number }} ({{ record.title }}) went from {{ old.group }} to {{ record.group }}.
Its priority is {{ record.priority }}.
"""
_HTML = """\
<p>Hello {{ user.name }},</p>
<p><b>{{ record.number }}</b> ({{ record.title }}) went from {{ old.group }} to
{{ record.group }}. Its priority is {{ record.priority }}.</p>
"""


def measure_notices(settings: Settings) -> list[Result]:
    """10,000 changes, 20 rules each of which 2 match, into outbox rows; seconds by the clock."""
    with tempfile.TemporaryDirectory(prefix="kolibri-bench-") as folder:
        root = Path(folder)
        seconds = in_turn(
            settings.rounds,
            kolibri=lambda: _kolibri(root),
            peer=lambda: _peer(root) * CHANGES / _PEER,
        )
    ours, theirs = seconds["kolibri"], seconds["peer"]
    for name, taken in seconds.items():
        rates = ", ".join(f"{CHANGES * MATCHING / one:,.0f}" for one in taken)
        print(f"  {name}: {rates} mails/s")
    ratios = [peer / mine for mine, peer in zip(ours, theirs, strict=True)]
    return [Result.of("outgoing", "changes_to_outbox_vs_orm", ratios, 10, "higher")]


def _kolibri(folder: Path) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        root = Path(name)
        _write_project(root)
        with connect(project=root) as k:
            _fill(k, root / "kolibri.db")
            k.check()  # starts the sandbox: a poller pays for it once, not per pass
            report = PassReport(now())
            started = time.perf_counter()
            run_events(k._system, report)
            taken = time.perf_counter() - started
            assert report.ok, report.errors[:3]
            assert report.counts["decisions"] == CHANGES * RULES, report.counts
            assert report.counts["queued"] == CHANGES * MATCHING, report.counts
            assert report.counts["held"] == 0, report.held
            _show_rendering(k)
    return taken


def _show_rendering(k: Kolibri) -> None:
    """For who watches: rendering and composing what was queued."""
    outbox = sa.text("update kolibri_outbox set state = 'cancelled' where id > 1000")
    with k._system.store.write() as tx:
        tx.execute(outbox)
    report = PassReport(now())
    started = time.perf_counter()
    compose_outbox(k._system, report)
    print(f"  rendered and composed: {1000 / (time.perf_counter() - started):,.0f} mails/s")


def _write_project(root: Path) -> None:
    (root / "kolibri.toml").write_text("[kolibri]\n")
    fields = ("number", "title", "group", "caller")
    documents: dict[str, Any] = {
        "mailboxes/support.yaml": {
            "address": "support@kolibri.example",
            "outbound": {"protocol": "maildir", "path": "sent"},
            "notices_per_hour": 10**6,
            "notices_per_hour_of_a_rule": 10**6,
        },
        "entities/incident.yaml": {
            "table": "incident",
            "number": "number",
            "title": "title",
            "fields": {**dict.fromkeys(fields, "text"), "priority": "integer"},
        },
    }
    for number in range(RULES):
        documents[f"outbound/incident/rule-{number}.yaml"] = {
            "on": ["update"],
            "when": f'record.group === "G{number % _GROUPS}" && record.priority <= 4',
            "to": [{"field": "caller"}],
            "template": "moved",
            "mailbox": "support",
        }
    for name, document in documents.items():
        path = root / "rules" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        YAML().dump(document, path)
    template = root / "rules" / "templates" / "moved"
    template.mkdir(parents=True)
    for part, text in {"subject": _SUBJECT, "txt": _TEXT, "html": _HTML}.items():
        (template / f"en.{part}.j2").write_text(text)


def _fill(k: Kolibri, database: Path) -> None:
    """The incidents, their people, and the changes, as another program writes them."""
    for number in range(_PEOPLE):
        k.users.add(f"u{number}", f"u{number}@kolibri.example", name=f"User {number}")
    list(k.poll(passes=1, every=0))
    rows = [
        (n + 1, f"INC-{n:06d}", f"Incident no. {n}", "None", f"u{n % _PEOPLE}", n % 4)
        for n in range(CHANGES)
    ]
    with closing(sqlite3.connect(database)) as other:
        other.executemany("INSERT INTO incident (id, number, title, \"group\", caller, priority)"
                          " VALUES (?, ?, ?, ?, ?, ?)", rows)  # fmt: skip
        other.execute("UPDATE kolibri_event SET state = 'done'")
        other.execute(f"UPDATE incident SET \"group\" = 'G' || (id % {_GROUPS})")
        other.commit()


def _peer(folder: Path) -> float:
    """The peer's seconds for a part of the changes."""
    people = [(f"u{n}", f"u{n}@kolibri.example", f"User {n}") for n in range(_PEOPLE)]
    conditions = [
        f'record.group == "G{number % _GROUPS}" and record.priority <= 4' for number in range(RULES)
    ]
    template = {"subject": _SUBJECT, "text": _TEXT, "html": _HTML}
    changes = [_change(number) for number in range(_PEER)]
    with tempfile.TemporaryDirectory(dir=folder) as name:
        sent, taken = queue_notices(Path(name) / "peer.db", people, conditions, template, changes)
    assert sent == _PEER * MATCHING
    return taken


def _change(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    record = {
        "id": number + 1,
        "number": f"INC-{number:06d}",
        "title": f"Incident no. {number}",
        "group": f"G{(number + 1) % _GROUPS}",
        "caller": f"u{number % _PEOPLE}",
        "priority": number % 4,
    }
    return {**record, "group": "None"}, record
