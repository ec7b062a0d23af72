"""What a backtest must come to before rules are let through: ``gates.yaml``."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from kolibri_sdk.model.document import Document

__all__ = ["Gates", "LabelSource"]


class LabelSource(Document):
    """Where the labels of a rule come from, and which of them it should match."""

    field: str | None = Field(
        default=None,
        description="field of the mails' records that people set, or a column of the frame",
    )
    file: str | None = Field(
        default=None,
        description="a CSV file with the columns message_id and label, beside gates.yaml",
    )
    positive: tuple[str | int | bool, ...] = Field(
        min_length=1, description="the label, or labels, that the rule should match"
    )

    @model_validator(mode="before")
    @classmethod
    def _a_single_label(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("positive"), str | int | bool):
            return {**data, "positive": [data["positive"]]}
        return data

    @model_validator(mode="after")
    def _one_kind(self) -> LabelSource:
        if (self.field is None) == (self.file is None):
            raise ValueError("labels come from exactly one of field, file")
        return self


class Gates(Document):
    """Limits that a backtest has to keep; one that is not given is not asked about.

    Examples
    --------
    >>> Gates(new_errors=0, min_precision=0.95, max_actions_per_hour=200).as_json()
    {'new_errors': 0, 'min_precision': 0.95, 'max_actions_per_hour': 200}
    """

    min_mails: int | None = Field(default=None, ge=1, description="mails it is tried on, at least")
    errors: int | None = Field(default=None, ge=0, description="decisions that fail, at most")
    new_errors: int | None = Field(
        default=None,
        ge=0,
        description="decisions that fail and did not in the version compared with",
    )
    lost: int | None = Field(
        default=None, ge=0, description="mails that only the version compared with matches, at most"
    )
    lost_labelled: int | None = Field(
        default=None, ge=0, description="of these, mails that by their label should be matched"
    )
    min_precision: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="labelled matches that are right, of each labelled rule",
    )
    min_recall: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="mails labelled so that are matched, of each labelled rule",
    )
    min_matches: int | None = Field(
        default=None, ge=0, description="mails each rule matches, at least"
    )
    max_match_rate: float | None = Field(
        default=None, ge=0, le=1, description="share of the mails that each rule matches, at most"
    )
    max_actions_per_hour: int | None = Field(
        default=None, ge=0, description="actions of all rules within any sixty minutes, at most"
    )
    max_mails_per_hour: int | None = Field(
        default=None, ge=0, description="recipients of mails within any sixty minutes, at most"
    )
    max_failing_mails: int | None = Field(
        default=None, ge=0, description="mails whose actions would fail, at most"
    )
    labels: dict[str, LabelSource] = Field(default_factory=dict, description="by rule")
