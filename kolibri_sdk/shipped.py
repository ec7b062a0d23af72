"""What comes with the package beside its code: rules to begin with, and the notebooks."""

from __future__ import annotations

import shutil
from pathlib import Path

from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.model.mailbox import MaildirFolder, MaildirOutbound
from kolibri_sdk.rulebook import load_rulebook

__all__ = ["shipped", "start_project"]

_PACKAGE = Path(__file__).resolve().parent
_NAMES = ("notebooks", "rules")
_PARTS_OF_A_MAILDIR = ("cur", "new", "tmp")

_KOLIBRI_TOML = """\
# A Kolibri project: this folder, with its mailboxes, rules and templates in rules/.
[kolibri]
database = "sqlite:///kolibri.db"    # or: postgresql+psycopg://user@host/name
rules = "rules"
every = 30                           # seconds between two looks at the mailboxes
# record_link = "https://desk.example/{entity}/{number}"
"""


def shipped(name: str) -> Path:
    """A folder that comes with the package, in a checkout as in an installed wheel.

    Raises
    ------
    NotFound
        When no folder of this name comes with it.

    Examples
    --------
    >>> (shipped("notebooks") / "poller.ipynb").is_file()
    True
    """
    if name not in _NAMES:
        raise NotFound.named("shipped folder", name, _NAMES)
    installed = _PACKAGE / "shipped" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def start_project(folder: Path) -> list[Path]:
    """Make a project in this folder: ``kolibri.toml``, the shipped rules, and their Maildirs.

    Returns
    -------
    list of Path
        What was made.

    Raises
    ------
    ConfigurationError
        When something of it is there already; nothing is touched then.
    """
    settings, rules = folder / "kolibri.toml", folder / "rules"
    for path in (settings, rules):
        if path.exists():
            raise ConfigurationError(
                f"{path} is there already, and nothing is overwritten",
                "Choose another folder, or move it out of the way",
            )
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(shipped("rules"), rules)
    settings.write_text(_KOLIBRI_TOML, encoding="utf-8")
    return [settings, rules, *_make_maildirs(folder, rules)]


def _make_maildirs(folder: Path, rules: Path) -> list[Path]:
    paths: dict[Path, None] = {}
    for mailbox in load_rulebook(rules).mailboxes.values():
        for side in (mailbox.inbound, mailbox.outbound):
            if isinstance(side, MaildirFolder | MaildirOutbound):
                paths[folder / side.path] = None
    for path in paths:
        for part in _PARTS_OF_A_MAILDIR:
            (path / part).mkdir(parents=True, exist_ok=True)
    return list(paths)
