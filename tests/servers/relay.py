"""A relay before a server that can go silent: what a router or a dead host looks like."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["Relay", "relaying"]


class Relay:
    """Passes bytes between its ``port`` and a server until it is told to swallow them.

    Attributes
    ----------
    port : int
        Where to connect.
    connections : int
        How many were accepted so far.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._swallow: set[int] = set()
        self._over = threading.Event()
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0

    def swallow(self) -> None:
        """From now on the connections that there are carry nothing, and nobody is told."""
        self._swallow = set(range(len(self._pairs)))

    def accept(self) -> None:
        """Take connections until the relay is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                number = len(self._pairs)
                self._pairs.append((client, server))
                self.connections += 1
                threading.Thread(target=self._pass, args=(number,), daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pass(self, number: int) -> None:
        client, server = self._pairs[number]
        with client, server, suppress(OSError):
            while not self._over.is_set():
                for end in select.select([client, server], (), (), 0.1)[0]:
                    piece = end.recv(65536)
                    if not piece and number not in self._swallow:
                        return
                    if number in self._swallow:
                        self._over.wait(0.05)
                    else:
                        (server if end is client else client).sendall(piece)


@contextmanager
def relaying(to: int) -> Iterator[Relay]:
    """A relay to this port on loopback, from start to stop."""
    relay = Relay(to)
    thread = threading.Thread(target=relay.accept, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join(timeout=5)
