"""Sending through Dovecot's submission service, and the check of both sides."""

from __future__ import annotations

import json

import pytest

from kolibri_sdk import clock
from kolibri_sdk.errors import LoginRefused
from kolibri_sdk.mailboxes import check_mailbox, open_transport
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.outbox import Envelope
from tests.mail.conftest import NewMailbox, mail
from tests.servers.dovecot import PASSWORD_VARIABLE, SECURITY, Dovecot

pytestmark = pytest.mark.dovecot


def test_mail_goes_out_with_starttls_and_auth(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox
) -> None:
    mailbox = imap_mailbox()
    anna, ben = f"anna-{user}@example.org", f"ben-{user}@example.org"
    with open_transport(mailbox) as transport:
        first = transport.send(Envelope(mailbox.address, (anna, ben)), mail(1, ".\r\nKäse"))
        second = transport.send(Envelope("", (ben,)), mail(2))
    assert first.accepted == (anna, ben)
    assert second.accepted == (ben,)
    (one,) = dovecot.sink.to(anna)
    assert one.sender == mailbox.address
    assert one.recipients == (anna, ben)
    assert one.raw.endswith(mail(1, ".\r\nKäse"))
    assert b"ESMTPSA" in one.raw  # by TLS, authenticated (RFC 3848)
    assert [taken.sender for taken in dovecot.sink.to(ben)] == [mailbox.address, ""]


def test_a_wrong_password_is_a_refused_login(
    imap_mailbox: NewMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    with pytest.raises(LoginRefused, match="535"):
        open_transport(imap_mailbox())


def test_check_says_what_is_there_and_reads_nothing(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox
) -> None:
    dovecot.append(user, mail(1), mail(2))
    dovecot.append(user, mail(3), flags=(b"\\Seen",))
    check = check_mailbox(imap_mailbox())
    assert check.ok
    assert "INBOX: 3 mails, 2 unread" in str(check)
    assert "TLSv1." in str(check)
    assert "UIDPLUS" in check.sides[0].survey.capabilities
    with dovecot.imap(user, "INBOX") as colleague:
        assert len(colleague.search("UNSEEN")) == 2


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_check_says_whose_certificate_protects_the_line_and_until_when(
    dovecot: Dovecot, user: str, protocol: str, security: SECURITY
) -> None:
    sides = {
        "inbound": dovecot.inbound(user, protocol, security),
        "outbound": dovecot.outbound(user),
    }
    values = {"name": "support", "address": "support@kolibri.example", **sides}
    check = check_mailbox(Mailbox.model_validate(values))
    assert check.ok, str(check)
    inbound, outbound = (side.survey.tls for side in check.sides)
    assert outbound is not None
    assert outbound.certificate.issuer.startswith("trustme")
    assert outbound.certificate.expires_at > clock.now()
    assert f"until {outbound.certificate.expires_at:%Y-%m-%d}" in str(check)
    assert outbound.certificate.expires_at.isoformat() in json.dumps(check.as_json())
    if security == "none":
        assert inbound is None
        assert "the line is not protected" in str(check)
    else:
        assert inbound == outbound


def test_check_holds_the_errors_of_both_sides(
    dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = Mailbox.model_validate(
        {
            "name": "support",
            "address": "support@example.org",
            "inbound": dovecot.inbound(user, ca=str(dovecot.stranger_ca)),
            "outbound": dovecot.outbound(user, password={"env": "KOLIBRI_NOT_SET"}),
        }
    )
    check = check_mailbox(mailbox)
    assert not check.ok
    assert "ca: FILE" in check.sides[0].error
    assert "export KOLIBRI_NOT_SET=" in check.sides[1].error
