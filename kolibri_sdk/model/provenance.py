"""What wrote a record: a rule of ours on a mail, a person with the SDK, or somebody else."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Provenance"]

#: Of digests, as activity streams show them; ``k.rules.version(rule, digest)`` finds the text.
_DIGEST = 12
_MESSAGE = re.compile(r"message:(\d{1,18})(?: rule:(\S+))?(?: digest:(\S+))?")
_USER = "user:"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who or what caused a change; nothing is known of a foreign program's.

    Examples
    --------
    >>> str(Provenance(message=4711, rule="create-incident", digest="3fa9c1d2e5b7"))
    'message:4711 rule:create-incident digest:3fa9c1d2e5b7'
    >>> Provenance.read("user:Anna Weiss").user
    'Anna Weiss'
    """

    message: int | None = None  #: number of the KolibriMessage that the rule acted on
    rule: str | None = None
    digest: str | None = None  #: the beginning of the digest of the rule's text
    user: str | None = None  #: who did it by hand

    @classmethod
    def by_rule(cls, message: int, rule: str, digest: str) -> Provenance:
        """What an incoming rule does with a mail."""
        return cls(message=message, rule=rule, digest=digest[:_DIGEST])

    @classmethod
    def read(cls, cause: str | None) -> Provenance:
        """What the text of an event's cause says; what we have not written says nothing."""
        text = cause or ""
        if text.startswith(_USER):
            return cls(user=text.removeprefix(_USER))
        found = _MESSAGE.fullmatch(text)
        if found is None:
            return cls()
        return cls(message=int(found[1]), rule=found[2], digest=found[3])

    def __str__(self) -> str:
        if self.user is not None:
            return _USER + self.user
        words = {"message": self.message, "rule": self.rule, "digest": self.digest}
        return " ".join(f"{name}:{value}" for name, value in words.items() if value is not None)
