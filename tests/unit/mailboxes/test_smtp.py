"""Each stage of the SMTP dialogue refused or cut off, and the failure's class (faults 49 to 53)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Session
from aiosmtpd.smtp import Envelope as SmtpEnvelope

from kolibri_sdk import checkpoint
from kolibri_sdk.errors import (
    ConfigurationError,
    ConnectionFailed,
    PermanentSendError,
    SendError,
    ServerRefused,
    TemporarySendError,
    UncertainSendError,
)
from kolibri_sdk.mailboxes import open_transport
from kolibri_sdk.model.outbox import Delivery, Envelope
from tests.servers.scripted import Line, serving
from tests.servers.sink import Sink
from tests.unit.mailboxes.conftest import VARIABLE, sending

MAIL = b"Subject: hello\r\n\r\nGuten Tag\r\n"
TO_ANNA = Envelope("support@example.org", ("anna@example.org",))


def hang_up(server: SMTP) -> None:
    assert isinstance(server.transport, asyncio.WriteTransport)
    server.transport.abort()


class Moody(Sink):
    """A sink that refuses, delays or hangs up as the recipient's name says."""

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: SmtpEnvelope, address: str, options: Any
    ) -> str:
        name = address.partition("@")[0]
        if name == "hangup-rcpt":
            hang_up(server)
        if name.isdecimal():
            return f"{name} said by name"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: SmtpEnvelope
    ) -> str:
        name = envelope.rcpt_tos[0].partition("@")[0]
        if name == "hangup-after-dot":
            hang_up(server)
        if name == "silent-after-dot":
            await asyncio.sleep(60)
        if name.startswith("data-"):
            return f"{name[5:]} said by name"
        return await super().handle_DATA(server, session, envelope)


def send(sink: Sink, *names: str, raw: bytes = MAIL) -> Delivery:
    recipients = tuple(name if "@" in name else f"{name}@example.org" for name in names)
    with open_transport(sending(sink.port)) as transport:
        return transport.send(Envelope("support@example.org", recipients), raw)


def test_each_recipient_has_a_fate_of_its_own() -> None:
    with Moody() as sink:
        delivery = send(sink, "anna", "450", "550", "421", "ben")
    assert [(result.status, result.code) for result in delivery.results] == [
        ("accepted", 250),
        ("temporary", 450),
        ("permanent", 550),
        ("temporary", 421),
        ("accepted", 250),
    ]
    assert delivery.accepted == ("anna@example.org", "ben@example.org")
    assert sink.taken[0].recipients == delivery.accepted


def test_where_nobody_is_accepted_no_mail_is_handed_over() -> None:
    with Moody() as sink:
        delivery = send(sink, "550", "450")
    assert delivery.accepted == ()
    assert sink.taken == []


@pytest.mark.parametrize(
    ("name", "error", "code"),
    [
        ("data-451", TemporarySendError, 451),
        ("data-421", TemporarySendError, 421),
        ("data-552", PermanentSendError, 552),
        ("hangup-rcpt", TemporarySendError, None),
        ("hangup-after-dot", UncertainSendError, None),
    ],
)
def test_the_whole_mail_fails(name: str, error: type[SendError], code: int | None) -> None:
    with Moody() as sink, pytest.raises(error) as failed:
        send(sink, name)
    assert failed.value.code == code
    assert "support" in str(failed.value)
    assert f"127.0.0.1:{sink.port}" in str(failed.value)


def test_silence_after_the_dot_is_uncertain_and_waited_for_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kolibri_sdk.mailboxes.smtp.FINAL_PATIENCE", 2)
    with Moody() as sink, open_transport(sending(sink.port, timeout=0.2)) as transport:
        started = time.monotonic()
        with pytest.raises(UncertainSendError):
            transport.send(Envelope("", ("silent-after-dot@example.org",)), MAIL)
    assert 0.35 < time.monotonic() - started < 5


def talk(cut_at: bytes, *, answer: bytes = b"") -> Any:
    """A server that answers, or hangs up, at the line that starts so."""

    def held(stream: Line) -> None:
        stream.write(b"220 ready\r\n")
        in_mail = False
        while line := stream.readline():
            if line.upper().startswith(cut_at):
                if not answer:
                    return
                stream.write(answer)
            elif in_mail and line != b".\r\n":
                continue
            else:
                in_mail = line.upper().startswith(b"DATA")
                stream.write(b"354 go on\r\n" if in_mail else b"250 ok\r\n")

    return held


@pytest.mark.parametrize(
    ("cut_at", "error"),
    [
        (b"MAIL", TemporarySendError),
        (b"RCPT", TemporarySendError),
        (b"DATA", TemporarySendError),
        (b"SUBJECT:", TemporarySendError),
        (b".", UncertainSendError),
    ],
)
def test_a_line_that_breaks_there(cut_at: bytes, error: type[SendError]) -> None:
    # The mail is large: a small one is in the socket's buffer before the server can hang up.
    raw = b"Subject: hello\r\n\r\n" + (b"x" * 998 + b"\r\n") * 8_000
    with (
        serving(talk(cut_at)) as port,
        open_transport(sending(port)) as transport,
        pytest.raises(error),
    ):
        transport.send(TO_ANNA, raw)


@pytest.mark.parametrize(
    ("stage", "answer", "error"),
    [
        (b"MAIL", b"451 greylisted\r\n", TemporarySendError),
        (b"MAIL", b"550 who are you?\r\n", PermanentSendError),
        (b"MAIL", b"421 closing\r\n", TemporarySendError),
        (b"DATA", b"451 later\r\n", TemporarySendError),
        (b"DATA", b"554 never\r\n", PermanentSendError),
        (b"DATA", b"garbage\r\n", TemporarySendError),
        (b".", b"451 later\r\n", TemporarySendError),
        (b".", b"554 spam\r\n", PermanentSendError),
        (b".", b"garbage\r\n", UncertainSendError),
    ],
)
def test_answers_at_each_stage(stage: bytes, answer: bytes, error: type[SendError]) -> None:
    with (
        serving(talk(stage, answer=answer)) as port,
        open_transport(sending(port)) as transport,
        pytest.raises(error) as failed,
    ):
        transport.send(TO_ANNA, MAIL)
    if answer[:3].isdigit():
        assert failed.value.code == int(answer[:3])


@pytest.mark.parametrize("greeting", [b"554 go away\r\n", b"421 busy\r\n"])
def test_a_server_that_does_not_want_us(greeting: bytes) -> None:
    with (
        serving(lambda stream: stream.write(greeting)) as port,
        pytest.raises(ServerRefused, match=greeting[:3].decode()),
    ):
        open_transport(sending(port))


def test_nobody_listens() -> None:
    with serving(lambda stream: None) as port:
        pass
    with pytest.raises(ConnectionFailed, match=f"nobody listens at 127.0.0.1:{port}"):
        open_transport(sending(port))


def test_one_connection_takes_many_mails_and_is_made_anew_when_it_was_dropped() -> None:
    with Moody() as sink, open_transport(sending(sink.port)) as transport:
        session = transport._session  # type: ignore[union-attr]
        transport.send(TO_ANNA, MAIL)
        transport.send(Envelope("", ("550@example.org",)), MAIL)
        transport.send(TO_ANNA, MAIL)
        assert transport._session is session  # type: ignore[union-attr]
        asyncio.run_coroutine_threadsafe(_hang_up(sink), sink._controller.loop).result()
        transport.send(TO_ANNA, MAIL)
        assert transport._session is not session  # type: ignore[union-attr]
    assert len(sink.taken) == 3


async def _hang_up(sink: Sink) -> None:
    assert sink._controller.smtpd is not None
    hang_up(sink._controller.smtpd)


def test_a_server_that_is_gone_by_the_next_mail_is_temporary() -> None:
    with Moody() as sink:
        transport = open_transport(sending(sink.port))
    with transport, pytest.raises(TemporarySendError, match="nobody listens"):
        transport.send(TO_ANNA, MAIL)


def test_smuggled_commands_arrive_as_text() -> None:
    raw = b"Subject: a\nX: b\r\n\r\none\r.\rtwo\n.\nMAIL FROM:<x@y>\r\n.\r\n.three\0\r\0\n"
    with Moody() as sink:
        send(sink, "anna", raw=raw)
    (taken,) = sink.taken
    assert taken.raw == (
        b"Subject: a\r\nX: b\r\n\r\none.two\r\n.\r\nMAIL FROM:<x@y>\r\n.\r\n.three\r\n"
    )


@pytest.mark.parametrize("address", ["a@x>\r\nDATA", "a@x\0", "a b@x", "a<@x", "a@", "nobody", ""])
def test_an_address_that_is_none_is_refused_before_the_server_sees_it(address: str) -> None:
    with Moody() as sink, open_transport(sending(sink.port)) as transport:
        delivery = transport.send(Envelope("", (address, "anna@example.org")), MAIL)
        assert [result.status for result in delivery.results] == ["permanent", "accepted"]
        if address:
            with pytest.raises(PermanentSendError, match="sender"):
                transport.send(Envelope(address, ("anna@example.org",)), MAIL)
    assert len(sink.taken) == 1


def test_what_the_server_cannot_take_is_said_before_it_is_sent() -> None:
    with Moody(data_size_limit=1000) as sink, pytest.raises(PermanentSendError, match="1000"):
        send(sink, "anna", raw=MAIL + b"x" * 1000)
    with (
        serving(talk(b"?")) as port,
        open_transport(sending(port)) as transport,
        pytest.raises(PermanentSendError, match="8BITMIME"),
    ):
        transport.send(TO_ANNA, MAIL + "Grüße".encode())


@pytest.mark.parametrize("offered", [True, False])
def test_addresses_beyond_ascii(offered: bool) -> None:
    with Moody(enable_SMTPUTF8=offered) as sink:
        delivery = send(sink, "jürgen@example.org", "anna")
    status = "accepted" if offered else "permanent"
    assert [result.status for result in delivery.results] == [status, "accepted"]


def test_no_credentials_over_a_plain_line_unless_asked_for() -> None:
    with Moody() as sink, pytest.raises(ConnectionFailed, match="no STARTTLS"):
        open_transport(sending(sink.port, security="starttls"))


def test_user_without_password() -> None:
    with pytest.raises(ConfigurationError, match="both user and password"):
        open_transport(sending(1, user="anna"))


def test_a_server_without_auth() -> None:
    with Moody() as sink, pytest.raises(ServerRefused, match="no AUTH"):
        open_transport(sending(sink.port, user="anna", password={"env": VARIABLE}))


def test_the_points_where_a_test_can_interrupt() -> None:
    reached: list[str] = []
    with Moody() as sink:
        checkpoint.observe(reached.append)
        try:
            send(sink, "anna")
        finally:
            checkpoint.observe(None)
    assert reached == ["send.before_data", "send.after_data"]
