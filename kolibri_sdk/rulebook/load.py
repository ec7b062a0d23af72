"""Read ``rules/`` into a rulebook; a faulty file becomes problems, all others load."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from kolibri_sdk.errors import ConfigurationError, Problem
from kolibri_sdk.model.entity import Entity, EntityDocument
from kolibri_sdk.model.mailbox import Mailbox, MailboxDocument
from kolibri_sdk.model.rule import (
    InboundRule,
    InboundRuleDocument,
    OutboundRule,
    OutboundRuleDocument,
)
from kolibri_sdk.model.template import Template
from kolibri_sdk.rulebook.book import Rulebook
from kolibri_sdk.rulebook.explain import did_you_mean, validate
from kolibri_sdk.rulebook.templates import SHARED, read_includes, read_template
from kolibri_sdk.rulebook.yaml_file import YamlFile, read_yaml

__all__ = ["load_rulebook"]

_FOLDERS = ("mailboxes", "entities", "inbound", "outbound", "templates")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NO_NAME = re.compile(r"[^a-z0-9]+")

_Model = TypeVar("_Model", bound=BaseModel)


def load_rulebook(rules: str | Path, *, root: str | Path | None = None) -> Rulebook:
    """Read the folder ``rules/``; tolerant, because the poller goes on with what is right.

    Parameters
    ----------
    rules : str or Path
        The folder.
    root : str or Path, optional
        The project folder, which problems name files relative to; the folder above by default.

    Raises
    ------
    ConfigurationError
        When the folder itself is not there; what is wrong in it becomes ``problems``.
    """
    folder = Path(rules).absolute()
    if not folder.is_dir():
        raise ConfigurationError(
            f"There is no folder {rules}", "Run `kolibri init`, or name the folder with the rules"
        )
    above = Path(root).absolute() if root is not None else folder.parent
    reader = _Reader(folder, above if folder.is_relative_to(above) else folder.parent)
    return reader.read()


class _Reader:
    """One reading of the folder: collects values, problems and places."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.root = root
        self.problems: list[Problem] = []
        self.includes: dict[str, str] = {}
        self.files: dict[str, YamlFile] = {}
        self.names: dict[str, set[str]] = defaultdict(set)

    def read(self) -> Rulebook:
        self._unknown_folders()
        return Rulebook(
            self.root,
            mailboxes={each.name: each for each in self._mailboxes()},
            entities={each.name: each for each in self._entities()},
            templates=self._templates(),
            inbound_rules=self._one_per_order(self._inbound()),
            outbound_rules=tuple(self._outbound()),
            problems=tuple(self.problems),
            includes=self.includes,
            files=self.files,
            names={kind: frozenset(names) for kind, names in self.names.items()},
        )

    def _mailboxes(self) -> Iterator[Mailbox]:
        for name, source in self._documents("mailboxes"):
            if self._valid(MailboxDocument, source):
                yield Mailbox(name=name, file=source.file, **source.data)

    def _entities(self) -> Iterator[Entity]:
        for name, source in self._documents("entities"):
            if self._valid(EntityDocument, source):
                yield Entity(name=name, file=source.file, **source.data)

    def _inbound(self) -> Iterator[InboundRule]:
        for mailbox in self._subfolders("inbound"):
            for name, source in self._documents("inbound", mailbox):
                if self._valid(InboundRuleDocument, source):
                    yield InboundRule(name, mailbox=mailbox, file=source.file, **source.data)

    def _outbound(self) -> Iterator[OutboundRule]:
        for entity in self._subfolders("outbound"):
            for name, source in self._documents("outbound", entity):
                if self._valid(OutboundRuleDocument, source):
                    yield OutboundRule(name, entity=entity, file=source.file, **source.data)

    def _templates(self) -> Mapping[str, Template]:
        shared = self.folder / "templates" / SHARED
        self.includes, problems = read_includes(shared, self._named)
        self.problems += problems
        includes = {Path(file).name: source for file, source in self.includes.items()}
        found: dict[str, Template] = {}
        for name in self._subfolders("templates"):
            path = self.folder / "templates" / name
            template, problems = read_template(path, self._named, includes)
            self.problems += problems
            self.names["templates"].add(name)
            if template is not None:
                found[name] = template
        return found

    def _one_per_order(self, rules: Iterable[InboundRule]) -> tuple[InboundRule, ...]:
        """Without the rules whose order an earlier-named one has: both files are told."""
        first: dict[tuple[str, int], InboundRule] = {}
        for rule in sorted(rules, key=lambda each: (each.mailbox, each.name)):
            other = first.setdefault((rule.mailbox, rule.order), rule)
            if other is not rule:
                mend = "give each rule of a mailbox an order of its own"
                for one, two in ((other, rule), (rule, other)):
                    message = f"the order {rule.order} is also that of {two.file}"
                    if one is rule:
                        message += "; this rule is left out"
                    self._tell(one.file, message, mend, "order")
        return tuple(sorted(first.values(), key=lambda each: (each.mailbox, each.order)))

    def _documents(self, *where: str) -> Iterator[tuple[str, YamlFile]]:
        """Names and contents of the YAML files in this folder; problems for what is none."""
        for path in self._entries(self.folder.joinpath(*where)):
            if path.suffix == ".yml":
                mend = f"rename it to {path.stem}.yaml"
                self._tell(self._named(path), "the file is not read: its name ends in .yml", mend)
            elif path.suffix == ".yaml":
                self.names[where[0]].add(path.stem)
                if self._well_named(path, path.stem) and (source := self._yaml(path)):
                    yield path.stem, source

    def _yaml(self, path: Path) -> YamlFile | None:
        file = self._named(path)
        try:
            self.files[file] = read_yaml(path, file)
        except ConfigurationError as error:
            self.problems += error.problems
            return None
        return self.files[file]

    def _valid(self, model: type[_Model], source: YamlFile) -> _Model | None:
        try:
            return validate(model, source)
        except ConfigurationError as error:
            self.problems += error.problems
            return None

    def _subfolders(self, kind: str) -> Iterator[str]:
        for path in self._entries(self.folder / kind):
            if path.name == SHARED and kind == "templates":
                continue
            if path.is_dir():
                if self._well_named(path, path.name):
                    yield path.name
            elif path.suffix in (".yaml", ".yml", ".j2"):
                mend = f"move it to {self._named(path.parent)}/NAME/{path.name}"
                self._tell(self._named(path), "the file is not read: it lies too high", mend)

    def _entries(self, folder: Path) -> list[Path]:
        """What lies in a folder, by name, without hidden files; a missing folder is empty."""
        try:
            return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        except FileNotFoundError:
            return []
        except OSError as error:
            what = f"the folder cannot be read: {error.strerror}"
            self._tell(self._named(folder), what, "look at its kind and permissions")
            return []

    def _well_named(self, path: Path, name: str) -> bool:
        if _NAME.fullmatch(name):
            return True
        better = _NO_NAME.sub("-", name.lower()).strip("-") or "a-name"
        message = "names hold lower-case letters, digits and single hyphens only"
        self._tell(self._named(path), message, f"rename it to {better}{path.suffix}")
        return False

    def _unknown_folders(self) -> None:
        for path in self._entries(self.folder):
            if path.is_dir() and path.name not in _FOLDERS:
                file, mend = self._named(path), did_you_mean(path.name, _FOLDERS)
                self._tell(file, "the folder is not read", mend, severity="warning")
            elif path.suffix in (".yaml", ".yml"):
                mend = f"move it into one of {', '.join(_FOLDERS[:4])}"
                self._tell(self._named(path), "the file is not read: it lies too high", mend)

    def _named(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _tell(
        self, file: str, message: str, mend: str, *path: str, severity: str = "error"
    ) -> None:
        source = self.files.get(file)
        line, column = source.place(path) if source and path else (None, None)
        self.problems.append(Problem(file, message, mend, line, column, severity))
