"""Notices as one writes them with plain Jinja2 and SQLAlchemy's ORM: one by one, committed each."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jinja2
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

__all__ = ["queue_notices"]


class _Base(DeclarativeBase):
    pass


class _Change(_Base):
    __tablename__ = "change"
    id: Mapped[int] = mapped_column(primary_key=True)
    before: Mapped[Any] = mapped_column(sa.JSON)
    after: Mapped[Any] = mapped_column(sa.JSON)
    state: Mapped[str] = mapped_column(index=True)


class _Person(_Base):
    __tablename__ = "person"
    id: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str]
    name: Mapped[str]


class _Bounced(_Base):
    __tablename__ = "bounced"
    address: Mapped[str] = mapped_column(primary_key=True)


class _Mail(_Base):
    """What is kept of every mail."""

    __tablename__ = "mail"
    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[str] = mapped_column(index=True)
    sender: Mapped[str]
    recipients: Mapped[Any] = mapped_column(sa.JSON)
    subject: Mapped[str]
    text: Mapped[str]
    html: Mapped[str]
    record: Mapped[str] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(index=True)
    stored_at: Mapped[datetime]


class _Outbox(_Base):
    """What is to be sent."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    mail: Mapped[int]
    cause: Mapped[str] = mapped_column(unique=True)
    message_id: Mapped[str] = mapped_column(unique=True)
    recipient: Mapped[str]
    state: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[datetime]
    __table_args__ = (sa.Index("outbox_by_recipient", "recipient", "created_at"),)


class _Decision(_Base):
    __tablename__ = "decision"
    id: Mapped[int] = mapped_column(primary_key=True)
    rule: Mapped[str]
    change: Mapped[int]
    verdict: Mapped[str]
    outbox: Mapped[int]
    at: Mapped[datetime]
    __table_args__ = (sa.UniqueConstraint("rule", "change"),)


def queue_notices(
    database: Path,
    people: Sequence[tuple[str, str, str]],
    conditions: Sequence[str],
    template: Mapping[str, str],
    changes: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> tuple[int, float]:
    """Queue the mails of these changes in a new database; how many, and in how many seconds.

    Conditions are Jinja2 expressions over ``record`` and ``old``; recipients are ``record.caller``.
    """
    engine = _engine(database)
    with Session(engine) as session:
        session.add_all(_Person(id=i, address=a, name=n) for i, a, n in people)
        session.add_all(_Change(before=b, after=a, state="new") for b, a in changes)
        session.commit()
    plain, escaping = jinja2.Environment(), jinja2.Environment(autoescape=True)
    asked = [plain.compile_expression(condition) for condition in conditions]
    texts = {
        part: (escaping if part == "html" else plain).from_string(source)
        for part, source in template.items()
    }
    started = time.perf_counter()
    sent = 0
    with Session(engine) as session:
        waiting = sa.select(_Change.id).where(_Change.state == "new").order_by(_Change.id)
        for number in session.scalars(waiting).all():
            change = session.get_one(_Change, number)
            record, old = change.after, change.before
            for rule, condition in enumerate(asked):
                if condition(record=record, old=old):
                    _queue(session, change, rule, texts)
                    sent += 1
            change.state = "done"
            session.commit()
    taken = time.perf_counter() - started
    engine.dispose()
    return sent, taken


def _engine(database: Path) -> sa.Engine:
    engine = sa.create_engine(f"sqlite:///{database}")

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # as ours

    _Base.metadata.create_all(engine)
    return engine


def _queue(
    session: Session, change: _Change, rule: int, texts: Mapping[str, jinja2.Template]
) -> None:
    record, now = change.after, datetime.now(UTC)
    person = session.get_one(_Person, record["caller"])
    lately = sa.select(sa.func.count()).where(
        _Outbox.recipient == person.address, _Outbox.created_at >= now - timedelta(hours=1)
    )
    had = session.scalar(lately) or 0
    held = had >= 10**6 or session.get(_Bounced, person.address) is not None
    seen = {
        "record": record,
        "old": change.before,
        "user": {"name": person.name, "address": person.address},
    }
    token = _token(record["id"])
    mail = _Mail(
        message_id=f"{token}@kolibri.example",
        sender="support@kolibri.example",
        recipients=[{"address": person.address, "name": person.name}],
        record=f"incident {record['id']}",
        state="held" if held else "queued",
        stored_at=now,
        **{part: text.render(seen) for part, text in texts.items()},
    )
    session.add(mail)
    session.flush()
    outbox = _Outbox(
        mail=mail.id,
        cause=f"change:{change.id}/rule:{rule}",
        message_id=mail.message_id,
        recipient=person.address,
        state=mail.state,
        created_at=now,
    )
    session.add(outbox)
    session.flush()
    session.add(
        _Decision(rule=f"rule-{rule}", change=change.id, verdict="match", outbox=outbox.id, at=now)
    )
    session.commit()


def _token(key: int) -> str:
    """A signed reference to the record."""
    body = key.to_bytes(8, "big") + secrets.token_bytes(5)
    signature = hmac.digest(b"secret", body, "sha256")[:16]
    return base64.b32encode(body + signature).decode().rstrip("=").lower()
