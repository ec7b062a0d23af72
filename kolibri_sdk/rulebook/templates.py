"""Templates: a folder of Jinja2 files per template, shared ones in ``_shared``."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from kolibri_sdk.errors import ConfigurationError, Problem
from kolibri_sdk.model.template import Template, TemplateVariant
from kolibri_sdk.rulebook.yaml_file import read_text

__all__ = ["SHARED", "read_includes", "read_template", "template_references"]

SHARED = "_shared"
_FILE = re.compile(r"(?P<language>[a-z]{2,3}(?:-[a-z0-9]{2,8})*)\.(?P<part>subject|html|txt)\.j2")
_FIELDS = {"subject": "subject", "html": "html", "txt": "text"}
_REFERENCE = re.compile(r"{%[-+]?\s*(?:extends|include|import|from)\s+(['\"])(?P<name>[^'\"]+)\1")

_Named = Callable[[Path], str]  #: how problems name a path


def read_includes(folder: Path, named: _Named) -> tuple[dict[str, str], list[Problem]]:
    """The shared sources, by file; ``{% extends "base.html.j2" %}`` calls them by its last part."""
    sources: dict[str, str] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.j2")):
        try:
            sources[named(path)] = read_text(path, named(path))
        except ConfigurationError as error:
            problems += error.problems
    return sources, problems


def read_template(
    folder: Path, named: _Named, includes: Mapping[str, str]
) -> tuple[Template | None, list[Problem]]:
    """One template, without the languages that are incomplete; None where no language is left.

    Parameters
    ----------
    folder : Path
        ``rules/templates/NAME``.
    named : callable
        How problems name a path.
    includes : mapping
        The shared sources by name.
    """
    parts, problems = _read_parts(folder, named)
    variants: dict[str, TemplateVariant] = {}
    for language, files in sorted(parts.items()):
        place = named(folder / f"{language}.subject.j2")
        if "subject" not in files:
            problems.append(Problem(place, "the subject is missing", "add this file"))
        elif not files.keys() & {"html", "text"}:
            mend = f"add {language}.html.j2, {language}.txt.j2, or both"
            problems.append(Problem(place, "there is a subject but no text for it", mend))
        else:
            variants[language] = _variant(language, files)
    if not variants:
        if not problems:
            mend = "add en.subject.j2 and en.html.j2, or delete the folder"
            problems.append(Problem(named(folder), "the template has no files", mend))
        return None, problems
    return Template(folder.name, variants, dict(includes)), problems


_Parts = dict[str, dict[str, tuple[str, str]]]  #: language → part → (file, source)


def _read_parts(folder: Path, named: _Named) -> tuple[_Parts, list[Problem]]:
    parts: _Parts = defaultdict(dict)
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.j2")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            mend = "name it LANGUAGE.(subject|html|txt).j2, such as de.html.j2"
            problems.append(Problem(named(path), "the file's name says no language and part", mend))
            continue
        try:
            source = read_text(path, named(path))
        except ConfigurationError as error:
            problems += error.problems
        else:
            parts[match["language"]][_FIELDS[match["part"]]] = (named(path), source)
    return parts, problems


def _variant(language: str, parts: Mapping[str, tuple[str, str]]) -> TemplateVariant:
    sources = {part: source for part, (_, source) in parts.items()}
    return TemplateVariant(
        language,
        subject=sources["subject"].strip(),
        html=sources.get("html"),
        text=sources.get("text"),
        files={part: file for part, (file, _) in parts.items()},
    )


def template_references(source: str) -> list[tuple[str, int]]:
    """The names that a source extends, includes or imports, each with its line.

    Examples
    --------
    >>> template_references('{% extends "base.html.j2" %}')
    [('base.html.j2', 1)]
    """
    return [
        (match["name"], source.count("\n", 0, match.start()) + 1)
        for match in _REFERENCE.finditer(source)
    ]
