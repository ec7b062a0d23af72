"""U1: `kolibri backtest --gates` in CI: exit codes, what it prints, proofs, and no database."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project import ProjectFolder, letter

RULE = """\
order: 10
state: draft
when: /vpn/i.test(message.subject)
then:
  - create_record: {entity: incident, set: {title: message.subject}}
examples:
  - {mail: examples/vpn.eml, match: true}
  - {mail: examples/printer.eml, match: false}
"""
GATES = """\
min_mails: 3
new_errors: 0
lost_labelled: 0
min_precision: 0.95
max_actions_per_hour: 200
labels:
  vpn: {file: labels.csv, positive: network}
"""


@pytest.fixture
def folder(tmp_path: Path) -> ProjectFolder:
    """A repository with a rule, four mails and their labels; nothing has ever run."""
    folder = ProjectFolder(tmp_path)
    folder.use_shipped_rules("entities")
    for name in ("new", "cur", "tmp"):
        (tmp_path / "incoming" / name).mkdir(parents=True)
    folder.mailbox("support", inbound={"protocol": "maildir", "path": str(tmp_path / "incoming")})
    labels = ["message_id,label"]
    for number, subject in enumerate(["VPN down", "vpn slow", "Printer", "Mouse"]):
        raw = letter(subject)
        folder.write(f"mails/{number}.eml", raw)
        (identity,) = (x for x in raw.decode().splitlines() if x.startswith("Message-ID:"))
        labels.append(f"{identity[12:].strip()},{'network' if number < 2 else 'desk'}")
    folder.write("labels.csv", "\n".join(labels))
    folder.write("gates.yaml", GATES)
    folder.write("rules/inbound/support/vpn.yaml", RULE)
    for name in ("vpn", "printer"):
        folder.write(f"rules/inbound/support/examples/{name}.eml", letter(name))
    git(folder, "init", "-b", "main")
    git(folder, "add", "rules")
    git(folder, "commit", "-m", "rules")
    return folder


def git(folder: ProjectFolder, *arguments: str) -> None:
    names = ["-c", "user.name=Anna", "-c", "user.email=anna@example.org"]
    command = ["git", "-C", str(folder.root), *names, *arguments]
    subprocess.run(command, check=True, capture_output=True)


def edit(folder: ProjectFolder, old: str, new: str) -> None:
    path = folder.root / "rules/inbound/support/vpn.yaml"
    path.write_text(path.read_text().replace(old, new))


CI = ("backtest", "mails", "--rule", "vpn", "--against", "git:main", "--gates", "gates.yaml")


def test_gates_that_are_kept_exit_with_0_and_leave_no_database(folder: ProjectFolder) -> None:
    run = folder.kolibri(*CI)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "All gates are passed." in run.stdout
    assert not (folder.root / "kolibri.db").exists()


def test_a_gate_that_is_not_kept_exits_with_1_and_is_named(folder: ProjectFolder) -> None:
    edit(folder, "/vpn/i", "/VPN|Mouse/")
    run = folder.kolibri(*CI)
    assert run.returncode == 1
    assert "lost_labelled" in run.stdout
    assert "2 gates of gates.yaml FAILED" in run.stderr
    told = json.loads(folder.kolibri(*CI, "--json").stdout)
    assert told["passed"] is False
    (trial,) = told["trials"]
    gates = {one["gate"]: (one["wanted"], one["found"], one["passed"]) for one in trial["gates"]}
    assert gates == {
        "min_mails": (">= 3", 4, True),
        "new_errors": ("<= 0", 0, True),
        "lost_labelled": ("<= 0", 1, False),
        "min_precision": (">= 0.95", 0.5, False),
        "max_actions_per_hour": ("<= 200", 2, True),
    }
    assert trial["comparison"][0]["gained"] == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--gates", "wrong.yaml"],
            "wrong.yaml:1:1: there is no key 'new_error' here. Mend: did you",
        ),
        (["--gates", "none.yaml"], "none.yaml"),
        (["--rule", "vnp"], "Did you mean 'vpn'?"),
        (["--mailbox", "suport"], "Did you mean 'support'?"),
        (["--against", "main"], "--against main names no version"),
        (["--against", "git:nowhere"], "no git revision 'nowhere'"),
        (["--until", "2026-01-01"], "--until is for the project's own mail"),
    ],
)
def test_a_mistake_exits_with_2_and_says_the_mend(
    folder: ProjectFolder, arguments: list[str], told: str
) -> None:
    folder.write("wrong.yaml", "new_error: 0\n")
    run = folder.kolibri("backtest", "mails", *arguments)
    assert run.returncode == 2, run.stdout + run.stderr
    assert told in run.stderr


def test_a_kept_backtest_is_what_a_promotion_asks_for(folder: ProjectFolder) -> None:
    for path in (folder.root / "mails").iterdir():
        shutil.copy(path, folder.root / "incoming" / "new" / path.stem)
    assert folder.kolibri("poll", "--passes", "1").returncode == 0
    refused = folder.kolibri("rules", "promote", "vpn", "--reason", "ready", "--by", "anna")
    assert refused.returncode == 2
    command = "kolibri backtest --mailbox support --rule vpn --keep"
    assert command in refused.stderr
    kept = folder.kolibri(*command.split()[1:], "--gates", "gates.yaml", "--against", "git:main")
    assert kept.returncode == 0, kept.stdout + kept.stderr
    assert "Kept as backtest 1: vpn, version" in kept.stdout
    done = folder.kolibri("rules", "promote", "vpn", "--reason", "ready", "--by", "anna")
    assert done.returncode == 0, done.stderr
    assert "is active, by backtest 1." in done.stdout
    (step,) = json.loads(folder.kolibri("rules", "history", "vpn", "--json").stdout)
    assert (step["author"], step["reason"], step["backtest"]) == ("anna", "ready", 1)
    (listed,) = json.loads(folder.kolibri("rules", "list", "--json").stdout)
    assert (listed["state"], listed["backtest"]) == ("active", 1)
    (proof,) = json.loads(folder.kolibri("rules", "proofs", "--json").stdout)
    assert proof["gates"]["passed"] is True
    edit(folder, "/vpn/i", "/VPN/")
    now = folder.kolibri("backtest", "--against", "active", "--gates", "gates.yaml")
    assert now.returncode == 1
    assert "lost_labelled" in now.stdout
    assert "no backtest of it as it is" in folder.kolibri("check").stderr
    assert "no backtest of it as it is" in folder.kolibri("status").stdout
    back = folder.kolibri("rules", "rollback", "vpn", "--to", step["digest"][:8])
    assert back.returncode == 0, back.stderr
    assert "ready" in folder.kolibri("rules", "history").stdout
    shadow = folder.kolibri("rules", "shadow", "vpn")
    assert "acts on nothing" in shadow.stdout
    assert folder.kolibri("rules", "shadow", "vnp").returncode == 2
