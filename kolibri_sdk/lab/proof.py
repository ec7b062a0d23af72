"""What of a trial is kept as the proof of a rule's release."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.lab.mails import arrivals
from kolibri_sdk.lab.outcomes import FAILED, VERDICTS
from kolibri_sdk.lab.trial import Trial
from kolibri_sdk.model.decision import Verdict
from kolibri_sdk.model.release import Proof

__all__ = ["proof_of"]


def proof_of(trial: Trial, digest: str, rule: str) -> Proof:
    """The proof that this version was tried, and what came of it.

    Raises
    ------
    ConfigurationError
        When the trial is of other versions, or of no mail.
    """
    places = [place for place, one in enumerate(trial.rules) if one.digest == digest]
    if not places:
        same = [one.digest[:12] for one in trial.rules if one.name == rule]
        tried = f"of its version {same[0]}" if same else "of other rules"
        raise ConfigurationError(
            f"The backtest is {tried}, and not of the version {digest[:12]} of {rule}",
            "Try this very version: trial = rule.backtest(frame)",
        )
    if not len(trial.mails):
        raise ConfigurationError(
            f"The backtest of {rule} is of no mail: it proves nothing",
            "Try it on mails: rule.backtest(k.messages.frame(mailbox=...))",
        )
    place = places[0]
    verdicts, times = trial.outcomes.verdicts[place], arrivals(trial.mails)
    skipped = int(np.equal(verdicts, VERDICTS.index(Verdict.SKIPPED)).sum())
    first, last = times.min(), times.max()
    score = trial.judged.get(rule)
    return Proof(
        rule=rule,
        mailbox=trial.rules[place].mailbox,
        digest=digest,
        mails=len(trial.mails),
        first_at=None if pd.isna(first) else first.to_pydatetime(),
        last_at=None if pd.isna(last) else last.to_pydatetime(),
        fingerprint=_fingerprint(trial.mails),
        tried=len(trial.mails) - skipped,
        matches=int(np.equal(verdicts, VERDICTS.index(Verdict.MATCH)).sum()),
        errors=int(np.isin(verdicts, FAILED).sum()),
        score=score.counts() if score is not None else None,
    )


def _fingerprint(mails: pd.DataFrame) -> str:
    """The same for the same mails, wherever they were read and whatever their ids are."""
    told = mails[["message_id", "received_at", "size", "subject"]].astype("string").fillna("")
    lines = sorted("\x1f".join(row) for row in told.itertuples(index=False, name=None))
    return hashlib.sha256("\x1e".join(lines).encode("utf-8", "surrogatepass")).hexdigest()
