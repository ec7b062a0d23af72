"""The smaller collections of ``k``: mailboxes, templates, users, runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from kolibri_sdk.client.display import listing
from kolibri_sdk.errors import NotFound
from kolibri_sdk.frames import DECISIONS, RUNS, USERS, frame_of
from kolibri_sdk.mailboxes import MailboxCheck, check_mailbox
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.oauth2 import GrantState
from kolibri_sdk.model.template import Template
from kolibri_sdk.model.user import User
from kolibri_sdk.pipeline import ReconcileReport, System, hold_after_restore, log_in, reconcile
from kolibri_sdk.store import decisions, runs, users

__all__ = ["Decisions", "MailboxView", "Mailboxes", "Runs", "Templates", "Users"]


class MailboxView:
    """One mailbox: its description, and a check of its servers."""

    def __init__(self, system: System, mailbox: Mailbox) -> None:
        self._system = system
        self.description = mailbox
        self.name = mailbox.name
        self.address = mailbox.address

    def check(self) -> MailboxCheck:
        """Log in on both sides, read nothing, and say what was found."""
        return check_mailbox(self.description, root=self._system.root)

    def log_in(self, tell: Callable[[str], None] = print, *, port: int = 0) -> GrantState:
        """Log in as the mailbox by OAuth2: says which address to open, and waits.

        Parameters
        ----------
        tell : callable
            Gets what to do, as text.
        port : int
            For a login with the browser: where its answer comes to on this machine; 0 is any.

        Raises
        ------
        ConfigurationError
            When the mailbox has no ``oauth2``, or the keyring does not open.
        GrantRefused, ConnectionFailed
            When the provider refuses, or cannot be reached.

        Examples
        --------
        >>> k.mailboxes["support"].log_in()                         # doctest: +SKIP
        Open https://microsoft.com/devicelogin in any browser, enter the code A1B2C3D4, and ...
        """
        return log_in(self._system, self.description, tell, port=port)

    def reconcile(self, *, repair: bool = False, whole: bool = True) -> ReconcileReport:
        """Compare the mailbox with the database, and name every difference with its reason.

        Parameters
        ----------
        repair : bool
            Mend what can be mended safely, and say what was done.
        whole : bool
            Read all stored bytes and compare their hashes.

        Raises
        ------
        MailboxError
            When the server does not play along, or a poller is at work on the mailbox.
        """
        return reconcile(self._system, self.description, repair=repair, whole=whole)

    def hold_after_restore(self) -> int:
        """After a backup of the database was restored: have no mail sent a second time.

        What is queued is held, and so will be whatever is caused by mail that lies in the mailbox
        by now; ``k.outbox.release([…])`` lets it go. Call it before the first pass.

        Returns
        -------
        int
            How many queued mails are held now.

        Raises
        ------
        MailboxBusy
            When a poller is at work on the mailbox.
        """
        return hold_after_restore(self._system, self.description)

    def __repr__(self) -> str:
        sides = {"in": self.description.inbound, "out": self.description.outbound}
        told = ", ".join(f"{side} by {s.protocol}" for side, s in sides.items() if s is not None)
        return f"<mailbox {self.name} {self.address}: {told}>"


class Mailboxes:
    """The mailboxes of ``rules/mailboxes``, by name (S1)."""

    def __init__(self, system: System) -> None:
        self._system = system

    def __getitem__(self, name: str) -> MailboxView:
        return MailboxView(self._system, self._system.mailbox(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._system.rulebook.mailboxes)

    def __len__(self) -> int:
        return len(self._system.rulebook.mailboxes)

    def __repr__(self) -> str:
        return "\n".join(repr(self[name]) for name in self) or "<no mailbox>"

    def _repr_html_(self) -> str:
        boxes = self._system.rulebook.mailboxes.values()
        rows = [
            (
                box.name,
                box.address,
                f"{box.inbound.protocol}, {box.inbound.fetch.value}" if box.inbound else "",
                box.outbound.protocol if box.outbound else "",
            )
            for box in boxes
        ]
        return listing("Mailboxes", ("name", "address", "in", "out"), rows)


class Templates:
    """The mail templates of ``rules/templates``, by name."""

    def __init__(self, system: System) -> None:
        self._system = system

    def __getitem__(self, name: str) -> Template:
        try:
            return self._system.rulebook.templates[name]
        except KeyError:
            raise NotFound.named("template", name, list(self._system.rulebook.templates)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._system.rulebook.templates)

    def __len__(self) -> int:
        return len(self._system.rulebook.templates)

    def __repr__(self) -> str:
        return f"<{len(self)} templates: {', '.join(self)}>"


class Decisions:
    """What every rule said, on every message and every change."""

    def __init__(self, system: System) -> None:
        self._system = system

    def frame(self, *, rule: str | None = None, verdict: str | None = None) -> pd.DataFrame:
        """One row per decision; columns and dtypes as in ``kolibri_sdk.frames.DECISIONS``."""
        with self._system.store.read() as tx:
            return frame_of(decisions.select(tx, rule=rule, verdict=verdict), DECISIONS)


class Users:
    """The people the system knows (S8)."""

    def __init__(self, system: System) -> None:
        self._system = system

    def add(
        self,
        id: str,  # noqa: A002 - the column's name
        address: str,
        *,
        name: str = "",
        language: str | None = None,
        groups: tuple[str, ...] = (),
    ) -> User:
        """Enter a user, or replace the one with this id."""
        person = User(id, address, name, language, tuple(groups))
        with self._system.store.write() as tx:
            users.put(tx, person)
        return person

    def __getitem__(self, name: str) -> User:
        with self._system.store.read() as tx:
            found = users.find(tx, [name])
            known = [row["id"] for row in users.select(tx)]
        if name not in found:
            raise NotFound.named("user", name, known)
        return found[name]

    def frame(self) -> pd.DataFrame:
        """One row per user; columns and dtypes as in ``kolibri_sdk.frames.USERS``."""
        with self._system.store.read() as tx:
            return frame_of(users.select(tx), USERS)


class Runs:
    """What each pass of the poller did."""

    def __init__(self, system: System) -> None:
        self._system = system

    def frame(self, limit: int = 1000) -> pd.DataFrame:
        """The latest passes, oldest first; columns and dtypes as in ``kolibri_sdk.frames.RUNS``."""
        with self._system.store.read() as tx:
            return frame_of(runs.select(tx, limit), RUNS)
