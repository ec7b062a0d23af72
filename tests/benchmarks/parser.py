"""The parser against the standard library's, compat32, per second of processor time."""

from __future__ import annotations

import email
from collections.abc import Callable
from email.header import decode_header, make_header
from email.utils import getaddresses, parsedate_to_datetime
from functools import partial
from itertools import islice

from kolibri_sdk.mail import parse_mail
from tests.benchmarks.corpus import mails
from tests.benchmarks.measure import Result, Settings, cpu_seconds, rates

__all__ = ["measure_parser"]

_MAILS = 10_000
_BATCH = 1_000  # held in memory at a time


def measure_parser(_: Settings) -> list[Result]:
    """10,000 mails to values, against the standard library that reads the same out of them.

    That is: every header decoded, addresses, date, texts decoded, the attachments' bytes.
    """
    letters = mails(_MAILS)
    seconds: dict[str, list[float]] = {"stdlib": [], "kolibri": []}
    for _ in range(_MAILS // _BATCH):
        batch = list(islice(letters, _BATCH))
        seconds["stdlib"].append(cpu_seconds(partial(_read_all, _compat32, batch)))
        seconds["kolibri"].append(cpu_seconds(partial(_read_all, parse_mail, batch)))
    print(rates(_BATCH, seconds))
    pairs = [a / b for a, b in zip(seconds["stdlib"], seconds["kolibri"], strict=True)]
    return [Result.of("incoming", "parser_vs_stdlib_compat32", pairs, 8, "higher")]


def _read_all(read: Callable[[bytes], object], batch: list[bytes]) -> None:
    for raw in batch:
        read(raw)


def _compat32(raw: bytes) -> tuple[object, ...]:
    mail = email.message_from_bytes(raw)
    headers = [(name, str(make_header(decode_header(value)))) for name, value in mail.items()]
    people = [getaddresses(mail.get_all(name, [])) for name in ("from", "to", "cc", "reply-to")]
    texts, files = [], []
    for part in mail.walk():
        if part.is_multipart():
            continue
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if part.get_content_maintype() == "text" and not part.get_filename():
            texts.append(content.decode(part.get_content_charset() or "utf-8", "replace"))
        else:
            files.append((part.get_filename(), part.get_content_type(), content))
    return headers, people, parsedate_to_datetime(mail["date"]), texts, files
