"""``rule.apply(mails)``: a rule on mail already there; a plan first, then on purpose."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from kolibri_sdk.client.progress import progress_bar
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.frames import (
    TRIAL_LEFT_OUT,
    chosen_columns,
    frame_of,
    mail_frame,
    stored_columns,
)
from kolibri_sdk.lab import Plan, Trial
from kolibri_sdk.lab.tables import page, table
from kolibri_sdk.model.rule import InboundRule, OutboundRule
from kolibri_sdk.pipeline import Applied, System, applicable, apply_rule
from kolibri_sdk.schedule import Stop
from kolibri_sdk.store import messages
from kolibri_sdk.store.dialect import query_in_chunks
from kolibri_sdk.store.schema import message as message_table

__all__ = ["Application", "left_out_of", "mails_of"]


class Application:
    """What applying a rule to these mails would do; ``confirm()`` does it.

    Attributes
    ----------
    trial : Trial
        Of the mails that the rule can be applied to, with their records as they are now.
    left_out : DataFrame
        The others, with the reason: the rule has acted on them, they went out, …
    report : Applied or None
        What came of it; None before it was confirmed.
    """

    def __init__(
        self,
        system: System,
        rule: InboundRule,
        trial: Trial,
        left_out: pd.DataFrame,
        *,
        mails: bool,
        again: bool,
        reason: str,
    ) -> None:
        self._system, self._rule = system, rule
        self._send, self._again, self._reason = mails, again, reason
        self.trial = trial
        self.left_out = left_out
        self.report: Applied | None = None
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        """Everything that would be done: records, changes, notes, mails to whom."""
        if self._plan is None:
            self._plan = self.trial.plan()
        return self._plan

    @property
    def answering(self) -> list[str]:
        """The outgoing rules that may write to people because of the changes."""
        if not self._send:
            return []
        touched = set(self.plan.effects["entity"].dropna())
        kinds = set(self.plan.effects["action"]) & {"create_record", "update_record", "call"}
        rules: Iterable[OutboundRule] = self._system.rulebook.outbound_rules
        return [
            rule.name for rule in rules
            if kinds and rule.entity in touched and rule.state.value == "active"
        ]  # fmt: skip

    def confirm(self, *, progress: bool | None = None, stop: Stop | None = None) -> Applied:
        """Do it, mail by mail; what was done before, by this or an earlier call, is not done again.

        Parameters
        ----------
        progress : bool, optional
            Whether a bar is shown; by default where somebody may be looking.
        stop : Stop, optional
            Ends it after the batch at hand; the same call goes on later.

        Returns
        -------
        Applied
            ``.counts``, ``.errors`` (those mails are tried again by the next call), ``.finished``.
        """
        numbers = [int(number) for number in self.trial.matches()["id"]]
        title = f"Applying {self._rule.name}"
        with progress_bar(title, unit="mails", wanted=progress) as bar:
            self.report = apply_rule(
                self._system,
                self._rule,
                numbers,
                send=self._send,
                again=self._again,
                reason=self._reason,
                progress=lambda done, total: bar.show(done, total, ""),
                stop=stop,
            )
        return self.report

    def __repr__(self) -> str:
        return "\n".join([self.headline, repr(self.plan), *self.warnings])

    @property
    def headline(self) -> str:
        """In one sentence, what would be done, or was."""
        if self.report is not None:
            return str(self.report)
        matches, left = len(self.trial.matches()), len(self.left_out)
        others = f"; {left:,} left out, see .left_out" if left else ""
        return (
            f"{self._rule.name} would be applied to {matches:,} of {len(self.trial.mails):,} mails"
            f"{others}. Nothing is done before .confirm()"
        )

    @property
    def warnings(self) -> list[str]:
        """Who might get mail because of it."""
        told = []
        mails = self.plan.mails
        if len(mails):
            number = int(mails["to"].map(len).sum())
            told.append(f"It would send {number:,} mails; mails=False (--no-mails) leaves them out")
        if self.answering:
            told.append(
                f"Outgoing rules that may answer the changes: {', '.join(self.answering)}; "
                "mails=False (--no-mails) keeps them from it"
            )
        return told

    def _repr_html_(self) -> str:
        words = "".join(f"<p>{text}</p>" for text in [self.headline, *self.warnings])
        left = self.left_out
        return page(words, self.plan._repr_html_(), table("Left out", left) if len(left) else "")


def mails_of(system: System, given: pd.DataFrame | Iterable[int]) -> pd.DataFrame:
    """The mails of a frame, or of these numbers, as the database has them now.

    Raises
    ------
    ConfigurationError
        When it is a frame without ids, or of no database.
    """
    if isinstance(given, pd.DataFrame):
        if "id" not in given.columns:
            raise ConfigurationError("The frame has no column id", "Take one of k.messages.frame()")
        if "source" in given.columns and given["source"].notna().any():
            raise ConfigurationError(
                "These mails are in no database", "Import them first: k.import_mail(...)"
            )
        numbers = [int(number) for number in given["id"]]
    else:
        numbers = [int(number) for number in given]
    needed, rows = stored_columns(chosen_columns(None)), []
    with system.store.read() as tx:
        for chunk in query_in_chunks(dict.fromkeys(numbers)):
            rows += messages.select(tx, message_table.c.id.in_(chunk), columns=needed)
    return mail_frame(sorted(rows, key=lambda row: row["id"]))


def left_out_of(
    system: System, rule: InboundRule, frame: pd.DataFrame, *, again: bool
) -> pd.DataFrame:
    """The mails that the rule cannot be applied to, with the reason."""
    numbers = [int(number) for number in frame["id"]]
    reasons = applicable(system, rule, numbers, again=again)
    rows = [{"message": number, "reason": why} for number, why in sorted(reasons.items())]
    return frame_of(rows, TRIAL_LEFT_OUT)
