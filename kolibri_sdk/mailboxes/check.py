"""The check of a mailbox: log in to both sides, read nothing, say what was found."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from kolibri_sdk import clock
from kolibri_sdk.errors import KolibriError
from kolibri_sdk.mailboxes.oauth2 import AccessTokens
from kolibri_sdk.mailboxes.opening import open_source, open_transport
from kolibri_sdk.mailboxes.survey import Survey
from kolibri_sdk.model.mailbox import Inbound, Mailbox, MaildirFolder, MaildirOutbound, Outbound
from kolibri_sdk.model.oauth2 import GrantState

__all__ = ["MailboxCheck", "SideCheck", "check_mailbox"]


@dataclass(frozen=True, slots=True)
class SideCheck:
    """One side of a mailbox as it was found; ``error`` is empty where all is well."""

    side: str  #: "inbound" | "outbound"
    server: str  #: such as "imap://support@mail.example.org:993"
    seconds: float  #: until it had answered everything
    survey: Survey = field(default_factory=Survey)
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether we got in."""
        return not self.error

    def __str__(self) -> str:
        if self.error:
            return f"  {self.side}  {self.server}  FAILED\n    {self.error}"
        line = [f"{self.seconds * 1000:.0f} ms"]
        if "://" in self.server:
            line.append(str(self.survey.tls or "the line is not protected"))
        if self.survey.capabilities:
            line.append(f"{len(self.survey.capabilities)} capabilities")
        head = f"  {self.side}  {self.server}  ok ({', '.join(line)})"
        return "\n".join([head, *(f"    {count}" for count in self.survey.folders)])


@dataclass(frozen=True, slots=True)
class MailboxCheck:
    """What :func:`check_mailbox` found; printed, it is a short report."""

    mailbox: str
    address: str
    sides: tuple[SideCheck, ...]
    grant: GrantState | None = None  #: of the mailbox's OAuth2, where it has one

    @property
    def ok(self) -> bool:
        """Whether every side that the mailbox has works, and will go on to."""
        return all(side.ok for side in self.sides) and not self.alarm

    @property
    def alarm(self) -> str:
        """What a person should know of the OAuth2 grant; empty where all is well."""
        return self.grant.alarm(clock.now()) if self.grant else ""

    def as_json(self) -> dict[str, Any]:
        """What was found, as plain JSON types."""
        return {
            "mailbox": self.mailbox,
            "ok": self.ok,
            "sides": [_plain(side) | {"ok": side.ok} for side in self.sides],
            "oauth2": {**_plain(self.grant), "alarm": self.alarm} if self.grant else None,
        }

    def __str__(self) -> str:
        lines = [f"{self.mailbox} <{self.address}>", *map(str, self.sides)]
        if self.grant is not None:
            lines.append(f"  oauth2  {self.alarm or self.grant}")
        return "\n".join(lines)


def _plain(value: SideCheck | GrantState) -> dict[str, Any]:
    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: one.isoformat() if isinstance(one, datetime) else one for name, one in pairs}

    return asdict(value, dict_factory=made)


class _Surveyed(Protocol):
    def survey(self) -> Survey: ...


def check_mailbox(mailbox: Mailbox, *, root: Path = Path()) -> MailboxCheck:
    """Log in to both sides of a mailbox, read no mail, and say what was found.

    Parameters
    ----------
    mailbox : Mailbox
        As its file describes it.
    root : Path
        The project folder.

    Returns
    -------
    MailboxCheck
        What does not work is in it, with its next step; nothing is raised.
    """
    sides = []
    tokens = AccessTokens(mailbox, root) if mailbox.oauth2 is not None else None
    if mailbox.inbound is not None:
        opened = lambda: open_source(mailbox, root=root, tokens=tokens)  # noqa: E731
        sides.append(_checked("inbound", mailbox.inbound, opened))
    if mailbox.outbound is not None:
        handed = lambda: open_transport(mailbox, root=root, tokens=tokens)  # noqa: E731
        sides.append(_checked("outbound", mailbox.outbound, handed))
    grant = tokens.check() if tokens is not None else None
    return MailboxCheck(mailbox.name, mailbox.address, tuple(sides), grant)


def _checked(
    side: str,
    server: Inbound | Outbound,
    opened: Callable[[], AbstractContextManager[_Surveyed]],
) -> SideCheck:
    elapsed = clock.stopwatch()
    try:
        with opened() as connection:
            return SideCheck(side, _named(server), elapsed(), connection.survey())
    except KolibriError as error:
        return SideCheck(side, _named(server), elapsed(), error=str(error))


def _named(server: Inbound | Outbound) -> str:
    if isinstance(server, MaildirFolder | MaildirOutbound):
        return server.path
    user = f"{server.user}@" if server.user else ""
    port = f":{server.port}" if server.port else ""
    return f"{server.protocol}://{user}{server.host}{port}"
