"""Fault 1: kill -9 at any moment, over many rounds, on a real Dovecot: 0 lost, 0 doubled."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.conftest import Run
from tests.project import ProjectFolder, letter
from tests.servers.dovecot import Dovecot

PHASES = {
    "fetch.listed": "fetch",
    "fetch.batch": "fetch",
    "fetch.before_server_mark": "fetch",
    "fetch.after_server_mark": "fetch",
    "store.batch": "store",
    "parse.batch": "rules",
    "rules.decided": "rules",
    "act.after_action": "act",
    "act.done": "act",
    "events.decided": "act",
    "events.queued": "act",
    "send.composed": "send",
    "send.claimed": "send",
    "send.before_data": "send",
    "send.after_data": "send",
    "send.handed_over": "send",
}
KILLED = -9


class KillableDesk:
    """A project on Dovecot whose passes are killed while mail keeps arriving."""

    def __init__(self, root: Path, dovecot: Dovecot, run_pass: Run) -> None:
        self.folder = ProjectFolder(root)
        self.dovecot = dovecot
        self.run_pass = run_pass
        self.user = dovecot.new_user("killed")
        self.senders: list[str] = []
        self.phases: Counter[str] = Counter()
        dovecot.sink.taken.clear()
        self.folder.use_shipped_rules()
        self.folder.mailbox(
            "support",
            inbound=dovecot.inbound(self.user, security="none", after="seen"),
            outbound=dovecot.outbound(self.user),
        )

    def deliver(self, count: int) -> None:
        """Let requests arrive, each from somebody else."""
        for _ in range(count):
            sender = f"person{len(self.senders)}@customer.example"
            self.senders.append(sender)
            self.dovecot.deliver(self.user, letter(sender=sender))

    def round(self, dice: random.Random, longest: int, seconds: float) -> None:
        """Two new mails, and a pass that is killed at a checkpoint or after a while."""
        self.deliver(2)
        if dice.random() < 0.75:
            answer = self.run_pass(self.folder.root, nth=dice.randint(1, longest))
        else:
            answer = self.run_pass(self.folder.root, delay=dice.uniform(0, seconds))
        assert answer["status"] in {0, KILLED}, answer
        if answer["status"] == KILLED:
            last = [name for name in answer["checkpoints"] if name in PHASES][-1:]
            self.phases[PHASES[last[0]] if last else "start"] += 1

    def finish(self) -> None:
        """Undisturbed passes; the second one finds nothing to do."""
        for _ in range(2):
            answer = self.run_pass(self.folder.root)
            assert answer["status"] == 0, answer
        done = set(answer["checkpoints"])
        assert not done & {"store.batch", "act.done", "send.claimed"}, done

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of the project's database."""
        with sqlite3.connect(self.folder.root / "kolibri.db") as database:
            return database.execute(sql).fetchall()


def kill_for(desk: KillableDesk, rounds: int, seed: int) -> None:
    """Kill passes for that many rounds, then look for what was lost or doubled."""
    dice = random.Random(seed)
    desk.deliver(2)
    longest = len(desk.run_pass(desk.folder.root)["checkpoints"])
    for _ in range(rounds):
        desk.round(dice, longest, seconds=1.2)
    desk.finish()

    assert desk.query("pragma integrity_check") == [("ok",)]
    stored = desk.query("select from_address from kolibri_message where direction = 'in'")
    assert sorted(row[0] for row in stored) == sorted(desk.senders)
    incidents = desk.query("select caller from incident")
    assert sorted(row[0] for row in incidents) == sorted(desk.senders)
    outbox = dict(desk.query("select json_extract(recipients, '$[0]'), state from kolibri_outbox"))
    assert sorted(outbox) == sorted(desk.senders)
    assert set(outbox.values()) <= {"sent", "uncertain"}
    taken = Counter(address for mail in desk.dovecot.sink.taken for address in mail.recipients)
    assert [a for a, number in taken.items() if number > 1 and a in outbox] == []
    assert [a for a, state in outbox.items() if state == "sent" and taken[a] != 1] == []


def told(desk: KillableDesk) -> str:
    """Where the kills hit, and what came of it."""
    kills = sum(desk.phases.values())
    hit = ", ".join(f"{phase} {number}" for phase, number in sorted(desk.phases.items()))
    uncertain = desk.query("select count(*) from kolibri_outbox where state = 'uncertain'")[0][0]
    return f"{len(desk.senders)} mails, {kills} kills ({hit}), {uncertain} sends uncertain"


@pytest.mark.dovecot
def test_nothing_is_lost_or_doubled_in_dozens_of_kills(
    tmp_path: Path, dovecot: Dovecot, run_pass: Run
) -> None:
    desk = KillableDesk(tmp_path, dovecot, run_pass)
    kill_for(desk, rounds=50, seed=1)
    assert {"fetch", "store", "rules", "act", "send"} <= desk.phases.keys(), told(desk)


@pytest.mark.soak
@pytest.mark.dovecot
@pytest.mark.timeout(1800)
def test_nothing_is_lost_or_doubled_in_hundreds_of_kills(
    tmp_path: Path, dovecot: Dovecot, run_pass: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = KillableDesk(tmp_path, dovecot, run_pass)
    kill_for(desk, rounds=400, seed=2)
    with capsys.disabled():
        print(f"\n{told(desk)}")
    kills = sum(desk.phases.values())
    for phase in ("fetch", "store", "rules", "act", "send"):
        assert desk.phases[phase] >= kills * 0.05, told(desk)
