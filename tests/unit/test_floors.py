"""The house: imports go downwards only, never to a neighbour, never in a circle (design, 2)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import pytest

import kolibri_sdk

PACKAGE = Path(kolibri_sdk.__file__).parent
FLOORS = (
    (),
    ("errors", "clock", "checkpoint"),
    ("model", "schedule"),
    ("mail", "store", "sandbox", "frames"),
    ("mailboxes", "rulebook", "reference", "outbox", "archives"),
    ("decide", "actions", "shipped"),
    ("pipeline", "lab"),
    ("client",),
    ("designer", "demo", "notebook", "testing"),
    ("cli",),
)
#: Neighbours that know each other all the same, and why; a list to shorten.
EXCEPTIONS = {
    ("outbox", "reference"): "a mail gets its reference when it is queued; to be handed in instead",
}
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

#: Who may know a library, beyond the standard library and the small ones; everybody else has to
#: go through these rooms.
KEEPERS = {
    "pandas": {"frames", "client", "lab", "designer"},
    "py_mini_racer": {"sandbox"},
    "jinja2": {"sandbox"},
    "imapclient": {"mailboxes"},
    "imaplib": {"mailboxes"},
    "poplib": {"mailboxes"},
    "smtplib": {"mailboxes"},
    "msal": {"mailboxes"},
    "google": {"mailboxes"},
    "requests": {"mailboxes"},
    "alembic": {"store"},
    "ruamel": {"rulebook"},
    "papermill": {"schedule"},
    # The rooms between the store and the client take part in a transaction that the pipeline
    # opened: they name ``sa.Connection`` as a type and hand it on. They write no statements.
    "sqlalchemy": {"store", "reference", "outbox", "actions", "pipeline"},
}


@dataclass(frozen=True)
class Import:
    """One name that a file imports: ``target`` is a module of ours, or a foreign package."""

    importer: str
    target: str
    file: Path
    line: int

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


class House:
    """All modules of a package, and what they import."""

    def __init__(self, root: Path) -> None:
        self.root = root
        files = sorted(f for f in root.rglob("*.py") if "node_modules" not in f.parts)
        self.files = {self._name(file): file for file in files}
        self.imports = [one for module in self.files for one in self._imports(module)]

    def _name(self, file: Path) -> str:
        parts = file.relative_to(self.root.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def _imports(self, module: str) -> Iterator[Import]:
        file = self.files[module]
        shown = file.relative_to(self.root.parent)
        # ast.walk sees every import: those inside functions and under TYPE_CHECKING too.
        for node in ast.walk(ast.parse(file.read_text())):
            for target in self._targets(node, module, is_package=file.name == "__init__.py"):
                yield Import(module, target, shown, node.lineno)  # type: ignore[attr-defined]

    def _targets(self, node: ast.AST, module: str, *, is_package: bool) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                above = parts[: len(parts) - node.level + is_package]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in self.files else base

    def room(self, module: str) -> str:
        """The room that a module of ours belongs to; empty for the package's own face."""
        return [*module.split("."), ""][1]

    def ours(self) -> list[Import]:
        """The imports within the package; the face may look everywhere."""
        name = self.root.name
        return [
            one
            for one in self.imports
            if one.target.split(".")[0] == name and self.room(one.importer)
        ]


def floor_faults(house: House) -> Iterator[str]:
    """A sentence for each room without a floor and each import that does not go down."""
    for room in sorted({house.room(module) for module in house.files} - {""}):
        if room not in FLOOR:
            yield f"{room}: this room has no floor; give it one in {Path(__file__).name}"
    for one in house.ours():
        here, there = house.room(one.importer), house.room(one.target)
        if not there:
            yield f"{one.place}: {one.importer} imports the package's face; name the module"
            continue
        if here == there or here not in FLOOR or there not in FLOOR:
            continue
        if FLOOR[there] > FLOOR[here]:
            yield (
                f"{one.place}: {here} (floor {FLOOR[here]}) imports {there} "
                f"(floor {FLOOR[there]}), which lies above it"
            )
        elif FLOOR[there] == FLOOR[here] and (here, there) not in EXCEPTIONS:
            yield f"{one.place}: {here} imports {there}, its neighbour on floor {FLOOR[here]}"


def circle_faults(house: House) -> Iterator[str]:
    """A sentence for the circle of modules, if there is one; type-only imports count too."""
    graph: dict[str, set[str]] = {}
    for one in house.ours():
        if one.target in house.files and one.target != one.importer:
            graph.setdefault(one.importer, set()).add(one.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        edges = {(one.importer, one.target): one.place for one in house.ours()}
        places = [edges[pair] for pair in pairwise(circle)]
        yield f"{places[0]}: imports in a circle: {' → '.join(circle)} ({', '.join(places[1:])})"


def keeper_faults(house: House) -> Iterator[str]:
    """A sentence for each library that is met outside the rooms that keep it."""
    for one in house.imports:
        library = one.target.split(".")[0]
        if library in KEEPERS and house.room(one.importer) not in KEEPERS[library]:
            keepers = ", ".join(sorted(KEEPERS[library]))
            yield f"{one.place}: {one.importer} imports {library}, which is known in {keepers} only"


def clock_faults(house: House) -> Iterator[str]:
    """A sentence for each reading of the time outside ``clock``."""
    forbidden = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"}
    for module, file in house.files.items():
        if house.room(module) == "clock":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
                owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
                if f"{owner}.{node.attr}" in forbidden:
                    shown = file.relative_to(house.root.parent)
                    yield f"{shown}:{node.lineno}: reads {owner}.{node.attr}; ask kolibri_sdk.clock"


CHECKS = (floor_faults, circle_faults, keeper_faults, clock_faults)


@pytest.fixture(scope="module")
def house() -> House:
    return House(PACKAGE)


def test_the_whole_house_is_read(house: House) -> None:
    assert len(house.files) > 100
    assert len(house.ours()) > 300


def test_imports_go_downwards_only(house: House) -> None:
    assert "\n".join(floor_faults(house)) == ""


def test_every_exception_is_still_needed(house: House) -> None:
    met = {(house.room(one.importer), house.room(one.target)) for one in house.ours()}
    assert set(EXCEPTIONS) <= met


def test_there_are_no_circles(house: House) -> None:
    assert "\n".join(circle_faults(house)) == ""


def test_libraries_are_known_in_their_rooms_only(house: House) -> None:
    assert "\n".join(keeper_faults(house)) == ""


def test_the_time_is_read_in_one_place(house: House) -> None:
    assert "\n".join(clock_faults(house)) == ""


BROKEN = {
    "upwards": (
        {"model/rule.py": "import kolibri_sdk.store.ids", "store/ids.py": ""},
        "kolibri_sdk/model/rule.py:1: model (floor 2) imports store (floor 3), which lies above it",
    ),
    "upwards inside a function": (
        {
            "clock.py": "def now():\n    from kolibri_sdk.model import rule\n    return rule",
            "model/rule.py": "",
        },
        "kolibri_sdk/clock.py:2: clock (floor 1) imports model (floor 2), which lies above it",
    ),
    "upwards for types only": (
        {
            "store/ids.py": """\
                from typing import TYPE_CHECKING
                if TYPE_CHECKING:
                    from kolibri_sdk.pipeline import System
                """,
            "pipeline/__init__.py": "",
        },
        "kolibri_sdk/store/ids.py:3: store (floor 3) imports pipeline (floor 6)",
    ),
    "upwards by a relative import": (
        {"store/ids.py": "from ..pipeline import system", "pipeline/system.py": ""},
        "kolibri_sdk/store/ids.py:1: store (floor 3) imports pipeline (floor 6)",
    ),
    "to a neighbour": (
        {"decide/inbound.py": "from kolibri_sdk.actions import action", "actions/__init__.py": ""},
        "kolibri_sdk/decide/inbound.py:1: decide imports actions, its neighbour on floor 5",
    ),
    "the face": (
        {"decide/inbound.py": "from kolibri_sdk import connect"},
        "kolibri_sdk/decide/inbound.py:1: kolibri_sdk.decide.inbound imports the package's face",
    ),
    "a room without a floor": ({"utils/strings.py": ""}, "utils: this room has no floor"),
    "a circle in a room": (
        {
            "store/ids.py": "from kolibri_sdk.store.keys import current",
            "store/keys.py": "from kolibri_sdk.store import users",
            "store/users.py": "def f():\n    from . import ids",
        },
        "imports in a circle",
    ),
    "pandas below": ({"store/ids.py": "import pandas as pd"}, "imports pandas, which is known in"),
    "SQL above": (
        {"client/rules.py": "from sqlalchemy.orm import Session"},
        "kolibri_sdk/client/rules.py:1: kolibri_sdk.client.rules imports sqlalchemy",
    ),
    "another clock": (
        {"store/ids.py": "import datetime as dt\nmoment = dt.datetime.now(dt.UTC)"},
        "kolibri_sdk/store/ids.py:2: reads datetime.now; ask kolibri_sdk.clock",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_house_is_told(name: str, tmp_path: Path) -> None:
    files, expected = BROKEN[name]
    root = tmp_path / "kolibri_sdk"
    for path, source in {"__init__.py": "", **files}.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(dedent(source))
    house = House(root)
    told = [fault for check in CHECKS for fault in check(house)]
    assert len(told) == 1
    assert expected in told[0]
