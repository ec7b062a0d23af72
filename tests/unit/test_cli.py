"""The ``kolibri`` command: what it prints, what machines read, and what it exits with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kolibri_sdk import clock
from kolibri_sdk.cli import app
from kolibri_sdk.cli.printing import plain
from kolibri_sdk.client import Kolibri
from tests.project import letter

PROGRAM = [sys.executable, "-c", "from kolibri_sdk.cli import app; app()"]


def kolibri(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def drop(project: Path, raw: bytes, name: str = "1.mail", mailbox: str = "support") -> None:
    (project / "mail" / mailbox / "new" / name).write_bytes(raw)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "desk"
    assert kolibri("init", folder).exit_code == 0
    return folder


def test_init_makes_a_project_that_is_checked_and_polls_at_once(project: Path) -> None:
    checked = kolibri("check", "-C", project)
    assert checked.exit_code == 0, checked.output
    assert "No mistakes: 2 mailboxes" in checked.stdout
    polled = kolibri("poll", "--passes", 1, "-C", project)
    assert polled.exit_code == 0, polled.output
    assert "0 fetched" in polled.stdout


@pytest.mark.parametrize("there", ["kolibri.toml", "rules"])
def test_init_overwrites_nothing_and_names_what_is_there(tmp_path: Path, there: str) -> None:
    (tmp_path / there).mkdir()
    result = kolibri("init", tmp_path)
    assert result.exit_code == 2
    assert str(tmp_path / there) in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [there]


def test_check_names_file_line_and_mend(project: Path) -> None:
    rule = project / "rules/inbound/support/urgent.yaml"
    rule.write_text(rule.read_text().replace("\nwhen:", "\nwenn:"))
    result = kolibri("check", "-C", project)
    assert result.exit_code == 2
    assert "rules/inbound/support/urgent.yaml:" in result.stderr
    told = json.loads(kolibri("check", "-C", project, "--json").stdout)
    assert told["errors"] >= 1
    assert any(
        p["file"].endswith("urgent.yaml") and p["line"] and p["mend"] for p in told["problems"]
    )


def test_check_runs_the_golden_examples(project: Path) -> None:
    rule = project / "rules/inbound/support/create-incident.yaml"
    rule.write_text(
        rule.read_text().replace("vpn-down.eml, match: true", "vpn-down.eml, match: false")
    )
    result = kolibri("check", "-C", project)
    assert result.exit_code == 2
    assert "create-incident.yaml" in result.stderr
    assert "vpn-down.eml" in result.stderr


def test_poll_prints_one_json_object_per_pass(project: Path) -> None:
    drop(project, letter())
    result = kolibri("poll", "--passes", 2, "--every", 0.1, "--json", "-C", project)
    assert result.exit_code == 0, result.output
    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["fetched"], first["records"], first["sent"]) == (1, 1, 1)
    assert (second["fetched"], second["records"], second["sent"]) == (0, 0, 0)


def test_poll_goes_on_with_the_others_and_exits_with_1(project: Path) -> None:
    (project / "mail/sales").rename(project / "mail/elsewhere")
    drop(project, letter())
    result = kolibri("poll", "--passes", 1, "-C", project)
    assert result.exit_code == 1
    assert "Mailbox sales" in result.stderr
    assert "1 records · 1 sent" in result.stdout


def test_poll_takes_only_the_mailboxes_that_are_named(project: Path) -> None:
    drop(project, letter(), mailbox="support")
    drop(project, letter(), mailbox="sales")
    result = kolibri("poll", "--passes", 1, "-M", "sales", "--json", "-C", project)
    assert list(json.loads(result.stdout)["mailboxes"]) == ["sales"]


def test_an_unknown_mailbox_is_told_with_near_names_and_no_traceback(project: Path) -> None:
    result = kolibri("poll", "--passes", 1, "-M", "suport", "-C", project)
    assert result.exit_code == 2
    assert "'support'" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_project_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KOLIBRI_DATABASE", "KOLIBRI_RULES"):
        monkeypatch.delenv(name, raising=False)
    result = kolibri("status", "-C", tmp_path)
    assert result.exit_code == 2
    assert "kolibri init" in result.stderr


def test_a_bug_keeps_its_traceback(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Kolibri) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Kolibri, "check", broken)
    result = kolibri("check", "-C", project)
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.fixture
def endless_poll(project: Path) -> Iterator[subprocess.Popen[str]]:
    poll = subprocess.Popen(
        [*PROGRAM, "poll", "--every", "300", "-C", str(project)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield poll
    finally:
        poll.kill()
        poll.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_poll_between_two_passes(
    endless_poll: subprocess.Popen[str], number: int
) -> None:
    assert endless_poll.stdout is not None
    assert "fetched" in endless_poll.stdout.readline()
    os.kill(endless_poll.pid, number)
    assert endless_poll.wait(10) == 0


def test_status_is_well_after_a_pass_and_ill_when_the_poller_is_down(project: Path) -> None:
    before = kolibri("status", "-C", project)
    assert before.exit_code == 1
    assert "no pass was made yet" in before.stderr
    drop(project, letter())
    kolibri("poll", "--passes", 1, "-C", project)
    after = kolibri("status", "-C", project)
    assert after.exit_code == 0, after.output
    assert "All is well" in after.stdout
    with clock.fixed(clock.now() + timedelta(hours=1)):
        late = kolibri("status", "-C", project)
    assert late.exit_code == 1
    assert "is the poller down?" in late.stderr


def test_status_counts_by_mailbox_and_state_for_machines(project: Path) -> None:
    drop(project, letter())
    kolibri("poll", "--passes", 1, "-C", project)
    told = json.loads(kolibri("status", "--json", "-C", project).stdout)
    assert told["ok"] is True
    assert told["mailboxes"]["support"]["messages"] == {"done": 1, "sent": 1}
    assert told["mailboxes"]["support"]["outbox"] == {"sent": 1}
    assert told["mailboxes"]["support"]["last_success"].endswith("+00:00")


def test_status_names_a_mailbox_that_fails(project: Path) -> None:
    (project / "mail/sales").rename(project / "mail/elsewhere")
    kolibri("poll", "--passes", 1, "-C", project)
    told = json.loads(kolibri("status", "--json", "-C", project).stdout)
    assert told["ok"] is False
    assert [need for need in told["needs"] if "Mailbox sales" in need] == [
        told["mailboxes"]["sales"]["last_error"]
    ]


def test_status_asks_for_a_person_when_a_mail_cannot_be_sent(project: Path) -> None:
    (project / "rules/templates/incident-received/en.txt.j2").write_text("{{ record.numbr }}")
    drop(project, letter())
    kolibri("poll", "--passes", 1, "-C", project)
    result = kolibri("status", "-C", project)
    assert result.exit_code == 1
    assert "support: 1 outbox mail in state failed" in result.stderr


def test_outbox_list_filters_by_state(project: Path) -> None:
    drop(project, letter())
    kolibri("poll", "--passes", 1, "-C", project)
    (sent,) = json.loads(kolibri("outbox", "list", "--json", "-C", project).stdout)
    assert (sent["state"], sent["recipients"]) == ("sent", ["anna@customer.example"])
    assert (
        json.loads(kolibri("outbox", "list", "--state", "failed", "--json", "-C", project).stdout)
        == []
    )
    assert "anna@customer" in kolibri("outbox", "list", "-C", project).stdout
    assert kolibri("outbox", "list", "--state", "lost", "-C", project).exit_code == 2
    assert kolibri("outbox", "list", "-M", "lost", "-C", project).exit_code == 2


def test_upgrade_says_where_the_database_stands(project: Path) -> None:
    first, second = (kolibri("upgrade", "-C", project) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "empty; now at" in first.stdout
    assert "already" in second.stdout


def test_version_and_exit_codes_are_told() -> None:
    assert kolibri("version").stdout.startswith("kolibri ")
    assert "Exit codes: 0 all is well" in " ".join(kolibri("--help").stdout.split())


def test_what_could_steer_a_terminal_is_not_printed() -> None:
    assert plain("a\x1b]0;title\x07b\r\u202ec") == "a\ufffd]0;title\ufffdb\ufffd\ufffdc"
    assert plain("Grüße 🎉\n\tund mehr") == "Grüße 🎉\n\tund mehr"
