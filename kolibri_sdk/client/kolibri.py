"""``connect`` and ``Kolibri``: the face of the SDK; collections and verbs, no logic."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType

from kolibri_sdk.actions import check_actions
from kolibri_sdk.client.bounced import Bounced
from kolibri_sdk.client.collections import (
    Decisions,
    Mailboxes,
    Runs,
    Templates,
    Users,
)
from kolibri_sdk.client.history import import_mail
from kolibri_sdk.client.messages import Messages
from kolibri_sdk.client.outbox import Outbox
from kolibri_sdk.client.quarantine import Quarantine
from kolibri_sdk.client.records import Records
from kolibri_sdk.client.reference_keys import ReferenceKeys
from kolibri_sdk.client.releasing import Audit
from kolibri_sdk.client.rules import Rules
from kolibri_sdk.decide import check_examples
from kolibri_sdk.errors import Problem
from kolibri_sdk.pipeline import (
    ImportReport,
    PassReport,
    System,
    open_system,
    run_passes,
    unproven,
)
from kolibri_sdk.rulebook import check_rulebook, find_project
from kolibri_sdk.schedule import Stop

__all__ = ["Kolibri", "RulesWarning", "connect"]


class RulesWarning(UserWarning):
    """A file in ``rules/`` has a mistake and is left out; the message names file, line and mend."""


class Kolibri:
    """An opened project.

    Attributes
    ----------
    mailboxes, messages, records, rules, templates, outbox, bounced, decisions, users, runs,
    reference_keys, quarantine, audit
        The collections; each has ``.frame()`` where there is a table behind it.

    Examples
    --------
    >>> with connect() as k:                                        # doctest: +SKIP
    ...     for report in k.poll(passes=1):
    ...         print(report)
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self.mailboxes = Mailboxes(system)
        self.messages = Messages(system)
        self.records = Records(system)
        self.rules = Rules(system)
        self.templates = Templates(system)
        self.outbox = Outbox(system)
        self.bounced = Bounced(system)
        self.decisions = Decisions(system)
        self.users = Users(system)
        self.runs = Runs(system)
        self.reference_keys = ReferenceKeys(system)
        self.quarantine = Quarantine(system)
        self.audit = Audit(system)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The faults in ``rules/`` that were found while it was read."""
        return self._system.rulebook.problems

    def check(self) -> tuple[Problem, ...]:
        """All faults in ``rules/``: what was found on reading, JavaScript, templates, examples."""
        self._system.reload_rules()
        book, sandbox = self._system.rulebook, self._system.sandbox
        return (
            *check_rulebook(book, sandbox),
            *check_actions(book),
            *check_examples(book, sandbox),
            *unproven(self._system),
        )

    def poll(
        self,
        *,
        passes: int | None = None,
        every: float | None = None,
        mailboxes: Sequence[str] | None = None,
        stop: Stop | None = None,
    ) -> Iterator[PassReport]:
        """Run the poller; a report per pass (S18).

        Parameters
        ----------
        passes : int, optional
            How many; without it, for ever.
        every : float, optional
            Seconds from the start of one pass to the next; the project's ``every`` by default.
        mailboxes : sequence of str, optional
            Only these.
        stop : Stop, optional
            Ends the loop between two passes; see ``kolibri_sdk.schedule.stop_on_signals``.

        Raises
        ------
        NotFound
            When there is no mailbox of such a name.
        """
        beat = self._system.project.every if every is None else every
        return run_passes(self._system, passes=passes, every=beat, mailboxes=mailboxes, stop=stop)

    def import_mail(
        self,
        source: str | Path,
        *,
        mailbox: str,
        folders: Sequence[str] | None = None,
        since: str | date | None = None,
        direction: str | None = None,
        progress: bool | None = None,
        stop: Stop | None = None,
    ) -> ImportReport:
        """Enter historic mail into the central table; it triggers nothing.

        Each mail is there once per mailbox, whether it was imported before or fetched by the
        poller; so an import that was broken off is gone on with by calling this again.

        Parameters
        ----------
        source : str or Path
            What :func:`~kolibri_sdk.read_mail` reads; or ``"imap:support/Archive"``, a folder of
            the mailbox's own server, whose flags stay as they are.
        mailbox : str
            Whose mail it is.
        folders : sequence of str, optional
            Only these folders of the source.
        since : str, date or datetime, optional
            Leave out mail that arrived before; ISO 8601, UTC where it names no zone.
        direction : {"in", "out"}, optional
            Of all the mails; else those from an address of the mailbox itself are outgoing.
        progress : bool, optional
            Whether a bar is shown; by default where somebody may be looking.
        stop : Stop, optional
            Ends it after the batch at hand; see ``kolibri_sdk.schedule.stop_on_signals``.

        Returns
        -------
        ImportReport
            Counts by folder, seconds, and what could not be read.

        Raises
        ------
        NotFound
            When there is no such mailbox.
        ConfigurationError
            When the source is not there or holds no mail.

        Examples
        --------
        >>> k.import_mail("archive.mbox", mailbox="support")        # doctest: +SKIP
        """
        return import_mail(
            self._system,
            source,
            mailbox=mailbox,
            folders=folders,
            since=since,
            direction=direction,
            progress=progress,
            stop=stop,
        )

    def close(self) -> None:
        """End the sandbox and close the database."""
        self._system.close()

    def __enter__(self) -> Kolibri:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        book = self._system.rulebook
        return (
            f"<Kolibri {self._system.store!r}: {len(book.mailboxes)} mailboxes, "
            f"{len(self.rules)} rules, {len(book.problems)} problems>"
        )


def connect(
    database: str | None = None,
    *,
    rules: str | Path | None = None,
    project: str | Path | None = None,
    user: str | None = None,
) -> Kolibri:
    """Open a project.

    Parameters
    ----------
    database : str, optional
        SQLAlchemy URL of SQLite or PostgreSQL. Without it: ``kolibri.toml`` in the project folder
        or above, else the environment's ``KOLIBRI_DATABASE``.
    rules : str or Path, optional
        Folder of the rules; else as ``kolibri.toml`` or ``KOLIBRI_RULES`` say.
    project : str or Path, optional
        Where to look for ``kolibri.toml``; the working folder by default.
    user : str, optional
        Who you are, as activity streams will say of what you do by hand; else as the environment's
        ``KOLIBRI_USER`` says, else the operating system.

    Raises
    ------
    ConfigurationError
        When no project is found, or the database needs ``kolibri upgrade``.

    Warns
    -----
    RulesWarning
        For each file in ``rules/`` that has a mistake; the others are used.

    Examples
    --------
    >>> k = connect("sqlite:///desk.db", rules="rules")             # doctest: +SKIP
    """
    found = find_project(project, database=database, rules=rules)
    kolibri = Kolibri(open_system(found, user))
    for problem in kolibri.problems:
        warnings.warn(str(problem), RulesWarning, stacklevel=2)
    return kolibri
