"""Whatever the bytes: on the wire there are whole lines, and no line that ends the mail."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from kolibri_sdk.mailboxes.smtp_wire import END, on_the_wire

NASTY = some.lists(some.sampled_from([b"\r", b"\n", b".", b"\0", b"a", b"\r\n"])).map(b"".join)


@given(NASTY)
def test_no_bare_cr_no_bare_lf_no_nul_no_end(raw: bytes) -> None:
    wire = on_the_wire(raw)
    rest = wire.replace(b"\r\n", b"")
    assert not set(rest) & {0x0D, 0x0A, 0x00}
    assert wire.endswith(b"\r\n")
    assert END[:-2] not in wire.split(b"\r\n")


@given(NASTY)
def test_the_receiver_reads_what_was_meant(raw: bytes) -> None:
    lines = on_the_wire(raw).split(b"\r\n")
    undotted = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)
    assert on_the_wire(undotted) == on_the_wire(raw)
    assert undotted.replace(b"\r\n", b"") == raw.translate(None, b"\r\n\0")


def test_a_clean_mail_stays_as_it_is() -> None:
    clean = b"Subject: a\r\n\r\nb\r\n"
    assert on_the_wire(clean) == clean
