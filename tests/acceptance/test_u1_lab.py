"""U1: rules are tried on historic mail, decide as the poller does, and nothing happens."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from textwrap import dedent

import pytest
import sqlalchemy as sa

from kolibri_sdk import InboundRule
from kolibri_sdk.errors import StoreError
from kolibri_sdk.store import Store
from tests.acceptance.conftest import Desk
from tests.project import letter, reply_to
from tests.servers.postgresql import NewDatabase


@pytest.fixture
def busy(desk: Desk) -> Desk:
    """A desk that has answered requests, got replies, closed records and got replies again."""
    desk.deliver(letter("VPN urgent"), letter("Out of office", auto_submitted="auto-replied"))
    desk.healthy_poll()
    answer = desk.answer_to("anna@customer.example").raw
    desk.k.records["incident", 1].update(status="closed")
    time.sleep(1.1)  # servers tell the time of arrival in whole seconds
    desk.deliver(reply_to(answer, "It is down again"), letter("Printer"))
    desk.healthy_poll()
    desk.k.records["incident", 1].update(status="closed")
    return desk


def told(frame: object) -> list[tuple[str, int, str]]:
    columns = frame[["rule", "message", "verdict"]].astype(object)  # type: ignore[index]
    return sorted(columns.itertuples(index=False, name=None))


def test_the_lab_decides_what_the_poller_decided(busy: Desk) -> None:
    """Records as they were on arrival: the reply came to a closed one, whatever it is now."""
    done = busy.k.decisions.frame()
    done = done[
        done["message"].notna()
        & done["rule"].isin(["create-incident", "urgent", "reopen-on-reply"])
    ]
    trial = busy.k.rules.inbound("support").backtest(busy.k.messages.frame())
    assert told(trial.decisions) == told(done)
    assert {"match", "no"} <= set(trial.decisions["verdict"])
    changed = trial.plan().changes
    assert ("status", "closed") in set(zip(changed["field"], changed["before"], strict=True))


def test_a_backtest_leaves_the_database_byte_for_byte_as_it_was(busy: Desk) -> None:
    file = busy.folder.root / "kolibri.db"
    busy.k.close()
    with sa.create_engine(f"sqlite:///{file}").connect() as tx:
        tx.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    before, sent = sha256(file.read_bytes()).digest(), len(busy.sink.taken)
    with busy.folder.open() as k:
        opened = sha256(file.read_bytes()).digest()
        trial = k.rules.inbound("support").backtest(k.messages.frame())
        assert len(trial.plan().records) >= 2
        assert len(trial.plan().mails) >= 2
        assert "create-incident" in repr(trial) + trial._repr_html_()
        k.rules["create-incident"].backtest(k.messages.frame())
        assert not (file.with_name("kolibri.db-wal").stat().st_size), "nothing waits to be written"
    assert sha256(file.read_bytes()).digest() == opened == before
    assert len(busy.sink.taken) == sent


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_database_itself_refuses_the_lab_to_write(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    if kind == "postgresql":
        new_database: NewDatabase = request.getfixturevalue("postgresql")
        url = new_database()
    store = Store(url)
    with store.write() as tx:
        tx.execute(sa.text("create table t (a integer)"))
    with pytest.raises(StoreError, match=r"readonly|read-only"), store.read_only() as tx:
        tx.execute(sa.text("insert into t values (1)"))
    with store.write() as tx:
        tx.execute(sa.text("insert into t values (2)"))
    with store.read_only() as tx:
        assert tx.execute(sa.text("select a from t")).scalars().all() == [2]
    store.close()


def test_a_rule_is_tried_on_an_archive_without_database_and_network(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    allowed = unshare and not subprocess.run([unshare, "-rn", "true"], check=False).returncode
    for number, subject in enumerate(["VPN down", "Printer", "vpn again"]):
        (tmp_path / f"{number}.eml").write_bytes(letter(subject))
    script = """
        from kolibri_sdk import InboundRule, read_mail
        made = {"create_record": {"entity": "incident", "set": {"t": "message.subject"}}}
        rule = InboundRule(
            "vpn", mailbox="support", when="/vpn/i.test(message.subject)", then=[made]
        )
        trial = rule.backtest(read_mail("."))
        print(sorted(trial.plan().records["t"]))
    """
    command = [*([unshare, "-rn"] if allowed else []), sys.executable, "-c", dedent(script)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "['VPN down', 'vpn again']", done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.eml", "1.eml", "2.eml"]


def test_a_draft_is_tried_beside_the_rules_that_run(busy: Desk) -> None:
    rules = busy.k.rules.inbound("support")
    draft = InboundRule("vpn", mailbox="support", order=1, when="/vpn/i.test(message.subject)",
                        stop=True)  # fmt: skip
    frame = busy.k.messages.frame()
    trial = rules.including(draft).backtest(frame)
    assert trial.rules[0].name == "vpn"
    assert trial.summary.set_index("rule").loc["create-incident", "skipped"] == 2
    narrower = rules.named("urgent").but(when="false")
    assert narrower.digest != rules.named("urgent").digest
    assert len(narrower.backtest(frame).matches()) == 0


def test_labels_are_what_people_made_of_the_mails_and_no_rule(busy: Desk) -> None:
    k = busy.k
    k.records["incident", 1].update(group="network")
    k.records["incident", 1].update(group="telephony")
    frame = k.messages.frame(mailbox="support", direction="in")
    labels = k.messages.labels(frame, "group")
    assert sorted(labels.dropna()) == ["telephony", "telephony"], "request and reply"
    assert k.messages.labels(frame, "title").isna().all(), "titles were set by a rule"
    rule = InboundRule("vpn", mailbox="support", when="/vpn/i.test(message.subject)")
    score = rule.backtest(frame).score(labels, "telephony")
    assert (score.true_positives, score.false_negatives, score.unlabelled) == (2, 0, 0)
