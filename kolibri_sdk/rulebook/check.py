"""Look deeper than the schema: syntax of expressions and templates, and names that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from kolibri_sdk.errors import Problem
from kolibri_sdk.model.binding import SHAPES
from kolibri_sdk.model.change import CHANGE_SHAPES
from kolibri_sdk.model.entity import Entity
from kolibri_sdk.model.rule import Action, Change, InboundRule, OutboundRule, RuleState
from kolibri_sdk.model.template import Template, fallbacks
from kolibri_sdk.rulebook.book import Rulebook
from kolibri_sdk.rulebook.explain import did_you_mean
from kolibri_sdk.rulebook.templates import template_references
from kolibri_sdk.rulebook.yaml_file import YamlPath
from kolibri_sdk.sandbox import Sandbox, Script

__all__ = ["check_rulebook"]

_Rule = InboundRule | OutboundRule


def check_rulebook(rulebook: Rulebook, sandbox: Sandbox) -> tuple[Problem, ...]:
    """Everything that is wrong with the rules: what loading found, and what lies deeper.

    Parameters
    ----------
    rulebook : Rulebook
        What :func:`load_rulebook` read.
    sandbox : Sandbox
        Compiles the expressions and templates; runs none of them.

    Returns
    -------
    tuple of Problem
        By file and line; warnings keep nothing out of use.
    """
    found = [*rulebook.problems]
    found += _mailbox_problems(rulebook)
    found += _signature_problems(rulebook, sandbox)
    for inbound in rulebook.inbound_rules:
        found += _Names(rulebook, inbound.file).inbound(inbound)
        found += _example_problems(rulebook, inbound)
    for outbound in rulebook.outbound_rules:
        found += _Names(rulebook, outbound.file).outbound(outbound)
    found += _script_problems(rulebook, sandbox)
    found += _template_problems(rulebook, sandbox)
    return tuple(sorted(dict.fromkeys(found), key=_position))


def _position(problem: Problem) -> tuple[str, int, int]:
    return problem.file, problem.line or 0, problem.column or 0


def _script_problems(rulebook: Rulebook, sandbox: Sandbox) -> Iterator[Problem]:
    known: dict[str, tuple[_Rule, str]] = {}
    scripts: list[Script] = []
    rules: tuple[_Rule, ...] = (*rulebook.inbound_rules, *rulebook.outbound_rules)
    for rule in rules:
        for path, source in _expressions(rule):
            name = f"{rule.file}#{path}"
            known[name] = rule, path
            scripts.append(Script(name, source, "boolean" if path == "when" else "value"))
    faults = sandbox.check_scripts(scripts)
    for name, inspection in sandbox.inspect(scripts, _shapes(rulebook)).items():
        rule, path = known[name]
        for finding in inspection.findings:
            place = rulebook.expression_place(rule, path, finding.line, finding.column)
            yield Problem(
                rule.file,
                f"in the JavaScript: {finding.message}",
                finding.mend,
                *place,
                severity=finding.severity,
            )
    for name, fault in faults.items():
        rule, path = known[name]
        place = rulebook.expression_place(rule, path, fault.line, fault.column)
        yield Problem(rule.file, f"the JavaScript is faulty: {fault.message}", "correct it", *place)


def _shapes(rulebook: Rulebook) -> dict[str, Any]:
    """What variables hold; of records, where the fields of all entities are known."""
    entities = rulebook.entities.values()
    if not entities or not all(entity.fields for entity in entities):
        return {"message": SHAPES, **CHANGE_SHAPES}
    fields = {name: "any" for entity in entities for name in (*entity.key_columns, *entity.fields)}
    return {"message": SHAPES, "record": fields, "old": fields, **CHANGE_SHAPES}


def _expressions(rule: _Rule) -> Iterator[tuple[str, str]]:
    yield "when", rule.when
    if isinstance(rule, OutboundRule):
        yield from rule.scripts().items()
        return
    for index, action in enumerate(rule.then):
        for path, source in action.scripts().items():
            yield f"{index}.{path}", source


def _template_problems(rulebook: Rulebook, sandbox: Sandbox) -> Iterator[Problem]:
    sources = dict(rulebook.includes)
    for template in rulebook.templates.values():
        for variant in template.variants.values():
            sources |= {variant.files[part]: text for part, text in variant.sources().items()}
    for file, fault in sandbox.check_templates(sources).items():
        what = f"the template is faulty: {fault.message}"
        yield Problem(file, what, "correct it", fault.line, fault.column)
    shared = {PurePosixPath(file).name for file in rulebook.includes}
    for file, source in sources.items():
        for name, line in template_references(source):
            if name not in shared:
                what = f"there is no shared template '{name}'"
                yield Problem(file, what, did_you_mean(name, shared), line)


def _mailbox_problems(rulebook: Rulebook) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, mailbox in sorted(rulebook.mailboxes.items()):
        for address in sorted(mailbox.own_addresses):
            owner = owners.setdefault(address, name)
            if owner != name:
                what = f"{address} is also an address of the mailbox '{owner}'"
                place = rulebook.place(mailbox.file, ["address"])
                yield Problem(mailbox.file, what, "let one mailbox have it", *place)


def _signature_problems(rulebook: Rulebook, sandbox: Sandbox) -> Iterator[Problem]:
    sources: dict[str, str] = {}
    for mailbox in rulebook.mailboxes.values():
        for language, files in mailbox.signature.items():
            for part, file in (("html", files.html), ("text", files.text)):
                if file is None:
                    continue
                try:
                    sources[file] = (rulebook.root / file).read_text("utf-8")
                except (OSError, UnicodeDecodeError) as error:
                    place = rulebook.place(mailbox.file, ["signature", language, part])
                    what = f"the signature {file} cannot be read: {error}"
                    yield Problem(mailbox.file, what, "mend the file, or name another", *place)
    for file, fault in sandbox.check_templates(sources).items():
        what = f"the signature is faulty: {fault.message}"
        yield Problem(file, what, "correct it", fault.line, fault.column)


def _example_problems(rulebook: Rulebook, rule: InboundRule) -> Iterator[Problem]:
    for index, example in enumerate(rule.examples):
        path: YamlPath = ("examples", index, "mail")
        mail = rulebook.example_mail(rule, example)
        place = rulebook.place(rule.file, path)
        if not mail.resolve().is_relative_to(rulebook.root.resolve()):
            what = f"the mail '{example.mail}' lies outside of the project"
            yield Problem(rule.file, what, "copy it beside the rule", *place)
        elif not mail.is_file():
            beside = [f"{mail.parent.name}/{each.name}" for each in mail.parent.glob("*.eml")]
            what = f"there is no mail '{example.mail}' beside the rule"
            yield Problem(rule.file, what, did_you_mean(example.mail, beside), *place)
    kinds = {example.match for example in rule.examples}
    for wanted, words in ((True, "that matches"), (False, "that does not match")):
        if wanted not in kinds:
            place = rulebook.place(rule.file, ["examples" if rule.examples else "when"])
            entry = f"'- {{mail: examples/NAME.eml, match: {str(wanted).lower()}}}'"
            mend = f"add {entry}, or keep mails of a backtest: trial.to_golden()"
            what = f"the rule has no example {words}"
            # What is being tried out may lack them; what acts on people's mail may not.
            severity = "error" if rule.state is RuleState.ACTIVE else "warning"
            yield Problem(rule.file, what, mend, *place, severity=severity)


class _Names:
    """Whether the names in one rule's file lead somewhere."""

    def __init__(self, rulebook: Rulebook, file: str) -> None:
        self.book = rulebook
        self.file = file

    def inbound(self, rule: InboundRule) -> Iterator[Problem]:
        mailbox = self.book.mailboxes.get(rule.mailbox)
        if mailbox is None:
            yield from self._unknown("mailboxes", "mailbox", rule.mailbox, self.book.mailboxes, ())
        elif mailbox.inbound is None:
            what = f"the mailbox '{mailbox.name}' fetches no mail: this rule never runs"
            mend = f"add inbound to {mailbox.file}"
            yield Problem(self.file, what, mend, *self._place(()), severity="warning")
        about = [*self.book.entities.values()]  # a mail may belong to a record of any entity
        for index, action in enumerate(rule.then):
            path: YamlPath = ("then", index, action.kind)
            if action.create_record:
                about = self._entities(action.create_record.entity)
                yield from self._entity(action.create_record.entity, (*path, "entity"))
            yield from self._action(action, path, about, rule.mailbox)

    def outbound(self, rule: OutboundRule) -> Iterator[Problem]:
        about = self._entities(rule.entity)
        yield from self._entity(rule.entity, ())
        for index, trigger in enumerate(rule.on):
            if isinstance(trigger, Change):
                yield from self._field(trigger.change, about, ("on", index, "change"))
        for index, recipient in enumerate(rule.to):
            if recipient.field:
                yield from self._field(recipient.field, about, ("to", index, "field"))
        yield from self._sending(rule.mailbox, ("mailbox",))
        yield from self._template(rule.template, rule.mailbox, ("template",))

    def _action(
        self, action: Action, path: YamlPath, about: Sequence[Entity], mailbox: str
    ) -> Iterator[Problem]:
        if values := action.create_record or action.update_record:
            for name in values.set:
                yield from self._field(name, about, (*path, "set", name))
        if action.send_mail:
            sender = action.send_mail.mailbox
            yield from self._sending(sender or mailbox, (*path, "mailbox") if sender else path)
            yield from self._template(
                action.send_mail.template, sender or mailbox, (*path, "template")
            )
            for index, recipient in enumerate(action.send_mail.to):
                if recipient.field:
                    yield from self._field(recipient.field, about, (*path, "to", index, "field"))

    def _entities(self, name: str) -> list[Entity]:
        return [self.book.entities[name]] if name in self.book.entities else []

    def _entity(self, name: str, path: YamlPath) -> Iterator[Problem]:
        if name not in self.book.entities:
            yield from self._unknown("entities", "entity", name, self.book.entities, path)

    def _field(self, name: str, about: Sequence[Entity], path: YamlPath) -> Iterator[Problem]:
        """A field must be one of the entity's, or of any where the entity is open."""
        if not all(each.fields for each in about):
            return  # the table is reflected: its columns are known only when it is connected
        known = {field for each in about for field in (*each.key_columns, *each.fields)}
        if about and name not in known:
            one = f"the entity '{about[0].name}' has no" if len(about) == 1 else "no entity has a"
            mend = did_you_mean(name, known)
            yield Problem(self.file, f"{one} field '{name}'", mend, *self._place(path))

    def _sending(self, name: str, path: YamlPath) -> Iterator[Problem]:
        mailbox = self.book.mailboxes.get(name)
        if mailbox is None and path[-1:] == ("mailbox",):
            yield from self._unknown("mailboxes", "mailbox", name, self.book.mailboxes, path)
        elif mailbox and mailbox.outbound is None:
            what = f"the mailbox '{name}' has no outbound: it cannot send"
            yield Problem(self.file, what, f"add outbound to {mailbox.file}", *self._place(path))

    def _template(self, name: str, mailbox: str, path: YamlPath) -> Iterator[Problem]:
        template = self.book.templates.get(name)
        if template is None:
            yield from self._unknown("templates", "template", name, self.book.templates, path)
            return
        sender = self.book.mailboxes.get(mailbox)
        if sender and not _speaks(template, sender.language):
            what = f"the template '{name}' has no '{sender.language}', the language of '{mailbox}'"
            mend = f"add {sender.language}.subject.j2 and {sender.language}.html.j2 to it"
            yield Problem(self.file, what, mend, *self._place(path), severity="warning")

    def _unknown(
        self, kind: str, word: str, name: str, known: Iterable[str], path: YamlPath
    ) -> Iterator[Problem]:
        if name in self.book.described(kind):
            return  # its own file is at fault, and told as such
        what = f"there is no {word} '{name}'"
        yield Problem(self.file, what, did_you_mean(name, known), *self._place(path))

    def _place(self, path: YamlPath) -> tuple[int | None, int | None]:
        return self.book.place(self.file, path) if path else (None, None)


def _speaks(template: Template, language: str) -> bool:
    return any(tag in template.variants for tag in fallbacks(language))
