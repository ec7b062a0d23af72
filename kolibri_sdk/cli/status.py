"""How the installation fares: what ``kolibri status`` shows, and what needs a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kolibri_sdk import clock
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.oauth2 import GrantState
from kolibri_sdk.pipeline import System, drift_alarms, unproven
from kolibri_sdk.store import bounced, grants, overview, quarantine, runs, suggestions

__all__ = ["MailboxStatus", "Status", "read_status"]

_MESSAGE_NEEDS = {
    "failed": "could not be worked on; `k.messages.frame(state='failed')` says why",
    "unparsed": "could not be read; `k.messages.frame(state='unparsed')` says why",
}
_OUTBOX_NEEDS = {
    "failed": "nobody gets them; see `kolibri outbox list --state failed`",
    "uncertain": "they may or may not have gone out; see `kolibri outbox list --state uncertain`",
    "held": (
        "held back, by a cap or because mails to the address came back; "
        "see `kolibri outbox list --state held`"
    ),
}


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """When a mailbox was last read well, and what went wrong since; empty where nothing did."""

    name: str
    last_success: datetime | None
    last_error: str


@dataclass(frozen=True, slots=True)
class Status:
    """The state of everything at one moment; ``needs`` says what a person has to look at."""

    mailboxes: tuple[MailboxStatus, ...]
    messages: Mapping[tuple[str, str], int]  #: (mailbox, state) → how many
    outbox: Mapping[tuple[str, str], int]  #: (mailbox, state) → how many
    last_pass: datetime | None
    needs: tuple[str, ...]
    suggestions: int = 0  #: records that mails may belong to, for a person to accept or dismiss
    bounced: int = 0  #: addresses to which automatic mail is held, because mails came back
    unproven: tuple[str, ...] = ()  #: rules that were put to work past the lab

    def as_json(self) -> dict[str, Any]:
        """The status as plain JSON types."""
        return {
            "ok": not self.needs,
            "needs": list(self.needs),
            "suggestions": self.suggestions,
            "bounced_addresses": self.bounced,
            "unproven": list(self.unproven),
            "last_pass": self.last_pass.isoformat() if self.last_pass else None,
            "mailboxes": {
                box.name: {
                    "last_success": box.last_success.isoformat() if box.last_success else None,
                    "last_error": box.last_error,
                    "messages": _of(self.messages, box.name),
                    "outbox": _of(self.outbox, box.name),
                }
                for box in self.mailboxes
            },
        }


def _of(counts: Mapping[tuple[str, str], int], mailbox: str) -> dict[str, int]:
    return {state: number for (name, state), number in counts.items() if name == mailbox}


def read_status(system: System, max_age: float) -> Status:
    """Read the status from the database; no server is asked.

    Parameters
    ----------
    max_age : float
        Seconds without a pass after which the poller counts as down.
    """
    with system.store.read() as tx:
        fared = overview.mailbox_fares(tx)
        mail, out = overview.count_messages(tx), overview.count_outbox(tx)
        latest = runs.select(tx, limit=1)
        unreachable = bounced.count_unreachable(tx)
        granted = grants.select(tx)
        suggested = suggestions.count_open(tx)
        given_up = quarantine.count(tx)
    known = system.rulebook.mailboxes
    boxes = tuple(
        MailboxStatus(name, *fared.get(name, (None, "")))
        for name in [*known, *sorted({name for name, _ in (*mail, *out)} - {*known})]
    )
    last = latest[0] if latest else None
    errors = [str(p) for p in system.rulebook.problems if p.severity == "error"]
    needs = [
        *_poller_needs(last, max_age),
        *errors,
        *(one for one in (last["errors"] if last else ()) if _is_news(one, errors)),
        *drift_alarms(system),
        *_state_needs(mail, "message", _MESSAGE_NEEDS),
        *_state_needs(out, "outbox mail", _OUTBOX_NEEDS),
        *_quarantine_needs(given_up),
    ]
    needs += [alarm for alarm in _grant_needs(known.values(), granted) if alarm not in needs]
    needs += [box.last_error for box in boxes if box.last_error and box.last_error not in needs]
    finished = last["finished_at"] if last else None
    by_hand = tuple(str(problem) for problem in unproven(system))
    return Status(boxes, mail, out, finished, tuple(needs), suggested, unreachable, by_hand)


def _is_news(error: str, told: Sequence[str]) -> bool:
    """Whether an error of the last pass is told by nothing else; drift is looked at anew."""
    return error not in told and not error.startswith("Drift: ")


def _poller_needs(last: Mapping[str, Any] | None, max_age: float) -> Iterator[str]:
    if last is None:
        yield "no pass was made yet; start `kolibri poll` or `kolibri schedule`"
        return
    age = (clock.now() - last["finished_at"]).total_seconds()
    if age > max_age:
        yield (
            f"the last pass ended {age:,.0f} seconds ago, at {last['finished_at']:%Y-%m-%d %H:%M}"
            "Z; is the poller down?"
        )


def _grant_needs(mailboxes: Iterable[Mailbox], known: Mapping[str, GrantState]) -> Iterator[str]:
    for mailbox in mailboxes:
        if mailbox.oauth2 is not None:
            state = known.get(mailbox.name)
            alarm = state.alarm(clock.now()) if state else ""
            if alarm:
                yield alarm


def _quarantine_needs(given_up: Mapping[str, int]) -> Iterator[str]:
    for mailbox, number in given_up.items():
        things = "mails" if number > 1 else "mail"
        yield (
            f"{mailbox}: {number} {things} could not be fetched and were given up; "
            "see `kolibri quarantine list`"
        )


def _state_needs(
    counts: Mapping[tuple[str, str], int], thing: str, needs: Mapping[str, str]
) -> Iterator[str]:
    for (mailbox, state), number in counts.items():
        if state in needs:
            things = f"{thing}s" if number > 1 else thing
            yield f"{mailbox}: {number} {things} in state {state}: {needs[state]}"
