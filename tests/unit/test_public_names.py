"""Every module says what it is, names what is public, explains it, and keeps what it shows."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import kolibri_sdk

PACKAGE = Path(kolibri_sdk.__file__).parent
MOST_LINES = 400

#: Files that are longer, and why they are one idea all the same.
LONG = {
    "store/schema.py": "every table there is, one below the other",
}
#: Public by their names only: they get an underscore or a place in ``__all__``.
TO_BE_LISTED = {
    "kolibri_sdk.mail.words": {"raw_text"},
    "kolibri_sdk.mailboxes.imap_answer": {"Part"},
    "kolibri_sdk.sandbox.templates": {"Missing", "Record"},
}
#: Modules that run something when they are imported.
NOT_IMPORTABLE = re.compile(r"\.migrations\.|\.__main__$|\.sandbox\.worker$")


def _modules() -> dict[str, Path]:
    found = {"kolibri_sdk": PACKAGE / "__init__.py"}
    for one in pkgutil.walk_packages([str(PACKAGE)], "kolibri_sdk.", onerror=lambda name: None):
        if not NOT_IMPORTABLE.search(one.name):
            spec = one.module_finder.find_spec(one.name, None)  # type: ignore[call-arg]
            assert spec is not None
            assert spec.origin is not None
            found[one.name] = Path(spec.origin)
    return found


MODULES = _modules()
FILES = sorted(f for f in PACKAGE.rglob("*.py") if "node_modules" not in f.parts)


def _shown(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


def _definitions(tree: ast.Module) -> set[str]:
    """The functions and classes of a module whose names say that they are public."""
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not any(".command(" in ast.unparse(one) for one in node.decorator_list)
    }


def _listed(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


@pytest.mark.parametrize("file", FILES, ids=_shown)
def test_a_module_begins_with_one_sentence(file: Path) -> None:
    told = ast.get_docstring(ast.parse(file.read_text()))
    assert told, f"{_shown(file)} has no docstring"
    first = told.split("\n\n")[0]
    assert first.rstrip().endswith((".", ":", "::")), f"{_shown(file)}: {first!r} is no sentence"


@pytest.mark.parametrize("file", FILES, ids=_shown)
def test_a_file_stays_short(file: Path) -> None:
    lines = len(file.read_text().splitlines())
    if _shown(file) in LONG:
        assert lines > MOST_LINES, f"{_shown(file)} is short again: take it off the list"
    else:
        assert lines <= MOST_LINES, f"{_shown(file)} has {lines} lines: two ideas, or a reason"


@pytest.mark.parametrize("file", FILES, ids=_shown)
def test_what_is_public_is_explained(file: Path) -> None:
    missing = [f"{_shown(file)}:{line} {name}" for line, name in _unexplained(file)]
    assert missing == []


def _unexplained(file: Path) -> Iterator[tuple[int, str]]:
    def look(body: list[ast.stmt], owner: str) -> Iterator[tuple[int, str]]:
        for node in body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if node.name.startswith("_"):
                continue
            if ast.get_docstring(node) is None and not _is_overload(node):
                yield node.lineno, owner + node.name
            if isinstance(node, ast.ClassDef):
                yield from look(node.body, f"{owner}{node.name}.")

    yield from look(ast.parse(file.read_text()).body, "")


def _is_overload(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(d) in {"overload", "typing.overload"} for d in decorators)


@pytest.mark.parametrize("name", MODULES)
def test_the_list_of_public_names_is_true(name: str) -> None:
    module, tree = importlib.import_module(name), ast.parse(MODULES[name].read_text())
    listed = _listed(tree)
    if listed is None:
        assert _definitions(tree) == set(), f"{name} has public names and no __all__"
        return
    assert len(listed) == len(set(listed))
    absent = [one for one in listed if not hasattr(module, one)]
    assert absent == [], f"{name}.__all__ names what is not there"
    unlisted = _definitions(tree) - set(listed) - TO_BE_LISTED.get(name, set())
    assert unlisted == set(), f"{name} has public names that are not in __all__"


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_are_true(name: str) -> None:
    result = doctest.testmod(
        importlib.import_module(name),
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
    )
    assert result.failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [
        test
        for name in MODULES
        for test in finder.find(importlib.import_module(name))
        if test.examples
    ]
    assert len(found) > 50


def test_the_face_hands_out_what_it_names() -> None:
    for name in kolibri_sdk.__all__:
        assert getattr(kolibri_sdk, name) is not None
        assert name in dir(kolibri_sdk)
    with pytest.raises(AttributeError, match="has no attribute 'conect'"):
        kolibri_sdk.conect  # noqa: B018


def test_importing_the_face_is_cheap() -> None:
    """The sandbox's child imports the package too, and must not wait for pandas."""
    import subprocess
    import sys

    code = "import sys, kolibri_sdk.clock; print({'pandas', 'sqlalchemy'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
