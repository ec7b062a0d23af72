"""``k.rules``: incoming and outgoing rules by name, at a revision of git, and as they ran."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from kolibri_sdk.client.display import listing
from kolibri_sdk.client.trying import InboundRule, InboundRules
from kolibri_sdk.errors import NotFound
from kolibri_sdk.frames import RULE_VERSIONS, frame_of
from kolibri_sdk.model.rule import InboundRule as StoredRule
from kolibri_sdk.model.rule import OutboundRule
from kolibri_sdk.pipeline import System, rules_in_force
from kolibri_sdk.rulebook import Rulebook, rulebook_at
from kolibri_sdk.store import decisions

__all__ = ["Rules"]


class Rules:
    """The rules of ``rules/``, by name; ``support/create-incident`` where a name is there twice."""

    def __init__(self, system: System, rulebook: Rulebook | None = None) -> None:
        self._system = system
        self._past = rulebook

    @property
    def _book(self) -> Rulebook:
        return self._past or self._system.rulebook

    def reload(self) -> None:
        """Read ``rules/`` anew, after somebody edited a file."""
        self._system.reload_rules()

    def adopt(self, rule: InboundRule) -> InboundRule:
        """The rule as one of this project: it can be saved, released, and sees its records.

        Examples
        --------
        >>> rule = k.rules.adopt(InboundRule("vpn", mailbox="support", when="..."))
        ... # doctest: +SKIP
        >>> rule.save().shadow()                                    # doctest: +SKIP
        """
        there = [one for one in self._book.inbound(rule.mailbox) if one.name == rule.name]
        given = {name: getattr(rule, name) for name in rule.model_fields_set}
        made = InboundRule(**{**given, "file": there[0].file if there else ""})
        made._system = self._system
        return made

    def at(self, revision: str) -> Rules:
        """The rules as git has them at a revision, to be tried and compared.

        Raises
        ------
        ConfigurationError
            When there is no such revision, or the rules lie in no git repository.

        Examples
        --------
        >>> new, old = k.rules.inbound("support"), k.rules.at("main").inbound("support")
        ... # doctest: +SKIP
        >>> new.backtest(mail).compare(old)                         # doctest: +SKIP
        """
        return Rules(self._system, rulebook_at(self._system.project.rules, revision))

    def in_force(self, mailbox: str) -> InboundRules:
        """The versions that were last put to work, whatever the files say by now."""
        found = rules_in_force(self._system, self._system.mailbox(mailbox).name)
        return InboundRules((InboundRule.of(rule, self._system) for rule in found), self._system)

    def versions(self, name: str) -> pd.DataFrame:
        """The texts of a rule that have run; as ``kolibri_sdk.frames.RULE_VERSIONS``."""
        with self._system.store.read() as tx:
            rows = decisions.versions(tx, name)
        return frame_of(
            ({**row, "when": row["document"].get("when")} for row in rows), RULE_VERSIONS
        )

    def version(self, name: str, digest: str) -> InboundRule:
        """An incoming rule as it ran, by the beginning of its digest.

        Raises
        ------
        NotFound
            When no such version has run, or several digests begin so.
        """
        with self._system.store.read() as tx:
            rows = decisions.versions(tx, name)
        found = [row for row in rows if row["digest"].startswith(digest) and digest]
        if len(found) != 1:
            some = ", ".join(row["digest"][:12] for row in found or rows) or "none has run"
            how = f"{len(found)} versions" if found else "no version"
            raise NotFound(f"There is {how} {digest!r} of the rule {name!r}", f"Known: {some}")
        if "mailbox" not in found[0]["document"] or "entity" in found[0]["document"]:
            raise NotFound(f"{name!r} is an outgoing rule", "Incoming rules can be tried")
        return InboundRule.of(StoredRule(**found[0]["document"]), self._system)

    def inbound(self, mailbox: str) -> InboundRules:
        """The incoming rules of a mailbox, in their order; ``.backtest(frame)`` tries them."""
        rules = self._book.inbound(self._system.mailbox(mailbox).name)
        return InboundRules((InboundRule.of(rule, self._system) for rule in rules), self._system)

    def outbound(self, entity: str) -> tuple[OutboundRule, ...]:
        """The outgoing rules of an entity, in their order."""
        return self._book.outbound(self._system.tables.entity(entity).name)

    def _named(self) -> dict[str, list[Any]]:
        named: dict[str, list[Any]] = {}
        for rule in self._book.rules:
            place = rule.entity if isinstance(rule, OutboundRule) else rule.mailbox
            named.setdefault(rule.name, []).append(rule)
            named.setdefault(f"{place}/{rule.name}", []).append(rule)
        return named

    def __getitem__(self, name: str) -> InboundRule | OutboundRule:
        named = self._named()
        found = named.get(name, [])
        if not found:
            raise NotFound.named("rule", name, list(named))
        if len(found) > 1:
            full = [n for n, rules in named.items() if "/" in n and rules[0] in found]
            raise NotFound(f"There are {len(found)} rules {name!r}", f"Say {' or '.join(full)}")
        (rule,) = found
        return rule if isinstance(rule, OutboundRule) else InboundRule.of(rule, self._system)

    def __iter__(self) -> Iterator[InboundRule | OutboundRule]:
        for rule in self._book.rules:
            if isinstance(rule, OutboundRule):
                yield rule
            else:
                yield InboundRule.of(rule, self._system)

    def __len__(self) -> int:
        return len(self._book.rules)

    def __repr__(self) -> str:
        return f"<{len(self)} rules: {', '.join(rule.name for rule in self)}>"

    def _repr_html_(self) -> str:
        rows = [
            (
                rule.name,
                rule.mailbox if isinstance(rule, InboundRule) else rule.entity,
                "incoming" if isinstance(rule, InboundRule) else "outgoing",
                rule.order,
                rule.state.value,
                rule.when.strip(),
            )
            for rule in self
        ]
        columns = ("name", "mailbox or entity", "kind", "order", "state", "when")
        return listing("Rules", columns, rows)
