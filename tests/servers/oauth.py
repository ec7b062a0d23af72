"""An OAuth2 provider on loopback: tokens, device and browser logins, introspection."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["AuthServer", "running_auth_server"]


@dataclass
class AuthServer:
    """What the provider knows; a test changes it.

    ``asked`` holds the form of every request to the token endpoint, with ``client`` where one
    identified itself by HTTP Basic.
    """

    user: str = "anna"
    lifetime: int = 3600  #: seconds that an access token lasts
    refresh_lifetime: int | None = None  #: seconds that a refresh token lasts, if it says so
    rotates: bool = True  #: whether a refresh token counts once
    revoked: bool = False  #: the grant: no more tokens
    down: bool = False  #: answers 503
    approved: bool = True  #: whether the person at the device has entered the code
    secret: str = "s3cret"
    asked: list[dict[str, str]] = field(default_factory=list)
    access: dict[str, float] = field(default_factory=dict)  #: access token → when it ends
    refresh: set[str] = field(default_factory=set)
    introspections: int = 0
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def forget_access(self) -> None:
        """Make every access token that was given bad."""
        self.access.clear()

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if self.down:
            return 503, {}
        if path.endswith("/introspect"):
            return 200, self._introspected(form.get("token", ""))
        if path.endswith("/devicecode"):
            return 200, {
                "device_code": "d0",
                "user_code": "WXYZ-1234",
                "verification_uri": f"{self.url}/activate",
                "interval": 1,
                "expires_in": 60,
            }
        if path.endswith("openid-configuration"):
            return 200, {
                "token_endpoint": f"{self.url}/token",
                "authorization_endpoint": f"{self.url}/authorize",
                "device_authorization_endpoint": f"{self.url}/devicecode",
                "issuer": f"{self.url}/tenant/v2.0",
            }
        if path.endswith("/token"):
            self.asked.append(form)
            return self._token(form)
        return 404, {}

    def _introspected(self, token: str) -> dict[str, Any]:
        self.introspections += 1
        good = self.access.get(token, 0) > time.time()
        return {"active": good, "username": self.user} if good else {"active": False}

    def _token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        kind = form.get("grant_type", "").rpartition(":")[2]
        if kind == "device_code" and not self.approved:
            self.approved = True  # the person needs a moment
            return 400, {"error": "authorization_pending"}
        if self.revoked or (kind == "refresh_token" and form["refresh_token"] not in self.refresh):
            return 400, {"error": "invalid_grant", "error_description": "the grant was revoked"}
        if kind == "client_credentials" and self._secret(form) != self.secret:
            return 401, {"error": "invalid_client", "error_description": "wrong secret"}
        if kind == "refresh_token" and self.rotates:
            self.refresh.discard(form["refresh_token"])
        same = kind == "refresh_token" and not self.rotates  # it goes on with the one it has
        alone = same or kind in ("client_credentials", "jwt-bearer")
        return 200, self._given(with_refresh=not alone)

    def _secret(self, form: dict[str, str]) -> str:
        return form.get("client_secret") or form.get("client", "").partition(":")[2]

    def _given(self, *, with_refresh: bool) -> dict[str, Any]:
        number = len(self.asked)
        token = f"access-{number}"
        self.access[token] = time.time() + self.lifetime
        given: dict[str, Any] = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self.lifetime,
        }
        if with_refresh:
            given["refresh_token"] = f"refresh-{number}"
            self.refresh.add(given["refresh_token"])
            if self.refresh_lifetime is not None:
                given["refresh_token_expires_in"] = self.refresh_lifetime
        return given


@contextmanager
def running_auth_server(context: ssl.SSLContext | None = None) -> Iterator[AuthServer]:
    """The provider, by HTTP, or by HTTPS with this server context."""
    state = AuthServer(scheme="https" if context else "http")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self._send(*state.answer(parts.path, query))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            basic = self.headers.get("Authorization", "")
            if basic.startswith("Basic "):
                form["client"] = unquote(base64.b64decode(basic[6:]).decode())
            self._send(*state.answer(urlsplit(self.path).path, form))

        def _send(self, status: int, content: dict[str, Any]) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
