"""A trial: what rules would have done on old mails, to be looked at from every side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.frames import TRIAL_DECISIONS, messages_of
from kolibri_sdk.lab.compare import Comparison, Version
from kolibri_sdk.lab.deciding import decided_outcomes, in_order
from kolibri_sdk.lab.explain import Explanation, explained
from kolibri_sdk.lab.golden import Golden, Strategy, keep_examples
from kolibri_sdk.lab.judge import Score, label_values
from kolibri_sdk.lab.leaves import Leaves
from kolibri_sdk.lab.mails import arrivals, subject_of
from kolibri_sdk.lab.matrix import Matrix
from kolibri_sdk.lab.outcomes import VERDICTS, Outcomes
from kolibri_sdk.lab.pictures import Timeline
from kolibri_sdk.lab.plan import Plan, plan_of
from kolibri_sdk.lab.summing import errors_of, summary_of
from kolibri_sdk.lab.surroundings import Surroundings
from kolibri_sdk.lab.tables import figures, page, shown_table, table
from kolibri_sdk.model.decision import Verdict
from kolibri_sdk.model.rule import InboundRule, RuleState
from kolibri_sdk.sandbox import Sandbox, Script

__all__ = ["Trial"]

Bits = npt.NDArray[np.bool_]


class Trial:
    """What some rules would have decided and done; nothing of it has happened.

    Attributes
    ----------
    rules : tuple of InboundRule
        Those that were asked, in their order.
    mails : DataFrame
        Those that they were asked about.
    left_out : DataFrame
        The others of the frame, with the reason; columns as in
        ``kolibri_sdk.frames.TRIAL_LEFT_OUT``.

    Examples
    --------
    >>> trial = InboundRule("vpn", mailbox="support", when="/vpn/i.test(message.subject)").backtest(
    ...     frame)                                                  # doctest: +SKIP
    >>> trial.summary, trial.matches(), trial.errors                # doctest: +SKIP
    """

    def __init__(
        self,
        rules: Sequence[InboundRule],
        mails: pd.DataFrame,
        left_out: pd.DataFrame,
        outcomes: Outcomes,
        sandbox: Sandbox,
        surroundings: Surroundings,
    ) -> None:
        self.rules = tuple(rules)
        self.mails = mails
        self.left_out = left_out
        self.outcomes = outcomes
        self.judged: dict[str, Score] = {}  #: by rule, the last score that was taken
        self._sandbox = sandbox
        self._surroundings = surroundings

    @cached_property
    def decisions(self) -> pd.DataFrame:
        """What every rule said of every mail.

        Columns and dtypes as in ``kolibri_sdk.frames.TRIAL_DECISIONS``.
        """
        mails, rules = len(self.mails), len(self.rules)
        outcomes = self.outcomes
        why = outcomes.reasons.T.ravel()
        reasons = list(dict.fromkeys(reason for reason, _, _ in outcomes.faults))
        reason_of = np.array([reasons.index(reason) for reason, _, _ in outcomes.faults])
        lines = pd.array([line for _, line, _ in outcomes.faults], dtype="Int32")
        columns = pd.array([column for _, _, column in outcomes.faults], dtype="Int32")
        acts = outcomes.are(Verdict.MATCH) & ~self._shadows[:, None]
        # A rule's name is there once; two rules of one name are not tried together.
        names = [rule.name for rule in self.rules]
        frame = pd.DataFrame(
            {
                "rule": _category(np.tile(np.arange(rules, dtype=np.int16), mails), names),
                "message": np.repeat(self.mails["id"].to_numpy(np.int64), rules),
                "received_at": arrivals(self.mails).repeat(rules).array,
                "verdict": _category(
                    outcomes.verdicts.T.ravel().astype(np.int8), [v.value for v in VERDICTS]
                ),
                "acts": acts.T.ravel(),
                "reason": _category(reason_of[why], reasons),
                "line": lines.take(why),
                "column": columns.take(why),
                "micros": outcomes.micros.T.ravel(),
            }
        )
        return frame[list(TRIAL_DECISIONS)]

    @property
    def _shadows(self) -> Bits:
        return np.array([rule.state.value == "shadow" for rule in self.rules], dtype=bool)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per rule; columns and dtypes as in ``kolibri_sdk.frames.TRIAL_SUMMARY``."""
        return summary_of(self.rules, self.mails, self.outcomes)

    @cached_property
    def errors(self) -> pd.DataFrame:
        """Mails on which a rule failed, by what happened, the most frequent first.

        Columns and dtypes as in ``kolibri_sdk.frames.TRIAL_ERRORS``.
        """
        return errors_of(self.rules, self.mails, self.outcomes)

    def matches(self, rule: str | None = None) -> pd.DataFrame:
        """The mails that a rule matches; without a name, those that any of them matches."""
        return self.mails[self._matching(rule)]

    def rest(self, rule: str | None = None) -> pd.DataFrame:
        """The mails that it does not match."""
        return self.mails[~self._matching(rule)]

    def _matching(self, rule: str | None) -> Bits:
        matches = self.outcomes.are(Verdict.MATCH)
        found: Bits = matches.any(axis=0) if rule is None else matches[self.place(rule)]  # type: ignore[assignment]
        return found

    def place(self, rule: str | None = None) -> int:
        """The place of a rule in the order; the name may be left out where there is one rule.

        Raises
        ------
        NotFound
            When there is no such rule, or several and none was named.
        """
        names = [one.name for one in self.rules]
        if rule in names:
            return names.index(rule)
        if rule is None and len(names) == 1:
            return 0
        if rule is None:
            raise NotFound(
                f"The trial is of {len(names)} rules", f"Name one of {', '.join(names[:20])}"
            )
        raise NotFound.named("rule", rule, names)

    def timeline(self, every: str | None = None) -> pd.DataFrame:
        """How many mails came, and how many each rule matches, over time.

        Parameters
        ----------
        every : str, optional
            A pandas frequency such as ``"D"`` or ``"W"``; by default what gives a readable number
            of rows.

        Returns
        -------
        DataFrame
            A row per period (UTC), with ``mails`` and a column per rule.
        """
        times = arrivals(self.mails)
        known = times.notna().to_numpy()
        matches = self.outcomes.are(Verdict.MATCH)[:, known]
        counted = pd.DataFrame(
            {"mails": np.ones(int(known.sum()), np.int64)}
            | {rule.name: matches[i].astype(np.int64) for i, rule in enumerate(self.rules)},
            index=pd.DatetimeIndex(times[known], name="period"),
        )
        return counted.resample(every or _period(times)).sum()

    def plot(self, every: str | None = None) -> Timeline:
        """The timeline as a picture: all mails in grey, and how many of them the rules match."""
        return Timeline(self.timeline(every))

    def plan(self) -> Plan:
        """What would be done: records, changes, notes, mails to whom and how many an hour."""
        return plan_of(self.rules, self.mails, self.outcomes, self._surroundings)

    def score(self, label: Any, positive: Any = None, rule: str | None = None) -> Score:
        """Judge a rule by labels.

        Parameters
        ----------
        label : str, Series or mapping
            A column of the frame, a Series with the frame's index (such as
            ``k.messages.labels(frame, "group")``), or a mapping by the mails' ids. A missing label
            is an unknown outcome, and counts apart.
        positive : object or list, optional
            The label, or labels, that the rule should match; True by default.
        rule : str, optional
            May be left out where there is one rule.

        Raises
        ------
        NotFound
            When there is no such column or rule.
        ConfigurationError
            When no mail has such a label.
        """
        place = self.place(rule)
        chosen = positive if isinstance(positive, list | tuple | set | frozenset) else [positive]
        score = self.judged[self.rules[place].name] = Score(
            self.rules[place].name,
            self.mails,
            self.outcomes.are(Verdict.MATCH)[place],
            label_values(self.mails, label),
            None if positive is None else chosen,
            lambda mails: self._leaves(place, mails),
        )
        return score

    def _leaves(self, place: int, mails: pd.DataFrame) -> Leaves | None:
        source = Script("when", self.rules[place].when)
        tree = self._sandbox.inspect([source])["when"].tree
        return Leaves(tree, mails, self._sandbox, self._surroundings) if tree else None

    def compare(self, old: Trial | InboundRule | Sequence[InboundRule]) -> Comparison:
        """What these rules gain, lose and do otherwise than another version, on the same mails.

        Parameters
        ----------
        old : InboundRule, rules, or Trial
            The version to compare with: a rule, those of ``k.rules.inbound(…)``, or a trial of
            the same mails. One rule alone is tried whatever its state.

        Raises
        ------
        ConfigurationError
            When the trials are of different mails, or two single rules have different names.
        """
        before = self.before(old)
        return Comparison(
            self.mails,
            Version(before.rules, before.outcomes),
            Version(self.rules, self.outcomes),
        )

    def before(self, old: Trial | InboundRule | Sequence[InboundRule]) -> Trial:
        """A trial of another version on the same mails; one that is given is looked at.

        Raises
        ------
        ConfigurationError
            When it is of other mails.
        """
        if isinstance(old, Trial):
            if (
                not old.mails["id"]
                .reset_index(drop=True)
                .equals(self.mails["id"].reset_index(drop=True))
            ):
                raise ConfigurationError(
                    "The two trials are of different mails", "Try both on the same frame"
                )
            return old
        given = [old] if isinstance(old, InboundRule) else [*old]
        if len(given) == len(self.rules) == 1:
            given = [given[0].model_copy(update={"state": RuleState.ACTIVE})]
        rules = in_order(given)
        outcomes = decided_outcomes(rules, self.mails, self._sandbox, self._surroundings)
        return Trial(rules, self.mails, self.left_out, outcomes, self._sandbox, self._surroundings)

    def matrix(self) -> Matrix:
        """The rules against each other: overlap, conflict, shadowed by order, marginal effect."""
        free = self.outcomes.are(Verdict.MATCH)
        if self.outcomes.are(Verdict.SKIPPED).any():
            free = self._unstopped()
        return Matrix(self.rules, self.outcomes, free)

    def _unstopped(self) -> Bits:
        """What each rule would match if none ended the list."""
        freed = [
            rule.model_copy(update={"stop": False, "on_error": "continue", "then": ()})
            for rule in self.rules
        ]
        outcomes = decided_outcomes(freed, self.mails, self._sandbox, self._surroundings)
        return outcomes.are(Verdict.MATCH)

    def explain(self, message: int, rule: str | None = None) -> Explanation:
        """Why a rule said what it said of a mail: each leaf of its condition, and what it saw.

        Parameters
        ----------
        message : int
            The mail's id.
        rule : str, optional
            May be left out where there is one rule.

        Raises
        ------
        NotFound
            When the trial has no such mail or rule.
        """
        number, place = self.place(rule), self.position(message)
        asked, outcomes = self.rules[number], self.outcomes
        (mail,) = messages_of(self.mails.iloc[[place]])
        inspection = self._sandbox.inspect([Script("when", asked.when)])["when"]
        variables = subject_of(mail, self._surroundings).variables()
        return Explanation(
            rule=asked.name,
            message=mail.id,
            subject=mail.subject,
            verdict=VERDICTS[outcomes.verdicts[number, place]].value,
            reason=outcomes.faults[outcomes.reasons[number, place]][0],
            tree=explained(inspection.tree, variables, self._sandbox) if inspection.tree else None,
        )

    def to_golden(
        self, n: int = 5, strategy: Strategy = "boundary", rule: str | None = None
    ) -> Golden:
        """Keep mails as golden examples beside a rule: redacted, and tried again before they stay.

        Names, addresses, numbers, signatures and files become believable others. A mail of which
        the rule would then say something else is passed over, and told. Read what was written
        before it leaves the house: no program knows every name.

        Parameters
        ----------
        n : int
            How many: half of them mails that the rule matches, half such that it does not.
        strategy : {"boundary", "newest", "random"}
            ``boundary``: nearest to coming out otherwise, one of each way first.
        rule : str, optional
            May be left out where there is one rule.

        Raises
        ------
        ConfigurationError
            When the rule has no file, or that has changed meanwhile.
        """
        place = self.place(rule)
        verdicts = {
            match: np.flatnonzero(self.outcomes.are(verdict)[place])
            for match, verdict in ((True, Verdict.MATCH), (False, Verdict.NO))
        }
        return keep_examples(
            self.rules[place],
            self.mails,
            verdicts,
            self._sandbox,
            self._surroundings,
            number=n,
            strategy=strategy,
        )

    def position(self, message: int) -> int:
        """The place of a mail in ``mails``, by its id.

        Raises
        ------
        NotFound
            When it was not tried.
        """
        found = np.flatnonzero(self.mails["id"].to_numpy() == message)
        if not len(found):
            raise NotFound(
                f"The mail {message} was not tried", "See .mails and .left_out for those that were"
            )
        return int(found[0])

    def __repr__(self) -> str:
        left = f", {len(self.left_out):,} left out" if len(self.left_out) else ""
        head = f"<trial of {len(self.rules)} rules on {len(self.mails):,} mails{left}>"
        return f"{head}\n{shown_table(self.summary)}" if self.rules else head

    def _repr_html_(self) -> str:
        summary, errors = self.summary, self.errors
        matched, failed = len(self.matches()), int(summary["errors"].sum())
        numbers = [
            (f"{matched:,}", f"of {len(self.mails):,} mails would match"),
            (f"{failed:,}", "decisions failed" if failed else "errors"),
        ]
        if len(self.left_out):
            numbers.append((f"{len(self.left_out):,}", "mails left out: see .left_out"))
        return page(
            figures(numbers),
            table("Rules, in their order", summary),
            table("Errors: no match in production", errors) if len(errors) else "",
        )


def _category(codes: npt.NDArray[Any], categories: Sequence[str]) -> pd.Categorical[str]:
    made: pd.Categorical[str] = pd.Categorical.from_codes(codes, pd.Index(list(categories)))
    return made


def _period(times: pd.Series[pd.Timestamp]) -> str:
    span = times.max() - times.min()
    days = 0 if pd.isna(span) else span.days
    return "h" if days < 3 else "D" if days < 70 else "W" if days < 500 else "MS"
