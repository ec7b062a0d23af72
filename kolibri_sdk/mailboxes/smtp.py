"""Sending by SMTP: every stage of the dialogue known, so that each failure gets its right class."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from kolibri_sdk import clock
from kolibri_sdk.checkpoint import reach
from kolibri_sdk.errors import (
    MailboxError,
    PermanentSendError,
    SendError,
    TemporarySendError,
    UncertainSendError,
)
from kolibri_sdk.mailboxes.credential import Credential
from kolibri_sdk.mailboxes.endpoint import Endpoint, answer_text
from kolibri_sdk.mailboxes.smtp_session import connected, line
from kolibri_sdk.mailboxes.smtp_wire import END, is_eight_bit, on_the_wire
from kolibri_sdk.mailboxes.survey import Survey, protection
from kolibri_sdk.mailboxes.transport import address_fault, refused
from kolibri_sdk.model.outbox import Delivery, Envelope, RecipientResult

__all__ = ["SmtpTransport"]

#: The reply to the final dot may take this many timeouts: to give up here leaves the mail
#: uncertain, so RFC 5321 section 4.5.3.2.6 asks for ten minutes.
FINAL_PATIENCE = 10
PIECE = 256 * 1024  #: bytes that must go out within one timeout
PIPELINED = 50  #: commands that are written before the first answer is read
IDLE = 10.0  #: seconds after which a line that was used is asked whether it is alive


class _LineEnded(Exception):
    """The server ended the line before it knew of the mail: another line may do."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class SmtpTransport:
    """A connection to a submission server; see :class:`~kolibri_sdk.mailboxes.MailTransport`.

    Parameters
    ----------
    endpoint : Endpoint
        The server.
    credential : Credential or None
        The password in plain text, or the access tokens; None where nobody logs in.
    most : int
        Mails after which the connection is made anew.
    """

    def __init__(self, endpoint: Endpoint, credential: Credential | None, most: int = 200) -> None:
        self._endpoint = endpoint
        self._credential = credential
        self._most = most
        self._taken = 0  #: mails that this connection was used for
        self._clean = True  #: no mail was begun since the last one that was taken whole
        self._since_used = clock.stopwatch()
        self._session: smtplib.SMTP | None = connected(endpoint, credential)

    def send(
        self, envelope: Envelope, raw: bytes, may: Callable[[], bool] | None = None
    ) -> Delivery:
        """Hand over one mail; the line is made anew if it has ended, or carried its share."""
        body = on_the_wire(raw)
        try:
            return self._send(envelope, body, may)
        except _LineEnded:
            self._drop()
        try:
            return self._send(envelope, body, may)
        except _LineEnded as again:
            raise self._lost(again.error, "naming the sender") from again.error

    def _send(self, envelope: Envelope, body: bytes, may: Callable[[], bool] | None) -> Delivery:
        session = self._ready()
        self._clean = False
        with self._nothing_sent("naming the sender and the recipients"):
            results = self._named(session, envelope, body)
        self._taken += 1
        if may is not None and not may():
            return Delivery(())
        if any(result.status == "accepted" for result in results):
            self._hand_over(session, body)
            self._clean = True
        self._since_used = clock.stopwatch()
        return Delivery(results)

    def survey(self) -> Survey:
        """What the server offers."""
        session = self._ready()
        return Survey(
            tls=protection(session.sock),
            capabilities=tuple(
                f"{name} {value}".strip().upper() for name, value in session.esmtp_features.items()
            ),
        )

    def close(self) -> None:
        """Say QUIT; never raises."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(smtplib.SMTPException, OSError):
                session.quit()
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # The dialogue, stage by stage

    def _ready(self) -> smtplib.SMTP:
        """The session, made anew where the server has ended it meanwhile; no mail is under way."""
        if self._taken >= self._most:
            self.close()
        if self._session is not None:
            if self._clean and self._since_used() < IDLE:
                return self._session
            with suppress(smtplib.SMTPException, OSError):
                code, _ = self._session.rset()
                if code == 250:
                    return self._session
            self._drop()
        try:
            self._session = connected(self._endpoint, self._credential)
        except MailboxError as error:
            raise TemporarySendError(error.what, error.next_step) from error
        self._taken = 0
        return self._session

    def _named(
        self, session: smtplib.SMTP, envelope: Envelope, body: bytes
    ) -> tuple[RecipientResult, ...]:
        """Name sender and recipients, at one go where the server has PIPELINING (RFC 2920)."""
        mail = self._mail_command(session, envelope, body)
        faults = {address: self._fault(session, address) for address in envelope.recipients}
        asked = [address for address, fault in faults.items() if not fault]
        commands = [mail, *(f"RCPT TO:<{address}>" for address in asked)]
        window = PIPELINED if session.has_extn("pipelining") else 1
        said: dict[str, RecipientResult] = {}
        for start in range(0, len(commands), window):
            some = commands[start : start + window]
            if start == 0:
                self._name_sender(session, envelope, some)
            else:
                _write(session, some)
            for address in asked[max(start - 1, 0) : start - 1 + len(some)]:
                code, answer = session.getreply()
                status = {2: "accepted", 5: "permanent"}.get(code // 100, "temporary")
                said[address] = RecipientResult(address, status, code, answer_text(answer))
        return tuple(
            refused(address, fault) if fault else said[address] for address, fault in faults.items()
        )

    def _name_sender(
        self, session: smtplib.SMTP, envelope: Envelope, commands: Sequence[str]
    ) -> None:
        try:
            _write(session, commands)
            code, answer = session.getreply()
        except (smtplib.SMTPServerDisconnected, ConnectionError) as error:
            raise _LineEnded(error) from error
        if code == 421 and self._taken:  # it has had enough of this line, not yet of us
            raise _LineEnded(smtplib.SMTPServerDisconnected(answer_text(answer)))
        if code != 250:
            refusal = self._refusal(f"the sender {envelope.sender}", code, answer)
            for _ in commands[1:] if self._session is not None else ():
                session.getreply()  # of recipients of no mail
            raise refusal

    def _mail_command(self, session: smtplib.SMTP, envelope: Envelope, body: bytes) -> str:
        fault = address_fault(envelope.sender) if envelope.sender else ""
        if fault:
            raise self._permanent(
                f"the sender {envelope.sender!r} cannot be used: {fault}", "Correct the address."
            )
        options = self._options(session, envelope, body)
        return " ".join([f"MAIL FROM:<{envelope.sender}>", *options])

    def _options(self, session: smtplib.SMTP, envelope: Envelope, body: bytes) -> Iterator[str]:
        """The parameters of MAIL that this mail needs; raises where the server lacks one."""
        if session.has_extn("size"):
            limit = session.esmtp_features["size"]
            if limit.isdecimal() and 0 < int(limit) < len(body):
                raise self._permanent(
                    f"the mail has {len(body)} bytes and the server takes {limit}",
                    "Send it with fewer or smaller attachments.",
                )
            yield f"SIZE={len(body)}"
        if is_eight_bit(body):
            if not session.has_extn("8bitmime"):
                raise self._permanent(
                    "the mail has bytes beyond ASCII and the server offers no 8BITMIME",
                    "Encode its parts as quoted-printable or base64.",
                )
            yield "BODY=8BITMIME"
        if not "".join((envelope.sender, *envelope.recipients)).isascii():
            if session.has_extn("smtputf8"):
                session.command_encoding = "utf-8"
                yield "SMTPUTF8"
            elif not envelope.sender.isascii():
                raise self._permanent(
                    f"the sender {envelope.sender} is not ASCII and the server offers no SMTPUTF8",
                    "Send from an ASCII address.",
                )

    def _fault(self, session: smtplib.SMTP, address: str) -> str:
        fault = address_fault(address)
        if not fault and not address.isascii() and session.command_encoding != "utf-8":
            fault = "the server offers no SMTPUTF8, which this address needs (RFC 6531)"
        return fault

    def _hand_over(self, session: smtplib.SMTP, body: bytes) -> None:
        reach("send.before_data")
        with self._nothing_sent("handing over the mail"):
            code, answer = session.docmd("DATA")
            if code != 354:
                raise self._refusal("the mail", code, answer)
            for start in range(0, len(body), PIECE):  # a timeout is for one call, however long
                session.send(body[start : start + PIECE])
        code, answer = self._end(session)
        reach("send.after_data")
        if code != 250:
            raise self._refusal("the mail", code, answer)

    def _end(self, session: smtplib.SMTP) -> tuple[int, bytes]:
        """Write the final dot, and wait for what the server makes of it."""
        try:
            line(session).settimeout(self._endpoint.timeout * FINAL_PATIENCE)
            session.send(END)
            code, answer = session.getreply()
            line(session).settimeout(self._endpoint.timeout)
        except (smtplib.SMTPException, OSError) as error:
            raise self._uncertain(answer_text(error)) from error
        if not 200 <= code <= 599:
            raise self._uncertain(f"it answered {answer_text(answer)!r}")
        return code, answer

    # The failures

    @contextmanager
    def _nothing_sent(self, doing: str) -> Iterator[None]:
        """What breaks in here breaks before the mail is complete, so that nobody has got it."""
        try:
            yield
        except SendError:
            raise
        except (smtplib.SMTPException, OSError) as error:
            raise self._lost(error, doing) from error

    def _lost(self, error: Exception, doing: str) -> TemporarySendError:
        self._drop()
        told = self._endpoint.explained(error, doing)
        return TemporarySendError(told.what, told.next_step)

    def _refusal(self, what: str, code: int, answer: bytes) -> SendError:
        said = f"{self._about} refused {what}: {code} {answer_text(answer)}"
        if code == 421 or not 400 <= code <= 599:
            self._drop()
        if 500 <= code <= 599:
            return PermanentSendError(said, "Another try would get the same answer.", code=code)
        return TemporarySendError(said, "It is tried again later.", code=code)

    def _permanent(self, why: str, next_step: str) -> PermanentSendError:
        return PermanentSendError(f"{self._about}: {why}", next_step)

    def _uncertain(self, why: str) -> UncertainSendError:
        self._drop()
        return UncertainSendError(
            f"{self._about} took the whole mail, and the line was lost before it said so ({why})",
            "It may have gone out. Ask a recipient, or look into the server's log, before it is "
            "sent again.",
        )

    @property
    def _about(self) -> str:
        return f"Mailbox {self._endpoint.mailbox}: {self._endpoint}"

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


def _write(session: smtplib.SMTP, commands: Sequence[str]) -> None:
    session.send("".join(f"{command}\r\n" for command in commands))
