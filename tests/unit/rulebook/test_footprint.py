"""What tells that nothing in the rules has changed, without reading them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kolibri_sdk.rulebook import footprint


def settle(folder: Path) -> None:
    """Let everything be older than a file system's tick."""
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (1_700_000_000, 1_700_000_000))


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "inbound/support").mkdir(parents=True)
    (tmp_path / "inbound/support/a.yaml").write_text("order: 1\n")
    settle(tmp_path)
    return tmp_path


def test_nothing_has_changed(rules: Path) -> None:
    assert footprint(rules) == footprint(rules) is not None


def test_what_was_written_just_now_may_be_written_again(rules: Path) -> None:
    (rules / "inbound/support/a.yaml").write_text("order: 2\n")
    assert footprint(rules) is None


@pytest.mark.parametrize("change", ["content", "new", "gone", "renamed", "folder"])
def test_every_change_shows(rules: Path, change: str) -> None:
    before = footprint(rules)
    file = rules / "inbound/support/a.yaml"
    match change:
        case "content":
            file.write_text("order: 22\n")
        case "new":
            (rules / "b.j2").write_text("x")
        case "gone":
            file.unlink()
        case "renamed":
            file.rename(rules / "inbound/support/b.yaml")
        case "folder":
            (rules / "inbound/sales").mkdir()
    settle(rules)
    assert footprint(rules) != before


def test_a_folder_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert footprint(tmp_path / "missing") is None
