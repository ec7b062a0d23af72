"""A pass with nothing to do: it must not grow with the mails that are stored already."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from kolibri_sdk import Kolibri, connect
from kolibri_sdk.store import Store
from tests.benchmarks.measure import Result, Settings, cpu_seconds, in_turn
from tests.benchmarks.project import write_project

__all__ = ["measure_idle"]

_FEW, _MANY = 10_000, 1_000_000
_PASSES = 30


def measure_idle(settings: Settings) -> list[Result]:
    """Processor time of idle passes over a Maildir, with 1,000,000 mails stored and with 10,000."""
    with tempfile.TemporaryDirectory(prefix="kolibri-bench-") as folder:
        few, many = (_opened(Path(folder, str(count)), count) for count in (_FEW, _MANY))
        with few, many:
            taken = in_turn(
                settings.rounds,
                few=lambda: cpu_seconds(lambda: _poll(few)),
                many=lambda: cpu_seconds(lambda: _poll(many)),
            )
    per_pass = {name: min(one) / _PASSES * 1000 for name, one in taken.items()}
    print(f"  {per_pass['few']:.1f} ms a pass with {_FEW:,} mails stored, ", end="")
    print(f"{per_pass['many']:.1f} ms with {_MANY:,}")
    pairs = [many / few for few, many in zip(taken["few"], taken["many"], strict=True)]
    return [Result.of("scale", "idle_pass_1000000_vs_10000", pairs, 1.2, "lower")]


def _poll(k: Kolibri) -> None:
    for report in k.poll(passes=_PASSES, every=0):
        assert report.ok, report.errors
        assert not report.counts["fetched"]


def _opened(root: Path, count: int) -> Kolibri:
    for name in ("cur", "new", "tmp"):
        (root / "maildir" / name).mkdir(parents=True)
    write_project(root, {"protocol": "maildir", "path": str(root / "maildir")})
    k = connect(project=root)
    _poll(k)  # makes the tables
    with closing(Store(f"sqlite:///{root / 'kolibri.db'}")) as store:
        _fill(store, count)
    return k


def _fill(store: Store, count: int) -> None:
    """Mails handled long ago: each seen on the server and answered, each with a changed record."""
    numbers = f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {count})"
    with store.write() as tx:
        for statement in _ROWS:
            into, _, values = statement.partition(" select ")
            tx.execute(sa.text(f"{into} {numbers} select {values} from n"))


_ROWS = (
    """insert into kolibri_message
    (id, direction, mailbox, state, stored_at, received_at, message_id, from_address, subject,
     text, size, blob, ruleset)
    select i, 'in', 'support', 'done', '2026-01-05 08:00:00.000000', '2026-01-05 08:00:00.000000',
    i || '@customer.example', 'person' || i % 2000 || '@customer.example', 'Subject ' || i,
    'The text of a mail, shortened', 27000, 'blob ' || i, 'ruleset'""",
    """insert into kolibri_ledger
    (mailbox, folder, uidvalidity, uid, state, content, message, server_done, seen_at)
    select 'support', 'INBOX', 0, 'old.' || i, 'stored', 'content ' || i, i, 1,
    '2026-01-05 08:00:00.000000'""",
    """insert into kolibri_outbox
    (id, message, mailbox, state, cause, message_id, sender, recipients, results, request, due_at,
     created_at, sent_at, blob)
    select i, i, 'support', 'sent', 'cause ' || i, 'sent ' || i, 'support@kolibri.example',
    '["person@customer.example"]', '{}', '{}', '2026-01-05 08:00:00.000000',
    '2026-01-05 08:00:00.000000', '2026-01-05 08:00:01.000000', 'sent ' || i""",
    """insert into kolibri_event (entity, record_key, kind, at, state)
    select 'incident', i, 'insert', '2026-01-05 08:00:00.000000', 'done'""",
)
