"""C4: built on ipywidgets, imapclient, jinja2, pandas, sqlalchemy, mini-racer and papermill."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

#: Distribution → the name it is imported by.
LIBRARIES = {
    "imapclient": "imapclient",
    "jinja2": "jinja2",
    "pandas": "pandas",
    "sqlalchemy": "sqlalchemy",
    "mini-racer": "py_mini_racer",
    "papermill": "papermill",
}


def declared(requirements: list[str]) -> set[str]:
    return {re.split(r"[\s<>=\[;]", each)[0].lower() for each in requirements}


def imported() -> Iterator[str]:
    """The top-level names that the package imports."""
    for path in (ROOT / "kolibri_sdk").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


@pytest.mark.parametrize("distribution", [*LIBRARIES, "ipywidgets"])
def test_the_package_asks_for_it_and_it_is_there(distribution: str) -> None:
    assert distribution in declared(PROJECT["dependencies"])
    assert import_module(LIBRARIES.get(distribution, distribution))


@pytest.mark.parametrize("name", LIBRARIES.values())
def test_the_package_uses_it(name: str) -> None:
    assert name in set(imported())


def test_the_tests_are_pytests() -> None:
    assert "pytest" in declared(PROJECT["optional-dependencies"]["dev"])


def test_everything_that_is_imported_is_asked_for() -> None:
    homes = packages_distributions()
    extras = PROJECT["optional-dependencies"]
    everything = PROJECT["dependencies"] + [
        requirement for extra in extras.keys() - {"dev"} for requirement in extras[extra]
    ]
    asked = {name.replace("_", "-") for name in declared(everything)}
    ours = {"kolibri_sdk", "pydantic_core"}  # the latter is one half of pydantic
    foreign = set(imported()) - set(sys.stdlib_module_names) - ours

    unasked = {
        name
        for name in foreign
        if not asked & {home.lower().replace("_", "-") for home in homes.get(name, [])}
    }
    assert unasked == set()
