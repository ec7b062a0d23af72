"""Every error of Kolibri, in one tree; each says what happened, to what, and what to do next.

- ``KolibriError``
    - ``ConfigurationError``          a file, setting or parameter is wrong; carries ``problems``
    - ``OperationalError``            the world does not play along; loops report it and go on
        - ``MailboxError``            names the mailbox
            - ``ConnectionFailed``    the server cannot be reached, or the line was lost
            - ``LoginRefused``        the server does not accept the credentials
                - ``GrantRefused``    OAuth2: somebody has to log in again, or mend the secret
            - ``ServerRefused``       the server answered a command with an error
                - ``ServerBusy``      and said that it may be asked again later
            - ``MailboxBusy``         another poller is at work on it
        - ``SendError``
            - ``TemporarySendError``  try again later (4xx, no connection)
            - ``PermanentSendError``  do not try again (5xx)
            - ``UncertainSendError``  the line was lost after the mail was handed over
        - ``StoreError``
            - ``DatabaseUnavailable`` locked, unreachable or gone in mid-transaction
            - ``DiskFull``
        - ``SandboxError``            the sandbox process itself cannot be started or kept alive
        - ``ActionError``             an action of a rule cannot be carried out
        - ``TemplateError``           a template cannot be rendered
        - ``RunFailed``               a run of the poller notebook had errors, which it lists
    - ``NotFound``                    no such message, record, rule or mailbox; lists near names
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

__all__ = [
    "ActionError",
    "ConfigurationError",
    "ConnectionFailed",
    "DatabaseUnavailable",
    "DiskFull",
    "GrantRefused",
    "KolibriError",
    "LoginRefused",
    "MailboxBusy",
    "MailboxError",
    "NotFound",
    "OperationalError",
    "PermanentSendError",
    "Problem",
    "RunFailed",
    "SandboxError",
    "SendError",
    "ServerBusy",
    "ServerRefused",
    "StoreError",
    "TemplateError",
    "TemporarySendError",
    "UncertainSendError",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a file, with the place and the mend.

    Parameters
    ----------
    file : str
        Path as the user would type it, relative to the project folder.
    message : str
        What is wrong, in one sentence.
    mend : str
        What to do about it, in one sentence.
    line, column : int or None
        Counted from 1.
    severity : {"error", "warning"}
        An error keeps the file out of use; a warning does not.

    Examples
    --------
    >>> print(Problem("rules/a.yaml", "there is no field 'wen'", "write 'when'", line=3))
    rules/a.yaml:3: there is no field 'wen'. Mend: write 'when'
    """

    file: str
    message: str
    mend: str = ""
    line: int | None = None
    column: int | None = None
    severity: str = "error"

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        mend = f". Mend: {self.mend}" if self.mend else ""
        kind = "warning: " if self.severity == "warning" else ""
        return f"{place}: {kind}{self.message}{mend}"


class KolibriError(Exception):
    """Base of all errors that Kolibri raises on purpose.

    Parameters
    ----------
    what : str
        What happened, and to what.
    next_step : str
        What the reader can do now.
    """

    def __init__(self, what: str, next_step: str = "") -> None:
        super().__init__(what, next_step)
        self.what = what
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what}. {self.next_step}" if self.next_step else self.what


class ConfigurationError(KolibriError):
    """A file, a setting or a parameter is wrong; ``problems`` names each place and its mend."""

    def __init__(self, what: str, next_step: str = "", *, problems: Iterable[Problem] = ()) -> None:
        super().__init__(what, next_step)
        self.problems: tuple[Problem, ...] = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(f"  {problem}" for problem in self.problems)])

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message alone, for the mend lies outside the code."""
        return [f"{type(self).__name__}: {self}"]


class NotFound(KolibriError, LookupError):
    """There is no such thing; the message lists the names that come near."""

    @classmethod
    def named(cls, kind: str, name: object, known: Sequence[str] = ()) -> NotFound:
        """The error for an unknown name, with the nearest known ones.

        Examples
        --------
        >>> print(NotFound.named("rule", "create-incdent", ["create-incident", "spam"]))
        There is no rule 'create-incdent'. Did you mean 'create-incident'?
        """
        near = get_close_matches(str(name), known, n=1)
        if near:
            step = f"Did you mean {near[0]!r}?"
        elif known:
            step = "There are: " + ", ".join(sorted(known)[:20])
        else:
            step = ""
        return cls(f"There is no {kind} {name!r}", step)


class OperationalError(KolibriError):
    """The world does not play along; it may pass, so loops report it and go on."""


class MailboxError(OperationalError):
    """Something went wrong with one mailbox, which the message names."""

    def __init__(self, mailbox: str, what: str, next_step: str = "") -> None:
        super().__init__(f"Mailbox {mailbox}: {what}", next_step)
        self.mailbox = mailbox


class ConnectionFailed(MailboxError):
    """The server cannot be reached, or the line was lost."""


class LoginRefused(MailboxError):
    """The server does not accept the credentials."""


class GrantRefused(LoginRefused):
    """OAuth2: the provider gives no token until somebody logs in again, or mends the secret."""


class ServerRefused(MailboxError):
    """The server answered a command with an error."""


class MailboxBusy(MailboxError):
    """Another poller is at work on the mailbox; nothing is wrong, and nothing is to be done."""


class ServerBusy(ServerRefused):
    """The server has enough to do, or of us; ``wait`` is how long it wants, in seconds."""

    def __init__(
        self, mailbox: str, what: str, next_step: str = "", *, wait: float | None = None
    ) -> None:
        super().__init__(mailbox, what, next_step)
        self.wait = wait


class SendError(OperationalError):
    """A mail could not be sent; ``code`` is the SMTP reply code where there was one."""

    def __init__(self, what: str, next_step: str = "", *, code: int | None = None) -> None:
        super().__init__(what, next_step)
        self.code = code


class TemporarySendError(SendError):
    """Not sent, and worth another try later (RFC 5321 section 4.2.1, 4yz)."""


class PermanentSendError(SendError):
    """Not sent, and trying again would not help (RFC 5321 section 4.2.1, 5yz)."""


class UncertainSendError(SendError):
    """The line was lost after the mail was handed over and before the server confirmed it."""


class StoreError(OperationalError):
    """The database could not do what it was asked."""


class DatabaseUnavailable(StoreError):
    """The database is locked, unreachable, or went away in mid-transaction."""


class DiskFull(StoreError):
    """There is no room left on the device that holds the database."""


class SandboxError(OperationalError):
    """The sandbox process cannot be started or kept alive."""


class ActionError(OperationalError):
    """An action of a rule could not be carried out."""


class TemplateError(OperationalError):
    """A template could not be rendered; the message names template, line and what is missing."""


class RunFailed(OperationalError):
    """A run of the poller notebook had errors; its report is complete and tells them."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message alone, for the place in the code explains nothing."""
        return [f"{type(self).__name__}: {self}"]
