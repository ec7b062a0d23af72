"""Fault 1: SIGKILL at random moments, while mail comes in and answers go out on a real Dovecot."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing
from email import message_from_bytes
from pathlib import Path

import pytest

from kolibri_sdk import Kolibri
from tests.faults.conftest import Run
from tests.project import ProjectFolder, letter, reply_to
from tests.servers.dovecot import Dovecot

#: The work that is under way once a checkpoint has been reached, until the next one is.
PHASES = {
    "": "fetch",
    "fetch.listed": "fetch",
    "fetch.batch": "store",
    "store.batch": "store",
    "fetch.before_server_mark": "fetch",
    "fetch.after_server_mark": "fetch",
    "parse.batch": "rules",
    "rules.decided": "act",
    "act.after_action": "act",
    "act.done": "act",
    "events.decided": "rules",
    "events.queued": "act",
    "send.composed": "send",
    "send.claimed": "send",
    "send.before_data": "send",
    "send.after_data": "send",
    "send.handed_over": "send",
}
FEWEST = 0.05  #: of all kills that each phase has to get, so that none is proved by the others
KILLED = -9
LONGEST_PASS = 1.2  #: seconds; a kill at a random moment comes within so many
#: The caps on automatic mail, which are not what is proved here.
CAPS = (
    "answers_per_hour",
    "answers_alike_per_hour",
    "answers_per_hour_to_domain",
    "answers_per_hour_in_total",
    "notices_per_hour",
)


class Siege:
    """A service desk whose poller is killed again and again, and what it owes its customers.

    ``support`` reads unread mail and marks it as seen, ``sales`` reads all mail and deletes it:
    whoever tells the server too early loses mail in one of them.
    """

    def __init__(self, root: Path, dovecot: Dovecot, run_pass: Run) -> None:
        self.dovecot = dovecot
        self.run_pass = run_pass
        self.users = {name: dovecot.new_user(name) for name in ("support", "sales")}
        self.folder = ProjectFolder(root)
        self.folder.use_shipped_rules()
        self._mailbox("support", fetch="unread", after="seen")
        self._mailbox("sales", fetch="all", after="delete")
        self.requests: dict[str, list[str]] = {"support": [], "sales": []}
        self.replies: list[str] = []
        self.urgent = 0  #: so many incidents are told to the people on duty, too
        self.kills: Counter[str] = Counter()
        self._answered: set[str] = set()

    def _mailbox(self, name: str, **reading: str) -> None:
        user = self.users[name]
        sides = {
            "inbound": self.dovecot.inbound(user, security="none", **reading),
            "outbound": self.dovecot.outbound(user),
        }
        caps = dict.fromkeys(CAPS, 10_000)
        self.folder.mailbox(name, plus_addressing=True, **caps, **sides)

    def round(self) -> None:
        """Let mail come in, start the poller, and kill it: every third time without any aim."""
        self._send_mail("support", "urgent: the VPN is down")
        self.urgent += 1
        self._send_mail("support")
        self._send_mail("sales")
        number = self.kills.total()
        if number % 4 == 3:
            self._reply()
        if number % 3 == 0:
            answer = self.run_pass(self.folder.root, delay=random.uniform(0, LONGEST_PASS))
        else:
            delay = random.uniform(0, 0.005)
            answer = self.run_pass(self.folder.root, at=self._aim(), delay=delay)
        assert answer["status"] in {0, KILLED}, answer
        if answer["status"] == KILLED:
            reached = [name for name in ["", *answer["checkpoints"]] if name in PHASES]
            self.kills[PHASES[reached[-1]]] += 1

    def _aim(self) -> str:
        """A checkpoint of the phase that was hit least so far."""
        rarest = min(sorted(set(PHASES.values())), key=lambda phase: self.kills[phase])
        return random.choice([name for name, phase in PHASES.items() if phase == rarest and name])

    def _send_mail(self, mailbox: str, subject: str = "Printer") -> None:
        number = len(self.requests["support"]) + len(self.requests["sales"])
        raw = letter(f"{subject} {number}", sender=f"Anna <anna{number}@customer.example>")
        self.requests[mailbox].append(_message_id(raw))
        self.dovecot.deliver(self.users[mailbox], raw)

    def _reply(self) -> None:
        """Somebody answers an answer that has reached them."""
        for taken in self.dovecot.sink.taken:
            (person, *_) = taken.recipients
            about_incident = "[INC-" in taken.mail["Subject"] and person.startswith("anna")
            if about_incident and person not in self._answered:
                self._answered.add(person)
                raw = reply_to(taken.raw, sender=person)
                self.replies.append(_message_id(raw))
                self.dovecot.deliver(self.users["support"], raw)
                return

    def table(self) -> str:
        """The kills by phase."""
        total = self.kills.total()
        lines = [f"{phase:<6} {n:4} {n / total:6.1%}" for phase, n in self.kills.most_common()]
        came = sum(map(len, self.requests.values())) + len(self.replies)
        head = f"{came} mails in, {len(self.dovecot.sink.taken)} mails out, {total} kills"
        return "\n".join([head, *lines])


def _message_id(raw: bytes) -> str:
    return str(message_from_bytes(raw)["Message-ID"]).strip("<>")


@pytest.fixture
def siege(tmp_path: Path, dovecot: Dovecot, run_pass: Run) -> Siege:
    dovecot.sink.taken.clear()
    return Siege(tmp_path, dovecot, run_pass)


def test_fault_01_killed_at_random_moments(siege: Siege) -> None:
    under_siege(siege, rounds=60)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_fault_01_killed_at_random_moments_hundreds_of_times(
    siege: Siege, capsys: pytest.CaptureFixture[str]
) -> None:
    under_siege(siege, rounds=400)
    with capsys.disabled():
        print(f"\n{siege.table()}")


def under_siege(siege: Siege, rounds: int) -> None:
    """So many rounds, one undisturbed pass, and everything is as if nobody had been killed."""
    for _ in range(rounds):
        siege.round()
    every_phase = set(PHASES.values())
    assert all(siege.kills[phase] >= FEWEST * rounds for phase in every_phase), siege.table()

    with siege.folder.open() as k:
        (report,) = k.poll(passes=1)
        unexpected = [error for error in report.errors if "uncertain" not in error]
        assert not unexpected, "\n".join(unexpected)
        nothing_is_lost_or_doubled(siege, k)
        (idle,) = k.poll(passes=1)
        assert not any(idle.counts.values()), idle.as_json()


def nothing_is_lost_or_doubled(siege: Siege, k: Kolibri) -> None:
    database = siege.folder.root / "kolibri.db"
    with closing(sqlite3.connect(database)) as db:

        def column(query: str) -> list[str]:
            return [row[0] for row in db.execute(query)]

        assert column("PRAGMA integrity_check") == ["ok"]

        came = [*siege.requests["support"], *siege.requests["sales"], *siege.replies]
        stored = column("SELECT message_id FROM kolibri_message WHERE direction = 'in'")
        assert Counter(stored) == Counter(came), "every mail is one KolibriMessage"
        assert set(column("SELECT state FROM kolibri_message WHERE direction = 'in'")) == {"done"}

        ties = "SELECT m.message_id FROM {0} r JOIN kolibri_message m ON m.entity = '{0}' "
        ties += "AND m.record_key = CAST(r.id AS TEXT) AND m.grade = 'created'"
        for entity, mailbox in (("incident", "support"), ("lead", "sales")):
            made = column(ties.format(entity))
            assert Counter(made) == Counter(siege.requests[mailbox]), f"one {entity} per request"
            assert len(made) == db.execute(f"SELECT count(*) FROM {entity}").fetchone()[0]

        noted = "SELECT m.message_id FROM kolibri_activity a JOIN kolibri_message m "
        noted += "ON m.id = a.message WHERE a.kind = 'mail_in'"
        assert Counter(column(noted)) == Counter(siege.replies), "a reply is noted once"

        records = len(siege.requests["support"]) + len(siege.requests["sales"])
        queued = column("SELECT entity || record_key || recipients FROM kolibri_outbox")
        assert len(queued) == len(set(queued)) == records + siege.urgent, "one mail per cause"
        assert set(column("SELECT state FROM kolibri_outbox")) <= {"sent", "uncertain"}
        sent = set(column("SELECT message_id FROM kolibri_outbox WHERE state = 'sent'"))
        uncertain = set(column("SELECT message_id FROM kolibri_outbox WHERE state = 'uncertain'"))

    arrived = Counter(_message_id(taken.raw) for taken in siege.dovecot.sink.taken)
    assert set(arrived.values()) == {1}, "nothing is sent twice, be it certain or not"
    assert sent <= set(arrived) <= sent | uncertain
    assert len(k.outbox.frame(state="uncertain")) == len(uncertain), "every one is listed"
    with siege.dovecot.imap(siege.users["sales"], "INBOX") as colleague:
        assert colleague.search("ALL") == [], "what is safe is deleted"
    with siege.dovecot.imap(siege.users["support"], "INBOX") as colleague:
        assert colleague.search("UNSEEN") == [], "what is safe is marked as seen"
