"""A real Dovecot on loopback: IMAP(S), POP3(S), LMTP and submission; a user for each test."""

from __future__ import annotations

import itertools
import os
import shutil
import smtplib
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import trustme
from imapclient import IMAPClient

from tests.servers import as_server_user, free_port, server_folder, server_user
from tests.servers.sink import Sink

__all__ = ["PASSWORD", "PASSWORD_VARIABLE", "Dovecot", "dovecot_is_installed", "running_dovecot"]

PASSWORD = "grünes-Pferd"  # beyond ASCII, so that every login proves its encoding
PASSWORD_VARIABLE = "KOLIBRI_TEST_PASSWORD"
SECURITY = Literal["tls", "starttls", "none"]

CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
first_valid_gid = 1
listen = 127.0.0.1
protocols = imap pop3 lmtp submission
ssl = yes
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.key
mail_location = maildir:~/Maildir
mail_fsync = never
namespace inbox {{
  inbox = yes
  mailbox Ausgang {{
    special_use = \\Sent
  }}
}}
mail_max_userip_connections = 100
auth_mechanisms = {mechanisms}
{oauth2}passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/mail/%u allow_all_users=yes
}}
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = yes
auth_failure_delay = 0
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    port = {submission}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
"""
OAUTH2_PASSDB = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
"""
OAUTH2 = """
introspection_mode = post
introspection_url = {introspection}
force_introspection = yes
username_attribute = username
active_attribute = active
active_value = true
"""


def dovecot_is_installed() -> bool:
    """Whether the server and all the protocols we test are there."""
    parts = ("imap-login", "pop3-login", "lmtp", "submission-login")
    return _program() is not None and all(Path("/usr/lib/dovecot", p).exists() for p in parts)


def _program() -> str | None:
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Dovecot:
    """A running server; any user name logs in with ``password`` and has an empty mailbox at first.

    ``ports`` maps imap, imaps, pop3, pop3s, lmtp and submission to port numbers; ``ca`` is the
    certificate that signs the server's, ``stranger_ca`` one that does not; what is submitted
    lands in ``sink``. ``introspection`` is an endpoint that knows access tokens (RFC 7662): with it
    the server takes them by the mechanisms ``tokens``; ``more`` is further configuration.
    """

    def __init__(
        self,
        folder: Path,
        sink: Sink,
        password: str = PASSWORD,
        *,
        introspection: str = "",
        tokens: str = "xoauth2 oauthbearer",
        more: str = "",
    ) -> None:
        self.folder = folder
        self.password = password
        self.sink = sink
        self.introspection = introspection
        self.tokens = tokens
        self.more = more
        self.ca = folder / "ca.pem"
        self.stranger_ca = folder / "stranger.pem"
        names = ("imap", "imaps", "pop3", "pop3s", "lmtp", "submission")
        self.ports = {name: free_port() for name in names}
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Write the configuration and wait until the server greets."""
        self._write_certificates()
        user = server_user()
        settings = {
            "folder": self.folder,
            "user": user.pw_name,
            "group": _group_name(user.pw_gid),
            "password": self.password,
            "relay": self.sink.port,
            **self.ports,
        }
        configuration = self.folder / "dovecot.conf"
        settings["mechanisms"], settings["oauth2"] = "plain", ""
        if self.introspection:
            settings["mechanisms"] = f"plain {self.tokens}"
            settings["oauth2"] = OAUTH2_PASSDB.format(folder=self.folder)
            text = OAUTH2.format(introspection=self.introspection)
            (self.folder / "oauth2.conf").write_text(text)
        configuration.write_text(CONFIGURATION.format(**settings) + self.more)
        program = _program()
        assert program is not None
        self._process = subprocess.Popen(
            [program, "-F", "-c", str(configuration)], cwd=self.folder, **as_server_user()
        )
        for port in self.ports.values():
            self._wait_for(port)

    def stop(self) -> None:
        """End the server that we started, and its children with it."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=20)

    def log(self) -> str:
        """What the server wrote so far."""
        return (self.folder / "dovecot.log").read_text(errors="replace")

    def kick(self, user: str) -> None:
        """End this user's IMAP sessions, as an administrator or a restart does; waits for it."""
        self._doveadm("kick", user)
        for _ in range(200):
            if user not in self._doveadm("who", user):
                return
            time.sleep(0.05)
        raise AssertionError(f"Dovecot does not let go of {user}")

    def _doveadm(self, *words: str) -> str:
        command = ["doveadm", "-c", str(self.folder / "dovecot.conf"), *words]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, **as_server_user()
        )
        return done.stdout

    def new_user(self, name: str = "user") -> str:
        """A user name that no other test has."""
        return f"{name}{next(self._numbers)}"

    def inbound(
        self, user: str, protocol: str = "imap", security: SECURITY = "tls", **more: Any
    ) -> dict[str, Any]:
        """The ``inbound:`` part of a mailbox file that reads this user's mail."""
        port = self.ports[f"{protocol}s" if security == "tls" else protocol]
        return self._side(protocol, port, user, security) | more

    def outbound(self, user: str, **more: Any) -> dict[str, Any]:
        """The ``outbound:`` part of a mailbox file that submits as this user, by STARTTLS."""
        return self._side("smtp", self.ports["submission"], user, "starttls") | more

    def _side(self, protocol: str, port: int, user: str, security: str) -> dict[str, Any]:
        return {
            "protocol": protocol,
            "host": "127.0.0.1",
            "port": port,
            "user": user,
            "password": {"env": PASSWORD_VARIABLE},
            "security": security,
            "ca": str(self.ca),
            "timeout": 10.0,
        }

    def deliver(self, user: str, *mails: bytes, sender: str = "anna@example.org") -> None:
        """Hand mails over by LMTP, as an MTA does."""
        with smtplib.LMTP("127.0.0.1", self.ports["lmtp"]) as lmtp:
            for raw in mails:
                lmtp.sendmail(sender, [user], raw)

    def append(
        self,
        user: str,
        *mails: bytes,
        folder: str = "INBOX",
        flags: tuple[bytes, ...] = (),
        at: datetime | None = None,
    ) -> None:
        """Put mails into a folder by IMAP, with these flags and this INTERNALDATE."""
        with self.imap(user) as client:
            for raw in mails:
                client.append(folder, raw, flags, at)

    @contextmanager
    def imap(self, user: str, folder: str | None = None) -> Iterator[IMAPClient]:
        """A logged-in session of a colleague, with this folder opened if one is named."""
        with IMAPClient("127.0.0.1", self.ports["imap"], ssl=False, timeout=10) as client:
            client.plain_login(user, self.password)
            if folder is not None:
                client.select_folder(folder)
            yield client

    def _write_certificates(self) -> None:
        ca = trustme.CA()
        certificate = ca.issue_cert("127.0.0.1", "localhost")
        certificate.private_key_pem.write_to_path(str(self.folder / "server.key"))
        for pem in certificate.cert_chain_pems:
            pem.write_to_path(str(self.folder / "server.pem"), append=True)
        ca.cert_pem.write_to_path(str(self.ca))
        trustme.CA().cert_pem.write_to_path(str(self.stranger_ca))
        user = server_user()
        os.chown(self.folder / "server.key", user.pw_uid, user.pw_gid)

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                raise RuntimeError(f"Dovecot ended at start:\n{self.log()}")
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.02)
        raise RuntimeError(f"Dovecot does not listen on {port}:\n{self.log()}")


def _group_name(gid: int) -> str:
    import grp

    return grp.getgrgid(gid).gr_name


@contextmanager
def running_dovecot(password: str = PASSWORD, **settings: str) -> Iterator[Dovecot]:
    """A Dovecot with its sink, from start to stop."""
    with server_folder("dovecot") as folder, Sink() as sink:
        server = Dovecot(folder, sink, password, **settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()
