"""A logged-in SMTP connection (RFC 5321, 6409), and what the server offers."""

from __future__ import annotations

import base64
import smtplib
import socket

from kolibri_sdk.mailboxes.credential import Credential, sign_in
from kolibri_sdk.mailboxes.endpoint import Endpoint
from kolibri_sdk.mailboxes.oauth2 import Bearer
from kolibri_sdk.model.mailbox import Security

__all__ = ["connected", "line"]


def connected(endpoint: Endpoint, credential: Credential | None) -> smtplib.SMTP:
    """Connect, protect the line, log in.

    Raises
    ------
    ConnectionFailed, ServerRefused, LoginRefused
        With what happened, and the next step.
    """
    session = _greeted(endpoint)
    try:
        with endpoint.told("greeting"):
            session.ehlo_or_helo_if_needed()
        if endpoint.security is Security.STARTTLS:
            _start_tls(session, endpoint)
        if credential is not None:
            _log_in(session, endpoint, credential)
        # The final dot goes out by itself: without this it would wait for an acknowledgement.
        line(session).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        session.close()
        raise
    return session


def line(session: smtplib.SMTP) -> socket.socket:
    """The session's socket; smtplib drops it when the line is lost."""
    if session.sock is None:
        raise smtplib.SMTPServerDisconnected("the line is closed")
    return session.sock


def _greeted(to: Endpoint) -> smtplib.SMTP:
    name = socket.gethostname()
    name = name if "." in name else "[127.0.0.1]"  # smtplib would ask the DNS, which can take long
    with to.told("connecting"):
        if to.security is Security.TLS:
            return smtplib.SMTP_SSL(
                to.host, to.port, local_hostname=name, timeout=to.timeout, context=to.context
            )
        return smtplib.SMTP(to.host, to.port, local_hostname=name, timeout=to.timeout)


def _start_tls(session: smtplib.SMTP, endpoint: Endpoint) -> None:
    if not session.has_extn("starttls"):
        raise endpoint.no_starttls()
    with endpoint.told("starting TLS"):
        session.starttls(context=endpoint.context)
        session.ehlo()


def _log_in(session: smtplib.SMTP, endpoint: Endpoint, credential: Credential) -> None:
    offered = session.esmtp_features.get("auth", "").upper().split()
    if not offered:
        raise endpoint.refused("logging in", "it offers no AUTH on this port")
    if not isinstance(credential, str):
        sign_in(endpoint, credential, offered, lambda said: _authenticate(session, said))
        return
    with endpoint.logging_in():
        if "PLAIN" not in offered:
            session.login(endpoint.user, credential)
            return
        # smtplib's own PLAIN is ASCII only; RFC 4616 says UTF-8.
        secret = base64.b64encode(f"\0{endpoint.user}\0{credential}".encode()).decode()
        code, answer = session.docmd("AUTH", f"PLAIN {secret}")
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, answer)


def _authenticate(session: smtplib.SMTP, said: Bearer) -> None:
    code, answer = session.docmd("AUTH", said.mechanism)
    for response in (said.response, said.farewell):
        if code == 334:  # the second time, it tells why it refuses
            code, answer = session.docmd(base64.b64encode(response).decode("ascii"))
    if code != 235:
        raise smtplib.SMTPAuthenticationError(code, answer)
