"""Whatever a colleague does between passes: every mail that a pass saw is in the table, once.

A random interleaving of our poller and somebody else's mail program on a real Dovecot; the model is
the truth of what ever lay in the folder while a pass was completed.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from imapclient import DELETED, SEEN

from kolibri_sdk import checkpoint
from kolibri_sdk.pipeline import reconcile
from kolibri_sdk.sandbox import Sandbox
from tests.faults.desk import Desk
from tests.project import ProjectFolder, letter
from tests.servers.dovecot import Dovecot

FOLDER, OTHER = "Work", "Elsewhere"
numbers = itertools.count()
picks = st.integers(min_value=0, max_value=10)


class Mailbox(RuleBasedStateMachine):
    """One user's folder, our desk that reads it, and a colleague."""

    dovecot: Dovecot
    sandbox: Sandbox

    @initialize(fetch=st.sampled_from(["unread", "all"]), after=st.sampled_from(["keep", "seen"]))
    def begin(self, fetch: str, after: str) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="kolibri-model-"))
        self.user = self.dovecot.new_user("model")
        self.asked: set[str] = set()  # subjects that the table must hold
        self.left: set[str] = set()  # and those that it need not hold
        self.unread = fetch == "unread"
        self.began = False
        with self.dovecot.imap(self.user) as client:
            client.create_folder(FOLDER)
            client.create_folder(OTHER)
        self.desk = Desk(ProjectFolder(self.root), self.sandbox)
        (self.root / "rules/inbound/support/incident.yaml").unlink()
        inbound = self.dovecot.inbound(self.user, security="none", fetch=fetch, after=after)
        self.desk.mailbox(inbound=inbound | {"folders": [FOLDER], "batch": 2})
        self.kept: list[bytes] = []  # for appending the very bytes again
        self.deliver(seen=False)
        self.deliver(seen=True)

    def colleague(self, do: Any) -> None:
        with self.dovecot.imap(self.user, FOLDER) as client:
            do(client, client.search())

    @rule(seen=st.booleans())
    def deliver(self, seen: bool) -> None:
        raw = letter(f"Mail {next(numbers)}")
        self.kept.append(raw)
        self.dovecot.append(self.user, raw, folder=FOLDER, flags=(SEEN,) if seen else ())

    @precondition(lambda self: self.kept)
    @rule(pick=picks)
    def append_the_same_bytes(self, pick: int) -> None:
        raw = self.kept[pick % len(self.kept)]
        self.dovecot.append(self.user, raw, folder=FOLDER)

    @rule(pick=picks, seen=st.booleans())
    def flag(self, pick: int, seen: bool) -> None:
        def do(client: Any, uids: list[int]) -> None:
            if uids:
                change = client.add_flags if seen else client.remove_flags
                change([uids[pick % len(uids)]], [SEEN])

        self.colleague(do)

    @rule(pick=picks)
    def copy(self, pick: int) -> None:
        self.colleague(lambda c, uids: uids and c.copy([uids[pick % len(uids)]], FOLDER))

    @rule(pick=picks)
    def move_away_and_back(self, pick: int) -> None:
        def do(client: Any, uids: list[int]) -> None:
            if uids:
                client.move([uids[pick % len(uids)]], OTHER)
                client.select_folder(OTHER)
                client.move(client.search(), FOLDER)

        self.colleague(do)

    @rule(pick=picks)
    def expunge(self, pick: int) -> None:
        def do(client: Any, uids: list[int]) -> None:
            if uids:
                client.add_flags([uids[pick % len(uids)]], [DELETED])
                client.expunge()

        self.colleague(do)

    @rule()
    def make_the_folder_anew_with_its_mails(self) -> None:
        with self.dovecot.imap(self.user, FOLDER) as client:
            found = client.fetch(client.search(), ["BODY.PEEK[]", "FLAGS", "INTERNALDATE"])
            client.unselect_folder()
            client.delete_folder(FOLDER)
            client.create_folder(FOLDER)
            for uid in sorted(found, reverse=True):  # and their UIDs are others' now
                mail = found[uid]
                flags = [flag for flag in mail[b"FLAGS"] if flag != rb"\Recent"]
                client.append(FOLDER, mail[b"BODY[]"], flags, mail[b"INTERNALDATE"])

    @rule(where=st.sampled_from(["fetch.listed", "fetch.batch", "store.batch"]))
    def a_pass_that_is_broken_off(self, where: str) -> None:
        def reached(name: str) -> None:
            if name == where:
                raise ConnectionResetError

        self._look()
        checkpoint.observe(reached)
        try:
            self.desk.poll()
        except ConnectionResetError:
            pass
        finally:
            checkpoint.observe(None)
        begun = "SELECT 1 FROM kolibri_mailbox_state WHERE folder = 'Work' AND began_at IS NOT NULL"
        self.began = self.began or bool(self.desk.rows(begun))

    @rule()
    def a_pass(self) -> None:
        self.asked |= self._look()
        self.desk.healthy_poll()
        self.began = True
        missing = self.asked - self._stored().keys()
        assert not missing, f"lost: {missing}"

    def _look(self) -> set[str]:
        """What a pass that begins now is to take in, by subject.

        The first run of unread mode leaves alone what others have read before, and need not take
        it in later; a copy of it that nobody has read counts for as long as it is there.
        """
        with self.dovecot.imap(self.user, FOLDER) as client:
            found = client.fetch(client.search(), ["BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "FLAGS"])
        unseen, seen = set(), set()
        for mail in found.values():
            (head,) = [value for key, value in mail.items() if key.startswith(b"BODY")]
            subject = head.decode().partition(":")[2].strip()
            (seen if SEEN in mail[b"FLAGS"] else unseen).add(subject)
        if self.unread and not self.began:
            self.left = seen
        return unseen | (seen - self.left)

    def _stored(self) -> Counter[str]:
        query = "SELECT subject FROM kolibri_message WHERE direction = 'in'"
        return Counter(self.desk.column(query))

    @invariant()
    def nothing_is_there_twice(self) -> None:
        if hasattr(self, "desk"):
            assert set(self._stored().values()) <= {1}, self._stored()

    def teardown(self) -> None:
        if not hasattr(self, "desk"):
            return
        self.a_pass()
        self.colleague(lambda client, uids: uids and client.copy(uids, FOLDER))
        self.a_pass()
        self.nothing_is_there_twice()
        report = reconcile(self.desk.system, self.desk.system.mailbox("support"))
        assert report.ok, str(report)
        self.desk.system.connections.close()
        self.desk.close()
        shutil.rmtree(self.root)


def explore(dovecot: Dovecot, sandbox: Sandbox, examples: int) -> None:
    machine = type("Mailbox", (Mailbox,), {"dovecot": dovecot, "sandbox": sandbox})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=12,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            phases=(Phase.generate,),  # shrinking would take minutes; the steps are printed
        ),
    )


@pytest.mark.dovecot
def test_a_mail_that_came_within_the_second_of_the_first_run(
    dovecot: Dovecot, sandbox: Sandbox
) -> None:
    """Somebody read it, and the folder was made anew: its arrival is told in whole seconds."""
    mailbox = type("Mailbox", (Mailbox,), {"dovecot": dovecot, "sandbox": sandbox})()
    mailbox.begin(fetch="unread", after="keep")
    mailbox.a_pass()
    mailbox.deliver(seen=False)
    mailbox.a_pass()  # from now on the last run is later than the first one
    (began,) = mailbox.desk.column("SELECT began_at FROM kolibri_mailbox_state WHERE folder='Work'")
    second = datetime.fromisoformat(began).replace(microsecond=0, tzinfo=UTC)
    with dovecot.imap(mailbox.user, FOLDER) as client:
        client.append(FOLDER, letter("Right after it"), (SEEN,), second)
    mailbox.make_the_folder_anew_with_its_mails()
    mailbox.a_pass()
    assert "Right after it" in mailbox._stored()
    mailbox.teardown()


@pytest.mark.dovecot
def test_a_mail_that_came_after_a_first_run_that_was_broken_off(
    dovecot: Dovecot, sandbox: Sandbox
) -> None:
    """Somebody read it, and the folder was made anew before any run came to its end."""
    mailbox = type("Mailbox", (Mailbox,), {"dovecot": dovecot, "sandbox": sandbox})()
    mailbox.begin(fetch="unread", after="keep")
    mailbox.a_pass_that_is_broken_off(where="fetch.batch")
    mailbox.deliver(seen=True)
    mailbox.make_the_folder_anew_with_its_mails()
    mailbox.a_pass()
    mailbox.teardown()


@pytest.mark.dovecot
def test_a_colleague_and_the_poller_in_any_order(dovecot: Dovecot, sandbox: Sandbox) -> None:
    explore(dovecot, sandbox, 6)


@pytest.mark.soak
@pytest.mark.dovecot
@pytest.mark.timeout(7200)
def test_a_colleague_and_the_poller_in_thousands_of_orders(
    dovecot: Dovecot, sandbox: Sandbox
) -> None:
    explore(dovecot, sandbox, 1000)
