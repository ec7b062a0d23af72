"""The plan of a trial: every action that would be carried out, and none that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kolibri_sdk.errors import ActionError
from kolibri_sdk.frames import TRIAL_CONFLICTS, TRIAL_EFFECTS, frame_of, messages_of
from kolibri_sdk.lab.outcomes import Outcomes
from kolibri_sdk.lab.rehearsal import Rehearsal
from kolibri_sdk.lab.surroundings import Surroundings
from kolibri_sdk.lab.tables import figures, page, shown_table, table
from kolibri_sdk.model.decision import Verdict
from kolibri_sdk.model.rule import InboundRule, RuleState
from kolibri_sdk.model.stored import StoredMessage

__all__ = ["Plan", "most_in_an_hour", "plan_of"]

_CHUNK = 1000


def plan_of(
    rules: Sequence[InboundRule],
    mails: pd.DataFrame,
    outcomes: Outcomes,
    surroundings: Surroundings,
) -> Plan:
    """What the actions of all matches come to, mail by mail, each as one transaction."""
    live = [place for place, rule in enumerate(rules) if rule.state is not RuleState.SHADOW]
    acting = outcomes.are(Verdict.MATCH)[live].any(axis=0) if live else np.zeros(len(mails), bool)
    places = np.flatnonzero(acting)
    effects: list[dict[str, Any]] = []
    conflicts: list[dict[str, Any]] = []
    for start in range(0, len(places), _CHUNK):
        some = places[start : start + _CHUNK]
        for place, mail in zip(some, messages_of(mails.iloc[some]), strict=True):
            matching = [rule for rule in outcomes.matching(place) if rule in live]
            rehearsal = Rehearsal(mail, surroundings)
            effects += _rehearsed(rehearsal, rules, matching, outcomes, int(place))
            conflicts += rehearsal.conflicts
    return Plan(frame_of(effects, TRIAL_EFFECTS), frame_of(conflicts, TRIAL_CONFLICTS))


def _rehearsed(
    rehearsal: Rehearsal,
    rules: Sequence[InboundRule],
    matching: Sequence[int],
    outcomes: Outcomes,
    place: int,
) -> Iterator[dict[str, Any]]:
    mail = rehearsal.mail
    done: list[dict[str, Any]] = []
    error = ""
    for number in matching:
        rule, values = rules[number], outcomes.values.get((number, place), {})
        for step, action in enumerate(rule.then):
            row = {"rule": rule.name, "step": step, "action": action.kind, **_of_mail(mail)}
            try:
                done.append({**row, **rehearsal.perform(rule, step, action, values)})
            except ActionError as failure:
                error = f"rule {rule.name}, then[{step}] ({action.kind}): {failure}"
                done.append(row)
            if error:
                # In production the whole transaction of this mail is rolled back.
                rehearsal.conflicts.clear()
                yield from ({**one, "error": error} for one in done)
                return
    yield from ({**one, "error": ""} for one in done)


def _of_mail(mail: StoredMessage) -> dict[str, Any]:
    return {"message": mail.id, "received_at": mail.received_at or mail.sent_at}


class Plan:
    """What would be done, in order; nothing of it has happened.

    Attributes
    ----------
    effects : DataFrame
        One row per action; columns and dtypes as in ``kolibri_sdk.frames.TRIAL_EFFECTS``. Those
        with an ``error`` would be rolled back, with everything else that their mail causes.
    conflicts : DataFrame
        Fields that two rules set differently on one mail; the later rule wins. Columns and dtypes
        as in ``kolibri_sdk.frames.TRIAL_CONFLICTS``.
    """

    def __init__(self, effects: pd.DataFrame, conflicts: pd.DataFrame) -> None:
        self.effects = effects
        self.conflicts = conflicts

    def _of(self, action: str) -> pd.DataFrame:
        here = (self.effects["action"] == action) & (self.effects["error"] == "")
        return self.effects[here]

    @property
    def records(self) -> pd.DataFrame:
        """The records that would be made: mail, rule, entity, and a column per field."""
        return _spread(self._of("create_record"), ["message", "received_at", "rule", "entity"])

    @property
    def changes(self) -> pd.DataFrame:
        """The changes of records: a row per field, with what it held before where that is known."""
        names = ["message", "received_at", "rule", "record", "field", "before", "after"]
        rows = [
            (row["message"], row["received_at"], row["rule"], row["about"], name, was, value)
            for row in self._of("update_record").to_dict("records")
            for name, value in row["values"].items()
            for was in [(row["before"] or {}).get(name)]
        ]
        return pd.DataFrame(rows, columns=names)

    @property
    def notes(self) -> pd.DataFrame:
        """The notes that would be written into streams of records."""
        return self._of("add_note")[["message", "received_at", "rule", "about", "text"]]

    @property
    def mails(self) -> pd.DataFrame:
        """The mails that would be queued, with their recipients."""
        columns = ["message", "received_at", "rule", "template", "mailbox", "to", "dropped"]
        return self._of("send_mail")[[*columns, "about"]]

    @property
    def calls(self) -> pd.DataFrame:
        """The Python actions that would be called, with a column per argument."""
        return _spread(self._of("call"), ["message", "received_at", "rule", "text"])

    @property
    def failures(self) -> pd.DataFrame:
        """The mails whose actions would fail, with the reason; nothing of theirs would happen."""
        failed = self.effects[self.effects["error"] != ""]
        return failed.drop_duplicates("message")[["message", "received_at", "rule", "error"]]

    @property
    def summary(self) -> pd.DataFrame:
        """A row per kind of effect and rule: how many, and at most how many in an hour."""
        sound = self.effects[self.effects["error"] == ""]
        rows = []
        for (rule, what), some in sound.groupby(["rule", _what(sound)], sort=False, observed=True):
            times = some["received_at"]
            if some["action"].iloc[0] == "send_mail":
                times = times.repeat([len(to) for to in some["to"]])
            rows.append(
                {
                    "effect": what,
                    "rule": rule,
                    "count": len(times),
                    "most_in_an_hour": most_in_an_hour(times),
                }
            )
        return pd.DataFrame(rows, columns=["effect", "rule", "count", "most_in_an_hour"])

    def __repr__(self) -> str:
        if not len(self.effects):
            return "<plan: nothing would be done>"
        more = [
            f"{len(frame)} {words}"
            for frame, words in (
                (self.conflicts, "conflicts: see .conflicts"),
                (self.failures, "mails whose actions would fail: see .failures"),
            )
            if len(frame)
        ]
        return "\n".join([shown_table(self.summary), *more, *self._not_told()])

    def _not_told(self) -> list[str]:
        """What production may add or hold back, which no plan on old mail knows."""
        mails = len(self.mails) > 0
        caps = "Caps on answers, and what holds back answers to our own mail, are not in the plan."
        return [caps] if mails else []

    def _repr_html_(self) -> str:
        if not len(self.effects):
            return "<p>Nothing would be done.</p>"
        mails = int(self.mails["to"].map(len).sum())
        return page(
            figures(
                [
                    (f"{len(self.records):,}", "records would be made"),
                    (f"{len(self.changes):,}", "fields changed"),
                    (f"{mails:,}", "mails sent"),
                    (f"{len(self.failures):,}", "mails would fail"),
                ]
            ),
            table("What would be done", self.summary),
            table("Conflicts: the later rule wins", self.conflicts) if len(self.conflicts) else "",
            table("Would fail", self.failures) if len(self.failures) else "",
        )


def _what(effects: pd.DataFrame) -> pd.Series[str]:
    """``+ incident``, ``~ incident``, ``> incident-received``: what is done to what."""
    signs = {"create_record": "+", "update_record": "~", "send_mail": ">", "add_note": "#"}
    of_what = effects["template"].where(effects["action"] == "send_mail", effects["entity"])
    of_what = of_what.where(effects["action"] != "call", effects["text"])
    kinds = effects["action"].map(signs).fillna("call")
    words = effects["action"].map({"add_note": " note", "send_mail": " (mail)"}).fillna("")
    return (kinds + " " + of_what.fillna("record") + words).rename("effect")


def _spread(some: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The mapping in ``values`` as columns of its own."""
    fields = pd.DataFrame([dict(values) for values in some["values"]], index=some.index)
    return pd.concat([some[list(columns)], fields], axis=1)


def most_in_an_hour(times: pd.Series[pd.Timestamp]) -> int:
    """The largest number of these moments that lie within any sixty minutes.

    Examples
    --------
    >>> most_in_an_hour(pd.Series(pd.to_datetime(["2026-05-01 08:00", "2026-05-01 08:50"])))
    2
    """
    known = np.sort(times.dropna().to_numpy("datetime64[us]"))
    if not len(known):
        return 0
    ends = np.searchsorted(known, known + np.timedelta64(1, "h"), side="left")
    return int((ends - np.arange(len(known))).max())
