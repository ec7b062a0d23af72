"""Releases of an incoming rule: saved, in the shadow, promoted by a backtest, rolled back."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Self

import pandas as pd
from pydantic import PrivateAttr

import kolibri_sdk.model.rule as model
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.frames import BACKTESTS, DRIFT, RELEASES, frame_of
from kolibri_sdk.lab import GateReport, Surroundings, Trial, proof_of
from kolibri_sdk.model.release import Proof
from kolibri_sdk.pipeline import Origin, System, drift_of, releases
from kolibri_sdk.store import releases as kept

__all__ = ["Audit", "ReleasableRule"]


class ReleasableRule(model.InboundRule):
    """An incoming rule that goes its way from draft over shadow to active, and back."""

    _system: System | None = PrivateAttr(None)
    _origin: Origin | None = PrivateAttr(None)
    _around: Surroundings | None = PrivateAttr(None)

    def save(self, reason: str = "") -> Self:
        """Write the rule into ``rules/inbound/MAILBOX/NAME.yaml``: a new one becomes a draft.

        Of a file that is there, what changed is written; comments and order stay.

        Raises
        ------
        ConfigurationError
            When the file has changed meanwhile (with the difference), when the rule is active and
            would do something else, or has a mistake.

        Examples
        --------
        >>> k.rules.adopt(InboundRule("vpn", mailbox="support", when="...")).save()
        ... # doctest: +SKIP
        """
        releases.save(self._project(), self, self._origin, reason)
        return self._again()

    def shadow(self, reason: str = "") -> Self:
        """Let it decide on live mail and act on nothing: ``k.decisions.frame(rule="vpn")``."""
        releases.shadow(self._project(), self, self._origin, reason)
        return self._again()

    def promote(self, *, reason: str, backtest: Trial | int | None = None) -> Self:
        """Put exactly this version to work.

        Parameters
        ----------
        reason : str
            Why; the audit keeps it with who, when, and by which proof.
        backtest : Trial or int, optional
            A trial of this very version, or the number of one that was kept
            (``kolibri backtest --keep``); without it, the newest kept one.

        Raises
        ------
        ConfigurationError
            Without a backtest of exactly this version, a reason, or golden examples of both kinds.

        Examples
        --------
        >>> trial = rule.backtest(k.messages.frame(mailbox="support"))  # doctest: +SKIP
        >>> rule.promote(reason="VPN goes to the network group", backtest=trial)  # doctest: +SKIP
        """
        system = self._project()
        proof: Proof | None = None
        if isinstance(backtest, Trial):
            proof = proof_of(backtest, self.digest, self.name)
        elif backtest is not None:
            with system.store.read() as tx:
                proof = kept.proof(tx, backtest)
        releases.promote(system, self, self._origin, proof, reason)
        return self._again()

    def rollback(self, to: str | None = None, *, reason: str = "") -> Self:
        """Put an earlier version to work again; its description and examples stay as they are.

        Parameters
        ----------
        to : str, optional
            The beginning of its digest (``k.rules.versions("vpn")``); without it, the version that
            was active before.

        Raises
        ------
        NotFound
            When there is no such version.
        """
        releases.roll_back(self._project(), self, to, reason)
        return self._again()

    def history(self) -> pd.DataFrame:
        """Every step of its releases: who, when, why, by which proof; as ``frames.RELEASES``."""
        return Audit(self._project()).frame(rule=self.name, mailbox=self.mailbox)

    def drift(self, days: float = 7) -> pd.DataFrame:
        """How it fares on live mail, against the backtest that it was promoted by.

        Parameters
        ----------
        days : float
            How far back; never further than its promotion.

        Returns
        -------
        DataFrame
            A row for the rates of matches, errors, and mails on which a person changed within 7
            days what it had written; columns as in ``kolibri_sdk.frames.DRIFT``.

        Raises
        ------
        NotFound
            When this version was not promoted by a backtest.
        """
        return frame_of((asdict(one) for one in drift_of(self._project(), self, days)), DRIFT)

    def _project(self) -> System:
        if self._system is None:
            raise ConfigurationError(
                f"The rule {self.name} belongs to no project",
                "Say: rule = k.rules.adopt(rule)",
            )
        return self._system

    def _again(self) -> Self:
        """The rule as its file says now."""
        system = self._project()
        found = [one for one in system.rulebook.inbound(self.mailbox) if one.name == self.name]
        if not found:
            raise ConfigurationError(
                f"The rule {self.name} was saved, and is left out",
                "Run `kolibri check`, which says why",
            )
        return self.of(found[0], system)

    @classmethod
    def of(cls, rule: model.InboundRule, system: System) -> Self:
        """A rule of the rulebook, with the project that it belongs to."""
        made = cls.model_construct(
            rule.model_fields_set, **{name: getattr(rule, name) for name in type(rule).model_fields}
        )
        made._system = system
        source = system.rulebook.files.get(rule.file)
        if source is not None and rule in system.rulebook.inbound_rules:
            made._origin = Origin(rule, source.text)
        return made


class Audit:
    """Who released which version of which rule, when, why, and by which proof."""

    def __init__(self, system: System) -> None:
        self._system = system

    def frame(self, *, rule: str | None = None, mailbox: str | None = None) -> pd.DataFrame:
        """One row per step, oldest first; columns as in ``kolibri_sdk.frames.RELEASES``."""
        with self._system.store.read() as tx:
            steps = kept.select(tx, rule=rule, mailbox=mailbox)
        names = list(RELEASES)
        return frame_of(({n: getattr(step, n) for n in names} for step in steps), RELEASES)

    def keep(self, trial: Trial, *, gates: GateReport | None = None) -> list[int]:
        """Keep a trial as the proof of each of its rules; the numbers of the backtests.

        Raises
        ------
        ConfigurationError
            When it is of no mail.
        """
        told = gates.as_json() if gates is not None else None
        proofs = [proof_of(trial, rule.digest, rule.name) for rule in trial.rules]
        kept = [
            releases.keep_proof(self._system, replace(proof, gates=told)).id for proof in proofs
        ]
        return [number for number in kept if number is not None]

    def backtests(self, *, rule: str | None = None) -> pd.DataFrame:
        """The backtests that were kept as proofs; columns as in ``frames.BACKTESTS``."""
        with self._system.store.read() as tx:
            proofs = kept.proofs_of(tx, rule=rule)
        names = list(BACKTESTS)
        return frame_of(({n: getattr(proof, n) for n in names} for proof in proofs), BACKTESTS)

    def __repr__(self) -> str:
        return f"<audit: {len(self.frame()):,} steps; .frame() shows them>"
