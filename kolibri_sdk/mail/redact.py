"""A mail without its people: names, addresses, numbers and signatures become believable others.

The same thing becomes the same other thing within one mail, and another one in the next. Whoever
is named in the text alone is found by the words around the name (Dear, Herr, Kind regards), so a
redacted mail is to be read by a person before it leaves the house.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from html import escape, unescape
from pathlib import PurePosixPath

from kolibri_sdk.mail.redact_words import (
    CLOSING,
    COMMON,
    DOMAINS,
    FAMILY,
    FULL,
    GIVEN,
    NAMED,
    ROLES,
)
from kolibri_sdk.mail.signature import is_signature
from kolibri_sdk.model.message import Address

__all__ = ["Redactor"]

_TOKEN = re.compile(
    r"(?P<url>(?:https?://|www\.)[^\s<>\"']+)"
    r"|(?P<mail>[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<ip>(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]))"
    r"|(?P<host>(?<![\w.-])(?:[\w-]+\.)+[A-Za-z]{2,}(?![\w-]))"
    r"|(?P<digits>\d+)"
    r"|(?P<word>[^\W\d_]+)"
)
_WORD = re.compile(r"[^\W\d_]+")
_PART = re.compile(r"\d+|[^\W\d_]+")
_RUN = re.compile(r"\d+")
_LONG_KEY = re.compile(r"[A-Za-z0-9_-]{16,}")
_PIECE = re.compile(
    r"(<!--.*?-->|<(?:style|script)\b.*?</(?:style|script)\s*>|<[^>]*>)", re.S | re.I
)
_ATTRIBUTE = re.compile(
    r"(\b(?:href|src|alt|title|background|action|value|content)\s*=\s*)(\"[^\"]*\"|'[^']*')", re.I
)
_SHORTEST_NAME = 2
_DAYS, _MINUTES = [f"{n:02}" for n in range(10, 29)], [f"{n:02}" for n in range(32, 60)]
_YEARS = [str(year) for year in range(2001, 2030)]
_LIKELY = {
    **{f"{n:02}": _DAYS for n in range(1, 32)},
    **dict.fromkeys(_MINUTES, _MINUTES),
    **{str(year): _YEARS for year in range(1950, 2050)},
}


class Redactor:
    """Replaces what tells a person, for one mail.

    Parameters
    ----------
    secret : bytes
        Of the mail: it decides what becomes what, and cannot be found from the result.
    people : iterable of Address
        Those in its headers; their names are replaced in the text, too.
    kept : collection of str
        Words and numbers that stay, lower case: those that a rule's condition names.
    own : collection of str
        Addresses of our own, lower case, which stay.

    Examples
    --------
    >>> red = Redactor(b"1", [Address("anna.weiss@customer.example.org", "Anna Weiss")])
    >>> text = red.text("Anna Weiss, +49 30 123456, here: anna.weiss@customer.example.org")
    >>> any(one in text for one in ("Anna", "Weiss", "123456", "customer"))
    False
    """

    def __init__(
        self,
        secret: bytes,
        people: Iterable[Address] = (),
        kept: Collection[str] = (),
        own: Collection[str] = (),
    ) -> None:
        self._secret = secret
        self._kept = frozenset(kept)
        self._own = frozenset(own)
        self.names: dict[str, str] = {}
        self._used: dict[tuple[str, ...], set[str]] = {}
        self._domains: dict[str, str] = {}
        for person in people:
            if person.address.lower() not in self._own:
                self._learn_person(person)

    def learn(self, text: str) -> None:
        """Take in the names behind a greeting, below a closing, or with a common given name."""
        for found in NAMED.finditer(text):
            self._learn_name(found["name"])
        for found in FULL.finditer(text):
            if found["given"].lower() in COMMON:
                self._learn_name(found["name"])
        lines = text.splitlines()
        for place, line in enumerate(lines[:-1]):
            if CLOSING.fullmatch(line.strip().rstrip(",.!")):
                below = next((one.strip() for one in lines[place + 1 :] if one.strip()), "")
                if len(_WORD.findall(below)) <= 4 and below[:1].isupper():
                    self._learn_name(below)

    def _learn_person(self, person: Address) -> None:
        self._learn_name(person.name.partition("@")[0])
        local, _, domain = person.address.partition("@")
        if domain:
            self.domain(domain)
        if local.lower() not in ROLES:
            for place, word in enumerate(w for w in _WORD.findall(local) if len(w) > 2):
                self._learn(word, GIVEN if place == 0 else FAMILY)

    def _learn_name(self, name: str) -> None:
        words = [w for w in _WORD.findall(name) if len(w) >= _SHORTEST_NAME]
        family_first = "," in name
        for place, word in enumerate(words):
            last = place == 0 if family_first else place == len(words) - 1 and place > 0
            self._learn(word, FAMILY if last else GIVEN)

    def _learn(self, word: str, pool: Sequence[str]) -> None:
        low = word.lower()
        if low in self.names or low in ROLES or low in self._kept:
            return
        self.names[low] = self._choose(low, pool)

    def _choose(self, key: str, pool: Sequence[str]) -> str:
        """One of the pool that nobody else has got; the pool is larger than a mail has people."""
        used = self._used.setdefault(tuple(pool), set())
        start = self._number(key)
        for step in range(len(pool)):
            found = pool[(start + step) % len(pool)]
            if found not in used and found.lower() != key:
                used.add(found)
                return found
        return pool[start % len(pool)]

    def _number(self, key: str) -> int:
        told = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), key=self._secret[:64])
        return int.from_bytes(told.digest()[:8])

    def address(self, person: Address) -> Address:
        """Another address, and another name where there was one."""
        return Address(self._address(person.address), self._line(person.name))

    def _address(self, address: str) -> str:
        if address.lower() in self._own or "@" not in address:
            return address
        local, _, domain = address.rpartition("@")
        if local.lower() in ROLES or local.lower() in self._kept:
            return f"{local}@{self.domain(domain)}"
        words = [self.names.get(w.lower(), "") for w in _WORD.findall(local)]
        told = ".".join(_ascii(word) for word in words if word)
        return f"{told or _ascii(self._choose(local.lower(), GIVEN))}@{self.domain(domain)}"

    def domain(self, domain: str) -> str:
        """Another domain, under .example (RFC 2606)."""
        low = domain.lower()
        if low in self._kept:
            return domain
        if low not in self._domains:
            self._domains[low] = self._choose(low, DOMAINS)
        return self._domains[low]

    def _host(self, host: str) -> str:
        """A server's name where it lies in a domain of these people; else word by word."""
        low = host.lower()
        for domain in [*self._domains]:
            if low == domain or low.endswith(f".{domain}"):
                return host[: len(host) - len(domain)] + self._domains[domain]
        return _PART.sub(lambda one: self._token_of(one[0]), host)

    def _token_of(self, held: str) -> str:
        return self.digits(held) if held.isdigit() else self.names.get(held.lower(), held)

    def message_id(self, identity: str) -> str:
        """Another Message-ID; the same one for the same."""
        return f"{self._number(identity):016x}@{self.domain(identity.rpartition('@')[2] or 'x')}"

    def text(self, text: str) -> str:
        """The text with everything replaced, signatures as a whole."""
        return self._line(self._signed(text))

    def _line(self, text: str) -> str:
        return _TOKEN.sub(self._token, text)

    def _token(self, found: re.Match[str]) -> str:
        kind, held = str(found.lastgroup), found[0]
        if kind == "word":
            name = self.names.get(held.lower())
            return held if name is None else _in_case_of(held, name)
        if kind == "digits":
            return self.digits(held)
        if kind == "mail":
            return self._address(held)
        if kind == "host":
            return self._host(held)
        if kind == "ip":
            return f"192.0.2.{self._number(held) % 254 + 1}"  # RFC 5737
        return self._url(held)

    def digits(self, run: str) -> str:
        """Other digits, as many."""
        if run in self._kept:
            return run
        if run in _LIKELY:  # days, months, hours, minutes and years stay such
            among = _LIKELY[run]
            return among[self._number(run) % len(among)]
        number = str(self._number(run)).rjust(len(run), "7")
        while len(number) < len(run):
            number += number
        told = number[-len(run) :]
        return told if run.startswith("0") or told[0] != "0" else "4" + told[1:]

    def _url(self, url: str) -> str:
        start, _, rest = url.partition("://") if "://" in url else ("", "", url)
        host, slash, path = rest.partition("/")
        name, colon, port = host.rpartition("@")[2].partition(":")
        told = _LONG_KEY.sub(lambda one: f"{self._number(one[0]):016x}", path)
        told = _PART.sub(lambda one: self._token_of(one[0]), told)
        front = f"{start}://" if start else ""
        return f"{front}www.{self.domain(name)}{colon}{port}{slash}{told}"

    def _signed(self, text: str) -> str:
        """The text with another card in the place of each signature."""
        lines, told, place = text.splitlines(), [], 0
        while place < len(lines):
            told.append(lines[place])
            if is_signature(lines, place) and not _WORD.search(lines[place]):
                end = place + 1
                while end < len(lines) and not lines[end].lstrip().startswith((">", "On ", "Am ")):
                    end += 1
                told += self._card(end - place - 1)
                place = end - 1
            place += 1
        return "\n".join(told) + ("\n" if text.endswith("\n") else "")

    def _card(self, lines: int) -> list[str]:
        name = f"{self._choose('card', GIVEN)} {self._choose('card', FAMILY)}"
        number = self.digits("5550199")
        card = [name, self._choose("card", DOMAINS).partition(".")[0].title(), f"+49 30 {number}"]
        return card[: max(lines, 0)]

    def html(self, html: str) -> str:
        """The HTML with its words and addresses replaced; comments and scripts are left out."""
        told = []
        for piece in _PIECE.split(html):
            low = piece[:8].lower()
            if low.startswith(("<!--", "<script")):
                continue
            if low.startswith("<style"):
                told.append(piece)
            elif piece.startswith("<"):
                told.append(_ATTRIBUTE.sub(self._attribute, piece))
            else:
                told.append(escape(self._line(unescape(piece)), quote=False))
        return "".join(told)

    def _attribute(self, found: re.Match[str]) -> str:
        mark, value = found[2][0], unescape(found[2][1:-1])
        if value.lower().startswith(("cid:", "#")):
            return found[0]
        if value.lower().startswith("data:"):
            return f"{found[1]}{mark}{mark}"
        return f"{found[1]}{mark}{escape(self._line(value), quote=True)}{mark}"

    def filename(self, name: str) -> str:
        """Another name for a file, of the same kind."""
        path = PurePosixPath(name)
        return self._line(path.stem) + path.suffix

    def left(self, original: str, redacted: str) -> str:
        """What of the original is still to be read, as far as it tells a person; empty is well."""
        words = {word.lower() for word in _WORD.findall(redacted)}
        fakes = {word.lower() for name in self.names.values() for word in _WORD.findall(name)}
        for name in self.names:
            if name in words and name not in fakes:
                return f"the name {name!r}"
        for found in _TOKEN.finditer(original):
            held = found[0]
            if found.lastgroup == "mail" and held.lower() not in self._own and held in redacted:
                return f"the address {held}"
            long = found.lastgroup == "digits" and len(held) > 4 and held not in self._kept
            if long and held in _RUN.findall(redacted):
                return f"the number {held}"
        return ""


def _in_case_of(held: str, name: str) -> str:
    if held.isupper() and len(held) > 1:
        return name.upper()
    return name.lower() if held.islower() else name


def _ascii(name: str) -> str:
    plain = name.lower()
    for letter, letters in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")):
        plain = plain.replace(letter, letters)
    return plain.encode("ascii", "ignore").decode()
