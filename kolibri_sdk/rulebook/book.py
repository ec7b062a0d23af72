"""The rulebook: everything that ``rules/`` says, as values, with the place of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kolibri_sdk.errors import Problem
from kolibri_sdk.model.entity import Entity
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.rule import Example, InboundRule, OutboundRule
from kolibri_sdk.model.template import Template
from kolibri_sdk.rulebook.yaml_file import Place, YamlFile, YamlPath

__all__ = ["Rulebook", "yaml_path"]


@dataclass(frozen=True)
class Rulebook:
    """What ``rules/`` says: mailboxes, entities, templates and rules, without the faulty files.

    Parameters
    ----------
    root : Path
        The folder that ``file`` of rules and problems is relative to.
    problems : tuple of Problem
        What kept a file out, or is worth a warning.
    includes : mapping
        Jinja2 sources that templates share, by file.
    files : mapping
        The YAML files with the places of their values, by file.
    names : mapping
        By folder (``mailboxes``, …) the names that have a file there, faulty or not.

    Examples
    --------
    >>> book = load_rulebook(Path("rules"))                          # doctest: +SKIP
    >>> [rule.name for rule in book.inbound("support")]              # doctest: +SKIP
    ['create-incident', 'urgent', 'reopen-on-reply']
    """

    root: Path
    mailboxes: Mapping[str, Mailbox] = field(default_factory=dict)
    entities: Mapping[str, Entity] = field(default_factory=dict)
    templates: Mapping[str, Template] = field(default_factory=dict)
    inbound_rules: tuple[InboundRule, ...] = ()
    outbound_rules: tuple[OutboundRule, ...] = ()
    problems: tuple[Problem, ...] = ()
    includes: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, YamlFile] = field(default_factory=dict, repr=False)
    names: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)

    def inbound(self, mailbox: str) -> tuple[InboundRule, ...]:
        """The incoming rules of a mailbox, whatever their state, in their order."""
        rules = (rule for rule in self.inbound_rules if rule.mailbox == mailbox)
        return tuple(sorted(rules, key=lambda rule: (rule.order, rule.name)))

    def outbound(self, entity: str) -> tuple[OutboundRule, ...]:
        """The outgoing rules of an entity, whatever their state, in their order."""
        rules = (rule for rule in self.outbound_rules if rule.entity == entity)
        return tuple(sorted(rules, key=lambda rule: (rule.order, rule.name)))

    @property
    def rules(self) -> tuple[InboundRule | OutboundRule, ...]:
        """All rules, incoming ones first."""
        return (*self.inbound_rules, *self.outbound_rules)

    def own_addresses(self) -> dict[str, str]:
        """Every address of our own mailboxes, lower case, and why no rule writes to it."""
        return {
            address: f"is our own mailbox {mailbox.name}"
            for mailbox in self.mailboxes.values()
            for address in mailbox.own_addresses
        }

    def described(self, kind: str) -> frozenset[str]:
        """The names that have a file, faulty or not; ``kind`` is a folder such as ``mailboxes``."""
        return self.names.get(kind, frozenset())

    def place(self, file: str, path: Sequence[str | int]) -> Place:
        """Line and column of the key or entry at this path; None where that is not known."""
        source = self.files.get(file)
        return source.place(path) if source else (None, None)

    def expression_place(
        self,
        rule: InboundRule | OutboundRule,
        script_path: str,
        line: int | None,
        column: int | None,
    ) -> Place:
        """The place in the rule's file of a place inside one of its JavaScript expressions.

        Parameters
        ----------
        rule : InboundRule or OutboundRule
            A rule of this rulebook; for one made in Python the place comes back as it is.
        script_path : str
            ``when``, or a key of ``Decision.values`` such as ``0.set.title`` or ``to.1``.
        line, column : int or None
            The place inside the expression, counted from 1.
        """
        source = self.files.get(rule.file)
        if source is None:
            return line, column
        return source.inside(yaml_path(rule, script_path), line, column)

    def example_mail(self, rule: InboundRule, example: Example) -> Path:
        """Where the mail of a golden example lies."""
        return (self.root / rule.file).parent / example.mail


def yaml_path(rule: InboundRule | OutboundRule, script_path: str) -> YamlPath:
    """The steps through the rule's file to one of its expressions.

    Examples
    --------
    >>> rule = InboundRule("a", mailbox="m", when="true", then=[{"add_note": {"text": "'x'"}}])
    >>> yaml_path(rule, "0.text")
    ('then', 0, 'add_note', 'text')
    """
    if script_path == "when":
        return ("when",)
    if isinstance(rule, OutboundRule):
        return ("to", int(script_path.removeprefix("to.")), "js")
    index, part, *name = script_path.split(".", 2)
    start: YamlPath = ("then", int(index), rule.then[int(index)].kind, part)
    return (*start, int(name[0]), "js") if part == "to" else (*start, *name)
