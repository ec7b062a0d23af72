"""Incoming rules that can be tried on old mail: ``rule.backtest(frame)``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import pandas as pd

import kolibri_sdk.model.rule as model
from kolibri_sdk import actions
from kolibri_sdk.client.applying import Application, left_out_of, mails_of
from kolibri_sdk.client.gating import labels_of
from kolibri_sdk.client.progress import progress_bar
from kolibri_sdk.client.releasing import ReleasableRule
from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.frames import APPLICATIONS, frame_of
from kolibri_sdk.lab import GateReport, Surroundings, Trial, backtest, check_gates
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.gates import Gates
from kolibri_sdk.model.rule import RuleState
from kolibri_sdk.pipeline import System, silent
from kolibri_sdk.rulebook import Rulebook
from kolibri_sdk.sandbox import Sandbox
from kolibri_sdk.store import applications, past, users

__all__ = ["InboundRule", "InboundRules"]

_LONG = 3000  #: mails from which on a bar is worth its place


class InboundRule(ReleasableRule):
    """An incoming rule: when it holds, what it does (S24, S25); it can be tried on old mail.

    Parameters
    ----------
    name : str
        What the rule is called.
    mailbox : str
        Whose incoming mail it is about.
    when : str
        A JavaScript expression over ``message`` and ``record`` that is true or false.
    then : sequence of actions, optional
        As in a rule's file.

    Examples
    --------
    >>> rule = InboundRule("vpn", mailbox="support", when="/vpn/i.test(message.subject)")
    >>> trial = rule.backtest(read_mail("archive.mbox"))            # doctest: +SKIP
    >>> trial.summary                                               # doctest: +SKIP
    """

    def but(self, **changes: Any) -> InboundRule:
        """The same rule with other values, a draft to be tried beside it.

        Examples
        --------
        >>> rule = InboundRule("vpn", mailbox="support", when="/vpn/.test(message.subject)")
        >>> rule.but(when="/vpn/i.test(message.subject)").when
        '/vpn/i.test(message.subject)'
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        made = type(self)(**{**given, **changes})
        made._system, made._origin, made._around = self._system, self._origin, self._around
        return made

    def backtest(self, frame: pd.DataFrame, *, progress: bool | None = None) -> Trial:
        """Try this rule alone, whatever its state, on the mails of a frame; nothing is done.

        Parameters
        ----------
        frame : DataFrame
            Of ``k.messages.frame()`` or ``read_mail()``, whole or some of its rows.
        progress : bool, optional
            Whether a bar is shown; by default where somebody may be looking and it takes long.

        Returns
        -------
        Trial
            ``.summary``, ``.decisions``, ``.errors``, ``.matches()``, ``.plan()``, …

        Raises
        ------
        ConfigurationError
            When the frame lacks columns that a condition may look at.
        """
        tried = self.model_copy(update={"state": RuleState.ACTIVE})
        return _try([tried], frame, self._system, progress, self._around)

    def apply(
        self,
        frame: pd.DataFrame | Iterable[int],
        *,
        yes: bool = False,
        mails: bool = True,
        again: bool = False,
        reason: str = "",
    ) -> Application:
        """Apply the rule to mail that is there already: a plan first, and on purpose.

        The condition sees each mail as it came, and its record as it is now. A mail on which the
        rule has acted is left out, whoever had it act; each is one transaction, so that a call
        that was broken off is gone on with by the same call. The caps on mail hold.

        Parameters
        ----------
        frame : DataFrame or iterable of int
            Of ``k.messages.frame()``, or numbers of messages.
        yes : bool
            Do it at once; else ``.confirm()`` does.
        mails : bool
            Without them the rule writes to nobody, and no outgoing rule answers the changes.
        again : bool
            Also to mails on which the rule has acted before.
        reason : str
            Why; it is kept with who and when.

        Returns
        -------
        Application
            ``.plan``, ``.left_out``, ``.confirm()``, and afterwards ``.report``.

        Raises
        ------
        ConfigurationError
            When the rule belongs to no project, or its file says something else.

        Examples
        --------
        >>> apply = k.rules["vpn"].apply(k.messages.frame(since="2026-05-01"))  # doctest: +SKIP
        >>> apply.plan                                              # doctest: +SKIP
        >>> apply.confirm().counts["applied"]                       # doctest: +SKIP
        412
        """
        system = self._project()
        saved = [one for one in system.rulebook.inbound_rules if one.digest == self.digest]
        if not saved:
            raise ConfigurationError(
                f"{self.name} is not what its file says; what is applied has to be kept",
                "Save it first: .save(), .shadow() or .promote(...)",
            )
        given = mails_of(system, frame)
        left = left_out_of(system, self, given, again=again)
        chosen = given[~given["id"].isin(left["message"])]
        tried = self.model_copy(update={"state": RuleState.ACTIVE})
        around = _surroundings(system, chosen, present=True)
        trial = backtest([tried if mails else silent(tried)], chosen, system.sandbox, around)
        made = Application(system, self, trial, left, mails=mails, again=again, reason=reason)
        if yes:
            made.confirm()
        return made

    def applications(self) -> pd.DataFrame:
        """The mails that it was applied to by hand; as ``kolibri_sdk.frames.APPLICATIONS``."""
        with self._project().store.read() as tx:
            rows = applications.select(tx, self.name, self.mailbox)
        return frame_of(rows, APPLICATIONS)

    def check(
        self,
        frame: pd.DataFrame,
        gates: Gates,
        *,
        against: model.InboundRule | Trial | None = None,
        labels: Mapping[str, tuple[Any, Any]] | None = None,
        progress: bool | None = None,
    ) -> GateReport:
        """Try this rule alone, and ask whether it passes the gates; as ``InboundRules.check``."""
        return _check(self.backtest(frame, progress=progress), self, gates, against, labels)


class InboundRules(tuple[InboundRule, ...]):
    """Incoming rules of a mailbox, in their order; a tuple that can be tried on old mail.

    Examples
    --------
    >>> trial = k.rules.inbound("support").backtest(frame)          # doctest: +SKIP
    >>> trial.plan()                                                # doctest: +SKIP
    """

    _system: System | None
    _around: Surroundings | None

    def __new__(
        cls, rules: Iterable[InboundRule] = (), system: System | None = None
    ) -> InboundRules:
        """Make it; ``system`` is the opened project, for its records and users."""
        made = super().__new__(cls, rules)
        made._system, made._around = system, None
        return made

    @classmethod
    def of_files(cls, book: Rulebook, mailbox: str) -> InboundRules:
        """Those of a mailbox as files say it, for a trial without a database."""
        around = _described(book)
        rules = []
        for rule in book.inbound(mailbox):
            given = {name: getattr(rule, name) for name in rule.model_fields_set}
            rules.append(InboundRule(**given))
            rules[-1]._around = around
        made = cls(rules)
        made._around = around
        return made

    def backtest(self, frame: pd.DataFrame, *, progress: bool | None = None) -> Trial:
        """Try them all on the mails of a frame, as the poller would; nothing is done.

        Drafts are left out, and rules in the shadow decide but neither act nor stop others;
        parameters, result and errors as for ``InboundRule.backtest``.
        """
        return _try(self, frame, self._system, progress, self._around)

    def check(
        self,
        frame: pd.DataFrame,
        gates: Gates,
        *,
        against: Sequence[model.InboundRule] | Trial | None = None,
        labels: Mapping[str, tuple[Any, Any]] | None = None,
        progress: bool | None = None,
    ) -> GateReport:
        """Try them all, and ask whether they pass the gates.

        Parameters
        ----------
        gates : Gates
            What is wanted; ``load_gates("gates.yaml")`` reads them from a file.
        against : rules or Trial, optional
            The version to compare with, such as ``k.rules.at("main").inbound("support")``.
        labels : mapping, optional
            By rule, its labels as ``trial.score`` takes them and the ones that it should match, as
            in ``{"vpn": ("group", "network")}``; beside those that the gates name.

        Returns
        -------
        GateReport
            ``.ok``, and ``.frame`` with each gate: what was wanted, what was found.

        Examples
        --------
        >>> gates = Gates(new_errors=0, max_actions_per_hour=200)
        >>> k.rules.inbound("support").check(mail, gates).ok        # doctest: +SKIP
        True
        """
        return _check(self.backtest(frame, progress=progress), self, gates, against, labels)

    def including(self, rule: InboundRule) -> InboundRules:
        """These rules with another one, active; it takes the place of the one of its name."""
        active = rule.model_copy(update={"state": RuleState.ACTIVE})
        there = [one for one in self if one.name != rule.name]
        ordered = sorted([*there, active], key=lambda one: one.order)
        made = InboundRules(ordered, self._system)
        made._around = self._around
        return made

    def named(self, name: str) -> InboundRule:
        """The rule of this name, or NotFound with near names."""
        for rule in self:
            if rule.name == name:
                return rule
        raise NotFound.named("rule", name, [rule.name for rule in self])


def _try(
    rules: Sequence[InboundRule],
    frame: pd.DataFrame,
    system: System | None,
    progress: bool | None,
    files: Surroundings | None = None,
) -> Trial:
    sandbox = system.sandbox if system is not None else _sandbox()
    around = _surroundings(system, frame) if system is not None else files
    wanted = progress if len(frame) >= _LONG else progress or False
    title = f"Backtest of {len(rules)} rules" if len(rules) != 1 else f"Backtest of {rules[0].name}"
    with progress_bar(title, unit="mails", wanted=wanted) as bar:
        return backtest(
            rules,
            frame,
            sandbox,
            around,
            progress=lambda done, total: bar.show(done, total, ""),
        )


def _check(
    trial: Trial,
    rules: InboundRule | InboundRules,
    gates: Gates,
    against: model.InboundRule | Sequence[model.InboundRule] | Trial | None,
    labels: Mapping[str, tuple[Any, Any]] | None,
) -> GateReport:
    before = trial.before(against) if against is not None else None
    return check_gates(trial, gates, before, labels_of(gates, trial.mails, rules._system, labels))


@cache
def _sandbox() -> Sandbox:
    """For rules of no project; its process ends with this one."""
    return Sandbox()


def _surroundings(system: System, frame: pd.DataFrame, *, present: bool = False) -> Surroundings:
    """What a trial knows of a project, read by a connection that cannot write.

    With ``present``, mails stand for their records as these are now, not as they were.
    """
    wanted = ((n, key, None if present else at) for n, key, at in _belonging(frame))
    book = system.rulebook
    with system.store.read_only() as tx:
        return replace(
            _described(book),
            records=past.records_at(tx, system.tables, wanted),
            tied=present,
            users=users.everybody(tx),
            actions=frozenset(actions.registered()),
        )


def _described(book: Rulebook) -> Surroundings:
    """What the files in ``rules/`` say."""
    return Surroundings(
        entities=book.entities,
        own_addresses=book.own_addresses(),
        templates=frozenset(book.templates),
        mailboxes=frozenset(book.mailboxes),
        root=book.root,
    )


def _belonging(frame: pd.DataFrame) -> Iterator[tuple[int, RecordKey, datetime | None]]:
    """The mails of a frame that belong to a record, and when they came."""
    names = ("id", "entity", "record_key", "received_at")
    if any(name not in frame.columns for name in names):
        return
    tied = frame.loc[frame["record_key"].notna(), list(names)]
    for number, entity, key, arrived in zip(*(tied[name] for name in names), strict=True):
        moment = arrived.to_pydatetime() if pd.notna(arrived) else None
        yield int(number), RecordKey(entity=entity, key=key), moment
