"""The poller's evaluator over the mails of a frame, chunk by chunk, into columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from kolibri_sdk.decide import decide_messages
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.frames import messages_of
from kolibri_sdk.lab.mails import subject_of
from kolibri_sdk.lab.outcomes import Outcomes
from kolibri_sdk.lab.surroundings import Surroundings
from kolibri_sdk.model.rule import InboundRule, RuleState
from kolibri_sdk.sandbox import Sandbox

__all__ = ["decided_outcomes", "in_order"]

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


def in_order(rules: Sequence[InboundRule]) -> list[InboundRule]:
    """The rules that are asked, drafts left out, in their order.

    Raises
    ------
    ConfigurationError
        When they are of two mailboxes, or two have one name.
    """
    asked = [rule for rule in rules if rule.state is not RuleState.DRAFT]
    ordered = sorted(asked, key=lambda rule: rule.order)  # what has no place keeps that of the list
    mailboxes = sorted({rule.mailbox for rule in ordered})
    if len(mailboxes) > 1:
        raise ConfigurationError(
            f"The rules are of {len(mailboxes)} mailboxes: {', '.join(mailboxes)}",
            "Try those of one mailbox at a time: k.rules.inbound(NAME)",
        )
    names = [rule.name for rule in ordered]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(
                f"Two rules are called {name!r}", "Give each a name of its own, or leave one out"
            )
    return ordered
