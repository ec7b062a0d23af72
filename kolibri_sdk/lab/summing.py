"""A trial summed up: rule by rule, and failure by failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kolibri_sdk.frames import TRIAL_ERRORS, TRIAL_SUMMARY, frame_of
from kolibri_sdk.lab.mails import arrivals
from kolibri_sdk.lab.outcomes import FAILED, VERDICTS, Outcomes
from kolibri_sdk.model.decision import Verdict
from kolibri_sdk.model.rule import InboundRule

__all__ = ["errors_of", "summary_of"]

_EXAMPLES = 3


def summary_of(
    rules: Sequence[InboundRule], mails: pd.DataFrame, outcomes: Outcomes
) -> pd.DataFrame:
    """One row per rule, in their order."""
    times = arrivals(mails)
    rows = [_summed(rule, place, times, outcomes) for place, rule in enumerate(rules)]
    return frame_of(rows, TRIAL_SUMMARY)


def _summed(
    rule: InboundRule, place: int, times: pd.Series[pd.Timestamp], outcomes: Outcomes
) -> dict[str, Any]:
    matches = outcomes.are(Verdict.MATCH)[place]
    skipped = int(outcomes.are(Verdict.SKIPPED)[place].sum())
    tried = len(times) - skipped
    micros = outcomes.micros[place]
    median, p99 = np.nanpercentile(micros, [50, 99]) if tried else (np.nan, np.nan)
    return {
        "rule": rule.name,
        "order": rule.order,
        "state": rule.state.value,
        "tried": tried,
        "matches": int(matches.sum()),
        "rate": float(matches.sum() / tried) if tried else np.nan,
        "errors": int(outcomes.failed[place].sum()),
        "skipped": skipped,
        "median_us": float(median),
        "p99_us": float(p99),
        "first_match": times[matches].min(),
        "last_match": times[matches].max(),
    }


def errors_of(
    rules: Sequence[InboundRule], mails: pd.DataFrame, outcomes: Outcomes
) -> pd.DataFrame:
    """One row per rule and kind of failure, the most frequent first."""
    numbers, times = mails["id"].to_numpy(), arrivals(mails)
    rows = []
    for place, rule in enumerate(rules):
        codes, reasons = outcomes.verdicts[place], outcomes.reasons[place]
        failed = np.isin(codes, FAILED)
        for code, why in sorted(set(zip(codes[failed], reasons[failed], strict=True))):
            here = np.flatnonzero((codes == code) & (reasons == why))
            reason, line, column = outcomes.faults[why]
            rows.append(
                {
                    "rule": rule.name,
                    "verdict": VERDICTS[code].value,
                    "reason": reason,
                    "line": line,
                    "column": column,
                    "count": len(here),
                    "examples": [int(number) for number in numbers[here[:_EXAMPLES]]],
                    "first": times.iloc[here].min(),
                    "last": times.iloc[here].max(),
                }
            )
    rows.sort(key=lambda row: -row["count"])
    return frame_of(rows, TRIAL_ERRORS)
