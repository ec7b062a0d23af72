"""Authentication-Results count when a trusted server wrote them, and nothing else does (57)."""

from __future__ import annotations

import pytest

from kolibri_sdk.mail import parse_mail
from kolibri_sdk.model.message import Authentication

OURS = "Authentication-Results: mx.example.org;"
ALL_PASS = (
    f"{OURS} spf=pass smtp.mailfrom=boss.example; dkim=pass header.d=boss.example; dmarc=pass"
)


def read(head: str, *trusted: str) -> Authentication | None:
    raw = f"{head}\nFrom: Boss <boss@boss.example>\nSubject: x\n\nPay!\n"
    return parse_mail(raw.encode(), trusted_authserv=trusted or ("mx.example.org",)).authentication


def test_the_results_of_a_trusted_server_are_fields() -> None:
    head = (
        f"{OURS}\n spf=fail (mx.example.org: 192.0.2.1; not allowed)\n"
        "  smtp.mailfrom=bounce=77=anna@lists.boss.example;\n"
        ' dkim=fail reason="bad; signature" header.d=boss.example;\n'
        " dkim=pass (2048-bit key) header.d=lists.example header.s=s1;\n"
        " dmarc=fail (p=REJECT) header.from=boss.example"
    )
    found = read(head)
    assert found == Authentication(
        "mx.example.org", "fail", "pass", "fail", "lists.boss.example", ("lists.example",)
    )
    assert Authentication.of_json(found.as_json()) == found


def test_what_was_not_checked_is_none() -> None:
    assert read(f"{OURS} dkim=none") == Authentication("mx.example.org", dkim="none")
    assert read(f"{OURS} none") == Authentication("mx.example.org")


@pytest.mark.parametrize(
    "head",
    [
        "X-Nothing: 1",
        ALL_PASS.replace("mx.example.org", "mx.example.com"),
        ALL_PASS.replace("mx.example.org", "mx.example.org.evil.example"),
        ALL_PASS.replace("mx.example.org;", "mx.evil.example; mx.example.org;"),
        ALL_PASS.replace("Authentication-Results:", "X-Authentication-Results:"),
        ALL_PASS.replace("Authentication-Results:", "ARC-Authentication-Results: i=1;"),
        ALL_PASS.replace(" mx.example.org;", ""),
        ALL_PASS.replace("mx.example.org", "(mx.example.org) evil.example"),
        ALL_PASS.replace("mx.example.org", "=?utf-8?q?mx.example.org?="),
    ],
)
def test_a_header_of_any_other_server_means_nothing(head: str) -> None:
    assert read(head) is None


def test_a_forged_header_below_ours_means_nothing() -> None:
    found = read(f"{OURS} spf=fail; dkim=none; dmarc=fail\nReceived: from x\n{ALL_PASS}")
    assert found == Authentication("mx.example.org", "fail", "none", "fail")
    # Not even for what ours is silent about.
    found = read(f"{OURS} spf=fail\n{ALL_PASS}")
    assert found == Authentication("mx.example.org", "fail")


def test_a_mailbox_that_trusts_nobody_believes_nobody() -> None:
    raw = f"{ALL_PASS}\nFrom: boss@boss.example\n\nx\n".encode()
    assert parse_mail(raw).authentication is None


@pytest.mark.parametrize(
    "words",
    [
        "(helo=evil; dmarc=pass) dmarc=fail",
        "(helo=evil\\); dmarc=pass \\() dmarc=fail",
        'spf=fail smtp.mailfrom="x; dmarc=pass"@evil.example; dmarc=fail',
        "dmarc=fail; dmarc=pass",
        'spf=none smtp.helo="; dmarc=pass; " ; dmarc=fail',
    ],
)
def test_words_of_the_sender_within_our_header_do_not_pass_for_results(words: str) -> None:
    found = read(f"{OURS} {words}")
    assert found is not None
    assert found.dmarc == "fail"


def test_an_address_with_an_equals_sign_does_not_hide_its_domain() -> None:
    found = read(f"{OURS} spf=pass smtp.mailfrom=boss.example=x@evil.example")
    assert found is not None
    assert found.mailfrom == "evil.example"


def test_several_trusted_names_add_up_each_by_its_topmost_header() -> None:
    head = (
        "Authentication-Results: dmarc.example.org; dmarc=fail\n"
        "Authentication-Results: dkim.example.org; dkim=pass header.d=a.example\n"
        "Authentication-Results: dmarc.example.org; dmarc=pass"
    )
    found = read(head, "dmarc.example.org", "DKIM.example.org")
    assert found == Authentication(
        "dmarc.example.org, dkim.example.org", None, "pass", "fail", "", ("a.example",)
    )


def test_microsoft_365_names_no_server() -> None:
    head = "Authentication-Results: spf=pass (sender IP is 192.0.2.1)\n smtp.mailfrom=a.example;"
    head += "dkim=pass (signature was verified) header.d=a.example;dmarc=bestguesspass action=none"
    found = read(head, "")
    assert found == Authentication("", "pass", "pass", "bestguesspass", "a.example", ("a.example",))


@pytest.mark.parametrize(
    "value", ["", ";", "((((", '"', "mx.example.org", "mx.example.org; ;=;(", "="]
)
def test_a_broken_header_is_no_error(value: str) -> None:
    read(f"Authentication-Results: {value}")
