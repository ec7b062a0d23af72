"""A backtest: rules on old mails, by the poller's own evaluator, and nothing is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.lab.deciding import decided_outcomes
from kolibri_sdk.lab.mails import mails_to_try
from kolibri_sdk.lab.surroundings import Surroundings
from kolibri_sdk.lab.trial import Trial
from kolibri_sdk.model.rule import InboundRule, RuleState
from kolibri_sdk.sandbox import Sandbox

__all__ = ["backtest"]


def backtest(
    rules: Sequence[InboundRule],
    frame: pd.DataFrame,
    sandbox: Sandbox,
    surroundings: Surroundings | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Trial:
    """Try rules on the mails of a frame, in their order, as the poller would.

    All of them are asked about every mail; ``stop`` and ``on_error: stop`` end the list; a rule in
    the shadow stops nothing; a draft is left out. Conditions see each mail as it came: the record
    of its reference, never what a person or another rule did with it later.

    Parameters
    ----------
    rules : sequence of InboundRule
        Of one mailbox.
    frame : DataFrame
        Of ``read_mail`` or ``k.messages.frame``.
    sandbox : Sandbox
        Runs the JavaScript; it can reach nothing.
    surroundings : Surroundings, optional
        Records, users and entities, as plain data.
    progress : callable, optional
        Gets how many mails are done, and how many there are.

    Raises
    ------
    ConfigurationError
        When the frame lacks columns that a condition may look at, the rules are of two mailboxes,
        or two of them have one place in the order.
    """
    around = surroundings or Surroundings()
    asked = _in_order([rule for rule in rules if rule.state is not RuleState.DRAFT])
    mailbox = rules[0].mailbox if rules else ""
    tried, left_out = mails_to_try(frame, mailbox)
    outcomes = decided_outcomes(asked, tried, sandbox, around, progress)
    return Trial(asked, tried, left_out, outcomes, sandbox, around)


def _in_order(rules: Sequence[InboundRule]) -> list[InboundRule]:
    ordered = sorted(rules, key=lambda rule: rule.order)  # what has no place keeps that of the list
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
