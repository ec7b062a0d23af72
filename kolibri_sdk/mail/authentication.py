"""What our own mail server found out about a mail's sender: Authentication-Results (RFC 8601)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from kolibri_sdk.mail.head import Head
from kolibri_sdk.model.message import Authentication

__all__ = ["read_authentication"]

_LONGEST = 20_000  # characters of a header
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^"();]+|.', re.S)
_IN_COMMENT = re.compile(r"[^()\\]+|\\.|.", re.S)
# A value goes on to the next blank: the local part of an address may hold "=".
_PAIR = re.compile(r'([A-Za-z][\w.-]*(?:/\d+)?)\s*=\s*((?:"(?:[^"\\]|\\.)*"|[^\s"])+)')
_LEAST_TRUST_FIRST = (
    "fail",
    "permerror",
    "temperror",
    "softfail",
    "policy",
    "neutral",
    "none",
    "pass",
)


@dataclass(slots=True)
class _Result:
    """One ``method=result`` with its properties."""

    method: str
    result: str
    properties: dict[str, str] = field(default_factory=dict)


def read_authentication(head: Head, trusted: Collection[str]) -> Authentication | None:
    """The results of SPF, DKIM and DMARC that a trusted server wrote down; None without any.

    Anybody can write such a header. What counts is the topmost one of each trusted name: a server
    adds its own above all that came with the mail. One below it, or with a name that is not
    trusted, means nothing.

    Parameters
    ----------
    head : Head
        Of the mail.
    trusted : collection of str
        Names (authserv-id) of servers that write the header on every mail they take in. An empty
        one stands for Microsoft 365, whose header names no server.

    Examples
    --------
    >>> from kolibri_sdk.mail.defects import Defects
    >>> value = b" mx.example.org; spf=pass smtp.mailfrom=example.net; dmarc=fail"
    >>> head = Head([("Authentication-Results", value)], Defects())
    >>> found = read_authentication(head, ["mx.example.org"])
    >>> found.spf, found.dkim, found.dmarc, found.mailfrom
    ('pass', None, 'fail', 'example.net')
    >>> read_authentication(head, ["mx.example.com"]) is None
    True
    """
    if not trusted or "authentication-results" not in head:
        return None
    wanted = {name.strip().lower() for name in trusted}
    results: list[_Result] = []
    servers: list[str] = []
    for value in head.all("authentication-results"):
        server, found = _read(value[:_LONGEST])
        if server in wanted:
            wanted.discard(server)
            servers.append(server)
            results += found
    if not servers:
        return None
    signed = [one for one in results if one.method == "dkim" and one.result == "pass"]
    return Authentication(
        server=", ".join(servers),
        spf=_worst(results, "spf"),
        # A mail may carry signatures that broke on the way beside one that holds.
        dkim="pass" if signed else _worst(results, "dkim"),
        dmarc=_worst(results, "dmarc"),
        mailfrom=next(iter(_domains(results, "spf", "smtp.mailfrom", "smtp.helo")), ""),
        signed_by=tuple(dict.fromkeys(_domains(signed, "dkim", "header.d", "header.i"))),
    )


def _worst(results: list[_Result], method: str) -> str | None:
    """The result of a method; of several that disagree, the one that trusts least."""
    found = {one.result for one in results if one.method == method}
    ranked = [one for one in _LEAST_TRUST_FIRST if one in found]
    return next(iter(ranked or sorted(found)), None)


def _domains(results: list[_Result], method: str, *names: str) -> Iterator[str]:
    for one in results:
        if one.method == method:
            for name in names:
                if value := one.properties.get(name):
                    yield value.rpartition("@")[2].lower()
                    break


def _read(value: str) -> tuple[str, list[_Result]]:
    """Who wrote the header, and the results in it (RFC 8601 section 2.2)."""
    first, *rest = _clauses(value)
    named = _PAIR.match(first) is None
    server = (first.split() or [""])[0].strip('"').lower() if named else ""
    found = (_result(clause) for clause in (rest if named else [first, *rest]))
    return server, [one for one in found if one is not None]


def _result(clause: str) -> _Result | None:
    pairs = list(_PAIR.finditer(clause))
    if not pairs or pairs[0].start():
        return None
    result = _Result(pairs[0][1].partition("/")[0].lower(), pairs[0][2].lower())
    for pair in pairs[1:]:
        result.properties.setdefault(pair[1].lower(), pair[2].replace('"', ""))
    return result


def _clauses(value: str) -> Iterator[str]:
    """What stands between semicolons, comments left out; a quoted string hides both."""
    clause: list[str] = []
    depth = position = 0
    while position < len(value):
        token = (_IN_COMMENT if depth else _TOKEN).match(value, position)
        assert token is not None
        position = token.end()
        if token[0] in ("(", ")"):
            depth = max(depth + (1 if token[0] == "(" else -1), 0)
        elif depth:
            continue
        elif token[0] == ";":
            yield "".join(clause).strip()
            clause = []
        else:
            clause.append(token[0])
    yield "".join(clause).strip()
