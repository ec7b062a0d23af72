"""A rule on mail already there: a plan, once per mail, gone on with after a kill, and told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from kolibri_sdk import ConfigurationError, InboundRule, Kolibri, connect
from kolibri_sdk.frames import APPLICATIONS
from tests.project import ProjectFolder, letter

SUBJECTS = ["VPN one", "Printer", "vpn two", "Mouse", "VPN three"]
CREATE = {"create_record": {"entity": "incident", "set": {"title": "message.subject"}}}
ANSWER = {"send_mail": {"template": "news", "to": {"js": "message.from.address"}}}
NOTE = {"add_note": {"text": "'seen'"}}
RULE = {"order": 10, "state": "draft", "when": "/vpn/i.test(message.subject)"}
KILLED = """\
import os, signal, sys
from kolibri_sdk import checkpoint, connect

left = int(sys.argv[2])

def die(name):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

with connect(project=sys.argv[1], user="anna") as k:
    planned = k.rules["vpn"].apply(k.messages.frame())
    checkpoint.observe(die)
    planned.confirm(progress=False)
"""


@pytest.fixture
def folder(tmp_path: Path, url: str) -> ProjectFolder:
    """A project whose mail has come in, and made nothing."""
    folder = ProjectFolder(tmp_path, url)
    folder.upgrade()
    folder.use_shipped_rules("entities")
    folder.template("news", en_subject="News", en_txt="News.\n")
    for name in ("new", "cur", "tmp"):
        (tmp_path / "mail" / name).mkdir(parents=True)
    side = {"protocol": "maildir", "path": str(tmp_path / "mail")}
    out = {"protocol": "maildir", "path": str(tmp_path / "out")}
    folder.mailbox("support", inbound=side, outbound=out)
    for number, subject in enumerate(SUBJECTS):
        (tmp_path / "mail/new" / str(number)).write_bytes(letter(subject))
    announce = {"on": "insert", "to": {"list": "duty@example.org"}, "template": "news"}
    folder.document("rules/outbound/incident/announce.yaml", {**announce, "mailbox": "support"})
    with connect(project=tmp_path) as k:
        list(k.poll(passes=1))
    return folder


def with_rule(folder: ProjectFolder, *then: object, **more: object) -> None:
    rule = {**RULE, "then": list(then), **more}
    folder.document("rules/inbound/support/vpn.yaml", rule)


@pytest.fixture
def k(folder: ProjectFolder) -> Iterator[Kolibri]:
    with_rule(folder, CREATE, ANSWER)
    with connect(project=folder.root, user="anna") as opened:
        yield opened


def rule_of(k: Kolibri) -> InboundRule:
    found = k.rules["vpn"]
    assert isinstance(found, InboundRule)
    return found


def test_a_plan_first_and_then_once_for_ever(k: Kolibri) -> None:
    planned = rule_of(k).apply(k.messages.frame(), reason="they were overlooked")
    assert len(planned.plan.records) == 3
    assert list(planned.plan.mails["to"]) == [["anna@customer.example"]] * 3
    told = repr(planned)
    assert "would be applied to 3 of 5 mails" in told
    assert "It would send 3 mails; mails=False" in told
    assert "announce" in told, "an outgoing rule will answer"
    assert planned.report is None
    assert len(k.records["incident"].frame()) == 0, "nothing is done before it is confirmed"
    report = planned.confirm()
    assert report.counts == Counter(applied=3, records=3, queued=3)
    assert (report.ok, report.finished) == (True, True)
    records = k.records["incident"].frame()
    assert sorted(records["title"]) == ["VPN one", "VPN three", "vpn two"]
    tied = k.messages.frame(direction="in")
    assert sorted(tied["subject"][tied["record_key"].notna()]) == sorted(records["title"])
    stream = k.records["incident", 1].activity.frame()
    assert stream["author"][0] == "anna"
    assert stream["cause"][0].endswith("applied by anna")
    kept = rule_of(k).applications()
    assert {n: str(d) for n, d in kept.dtypes.items()} == {
        n: c.dtype for n, c in APPLICATIONS.items()
    }
    assert list(kept["nth"]) == [0, 0, 0]
    assert set(kept["author"]) == {"anna"}
    assert set(kept["reason"]) == {"they were overlooked"}
    again = rule_of(k).apply(k.messages.frame(), yes=True)
    assert again.report is not None
    assert again.report.counts["applied"] == 0
    assert again.left_out["reason"].str.startswith("the rule was applied to it").sum() == 3
    assert planned.confirm().counts == Counter(already=3), "the same plan, a second time"
    list(k.poll(passes=1))
    assert len(k.records["incident"].frame()) == 3, "the poller does not come to it again"
    told_duty = [r for r in k.outbox.frame()["recipients"] if r == ["duty@example.org"]]
    assert len(told_duty) == 3


def test_without_mails_nobody_is_written_to(k: Kolibri) -> None:
    planned = rule_of(k).apply(k.messages.frame(), mails=False)
    assert not len(planned.plan.mails)
    assert not planned.warnings
    planned.confirm()
    (report,) = k.poll(passes=1)
    assert report.ok, report.errors
    assert len(k.records["incident"].frame()) == 3
    assert len(k.outbox.frame()) == 0, "no outgoing rule answers, either"


def test_a_second_time_on_purpose(k: Kolibri) -> None:
    frame = k.messages.frame()
    rule_of(k).apply(frame, yes=True)
    done = rule_of(k).apply(frame, again=True, yes=True).report
    assert done is not None
    assert done.counts["applied"] == 3
    assert done.counts["queued"] == 3, "and mails go out a second time"
    assert sorted(rule_of(k).applications()["nth"]) == [0, 0, 0, 1, 1, 1]
    assert len(k.outbox.frame()) == 6


def test_what_the_poller_did_is_not_done_again(k: Kolibri, folder: ProjectFolder) -> None:
    with_rule(folder, CREATE, state="active")
    (folder.root / "mail/new/9").write_bytes(letter("VPN live"))
    list(k.poll(passes=1))
    assert list(k.records["incident"].frame()["title"]) == ["VPN live"]
    planned = rule_of(k).apply(k.messages.frame())
    assert planned.left_out["reason"].str.contains("acted on it as it came").sum() == 1
    planned.confirm()
    assert len(k.records["incident"].frame()) == 4
    done = rule_of(k).apply(k.messages.frame(), again=True, yes=True).report
    assert done is not None
    assert done.counts["applied"] == 4


def test_a_record_that_a_mail_made_is_at_hand(k: Kolibri, folder: ProjectFolder) -> None:
    rule_of(k).apply(k.messages.frame(), yes=True)
    close = {"update_record": {"set": {"status": "'closed'"}}}
    document = {**RULE, "order": 20, "then": [close, NOTE]}
    folder.document("rules/inbound/support/close.yaml", document)
    k.rules.reload()
    closing = k.rules["close"]
    assert isinstance(closing, InboundRule)
    planned = closing.apply(k.messages.frame(), mails=False)
    assert list(planned.plan.changes["field"]) == ["status"] * 3
    assert planned.plan.changes["before"].isna().all()
    planned.confirm()
    assert set(k.records["incident"].frame()["status"]) == {"closed"}


def test_the_caps_hold(k: Kolibri, folder: ProjectFolder) -> None:
    path = folder.root / "rules/mailboxes/support.yaml"
    path.write_text(json.dumps({**json.loads(path.read_text()), "answers_per_hour": 1}))
    k.rules.reload()
    done = rule_of(k).apply(k.messages.frame(), yes=True).report
    assert done is not None
    assert (done.counts["queued"], done.counts["held"]) == (3, 2)


def test_a_mail_whose_actions_fail_is_told_and_tried_again(
    k: Kolibri, folder: ProjectFolder
) -> None:
    update = {"update_record": {"set": {"status": "'x'"}}}
    with_rule(folder, update)
    k.rules.reload()
    planned = rule_of(k).apply(k.messages.frame())
    assert len(planned.plan.failures) == 3
    report = planned.confirm()
    assert not report.ok
    assert "needs a record" in report.errors[0]
    assert "3 FAILED" in str(report)
    assert len(rule_of(k).applications()) == 0
    assert len(rule_of(k).apply(k.messages.frame()).left_out) == 0


def test_what_is_applied_is_what_the_file_says(k: Kolibri) -> None:
    with pytest.raises(ConfigurationError, match="not what its file says"):
        rule_of(k).but(when="true").apply([1])
    with pytest.raises(ConfigurationError, match="no column id"):
        rule_of(k).apply(k.messages.frame(columns=["subject"]))
    assert len(rule_of(k).apply([1, 10**9]).trial.mails) == 1


@pytest.mark.parametrize("nth", [2, 4, 5, 6, 7, 11])
def test_a_kill_loses_nothing_and_doubles_nothing(folder: ProjectFolder, nth: int) -> None:
    """At every point of the first mail, and at some of the others."""
    with_rule(folder, CREATE, ANSWER)
    command = [sys.executable, "-c", KILLED, str(folder.root), str(nth)]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with connect(project=folder.root, user="anna") as k:
        before = len(rule_of(k).applications())
        report = rule_of(k).apply(k.messages.frame(), yes=True).report
        assert report is not None
        assert report.counts["applied"] == 3 - before
        kept = rule_of(k).applications()
        assert kept["application"].nunique() == 1, "it is the same application that went on"
        assert len(kept) == 3
        assert sorted(k.records["incident"].frame()["title"]) == ["VPN one", "VPN three", "vpn two"]
        assert len(k.outbox.frame()) == 3


def test_the_command_shows_the_plan_and_asks(folder: ProjectFolder) -> None:
    with_rule(folder, CREATE, ANSWER)
    dry = folder.kolibri("rules", "apply", "vpn", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "would be applied to 3 of 5 mails" in dry.stdout
    assert "anna@customer.example" in dry.stdout
    asked = folder.kolibri("rules", "apply", "vpn")
    assert asked.returncode == 2
    assert "Nobody said yes; nothing was done" in asked.stderr
    done = folder.kolibri("rules", "apply", "vpn", "--yes", "--no-mails", "--by", "bert")
    assert done.returncode == 0, done.stderr
    assert "vpn: 3 applied, 3 records made" in done.stdout
    told = json.loads(folder.kolibri("rules", "apply", "vpn", "--yes", "--json").stdout)
    assert told["matches"] == 0
    assert len(told["left_out"]) == 3
