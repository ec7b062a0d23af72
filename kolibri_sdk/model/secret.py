"""Where a secret is kept: never in a file of ``rules/``."""

from __future__ import annotations

from pydantic import Field, model_validator

from kolibri_sdk.model.document import Document

__all__ = ["Password"]


class Password(Document):
    """Where the password is kept; never the password itself."""

    env: str | None = Field(None, description="name of the environment variable")
    keyring: str | None = Field(None, description="service name in the system's keyring")

    @model_validator(mode="after")
    def _one_place(self) -> Password:
        if (self.env is None) == (self.keyring is None):
            raise ValueError("name exactly one place: {env: NAME} or {keyring: SERVICE}")
        return self
