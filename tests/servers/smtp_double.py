"""An SMTP server that refuses, delays and drops at every step, as it is told by step."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from tests.servers.scripted import Line

__all__ = ["STEPS", "SmtpDouble"]

#: Where something can go wrong, in the order in which it comes; ``dot`` is the end of the mail.
STEPS = ("connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "dot")

_FINE = {
    "connect": "220 ready",
    "EHLO": "250 fine",
    "STARTTLS": "454 no TLS here",
    "AUTH": "235 welcome",
    "MAIL": "250 fine",
    "RCPT": "250 fine",
    "DATA": "354 go on",
    "dot": "250 taken",
}


@dataclass
class SmtpDouble:
    """What it answers is set by step, or for RCPT by address.

    An answer of ``drop`` hangs up, ``silence`` says nothing until the other side leaves.
    ``accepts`` says whether a mail whose end was dropped counts as taken.
    """

    answers: dict[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ("AUTH PLAIN LOGIN", "SIZE 1000000", "8BITMIME")
    accepts: bool = True
    taken: list[tuple[tuple[str, ...], bytes]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    most_mails: int = 1_000_000  #: per connection; then MAIL is answered with 421
    _over: threading.Event = field(default_factory=threading.Event)

    def talk(self, stream: Line) -> None:
        """One connection, up to its end."""
        self.connections += 1
        if not self._say(stream, "connect"):
            return
        people: list[str] = []
        mails = 0
        while line := stream.readline():
            text = line.decode().strip()
            verb = text.split(" ")[0].upper()
            self.commands.append(text)
            step = "EHLO" if verb == "HELO" else verb
            key = text[text.find("<") + 1 : text.find(">")] if verb == "RCPT" else step
            if verb == "EHLO" and "EHLO" not in self.answers:
                offered = "".join(f"250-{one}\r\n" for one in self.extensions)
                stream.write(f"250-double\r\n{offered}250 HELP\r\n".encode())
            elif verb == "MAIL" and mails >= self.most_mails:
                stream.write(b"421 enough for one connection\r\n")
                return
            elif verb in ("RSET", "QUIT"):
                stream.write(b"250 fine\r\n" if verb == "RSET" else b"221 bye\r\n")
                people = []
            elif not self._say(stream, step, key):
                return
            elif verb == "RCPT" and self._answer(step, key).startswith("2"):
                people.append(key)
            elif verb == "DATA" and self._answer("DATA").startswith("354"):
                mails += 1
                if not self._take(stream, people):
                    return
                people = []

    def _take(self, stream: Line, people: list[str]) -> bool:
        content = b""
        while (line := stream.readline()) != b".\r\n":
            if not line:
                return False
            content += line.removeprefix(b".") if line.startswith(b"..") else line
        answer = self._answer("dot")
        if answer.startswith("2") or (answer in ("drop", "silence") and self.accepts):
            self.taken.append((tuple(people), content))
        return self._say(stream, "dot")

    def _answer(self, step: str, key: str = "") -> str:
        return self.answers.get(key or step, self.answers.get(step, _FINE.get(step, "502 what?")))

    def _say(self, stream: Line, step: str, key: str = "") -> bool:
        """Answer; False where the line is to end."""
        answer = self._answer(step, key)
        if answer == "drop":
            return False
        if answer == "silence":
            while stream.readline():
                pass
            return False
        stream.write(f"{answer}\r\n".encode())
        return not answer.startswith("421")
