"""Servers: the fetch layer, the notice of new mail, and passes in which nothing happens."""

from __future__ import annotations

import imaplib
import re
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kolibri_sdk import Kolibri, connect
from kolibri_sdk.mailboxes import open_source
from kolibri_sdk.model.mailbox import Mailbox
from tests.benchmarks.ingest import filled
from tests.benchmarks.measure import Result, Settings, cpu_seconds, in_turn, rates
from tests.benchmarks.project import server, write_project
from tests.project import letter
from tests.servers.dovecot import Dovecot

__all__ = ["measure_servers"]

_BATCH = 500
_PASSES = 100
_ARRIVALS = 10
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")


def measure_servers(settings: Settings) -> list[Result]:
    """The fetch layer, IDLE and idle passes by IMAP, against bare connections to one Dovecot."""
    with server() as dovecot:
        return [*_fetching(dovecot, settings), *_noticing(dovecot), *_idling(dovecot, settings)]


def _fetching(dovecot: Dovecot, settings: Settings) -> Iterator[Result]:
    user = filled(dovecot, settings.mails)
    mailbox = _mailbox(dovecot, user)
    seconds = in_turn(
        settings.rounds * 3,
        raw=lambda: _raw_socket(dovecot, user, settings.mails),
        kolibri=lambda: _source(mailbox, settings.mails),
    )
    print(rates(settings.mails, seconds))
    ratios = [ours / raw for ours, raw in zip(seconds["kolibri"], seconds["raw"], strict=True)]
    yield Result.of("incoming", "fetch_layer_vs_raw_socket", ratios, 1.3, "lower")


def _mailbox(dovecot: Dovecot, user: str) -> Mailbox:
    described = {"name": "support", "address": "support@kolibri.example"}
    return Mailbox.model_validate({**described, "inbound": dovecot.inbound(user, security="none")})


def _source(mailbox: Mailbox, count: int) -> float:
    started = time.perf_counter()
    with open_source(mailbox) as source:
        source.open("INBOX")
        listed = source.list(unread=False, above=None, since=None)
        fetched = sum(mail.raw is not None for batch in source.fetch(listed) for mail in batch)
    assert fetched == count
    return time.perf_counter() - started


def _raw_socket(dovecot: Dovecot, user: str, count: int) -> float:
    """What any reader has to do: ask for batches, cut the stream into mails, hand these over."""
    started = time.perf_counter()
    with _logged_in(dovecot, user) as line, line.makefile("rwb") as stream:
        fetched = 0
        for start in range(1, count + 1, _BATCH):
            stream.write(b"a UID FETCH %d:%d (UID BODY.PEEK[])\r\n" % (start, start + _BATCH - 1))
            stream.flush()
            batch = []
            while not (text := stream.readline()).startswith(b"a OK"):
                literal = _LITERAL.search(text)
                if literal is not None:
                    batch.append(stream.read(int(literal[1])))
            fetched += len(batch)
    assert fetched == count
    return time.perf_counter() - started


@contextmanager
def _logged_in(dovecot: Dovecot, user: str) -> Iterator[socket.socket]:
    """A socket with the user's inbox opened."""
    with socket.create_connection(("127.0.0.1", dovecot.ports["imap"])) as line:
        with line.makefile("rwb") as stream:
            stream.readline()
            for command in (b"LOGIN %s %s" % (user.encode(), dovecot.password.encode()),
                            b"SELECT INBOX"):  # fmt: skip
                stream.write(b"a " + command + b"\r\n")
                stream.flush()
                while not stream.readline().startswith(b"a OK"):
                    pass
        yield line


def _noticing(dovecot: Dovecot) -> Iterator[Result]:
    """From delivery to the record, against the server's own notice of the same delivery."""
    user = dovecot.new_user("bench")
    told, ours = [], []
    with _project(dovecot, user) as k, _logged_in(dovecot, user) as line:
        line.sendall(b"b IDLE\r\n")
        line.recv(4096)
        passes = k.poll(every=60)
        next(passes)
        for number in range(_ARRIVALS):
            arrival = _Arrival(dovecot, user, line, letter(f"word {number}"))
            arrival.start()
            report = next(passes)
            at = time.perf_counter()
            arrival.join()
            assert report.ok, report.errors
            assert report.counts["stored"] == report.counts["records"] == 1, report.counts
            ours.append(at - arrival.at)
            told.append(arrival.told - arrival.at)
        passes.close()
    middle = statistics.median
    print(f"  the server tells after {middle(told):.3f} s, the record is there after ", end="")
    print(f"{middle(ours):.3f} s")
    ratios = [mine / theirs for mine, theirs in zip(ours, told, strict=True)]
    yield Result.of("incoming", "idle_arrival_to_record_vs_notice", ratios, 1.5, "lower")


class _Arrival(threading.Thread):
    """Delivers a mail while we wait, and notes when the server told a bare connection of it."""

    def __init__(self, dovecot: Dovecot, user: str, line: socket.socket, raw: bytes) -> None:
        super().__init__()
        self._deliver: Callable[[], None] = lambda: dovecot.deliver(user, raw)
        self._line = line
        self.at = self.told = 0.0

    def run(self) -> None:
        """Deliver and listen."""
        time.sleep(0.7)  # until Dovecot looks again as it does for a mailbox at rest
        self._deliver()
        self.at = time.perf_counter()
        while b"EXISTS" not in self._line.recv(4096):
            pass
        self.told = time.perf_counter()


def _idling(dovecot: Dovecot, settings: Settings) -> Iterator[Result]:
    """A pass over a mailbox in which nothing happens, against NOOP and SEARCH."""
    user = filled(dovecot, 100)
    with _project(dovecot, user) as k, _bare(dovecot, user) as client:
        _poll(k, 3)  # the first ones fetch, and learn that nothing changes
        taken = in_turn(
            settings.rounds,
            bare=lambda: cpu_seconds(lambda: _ask(client)) / _PASSES,
            kolibri=lambda: cpu_seconds(lambda: _poll(k, _PASSES)) / _PASSES,
        )
    per_pass = {name: statistics.median(one) * 1000 for name, one in taken.items()}
    print(f"  {per_pass['kolibri']:.2f} ms of processor time a pass, ", end="")
    print(f"{per_pass['bare']:.2f} ms for NOOP and SEARCH")
    ratios = [ours / bare for ours, bare in zip(taken["kolibri"], taken["bare"], strict=True)]
    yield Result.of("scale", "idle_pass_vs_noop_and_search", ratios, 20, "lower")


def _poll(k: Kolibri, passes: int) -> None:
    for report in k.poll(passes=passes, every=0.001):
        assert report.ok, report.errors


@contextmanager
def _bare(dovecot: Dovecot, user: str) -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4("127.0.0.1", dovecot.ports["imap"]) as client:
        client.login(user, dovecot.password)
        client.select("INBOX")
        yield client


def _ask(client: imaplib.IMAP4) -> None:
    for _ in range(_PASSES):
        client.noop()
        client.uid("SEARCH", "UNSEEN")  # type: ignore[no-untyped-call]


@contextmanager
def _project(dovecot: Dovecot, user: str) -> Iterator[Kolibri]:
    """A project with fifty rules that match nothing, and one that makes a record."""
    with tempfile.TemporaryDirectory(prefix="kolibri-bench-") as folder:
        root = Path(folder)
        write_project(root, dovecot.inbound(user, security="none"))
        (root / "rules/entities").mkdir()
        (root / "rules/entities/incident.yaml").write_text(
            "table: incident\nkey: id\nnumber: number\ntitle: title\n"
            "fields: {number: text, title: text}\n"
        )
        (root / "rules/inbound/support/make.yaml").write_text(
            "order: 99\nwhen: 'true'\nthen:\n"
            "  - create_record: {entity: incident, set: {title: message.subject}}\n"
        )
        with connect(project=root) as k:
            k.check()
            yield k
