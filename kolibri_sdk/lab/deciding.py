"""The poller's evaluator over the mails of a frame, chunk by chunk, into columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from kolibri_sdk.decide import decide_messages
from kolibri_sdk.frames import messages_of
from kolibri_sdk.lab.mails import subject_of
from kolibri_sdk.lab.outcomes import Outcomes
from kolibri_sdk.lab.surroundings import Surroundings
from kolibri_sdk.model.rule import InboundRule
from kolibri_sdk.sandbox import Sandbox

__all__ = ["decided_outcomes"]

_CHUNK = 1000


def decided_outcomes(
    rules: Sequence[InboundRule],
    mails: pd.DataFrame,
    sandbox: Sandbox,
    surroundings: Surroundings,
    progress: Callable[[int, int], None] | None = None,
) -> Outcomes:
    """What these rules, in this order, say of these mails."""
    outcomes = Outcomes(rules, len(mails))
    for start in range(0, len(mails) if rules else 0, _CHUNK):
        some = messages_of(mails.iloc[start : start + _CHUNK])
        subjects = [subject_of(mail, surroundings) for mail in some]
        outcomes.take(start, decide_messages(rules, subjects, sandbox, surroundings.entities))
        if progress is not None:
            progress(start + len(some), len(mails))
    return outcomes
