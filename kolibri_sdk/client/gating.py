"""Gates asked of rules on mails: labels are looked up, the version to compare with is tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from kolibri_sdk.client.messages import Messages
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.model.gates import Gates, LabelSource
from kolibri_sdk.pipeline import System

__all__ = ["labels_of"]


def labels_of(
    gates: Gates,
    frame: pd.DataFrame,
    system: System | None,
    given: Mapping[str, tuple[Any, Any]] | None,
) -> dict[str, tuple[Any, Any]]:
    """By rule, the labels of the mails and those that the rule should match.

    Raises
    ------
    ConfigurationError
        When a file of labels cannot be read, or a field is none of the frame's and there is no
        database to ask.
    """
    found = {
        rule: (_looked_up(source, frame, system), list(source.positive))
        for rule, source in gates.labels.items()
    }
    return {**found, **(given or {})}


def _looked_up(source: LabelSource, frame: pd.DataFrame, system: System | None) -> Any:
    if source.file is not None:
        return frame["message_id"].map(_read(source.file))
    assert source.field is not None
    if source.field in frame.columns:
        return source.field
    if system is None:
        raise ConfigurationError(
            f"The mails have no column {source.field!r}, and there is no database to ask",
            "Give the labels in a file: labels: {RULE: {file: labels.csv, positive: ...}}",
        )
    return Messages(system).labels(frame, source.field)


def _read(file: str) -> dict[str, str]:
    try:
        table = pd.read_csv(file, dtype="string")
    except (OSError, ValueError, UnicodeError) as error:
        raise ConfigurationError(
            f"The labels {file} cannot be read: {error}",
            "Write a CSV file with the columns message_id and label",
        ) from error
    missing = {"message_id", "label"} - {*table.columns}
    if missing:
        raise ConfigurationError(
            f"The labels {file} have no column {', '.join(sorted(missing))}",
            "Write a CSV file with the columns message_id and label",
        )
    known = table.dropna(subset=["message_id", "label"])
    names = known["message_id"].str.strip().str.strip("<>")
    return dict(zip(names, known["label"].astype("object"), strict=True))
