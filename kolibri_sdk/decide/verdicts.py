"""From what the sandbox says to a decision: one place that turns outcomes into verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kolibri_sdk.model.decision import Decision, Verdict
from kolibri_sdk.model.rule import InboundRule, OutboundRule, RuleState
from kolibri_sdk.sandbox import Outcome

__all__ = ["judged", "skipped", "with_values"]

_FAILED = {"error": Verdict.ERROR, "timeout": Verdict.TIMEOUT, "crash": Verdict.CRASH}


def judged(rule: InboundRule | OutboundRule, outcome: Outcome) -> Decision:
    """The decision that the outcome of a condition makes."""
    if outcome.status == "ok":
        verdict = Verdict.MATCH if outcome.value else Verdict.NO
    else:
        verdict = _FAILED[outcome.status]
    return Decision(
        rule=rule.name,
        digest=rule.digest,
        verdict=verdict,
        reason=outcome.error,
        line=outcome.line,
        column=outcome.column,
        micros=outcome.micros,
        shadow=rule.state is RuleState.SHADOW,
    )


def skipped(rule: InboundRule, stopped_by: str) -> Decision:
    """The decision of a rule that was not looked at."""
    return Decision(
        rule=rule.name,
        digest=rule.digest,
        verdict=Verdict.SKIPPED,
        reason=f"stopped by {stopped_by}",
        shadow=rule.state is RuleState.SHADOW,
    )


def with_values(decision: Decision, outcomes: Mapping[str, Outcome]) -> Decision:
    """The decision with the values of its actions; an error in one of them undoes the match."""
    values: dict[str, Any] = dict(decision.values)
    for path, outcome in outcomes.items():
        if outcome.status != "ok":
            return replace(
                decision,
                verdict=_FAILED[outcome.status],
                reason=f"{path}: {outcome.error}",
                line=outcome.line,
                column=outcome.column,
                script=path,
                values={},
            )
        values[path] = outcome.value
    return replace(decision, values=values)
