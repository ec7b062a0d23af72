"""Incoming: our whole pass against django-mailbox and against a bare imaplib download."""

from __future__ import annotations

import imaplib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from kolibri_sdk import connect
from tests.benchmarks.corpus import mails
from tests.benchmarks.measure import Result, Settings, in_turn, rates
from tests.benchmarks.project import RULES, server, write_project
from tests.servers.dovecot import Dovecot

__all__ = ["filled", "measure_ingest"]

_PEERS = Path(__file__).parent / "peers"
_ENVIRONMENT = Path(__file__).resolve().parents[2] / ".venv-bench"


def measure_ingest(settings: Settings) -> list[Result]:
    """IMAP into SQLite with raw, attachments, ledger, reference and 50 active rules, by the clock.

    All on one Dovecot, in turn: a bare download, django-mailbox, and a pass of ours.
    """
    count = settings.mails
    python = _django_environment()
    with server() as dovecot:
        user = filled(dovecot, count)
        seconds = in_turn(
            settings.rounds,
            bare=lambda: _imaplib(dovecot, user, count),
            django=lambda: _django(python, dovecot, count),
            kolibri=lambda: _kolibri(dovecot, user, count),
        )
    print(rates(count, seconds))
    ours = seconds["kolibri"]
    against_django = [theirs / mine for mine, theirs in zip(ours, seconds["django"], strict=True)]
    against_bare = [mine / theirs for mine, theirs in zip(ours, seconds["bare"], strict=True)]
    return [
        Result.of("incoming", "ingest_vs_django_mailbox", against_django, 12, "higher"),
        Result.of("incoming", "ingest_vs_bare_imaplib", against_bare, 8, "lower"),
    ]


def filled(dovecot: Dovecot, count: int) -> str:
    """A user with that many mails in the inbox."""
    user = dovecot.new_user("bench")
    with dovecot.imap(user) as client:
        for raw in mails(count):
            client.append("INBOX", raw)
    return user


def _kolibri(dovecot: Dovecot, user: str, count: int) -> float:
    with tempfile.TemporaryDirectory(prefix="kolibri-bench-") as folder:
        root = Path(folder)
        write_project(root, dovecot.inbound(user, security="none"))
        with connect(project=root) as k:
            k.check()  # starts the sandbox: a poller pays for it once, not per pass
            started = time.perf_counter()
            (report,) = k.poll(passes=1, every=0)
            taken = time.perf_counter() - started
        assert report.ok, report.errors
        assert report.counts["stored"] == count, report.counts
        assert report.counts["decisions"] == count * RULES, report.counts
    return taken


def _imaplib(dovecot: Dovecot, user: str, count: int) -> float:
    started = time.perf_counter()
    client = imaplib.IMAP4("127.0.0.1", dovecot.ports["imap"])
    client.authenticate("PLAIN", lambda _: f"\0{user}\0{dovecot.password}".encode())
    client.select("INBOX", readonly=True)
    uids = client.uid("SEARCH", "ALL")[1][0].split()  # type: ignore[no-untyped-call]
    fetched = 0
    for start in range(0, len(uids), 500):
        chunk = b",".join(uids[start : start + 500]).decode()
        answer = client.uid("FETCH", chunk, "(UID BODY.PEEK[])")[1]  # type: ignore[no-untyped-call]
        fetched += sum(isinstance(part, tuple) for part in answer)
    client.logout()
    assert fetched == count
    return time.perf_counter() - started


def _django(python: Path, dovecot: Dovecot, count: int) -> float:
    """The peer's seconds for that many mails, taken on half of them: it is slow, and even."""
    few = max(count // 2, 1)
    user = filled(dovecot, few)  # its own each time: it deletes what it has read
    uri = f"imap://{user}:{quote(dovecot.password)}@127.0.0.1:{dovecot.ports['imap']}"
    folder = tempfile.mkdtemp(prefix="kolibri-bench-django-")
    try:
        script = str(_PEERS / "django_mailbox_ingest.py")
        done = subprocess.run(
            [str(python), script, folder, uri], check=True, capture_output=True, text=True
        )
    finally:
        shutil.rmtree(folder)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["mails"] == few, answer
    return float(answer["seconds"]) * count / few


def _django_environment() -> Path:
    """The peer's own environment, made once."""
    python = _ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(_ENVIRONMENT)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "django", "django-mailbox"]
        subprocess.run(install, check=True)
    return python
