"""The base of values that are also files in ``rules/``: frozen, strict about unknown keys."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["Document"]


class Document(BaseModel):
    """A frozen value that validates; an unknown key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)

    def as_json(self) -> dict[str, Any]:
        """The value as plain JSON types, without what was not given."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
