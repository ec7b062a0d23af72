"""IMAP (RFC 3501): what to look for, what to fetch, what to mark."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self, TypeVar

from imapclient import SEEN

from kolibri_sdk import clock
from kolibri_sdk.checkpoint import reach
from kolibri_sdk.errors import ConnectionFailed, MailboxError
from kolibri_sdk.mailboxes.credential import Credential
from kolibri_sdk.mailboxes.endpoint import Endpoint, answer_text
from kolibri_sdk.mailboxes.imap_answer import MONTHS, Answer
from kolibri_sdk.mailboxes.imap_session import LINE_LOST, ImapSession, Opened
from kolibri_sdk.mailboxes.source import (
    BATCH_MAILS,
    Batch,
    Fetched,
    FolderStatus,
    Listed,
    Listing,
    Moves,
    in_batches,
)
from kolibri_sdk.mailboxes.survey import Survey, protection

__all__ = ["ImapSource"]

RECONNECTS = 24  #: per batch: enough to corner two mails on which the server hangs up
WHOLE = "(UID FLAGS INTERNALDATE BODY.PEEK[])"  # PEEK: the flags stay as they are
ARRIVAL = "(UID INTERNALDATE)"
LIST_ANEW = 600.0  #: seconds after which a folder is listed though nothing has changed in it
MOST_WATCHED = 4  #: folders that are watched by IDLE, each on a connection of its own
WATCH_ANEW = 600.0  #: seconds after which a refused connection for watching is tried again

_T = TypeVar("_T")


class ImapSource:
    """A mailbox read by IMAP; see :class:`~kolibri_sdk.mailboxes.MailSource`.

    Parameters
    ----------
    endpoint : Endpoint
        The server.
    credential : Credential
        The password in plain text, or the access tokens.
    folders : sequence of str
        The folders to read.
    """

    def __init__(self, endpoint: Endpoint, credential: Credential, folders: Sequence[str]) -> None:
        self._endpoint = endpoint
        self._credential = credential
        self._folders = tuple(folders)
        self._reconnects = RECONNECTS
        self._listed: dict[str, tuple[Opened, object]] = {}  # folder → what was asked, and when
        self._since_listed = clock.stopwatch()
        self._watchers: dict[str, ImapSession] = {}
        self._since_refused: Callable[[], float] = lambda: math.inf
        self._session = ImapSession(endpoint, credential)

    @property
    def session(self) -> ImapSession:
        """The connection; whoever opens another folder on it leaves that open."""
        return self._session

    def folders(self) -> tuple[str, ...]:
        """The folders that the mailbox's file names."""
        return self._folders

    def open(self, folder: str) -> FolderStatus:
        """Open a folder, for reading alone if the server allows no more."""
        return self._session.open(folder)

    def list(self, *, unread: bool, above: int | None, since: datetime | None) -> Listing:
        """The mails that may be new, by growing UID; sizes are asked for when they are fetched.

        None, if nothing has changed in the folder since the same was asked on this connection.
        """
        opened, asked = self._session.opened, (unread, above, since)
        assert opened is not None, "a folder is open"
        if opened.modseq is not None and self._listed.get(opened.status.folder) == (opened, asked):
            return []
        self._listed[opened.status.folder] = opened, asked
        self._since_listed = clock.stopwatch()
        low = (above or 0) + 1
        with self._endpoint.told("looking for new mail"):
            unseen = self._session.search("UNSEEN", low=1 if unread else low)
            wanted = set(unseen) if unread else self._session.search("ALL", low=low)
            if unread and above is not None:
                wanted |= self._session.search("ALL", low=low)
            if since is not None:
                wanted = self._arrived_since(since, wanted)
        return [Listed(str(uid), None, uid not in unseen) for uid in sorted(wanted)]

    def present(self) -> frozenset[str]:
        """The UIDs of all mails that lie in the folder now."""
        with self._endpoint.told("listing the mails"):
            return frozenset(map(str, self._session.search("ALL", low=1)))

    def fetch(self, listed: Sequence[Listed]) -> Iterator[Batch]:
        """The mails in batches; no flag changes.

        A mail that the server refuses, or on which it hangs up, is cornered by halving the batch,
        and comes with its error.
        """
        for some in _slices(listed, BATCH_MAILS):
            for batch in in_batches(self._with_sizes(some)):
                self._reconnects = RECONNECTS
                fetched = self._fetch([int(mail.uid) for mail in batch])
                reach("fetch.batch")
                yield [fetched[int(mail.uid)] for mail in batch]

    def mark_seen(self, uids: Sequence[str]) -> None:
        r"""Set ``\Seen``."""
        with self._endpoint.told("marking mail as read"):
            for some in _slices([int(uid) for uid in uids], BATCH_MAILS):
                self._session.client.add_flags(some, [SEEN], silent=True)

    def mark_deleted(self, uids: Sequence[str]) -> None:
        r"""Set ``\Deleted``, and expunge exactly these where the server has UIDPLUS (RFC 4315).

        Without it they stay marked: a plain EXPUNGE would remove a colleague's mail, too.
        """
        with self._endpoint.told("deleting mail"):
            for some in _slices([int(uid) for uid in uids], BATCH_MAILS):
                self._session.delete(some)

    def move(self, uids: Sequence[str], folder: str) -> Moves:
        r"""MOVE (RFC 6851); without it COPY, and then delete as :meth:`mark_deleted` does."""
        moved = []
        with self._endpoint.told(f"moving mail to {folder!r}"):
            for some in _slices([int(uid) for uid in uids], BATCH_MAILS):
                moved += self._session.move(some, folder)
        return moved

    def survey(self) -> Survey:
        """What the server says of itself and of the folders; opens none of them."""
        client = self._session.client
        with self._endpoint.told("asking what it can do"):
            capabilities = tuple(answer_text(name) for name in client.capabilities())
        return Survey(
            tls=protection(client.socket()),
            capabilities=capabilities,
            folders=tuple(self._session.count(folder) for folder in self._folders),
        )

    def resume(self) -> bool:
        """Go on with a connection that was kept; False where it is dead."""
        try:
            self._session.resume()
        except LINE_LOST:
            self._drop()
            return False
        return True

    def at_rest(self) -> FolderStatus | None:
        """The folder, if nothing has changed in it since it was last listed; else None.

        Asked of one that was resumed. A mailbox of several folders, a server without CONDSTORE,
        and after ten minutes every mailbox is listed anew.
        """
        if len(self._folders) > 1 or self._since_listed() > LIST_ANEW:
            return None
        status = self._session.open(self._folders[0])
        known, now = self._listed.get(status.folder), self._session.opened
        assert now is not None, "it was opened just now"
        unchanged = known is not None and known[0] == now and now.modseq is not None
        return status if unchanged else None

    def watched(self) -> tuple[Sequence[ImapSession], bool]:
        """The sessions that can be in IDLE, each on a folder; whether one holds new mail already.

        There is none where the server has no IDLE. The first folder is watched on our own
        connection, the next ones on one more each, up to ``MOST_WATCHED`` in all: servers allow a
        mailbox ten connections or so. Folders beyond that, and those whose connection was
        refused, are looked at in every pass.
        """
        with self._endpoint.told("asking for IDLE"):
            if not self._session.client.has_capability("IDLE"):
                return (), False
        first = self._folders[0]
        new = False
        if self._session.opened is None or self._session.opened.status.folder != first:
            self._session.open(first)
            new = self._grown(self._session)
        wanted = self._folders[1:MOST_WATCHED]
        if len(self._watchers) < len(wanted) and self._since_refused() > WATCH_ANEW:
            self._since_refused = clock.stopwatch()
            self._open_watchers([f for f in wanted if f not in self._watchers])
            new |= any(self._grown(session) for session in self._watchers.values())
        return (self._session, *self._watchers.values()), new

    def unwatch(self, session: ImapSession) -> bool:
        """Give up a session whose line was lost; whether it was our own, so that all is over."""
        session.drop()
        self._watchers = {f: kept for f, kept in self._watchers.items() if kept is not session}
        return session is self._session

    def _grown(self, session: ImapSession) -> bool:
        """Whether there was new mail in its folder when it was opened for watching."""
        assert session.opened is not None
        status = session.opened.status
        listed = self._listed.get(status.folder)
        return listed is not None and listed[0].status.uidnext != status.uidnext

    def _open_watchers(self, folders: Sequence[str]) -> None:
        for folder in folders:
            try:
                session = ImapSession(self._endpoint, self._credential)
            except MailboxError:
                return  # too many connections, most likely: the pass looks into this folder
            try:
                session.open(folder)
            except MailboxError:
                session.drop()
                continue
            self._watchers[folder] = session

    def close(self) -> None:
        """Log out; never raises."""
        for session in (self._session, *self._watchers.values()):
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, ConnectionFailed):
            self._drop()  # a goodbye would wait for an answer once more
        else:
            self.close()

    def _drop(self) -> None:
        for session in (self._session, *self._watchers.values()):
            session.drop()

    def _arrived_since(self, since: datetime, wanted: set[int]) -> set[int]:
        # SEARCH SINCE knows days only, in no particular zone: a day wider first, then exactly.
        day = since - timedelta(days=1)
        criterion = f"SINCE {day.day}-{MONTHS[day.month - 1]}-{day.year}"
        near = sorted(self._session.search(criterion, low=1) & wanted)
        for some in _slices(near, BATCH_MAILS):
            answers, _ = self._session.fetch(some, ARRIVAL)
            early = {uid for uid, answer in answers.items() if _before(answer, since)}
            near = [uid for uid in near if uid not in early]
        return set(near)

    def _with_sizes(self, listed: Sequence[Listed]) -> Iterator[Listed]:
        unknown = [int(mail.uid) for mail in listed if mail.size is None]
        sizes: dict[str, int | None] = {mail.uid: mail.size for mail in listed}
        if unknown:
            with self._endpoint.told("asking for sizes"):
                told = self._session.sizes(unknown)
            sizes |= {str(uid): size for uid, size in told.items()}
        for mail in listed:
            yield Listed(mail.uid, sizes[mail.uid], mail.seen)

    def _fetch(self, uids: Sequence[int]) -> dict[int, Fetched]:
        answers, failure = self._answers(uids)
        fetched = {uid: _fetched(uid, answers[uid]) for uid in uids if uid in answers}
        missing = [uid for uid in uids if uid not in fetched or fetched[uid].raw is None]
        if failure and missing and len(uids) > 1:
            # Answers come in order: where some came, the first that did not is the suspect.
            at = 1 if len(missing) < len(uids) else len(missing) // 2
            for part in (missing[:at], missing[at:]):
                fetched |= self._fetch(part) if part else {}
        elif missing:
            gone = failure or "the server lists it and does not give it; deleted meanwhile?"
            fetched |= {uid: Fetched(str(uid), None, None, False, gone) for uid in missing}
        return fetched

    def _answers(self, uids: Sequence[int]) -> tuple[dict[int, Answer], str]:
        try:
            return self._session.fetch(uids, WHOLE)
        except LINE_LOST as error:
            lost = self._endpoint.lost("fetching mail", error)
            if self._reconnects == 0:
                raise lost from error
            answers = self._session.received()
        self._reconnects -= 1
        self._session.reconnect()
        return answers, str(lost)


def _fetched(uid: int, answer: Answer) -> Fetched:
    return Fetched(str(uid), answer.raw, answer.received_at, answer.seen)


def _before(answer: Answer, since: datetime) -> bool:
    return answer.received_at is not None and answer.received_at < since


def _slices(items: Sequence[_T], length: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), length):
        yield items[start : start + length]
