"""Sending: a thousand mails of the outbox by submission, against a bare loop of smtplib."""

from __future__ import annotations

import os
import smtplib
import ssl
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from kolibri_sdk import Kolibri, clock, connect
from kolibri_sdk.mail import parse_mail
from kolibri_sdk.model.message import Address
from kolibri_sdk.model.outbox import OutboxState
from kolibri_sdk.outbox import Letter, post
from kolibri_sdk.reference import Carriers
from kolibri_sdk.store import outbox
from tests.benchmarks.corpus import mails
from tests.benchmarks.measure import Result, Settings, in_turn, rates
from tests.benchmarks.project import server
from tests.servers.dovecot import PASSWORD_VARIABLE

__all__ = ["measure_sending"]

_MAILS = 1_000
_SENDER = "support@kolibri.example"


def measure_sending(settings: Settings) -> list[Result]:
    """1,000 mails through Dovecot submission (STARTTLS, AUTH), claimed and settled one by one."""
    with _server() as dovecot, _project(dovecot) as k:
        batches = iter([_queued(k, number) for number in range(settings.rounds)])
        again = iter(_bytes_of(k, settings.rounds))
        seconds = in_turn(
            settings.rounds,
            smtplib=lambda: _bare(dovecot, next(again)),
            kolibri=lambda: _outbox(dovecot, k, next(batches)),
        )
    print(rates(_MAILS, seconds))
    pairs = zip(seconds["smtplib"], seconds["kolibri"], strict=True)
    ratios = [bare / ours for bare, ours in pairs]
    return [Result.of("outgoing", "send_1000_vs_smtplib", ratios, 0.8, "higher")]


@dataclass(frozen=True)
class _Server:
    """A Dovecot and the server behind it, in a process of their own, as servers are."""

    outbound: dict[str, Any]
    password: str
    pipe: Connection

    def taken(self) -> int:
        """How many mails came out since this was asked last."""
        self.pipe.send("taken")
        return int(self.pipe.recv())


@contextmanager
def _server() -> Iterator[_Server]:
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    outbound, variable, password = ours.recv()
    os.environ[variable] = password
    try:
        yield _Server(outbound, password, ours)
    finally:
        ours.send("end")
        process.join(timeout=20)


def _serve(pipe: Connection) -> None:
    with server() as dovecot:
        pipe.send(
            (dovecot.outbound(dovecot.new_user("bench")), PASSWORD_VARIABLE, dovecot.password)
        )
        while pipe.recv() == "taken":
            pipe.send(len(dovecot.sink.taken))
            dovecot.sink.taken.clear()


@contextmanager
def _project(dovecot: _Server) -> Iterator[Kolibri]:
    with tempfile.TemporaryDirectory(prefix="kolibri-bench-") as folder:
        root = Path(folder)
        (root / "kolibri.toml").write_text("[kolibri]\n")
        (root / "rules/mailboxes").mkdir(parents=True)
        document = {"address": _SENDER, "outbound": dovecot.outbound}
        YAML().dump(document, root / "rules/mailboxes/support.yaml")
        with connect(project=root) as k:
            yield k


def _queued(k: Kolibri, batch: int) -> list[int]:
    """A thousand letters such as a desk writes, composed; held until their round comes."""
    mailbox = k.mailboxes["support"].description
    numbers = []
    with k._system.store.write() as tx:
        for number, raw in enumerate(mails(_MAILS, seed=batch)):
            read = parse_mail(raw)
            letter = Letter(
                mailbox=mailbox,
                carriers=Carriers(f"{batch}.{number}@kolibri.example"),
                cause=f"bench:{batch}/{number}",
                author="bench",
                date=clock.now(),
                to=(Address(f"person{number}@customer.example"),),
                subject=read.subject,
                text=read.text,
                html=read.html,
                attachments=read.attachments,
            )
            numbers.append(post(tx, letter))
        for number in numbers:
            outbox.save(tx, number, state=OutboxState.HELD.value)
    return numbers


def _bytes_of(k: Kolibri, rounds: int) -> Iterator[Sequence[bytes]]:
    frame = k.messages.frame(direction="out", columns=["id"])
    for batch in range(rounds):
        some = frame["id"].iloc[batch * _MAILS : (batch + 1) * _MAILS]
        yield [k.messages[int(number)].raw for number in some]


def _bare(dovecot: _Server, raws: Sequence[bytes]) -> float:
    """What any program has to do that sends: no database, no state, no second try."""
    side = dovecot.outbound
    context = ssl.create_default_context(cafile=side["ca"])
    dovecot.taken()
    started = time.perf_counter()
    with smtplib.SMTP(side["host"], side["port"]) as session:
        session.starttls(context=context)
        session.login(side["user"], dovecot.password)
        for number, raw in enumerate(raws):
            session.sendmail(_SENDER, [f"person{number}@customer.example"], raw)
    taken = time.perf_counter() - started
    assert dovecot.taken() == _MAILS
    return taken


def _outbox(dovecot: _Server, k: Kolibri, numbers: Sequence[int]) -> float:
    assert k.outbox.release(numbers) == _MAILS
    dovecot.taken()
    started = time.perf_counter()
    (report,) = k.poll(passes=1)
    taken = time.perf_counter() - started
    assert report.ok, report.errors
    assert dovecot.taken() == report.counts["sent"] == _MAILS
    return taken
