"""C5: kolibri_sdk/, notebooks/, rules/, tests/, pyproject.toml and README.md at the top."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
MISSION = {"kolibri_sdk", "notebooks", "rules", "tests", "pyproject.toml", "README.md"}
USUAL = {"Makefile", "docs", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"}


def top_level() -> set[str]:
    """What lies at the top, without dot files and what git is told to ignore."""
    ignored = [line.strip().rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()]
    return {
        path.name
        for path in ROOT.iterdir()
        if not path.name.startswith(".")
        and not any(pattern and fnmatch(path.name, pattern) for pattern in ignored)
    }


def test_the_top_level_is_as_the_mission_says_and_holds_nothing_unusual() -> None:
    assert top_level() >= MISSION
    assert top_level() <= MISSION | USUAL


def test_each_folder_holds_what_its_name_promises() -> None:
    assert (ROOT / "kolibri_sdk" / "__init__.py").is_file()
    assert (ROOT / "notebooks" / "poller.ipynb").is_file()
    for part in ("mailboxes", "entities", "inbound", "outbound", "templates"):
        assert any((ROOT / "rules" / part).iterdir()), part
    assert any((ROOT / "tests" / "acceptance").glob("test_s*.py"))
