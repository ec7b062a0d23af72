"""Sending: a thousand mails of the outbox by submission, against a bare loop of smtplib."""

from __future__ import annotations

import smtplib
import ssl
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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
from tests.servers.dovecot import Dovecot

__all__ = ["measure_sending"]

_MAILS = 1_000
_SENDER = "support@kolibri.example"


def measure_sending(settings: Settings) -> list[Result]:
    """1,000 mails through Dovecot submission (STARTTLS, AUTH), claimed and settled one by one."""
    with server() as dovecot, _project(dovecot) as (k, user):
        batches = iter([_queued(k, number) for number in range(settings.rounds)])
        again = iter(_bytes_of(k, settings.rounds))
        seconds = in_turn(
            settings.rounds,
            smtplib=lambda: _bare(dovecot, user, next(again)),
            kolibri=lambda: _outbox(dovecot, k, next(batches)),
        )
    print(rates(_MAILS, seconds))
    pairs = zip(seconds["smtplib"], seconds["kolibri"], strict=True)
    ratios = [bare / ours for bare, ours in pairs]
    return [Result.of("outgoing", "send_1000_vs_smtplib", ratios, 0.8, "higher")]


@contextmanager
def _project(dovecot: Dovecot) -> Iterator[tuple[Kolibri, str]]:
    user = dovecot.new_user("bench")
    with tempfile.TemporaryDirectory(prefix="kolibri-bench-") as folder:
        root = Path(folder)
        (root / "kolibri.toml").write_text("[kolibri]\n")
        (root / "rules/mailboxes").mkdir(parents=True)
        document = {"address": _SENDER, "outbound": dovecot.outbound(user)}
        YAML().dump(document, root / "rules/mailboxes/support.yaml")
        with connect(project=root) as k:
            yield k, user


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


def _bare(dovecot: Dovecot, user: str, raws: Sequence[bytes]) -> float:
    """What any program has to do that sends: no database, no state, no second try."""
    dovecot.sink.taken.clear()
    context = ssl.create_default_context(cafile=str(dovecot.ca))
    started = time.perf_counter()
    with smtplib.SMTP("127.0.0.1", dovecot.ports["submission"]) as session:
        session.starttls(context=context)
        session.login(user, dovecot.password)
        for number, raw in enumerate(raws):
            session.sendmail(_SENDER, [f"person{number}@customer.example"], raw)
    taken = time.perf_counter() - started
    assert len(dovecot.sink.taken) == _MAILS
    return taken


def _outbox(dovecot: Dovecot, k: Kolibri, numbers: Sequence[int]) -> float:
    dovecot.sink.taken.clear()
    assert k.outbox.release(numbers) == _MAILS
    started = time.perf_counter()
    (report,) = k.poll(passes=1)
    taken = time.perf_counter() - started
    assert report.ok, report.errors
    assert len(dovecot.sink.taken) == report.counts["sent"] == _MAILS
    return taken
