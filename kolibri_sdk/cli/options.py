"""The options that commands share, and the project they open."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import typer

from kolibri_sdk.client import Kolibri, RulesWarning, connect

__all__ = ["Database", "Every", "Json", "ProjectFolder", "RulesFolder", "Who", "open_project"]

ProjectFolder = Annotated[
    Path | None,
    typer.Option(
        "--project", "-C", help="Where to look for kolibri.toml (upwards); else the working folder."
    ),
]
Database = Annotated[
    str | None,
    typer.Option("--database", help="SQLAlchemy URL, in place of what kolibri.toml says."),
]
RulesFolder = Annotated[
    Path | None,
    typer.Option("--rules", help="Folder of the rules, in place of what kolibri.toml says."),
]
Every = Annotated[
    float | None,
    typer.Option(
        "--every", min=0.1, help="Seconds from the start of a pass to the next; else kolibri.toml."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, for machines.")]


Who = Annotated[
    str | None,
    typer.Option("--by", help="Who you are; else KOLIBRI_USER, else the operating system's name."),
]


def open_project(
    project: Path | None, database: str | None, rules: Path | None, user: str | None = None
) -> Kolibri:
    """The project; faults in its rules are not warned of, because each command tells them itself.

    Raises
    ------
    ConfigurationError
        When there is no project, or its database needs ``kolibri upgrade``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RulesWarning)
        folder = rules.absolute() if rules else None
        return connect(database, rules=folder, project=project, user=user)
