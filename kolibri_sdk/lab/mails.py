"""The mails of a frame that a set of rules would be asked about, and why the others not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kolibri_sdk.decide import Subject
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.frames import TRIAL_LEFT_OUT, frame_of
from kolibri_sdk.lab.surroundings import Surroundings
from kolibri_sdk.model.message import Direction, MessageState
from kolibri_sdk.model.reference import Grade, ReferenceHit
from kolibri_sdk.model.stored import StoredMessage

__all__ = ["arrivals", "mails_to_try", "subject_of"]

_NOT_READ = (MessageState.FETCHED.value, MessageState.UNPARSED.value)
#: Grades that a mail has on arrival; the others (`created`, `accepted`) come of what happened to
#: it later, and a condition must not see the future.
_ON_ARRIVAL = {grade.value: grade for grade in Grade if grade.attaches}


def mails_to_try(frame: pd.DataFrame, mailbox: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that the poller would show to the rules of a mailbox, and those it would not.

    A mail of no mailbox, as ``read_mail`` gives it, counts as one of this mailbox.

    Raises
    ------
    ConfigurationError
        When it is no frame of mails, or one of two mails with the same id.
    """
    needed = ("id", "direction", "mailbox", "state")
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise ConfigurationError(
            f"The frame has no column {', '.join(missing)}",
            "Take one of read_mail() or k.messages.frame(), read without `columns=`",
        )
    if frame["id"].duplicated().any():
        twice = frame["id"][frame["id"].duplicated()].iloc[0]
        raise ConfigurationError(
            f"The frame has two mails with the id {twice}",
            "After pd.concat([...]) say: frame['id'] = range(len(frame))",
        )
    there = frame["mailbox"].fillna("")
    foreign = (there != "") & (there != mailbox)
    reason = np.select(
        [
            (frame["direction"] != Direction.IN.value).to_numpy(bool),
            foreign.to_numpy(bool),
            frame["state"].isin(_NOT_READ).to_numpy(bool),
        ],
        [
            np.full(len(frame), "went out", dtype=object),
            ("came in by the mailbox " + there).to_numpy(object),
            np.full(len(frame), "could not be read", dtype=object),
        ],
        default="",
    )
    taken = reason == ""
    left_out = [
        {"message": number, "reason": why}
        for number, why in zip(frame["id"][~taken], reason[~taken], strict=True)
    ]
    tried = frame[taken]
    if (tried["mailbox"].fillna("") == "").any():
        named = tried["mailbox"].fillna("").replace("", mailbox)
        tried = tried.assign(mailbox=named.astype("string"))
    return tried, frame_of(left_out, TRIAL_LEFT_OUT)


def arrivals(mails: pd.DataFrame) -> pd.Series[pd.Timestamp]:
    """When each mail came; where no server said so, when it was sent."""
    return mails["received_at"].fillna(mails["sent_at"])


def subject_of(mail: StoredMessage, around: Surroundings) -> Subject:
    """A mail with the record that its reference led to when it came."""
    grade = _ON_ARRIVAL.get(mail.grade or "")
    if mail.record is None or grade is None:
        return Subject(mail)
    return Subject(mail, ReferenceHit(mail.record, grade, "history"), around.records.get(mail.id))
