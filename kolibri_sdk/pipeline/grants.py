"""OAuth2 grants: watched in every pass, so that one that ends is told before mail stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kolibri_sdk import clock
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.oauth2 import GrantState
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import grants, ledger

__all__ = ["log_in", "watch_grants"]


def watch_grants(system: System, mailboxes: Sequence[Mailbox], report: PassReport) -> None:
    """Renew once a day, needed or not; note what came of it; what a person should know is told."""
    if not any(mailbox.oauth2 for mailbox in mailboxes):
        return
    now = clock.now()
    with system.store.read() as tx:
        known = grants.select(tx)
        pauses = {m.name: ledger.folder_state(tx, m.name, "").retry_at for m in mailboxes}
    for mailbox in mailboxes:
        tokens = system.connections.tokens(mailbox)
        if tokens is None:
            continue
        pause = pauses[mailbox.name]
        found = tokens.state if pause and pause > now else tokens.check()
        nothing = found == GrantState(mailbox.name)
        state = known.get(mailbox.name, found) if nothing else found
        if state != known.get(mailbox.name) and not nothing:
            with system.store.write() as tx:
                grants.put(tx, state)
        alarm = state.alarm(now)
        if alarm and alarm not in report.errors:
            report.errors.append(alarm)


def log_in(
    system: System, mailbox: Mailbox, tell: Callable[[str], None], *, port: int = 0
) -> GrantState:
    """Have a person log in as the mailbox; afterwards the poller tries at once.

    Parameters
    ----------
    tell : callable
        Gets what the person must do: an address, and a code where there is one.
    port : int
        Where the browser's answer comes to on this machine; 0 is any free one.

    Raises
    ------
    ConfigurationError
        When the mailbox has no ``oauth2``, or the keyring does not open.
    GrantRefused, ConnectionFailed
        When the provider refuses, or cannot be reached.
    """
    state = system.connections.required_tokens(mailbox).log_in(tell, port)
    with system.store.write() as tx:
        grants.put(tx, state)
        ledger.save_folder_state(tx, mailbox.name, "", failures=0, retry_at=None, last_error="")
    return state
