"""Incoming: our whole pass against django-mailbox and against a bare imaplib download."""

from __future__ import annotations

import imaplib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from ruamel.yaml import YAML

from kolibri_sdk import connect
from tests.benchmarks.corpus import mails
from tests.benchmarks.measure import Result, ratios
from tests.servers.dovecot import Dovecot

__all__ = ["measure_incoming"]

_PEERS = Path(__file__).parent / "peers"
_ENVIRONMENT = Path(__file__).resolve().parents[2] / ".venv-bench"
_RULES = 50


def measure_incoming(dovecot: Dovecot, count: int, rounds: int) -> list[Result]:
    """Mails per second from the same Dovecot: ours with ledger, reference and 50 active rules."""
    user = _filled(dovecot, count)
    python = _django_environment()
    seconds: dict[str, list[float]] = {}
    ours = _kept(seconds, "kolibri", lambda: _kolibri(dovecot, user, count))
    django = _kept(seconds, "django-mailbox", lambda: _django(python, dovecot, count))
    bare = _kept(seconds, "bare imaplib", lambda: _imaplib(dovecot, user, count))
    against_django = ratios(rounds, ours, django)
    against_bare = ratios(rounds, ours, bare)
    for name, taken in seconds.items():
        rates = ", ".join(f"{count / one:,.0f}" for one in taken)
        print(f"  {name}: {rates} mails/s")
    return [
        Result.of(
            "incoming",
            "ingest_vs_django_mailbox",
            [theirs / mine for mine, theirs in zip(*against_django, strict=True)],
            goal=12,
            better="higher",
        ),
        Result.of(
            "incoming",
            "ingest_vs_bare_imaplib",
            [mine / theirs for mine, theirs in zip(*against_bare, strict=True)],
            goal=8,
            better="lower",
        ),
    ]


def _kept(
    seconds: dict[str, list[float]], name: str, run: Callable[[], float]
) -> Callable[[], float]:
    def measured() -> float:
        taken = run()
        seconds.setdefault(name, []).append(taken)
        return taken

    return measured


def _kolibri(dovecot: Dovecot, user: str, count: int) -> float:
    with tempfile.TemporaryDirectory(prefix="kolibri-bench-") as folder:
        root = Path(folder)
        _write_project(root, dovecot, user)
        with connect(project=root) as k:
            k.check()  # starts the sandbox: a poller pays for it once, not per pass
            started = time.perf_counter()
            (report,) = k.poll(passes=1, every=0)
            taken = time.perf_counter() - started
        assert report.ok, report.errors
        assert report.counts["stored"] == count, report.counts
        assert report.counts["decisions"] == count * _RULES, report.counts
    return taken


def _write_project(root: Path, dovecot: Dovecot, user: str) -> None:
    (root / "kolibri.toml").write_text("[kolibri]\n")
    documents: dict[str, object] = {
        "mailboxes/support.yaml": {
            "address": "support@kolibri.example",
            "inbound": dovecot.inbound(user, security="none"),
        }
    }
    for number in range(_RULES):
        subject, text = f"/\\bword{number}\\b/i.test(message.subject)", f'"w{number}x"'
        documents[f"inbound/support/rule-{number}.yaml"] = {
            "order": number,
            "when": f"{subject} || message.text.includes({text})",
            "then": [],
        }
    for name, document in documents.items():
        path = root / "rules" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        YAML().dump(document, path)


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


def _filled(dovecot: Dovecot, count: int) -> str:
    """A user with that many mails in the inbox."""
    user = dovecot.new_user("bench")
    with dovecot.imap(user) as client:
        for raw in mails(count):
            client.append("INBOX", raw)
    return user


def _django(python: Path, dovecot: Dovecot, count: int) -> float:
    user = _filled(dovecot, count)  # its own each time: it deletes what it has read
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
    assert answer["mails"] == count, answer
    return float(answer["seconds"])


def _django_environment() -> Path:
    """The peer's own environment, made once."""
    python = _ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(_ENVIRONMENT)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "django", "django-mailbox"]
        subprocess.run(install, check=True)
    return python
