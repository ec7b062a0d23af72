"""The project: which database and which rules; from arguments, a file, or the environment."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

from kolibri_sdk.errors import ConfigurationError, Problem
from kolibri_sdk.rulebook.explain import did_you_mean
from kolibri_sdk.rulebook.yaml_file import read_text

__all__ = ["FILE_NAME", "Project", "find_project"]

FILE_NAME = "kolibri.toml"

_DATABASE = "sqlite:///kolibri.db"
_RULES = "rules"
_KINDS: dict[str, type] = {
    "database": str,
    "rules": str,
    "every": int,
    "record_link": str,
    "actions": str,
}
_WORDS: dict[type, str] = {str: "text in quotes", int: "a whole number"}
_SQLITE = re.compile(r"(?P<start>sqlite(?:\+\w+)?:///)(?P<path>[^?]*)(?P<query>\?.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder, and what its ``kolibri.toml`` (or the caller) says.

    Parameters
    ----------
    root : Path
        The folder that relative paths are taken from: that of ``kolibri.toml``.
    database : str
        SQLAlchemy URL; a SQLite path in it is absolute.
    rules : Path
        The folder with the rules; absolute.
    every : int
        Seconds between two passes of the poller (S18).
    record_link : str
        Address of a record's page, such as ``https://desk.example/{entity}/{number}``.
    actions : Path or None
        A Python file that registers actions with ``@action``; imported when the project opens.
    """

    root: Path
    database: str
    rules: Path
    every: int = 30
    record_link: str = ""
    actions: Path | None = None


def find_project(
    start: str | Path | None = None,
    *,
    database: str | None = None,
    rules: str | Path | None = None,
) -> Project:
    """The project of this folder: arguments, then ``kolibri.toml``, then the environment.

    Parameters
    ----------
    start : str or Path, optional
        Where to begin looking for ``kolibri.toml``, upwards; the working folder by default.
    database : str, optional
        SQLAlchemy URL; else ``kolibri.toml``, else ``KOLIBRI_DATABASE``, else ``kolibri.db``.
    rules : str or Path, optional
        The folder; else ``kolibri.toml``, else ``KOLIBRI_RULES``, else ``rules``.

    Raises
    ------
    ConfigurationError
        When nothing says where the project is, or ``kolibri.toml`` has mistakes.

    Examples
    --------
    >>> find_project("/srv/desk", database="sqlite:///desk.db", rules="rules").database
    'sqlite:////srv/desk/desk.db'
    """
    begin = Path(start or ".").absolute()
    file = _nearest(begin)
    settings = _read(file) if file else {}
    chosen_database = database or settings.get("database") or os.environ.get("KOLIBRI_DATABASE")
    chosen_rules = rules or settings.get("rules") or os.environ.get("KOLIBRI_RULES")
    if file is None and not chosen_database and not chosen_rules:
        raise ConfigurationError(
            f"There is no {FILE_NAME} in {begin} or above",
            "Run `kolibri init` to make a project here, or set KOLIBRI_DATABASE and KOLIBRI_RULES",
        )
    root = file.parent if file else begin
    return Project(
        root=root,
        database=_absolute_sqlite(chosen_database or _DATABASE, root),
        rules=root / (chosen_rules or _RULES),
        every=settings.get("every", 30),
        record_link=settings.get("record_link", ""),
        actions=root / settings["actions"] if "actions" in settings else None,
    )


def _nearest(folder: Path) -> Path | None:
    candidates = (each / FILE_NAME for each in (folder, *folder.parents))
    return next((path for path in candidates if path.exists()), None)


def _absolute_sqlite(url: str, root: Path) -> str:
    match = _SQLITE.fullmatch(url)
    if match is None or match["path"] in ("", ":memory:") or match["path"].startswith("file:"):
        return url
    return f"{match['start']}{root / match['path']}{match['query'] or ''}"


def _read(path: Path) -> dict[str, Any]:
    text = read_text(path, FILE_NAME)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refused(path, [_syntax_problem(error)]) from error
    problems = list(_problems(document, text))
    if problems:
        raise _refused(path, problems)
    settings: dict[str, Any] = document.get("kolibri", {})
    return settings


def _refused(path: Path, problems: list[Problem]) -> ConfigurationError:
    return ConfigurationError(f"{path} cannot be used", problems=problems)


def _syntax_problem(error: tomllib.TOMLDecodeError) -> Problem:
    said = str(error)
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", said)
    what = said[: place.start()] if place else said
    line, column = (
        (int(each) if each else None for each in place.groups()) if place else (None,) * 2
    )
    mend = 'write it like: database = "sqlite:///kolibri.db"'
    return Problem(FILE_NAME, f"the file is not TOML: {what}", mend, line, column)


def _problems(document: Mapping[str, Any], text: str) -> Iterator[Problem]:
    for name in document.keys() - {"kolibri"}:
        mend = (
            "write [kolibri] above the settings"
            if name in _KINDS
            else did_you_mean(name, ["kolibri"])
        )
        yield Problem(FILE_NAME, f"there is no section '{name}'", mend, _line(text, name))
    settings = document.get("kolibri", {})
    if not isinstance(settings, dict):
        mend = "write [kolibri] and the settings below it"
        yield Problem(FILE_NAME, "'kolibri' is not a section", mend, _line(text, "kolibri"))
        return
    for name, value in settings.items():
        if words := _mistake(name, value):
            yield Problem(FILE_NAME, *words, _line(text, name))


def _mistake(name: str, value: Any) -> tuple[str, str] | None:
    if name not in _KINDS:
        return f"there is no setting '{name}'", did_you_mean(name, _KINDS)
    wanted = _KINDS[name]
    if not isinstance(value, wanted) or isinstance(value, bool):
        return f"'{name}' must be {_WORDS[wanted]}", f"write {name} = {_example(name)}"
    if value == "" and name != "record_link":
        return f"'{name}' is empty", f"write {name} = {_example(name)}, or delete the line"
    if isinstance(value, int) and value < 1:
        return "'every' is less than a second", "write every = 30"
    if name == "record_link" and not _is_link_pattern(str(value)):
        return (
            "'record_link' is no pattern of a web address",
            f"write record_link = {_example(name)}; it may hold {{entity}}, {{number}} and {{key}}",
        )
    return None


def _example(name: str) -> str:
    return {
        "database": f'"{_DATABASE}"',
        "rules": f'"{_RULES}"',
        "every": "30",
        "record_link": '"https://desk.example/{entity}/{number}"',
        "actions": '"actions.py"',
    }[name]


def _is_link_pattern(value: str) -> bool:
    try:
        fields = {name for _, name, _, _ in Formatter().parse(value) if name is not None}
    except ValueError:
        return False
    web = value == "" or value.startswith(("https://", "http://"))
    return web and fields <= {"entity", "number", "key"}


def _line(text: str, name: str) -> int | None:
    match = re.search(rf"^\s*(?:\[+\s*)?[\"']?{re.escape(name)}\b", text, re.MULTILINE)
    return text.count("\n", 0, match.end()) + 1 if match else None
