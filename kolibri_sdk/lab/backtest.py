"""A backtest: rules on old mails, by the poller's own evaluator, and nothing is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from kolibri_sdk.lab.deciding import decided_outcomes, in_order
from kolibri_sdk.lab.mails import mails_to_try
from kolibri_sdk.lab.surroundings import Surroundings
from kolibri_sdk.lab.trial import Trial
from kolibri_sdk.model.rule import InboundRule
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
    asked = in_order(rules)
    mailbox = rules[0].mailbox if rules else ""
    tried, left_out = mails_to_try(frame, mailbox)
    outcomes = decided_outcomes(asked, tried, sandbox, around, progress)
    return Trial(asked, tried, left_out, outcomes, sandbox, around)
