"""Fault 1: killed at each checkpoint in turn, a run leaves what an undisturbed one leaves."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kolibri_sdk.pipeline import open_system
from kolibri_sdk.pipeline import run_pass as one_pass
from kolibri_sdk.rulebook import find_project
from kolibri_sdk.sandbox import Sandbox
from tests.faults.conftest import Run
from tests.faults.desk import drop, maildir_sides
from tests.project import ProjectFolder, letter, reply_to

#: What is compared, table by table: everything but ids that may differ, times, and random tokens.
COMPARED = {
    "kolibri_message": "direction, mailbox, state, kind, entity, record_key, grade, error, "
    "from_address, to_addresses, text, reply_text, headers, defects, forged, ruleset, "
    "CASE direction WHEN 'in' THEN message_id END, CASE direction WHEN 'in' THEN blob END",
    "kolibri_attachment": "message, position, filename, content_type, size, blob",
    "kolibri_blob": "count(*)",
    "kolibri_ledger": "mailbox, folder, uid, state, content, message, server_done, attempts, error",
    "kolibri_mailbox_state": "mailbox, folder, uidvalidity, high_water, last_error, failures",
    "kolibri_event": "entity, record_key, kind, cause, state, attempts, error, before, after",
    "kolibri_decision": "rule, digest, message, event, verdict, shadow, reason, actions",
    "kolibri_outbox": "message, mailbox, state, cause, sender, recipients, attempts, error, entity",
    "kolibri_activity": "entity, record_key, kind, message, author, text, cause",
    "kolibri_rule_version": "digest, rule, document",
    "incident": "*",
}
#: Between the claim and the settled answer nobody can know whether the mail has gone out.
SENT = {"uncertain": "sent", "unsent": "sent", "mail_uncertain": "mail_sent"}

State = dict[str, Any]


def undisturbed(root: Path, sandbox: Sandbox) -> None:
    system = open_system(find_project(root))
    try:
        report = one_pass(replace(system, sandbox=sandbox))
    finally:
        system.close()
    unexpected = [error for error in report.errors if "uncertain" not in error]
    assert not unexpected, unexpected


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Path:
    """A project that has an incident, with a reply to it and an urgent new request waiting."""
    root = tmp_path_factory.mktemp("scene")
    folder = ProjectFolder(root)
    folder.use_shipped_rules()
    for name in ("lead", "sales"):
        for path in (root / "rules").rglob(f"*{name}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    folder.mailbox("support", plus_addressing=True, **maildir_sides("support", after="seen"))
    drop(root, "support", letter("The printer is out of paper"))
    undisturbed(root, sandbox)
    (answer,) = (root / "mail/sent/new").iterdir()
    drop(root, "support", reply_to(answer.read_bytes(), "It is urgent now."))
    drop(root, "support", letter("urgent: the VPN is down", sender="Ben <ben@customer.example>"))
    return root


def copied(scene: Path, to: Path) -> Path:
    return Path(shutil.copytree(scene, to))


def state_of(root: Path) -> State:
    """The database and both Maildirs, without ids that may differ, times and tokens."""
    state: State = {}
    with closing(sqlite3.connect(root / "kolibri.db")) as db:
        for table, columns in COMPARED.items():
            rows = db.execute(f"SELECT {columns} FROM {table}").fetchall()
            state[table] = sorted(json.dumps(_plain(row)) for row in rows)
    inbox = root / "mail/support"
    state["inbox"] = sorted(str(p.relative_to(inbox)) for p in inbox.rglob("*") if p.is_file())
    sent = [path.read_text() for path in (root / "mail/sent/new").iterdir()]
    state["sent"] = sorted(re.findall(r"^Delivered-To: (.*)$", "\n".join(sent), re.MULTILINE))
    return state


def _plain(row: tuple[Any, ...]) -> list[Any]:
    """Without the tag of the reference, which is random."""
    return [re.sub(r"\[(INC-\d+) \w+\]", r"[\1]", v) if isinstance(v, str) else v for v in row]


def as_if_sent(state: State) -> State:
    """The same state, with what is uncertain taken for sent."""
    changed = dict(state)
    for table in ("kolibri_message", "kolibri_outbox", "kolibri_activity"):
        rows = [json.loads(row) for row in state[table]]
        reason = re.compile(r"( \()?the sender stopped.*", re.DOTALL)
        plain = [
            [SENT.get(v, reason.sub("", v)) if isinstance(v, str) else v for v in row]
            for row in rows
        ]
        changed[table] = sorted(json.dumps(row) for row in plain)
    return changed


def sends_under_way(checkpoints: list[str]) -> set[int]:
    """The checkpoints, by number, between the commit of a claim and the commit of its result."""
    found: set[int] = set()
    for place, name in enumerate(checkpoints):
        if name == "send.claimed":
            settled = checkpoints.index("store.after_commit", place)
            found |= set(range(place - 1, settled))
    return found


def uncertain(state: State) -> int:
    return sum('"uncertain"' in row for row in state["kolibri_outbox"])


@pytest.mark.timeout(600)
def test_fault_01_killed_at_every_checkpoint(
    scene: Path, sandbox: Sandbox, run_pass: Run, tmp_path: Path
) -> None:
    whole = run_pass(str(copied(scene, tmp_path / "undisturbed")))
    assert whole["status"] == 0, whole
    checkpoints: list[str] = whole["checkpoints"]
    expected = state_of(tmp_path / "undisturbed")
    assert uncertain(expected) == 0
    assert len(expected["sent"]) == 4, "two answers, and one mail to two people on duty"
    assert set(checkpoints) >= {"send.claimed", "send.before_data", "send.handed_over"}
    under_way = sends_under_way(checkpoints)

    for place, name in enumerate(checkpoints):
        root = copied(scene, tmp_path / f"{place}")
        killed = run_pass(str(root), nth=place + 1)
        assert killed == {"status": -9, "checkpoints": checkpoints[: place + 1]}
        undisturbed(root, sandbox)
        state = state_of(root)

        where = f"killed at checkpoint {place + 1} of {len(checkpoints)}, {name}"
        assert uncertain(state) == (place in under_way), where
        if place in under_way:
            assert as_if_sent(state) | {"sent": []} == expected | {"sent": []}, where
            assert set(state["sent"]) <= set(expected["sent"]), where
            assert len(state["sent"]) == len(set(state["sent"])), f"{where}: sent twice"
        else:
            assert state == expected, where

        undisturbed(root, sandbox)
        assert state_of(root) == state, f"{where}: one more pass changed something"
        shutil.rmtree(root)
