"""The two SASL mechanisms that take an access token: OAUTHBEARER (RFC 7628) and XOAUTH2."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Bearer", "bearer"]


@dataclass(frozen=True, slots=True)
class Bearer:
    """What is said to log in.

    Parameters
    ----------
    mechanism : {"OAUTHBEARER", "XOAUTH2"}
        Its name in the command.
    response : bytes
        The client's first response, not yet in base64.
    farewell : bytes
        What ends the dialogue after the server has said, in JSON, why it refuses.
    """

    mechanism: Literal["OAUTHBEARER", "XOAUTH2"]
    response: bytes
    farewell: bytes


def bearer(offered: Iterable[str], user: str, token: str, host: str, port: int) -> Bearer | None:
    r"""The standard mechanism where it is offered, else XOAUTH2; None where neither is.

    Examples
    --------
    >>> bearer(["PLAIN", "XOAUTH2"], "anna@example.org", "t0", "h", 993).response
    b'user=anna@example.org\x01auth=Bearer t0\x01\x01'
    >>> bearer(["PLAIN"], "anna@example.org", "t0", "h", 993) is None
    True
    """
    names = {name.upper() for name in offered}
    if "OAUTHBEARER" in names:
        escaped = user.replace("=", "=3D").replace(",", "=2C")  # RFC 5801 section 4
        said = f"n,a={escaped},\1host={host}\1port={port}\1auth=Bearer {token}\1\1"
        return Bearer("OAUTHBEARER", said.encode(), b"\1")
    if "XOAUTH2" in names:
        return Bearer("XOAUTH2", f"user={user}\1auth=Bearer {token}\1\1".encode(), b"")
    return None
