"""S25: a Python action that ``kolibri.toml`` names works by the command, too."""

from __future__ import annotations

import json
from mailbox import Maildir
from pathlib import Path

from tests.project import ProjectFolder, letter

ACTIONS = """
    from kolibri_sdk import action

    @action("tell-length")
    def count_words(scene, text):
        scene.add_note(f"{len(text.split())} words")
    """


def project(root: Path, called: str) -> ProjectFolder:
    folder = ProjectFolder(root, actions="actions.py")
    folder.write("actions.py", ACTIONS)
    folder.use_shipped_rules("entities")
    folder.mailbox("support", inbound={"protocol": "maildir", "path": "mail"})
    create = {"create_record": {"entity": "incident", "set": {"title": "message.subject"}}}
    call = {"call": {"name": called, "with": {"text": "message.text"}}}
    rule = {"order": 1, "when": "true", "then": [create, call]}
    folder.document("rules/inbound/support/count.yaml", rule)
    return folder


def test_the_command_finds_the_action_and_carries_it_out(tmp_path: Path) -> None:
    folder = project(tmp_path, "tell-length")
    Maildir(tmp_path / "mail", create=True).add(letter(text="one two three"))
    polled = folder.kolibri("poll", "--passes", "1", "--json")
    assert polled.returncode == 0, polled.stderr
    assert json.loads(polled.stdout)["records"] == 1
    with folder.open() as k:
        assert "3 words" in list(k.records["incident", 1].activity.frame()["text"])


def test_an_unknown_action_is_told_by_file_and_line(tmp_path: Path) -> None:
    checked = project(tmp_path, "tell-lenght").kolibri("check")
    assert checked.returncode == 2
    told = " ".join((checked.stdout + checked.stderr).split())
    assert "rules/inbound/support/count.yaml:" in told
    assert "there is no action 'tell-lenght'. Mend: write 'tell-length'" in told


def test_a_file_of_actions_that_fails_is_named(tmp_path: Path) -> None:
    folder = project(tmp_path, "tell-length")
    folder.write("actions.py", "import nothing_of_that_name\n")
    polled = folder.kolibri("poll", "--passes", "1")
    assert polled.returncode == 2
    assert "actions.py cannot be imported" in " ".join(polled.stderr.split())
