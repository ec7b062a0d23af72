"""Versions of a rule: as git has it, and as the ledger kept it when it ran."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kolibri_sdk.errors import ConfigurationError, NotFound
from tests.project import ProjectFolder, letter

RULE = """\
    order: 10
    when: {when}
    """


def git(folder: Path, *arguments: str) -> None:
    names = ["-c", "user.name=Anna", "-c", "user.email=anna@example.org"]
    subprocess.run(["git", "-C", str(folder), *names, *arguments], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    """A project whose rule was edited after it was committed, and has not been committed since."""
    folder = ProjectFolder(tmp_path)
    arriving = tmp_path / "mail"
    for name in ("new", "cur", "tmp"):
        (arriving / name).mkdir(parents=True)
    folder.mailbox("support", inbound={"protocol": "maildir", "path": str(arriving)})
    folder.write("rules/inbound/support/vpn.yaml", RULE.format(when="/vpn/.test(message.subject)"))
    (arriving / "new" / "1").write_bytes(letter("VPN"))
    (arriving / "new" / "2").write_bytes(letter("vpn"))
    git(tmp_path, "init", "-b", "main")
    git(tmp_path, "add", "rules")
    git(tmp_path, "commit", "-m", "rules")
    with folder.open() as k:
        list(k.poll(passes=1))
    folder.write("rules/inbound/support/vpn.yaml", RULE.format(when="/vpn/i.test(message.subject)"))
    return folder


def test_a_draft_is_compared_with_what_git_has_and_with_what_ran(project: ProjectFolder) -> None:
    with project.open() as k:
        frame = k.messages.frame()
        trial = k.rules["vpn"].backtest(frame)
        (ran,) = k.rules.versions("vpn").to_dict("records")
        assert ran["when"] == "/vpn/.test(message.subject)"
        for old in (k.rules.at("main")["vpn"], k.rules.version("vpn", ran["digest"][:8])):
            assert old.when == ran["when"]
            assert old.digest == ran["digest"]
            assert list(trial.compare(old).gained["subject"]) == ["VPN"]
        of_all = k.rules.inbound("support").backtest(frame)
        assert len(of_all.compare(k.rules.at("HEAD").inbound("support")).gained) == 1
    assert "/vpn/i" in (project.root / "rules/inbound/support/vpn.yaml").read_text()


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", ""])
def test_a_revision_that_is_none_is_told(project: ProjectFolder, revision: str) -> None:
    with project.open() as k, pytest.raises(ConfigurationError, match="no git revision"):
        k.rules.at(revision)
    assert not (project.root / "x").exists()


def test_a_version_that_is_none_is_told(project: ProjectFolder) -> None:
    with project.open() as k:
        with pytest.raises(NotFound, match="no version 'ffff' of the rule 'vpn'"):
            k.rules.version("vpn", "ffff")
        with pytest.raises(NotFound, match="no version"):
            k.rules.version("vpn", "")
