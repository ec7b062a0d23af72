"""Bounces of many servers: who did not get the mail, why, and whether it is for good."""

from __future__ import annotations

import json

import pytest

from kolibri_sdk.mail import parse_mail
from kolibri_sdk.mail.bounce_words import status_of
from kolibri_sdk.model.message import MessageKind, ParsedMail

RETURNED = (
    "Received: from desk.example.org by mx.example.org; Mon, 4 May 2026 10:15:00 +0200\n"
    "Message-ID: <sent-1@desk.example.org>\nFrom: Desk <desk@example.org>\n"
    "To: Anna <anna@example.net>\nSubject: Ticket 7\n\nGuten Tag, other@example.com fragt.\n"
)

#: Sender, subject, text of a bounce for people; what it comes to for anna@example.net.
FOR_PEOPLE = {
    "qmail": (
        "MAILER-DAEMON@mx.example.org",
        "failure notice",
        "Hi. This is the qmail-send program at mx.example.org.\nI'm afraid I wasn't able to "
        "deliver "
        "your message to the following addresses.\n\n<anna@example.net>:\n192.0.2.1 does not like "
        "recipient.\nRemote host said: 550 5.1.1 no such user here\nGiving up on 192.0.2.1.\n\n"
        "--- Below this line is a copy of the message.\n\n" + RETURNED,
        ("5.1.1", "failed"),
    ),
    "qmail, in its own words": (
        "MAILER-DAEMON@mx.example.org",
        "failure notice",
        "Hi. This is the qmail-send program at mx.example.org.\n\n<anna@example.net>:\n"
        "Sorry, no mailbox here by that name. (#5.1.1)\n\n"
        "--- Below this line is a copy of the message.\n\n" + RETURNED,
        ("5.1.1", "failed"),
    ),
    "Exim": (
        "Mail Delivery System <Mailer-Daemon@mx.example.org>",
        "Mail delivery failed: returning message to sender",
        "This message was created automatically by mail delivery software.\n\nA message that you "
        "sent could not be delivered to one or more of its\nrecipients. This is a permanent error. "
        "The following address(es) failed:\n\n  anna@example.net\n    host mx.example.net "
        "[192.0.2.1]\n    SMTP error from remote mail server after RCPT TO:<anna@example.net>:\n"
        "    552 mailbox is full\n\n------ This is a copy of your message, including all the "
        "headers. ------\n\n" + RETURNED,
        ("5.2.2", "failed"),
    ),
    "Exim, still trying": (
        "Mail Delivery System <Mailer-Daemon@mx.example.org>",
        "Warning: message 1abcde-000000-00 delayed 24 hours",
        "A message that you sent has not yet been delivered to one or more of its\nrecipients "
        "after "
        "more than 24 hours on the queue on mx.example.org.\n\nThe address to which the message "
        "has "
        "not yet been delivered is:\n\n  anna@example.net\n\nNo action is required on your part. "
        "Delivery attempts will continue for\nsome time.\n",
        ("4.0.0", "delayed"),
    ),
    "Postfix as text": (
        "MAILER-DAEMON@mx.example.org (Mail Delivery System)",
        "Undelivered Mail Returned to Sender",
        "This is the mail system at host mx.example.org.\n\nFor further assistance, please send "
        "mail "
        "to postmaster@example.org.\n\n<anna@example.net>: host mx.example.net[192.0.2.1] said: "
        "554\n"
        "    5.7.1 Service unavailable; client blocked (in reply to RCPT TO command)\n",
        ("5.7.1", "failed"),
    ),
    "Exchange 2003": (
        "System Administrator <postmaster@mx.example.org>",
        "Unzustellbar: Ticket 7",
        "Your message\n\n  To:      desk@example.org\n  Subject: Ticket 7\n\ndid not reach the "
        "following recipient(s):\n\nanna@example.net on Mon, 4 May 2026 10:15:00 +0200\n"
        "    The recipient name is not recognized\n",
        ("5.1.1", "failed"),
    ),
    "Exchange, by its name alone": (
        "Microsoft Outlook <postmaster@mx.example.org>",
        "Ticket 7",
        "Ihre Nachricht konnte nicht zugestellt werden an:\n\nanna@example.net\n"
        "Der Empfänger ist unbekannt.\n",
        ("5.1.1", "failed"),
    ),
    "Lotus Domino": (
        "postmaster@mx.example.org",
        "DELIVERY FAILURE: User anna (anna@example.net) not listed in Domino Directory",
        "Your message\n\n  Subject: Ticket 7\n\nwas not delivered to:\n\n  anna@example.net\n\n"
        "because:\n\n  User anna (anna@example.net) not listed in Domino Directory\n",
        ("5.1.1", "failed"),
    ),
    "sendmail": (
        "Mail Delivery Subsystem <MAILER-DAEMON@mx.example.org>",
        "Returned mail: see transcript for details",
        "The original message was received at Mon, 4 May 2026 10:15:00 +0200\n\n"
        "   ----- The following addresses had permanent fatal errors -----\n<anna@example.net>\n"
        "    (reason: 550 5.2.1 mailbox disabled)\n\n   ----- Transcript of session follows -----\n"
        "... while talking to mx.example.net.:\n>>> RCPT To:<anna@example.net>\n"
        "<<< 550 5.2.1 mailbox disabled\n550 5.1.1 <anna@example.net>... User unknown\n",
        ("5.2.1", "failed"),
    ),
    "old sendmail": (
        "Mail Delivery Subsystem <MAILER-DAEMON@mx.example.org>",
        "Returned mail: Host unknown",
        "   ----- Transcript of session follows -----\n550 example.net (smtp)... 550 Host unknown\n"
        "554 <anna@example.net>... 550 Host unknown (Authoritative answer from name server)\n\n"
        "   ----- Unsent message follows -----\n" + RETURNED,
        ("5.1.2", "failed"),
    ),
    "GMX": (
        "GMX Mailer Daemon <mailer-daemon@gmx.example>",
        "Mail delivery failed: returning message to sender",
        "Dies ist eine automatisch generierte Nachricht.\n\nDie folgende E-Mail konnte nicht an "
        "einen oder mehrere Empfänger zugestellt werden:\n\nanna@example.net\n\nSMTP error from "
        "remote server: RCPT TO command:\nhost: mx.example.net\n5.1.1 Unknown user\n\n"
        "--- The header of the original message is following. ---\n\n" + RETURNED,
        ("5.1.1", "failed"),
    ),
    "T-Online": (
        "postmaster@t-online.example",
        "Ihre E-Mail konnte nicht zugestellt werden",
        "|------------------------- Message log follows: -------------------------|\n"
        " no valid recipients were found for this message\n"
        "|------------------------- Failed addresses follow: ---------------------|\n"
        " <anna@example.net> ... unknown user\n"
        "|------------------------- Message header follows: ----------------------|\n" + RETURNED,
        ("5.1.1", "failed"),
    ),
    "Gmail": (
        "Mail Delivery Subsystem <mailer-daemon@googlemail.example>",
        "Delivery Status Notification (Failure)",
        "Delivery to the following recipient failed permanently:\n\n     anna@example.net\n\n"
        "Technical details of permanent failure:\nThe error that the other server returned was: "
        "550 550 No such user\n\n----- Original message -----\n\n" + RETURNED,
        ("5.1.1", "failed"),
    ),
    "Yahoo": (
        "MAILER-DAEMON@yahoo.example",
        "Failure Notice",
        "Sorry, we were unable to deliver your message to the following address.\n\n"
        "<anna@example.net>:\nRemote host said: 554 delivery error: this user doesn't have an "
        "account here [-5]\n\n--- Below this line is a copy of the message.\n\n" + RETURNED,
        ("5.1.1", "failed"),
    ),
    "a gateway, in Spanish": (
        "Postmaster <postmaster@mx.example.org>",
        "No se puede entregar: Ticket 7",
        "El mensaje no se ha podido entregar a los siguientes destinatarios:\n\n"
        "anna@example.net\nEl usuario no existe.\n",
        ("5.1.1", "failed"),
    ),
    "a mailing list": (
        "list-admin@lists.example.net",
        "You desk@example.org are not member",
        "You are not a member of this mailing list <anna@example.net>.\n",
        ("5.7.1", "failed"),
    ),
}


def read(sender: str, subject: str, text: str, head: str = "") -> ParsedMail:
    raw = (
        f"{head}From: {sender}\nTo: desk@example.org\nSubject: {subject}\n"
        f"Content-Type: text/plain; charset=utf-8\n\n{text}"
    )
    return parse_mail(raw.encode())


@pytest.mark.parametrize("name", FOR_PEOPLE)
def test_a_bounce_for_people_tells_who_and_why(name: str) -> None:
    sender, subject, text, (status, action) = FOR_PEOPLE[name]
    mail = read(sender, subject, text, "X-MLServer: fml\n" if name == "a mailing list" else "")
    assert mail.kind is MessageKind.BOUNCE
    assert [(one.address, one.status, one.action) for one in mail.bounces] == [
        ("anna@example.net", status, action)
    ]
    original = mail.bounces[0].original_message_id
    assert original == ("sent-1@desk.example.org" if RETURNED in text else None)


def test_each_of_several_recipients_has_a_reason_of_his_own() -> None:
    mail = read(
        "Mail Delivery System <Mailer-Daemon@mx.example.org>",
        "Mail delivery failed",
        "The following addresses failed:\n\n  anna@example.net\n    550 5.1.1 User unknown\n"
        "  bo@example.net\n    452 4.2.2 Mailbox full\n  carl@example.net\n    552 over quota\n\n"
        "------ This is a copy of the message ------\n\n" + RETURNED,
        "X-Failed-Recipients: anna@example.net,\n bo@example.net, carl@example.net\n",
    )
    assert [(one.address, one.status) for one in mail.bounces] == [
        ("anna@example.net", "5.1.1"),
        ("bo@example.net", "4.2.2"),
        ("carl@example.net", "5.2.2"),
    ]


REPORT = """\
Return-Path: <>
From: Mail System <postmaster@mx.example.org>
To: desk@example.org
Subject: {subject}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

{text}
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

{fields}
--b
Content-Type: text/rfc822-headers

Message-ID: <sent-1@desk.example.org>
--b--
"""


def report(fields: str, text: str = "See below.") -> ParsedMail:
    raw = REPORT.format(subject="Delivery Status Notification", text=text, fields=fields)
    return parse_mail(raw.encode())


@pytest.mark.parametrize(
    ("fields", "status", "permanent"),
    [
        ("Status: 5.1.1\nDiagnostic-Code: smtp; 552 5.2.2 over quota", "5.2.2", True),
        ("Status: 5.0.0\nDiagnostic-Code: smtp; 550 5.7.26 unauthenticated", "5.7.26", True),
        ("Status: 4.5.0\nDiagnostic-Code: smtp; 550 5.5.0 refused", "5.5.0", True),
        ("Status: 4.4.7\nDiagnostic-Code: smtp; connection timed out 10.5.1.1", "4.4.7", False),
        ("Status: 5.0.0\nDiagnostic-Code: smtp; 550-please turn on\n550 relaying", "5.0.0", True),
        ("Diagnostic-Code: smtp; 550 user unknown", "5.1.1", True),
        ("Status: 5.1.1 (bad mailbox)", "5.1.1", True),
    ],
)
def test_the_answer_of_the_remote_server_is_nearest_to_the_truth(
    fields: str, status: str, permanent: bool
) -> None:
    mail = report(f"Final-Recipient: rfc822; anna@example.net\nAction: failed\n{fields}")
    (found,) = mail.bounces
    assert (found.status, found.permanent) == (status, permanent)
    assert found.original_message_id == "sent-1@desk.example.org"


def test_a_report_without_a_diagnostic_is_completed_from_the_text() -> None:
    fields = "Final-Recipient: rfc822; anna@example.net\nAction: failed\nStatus: 5.0.0"
    mail = report(fields, "anna@example.net: 550 5.7.1 <anna@example.net>: rejected")
    assert mail.bounces[0].status == "5.7.1"
    assert "rejected" in mail.bounces[0].diagnostic


def test_a_report_whose_parts_ran_together_is_read_all_the_same() -> None:
    raw = REPORT.format(
        subject="Returned mail",
        text="",
        fields="Final-Recipient: rfc822; anna@example.net\nAction: failed\nStatus: 4.4.7",
    ).replace("--b", "")
    mail = parse_mail(raw.encode())
    assert [(one.address, one.status) for one in mail.bounces] == [("anna@example.net", "4.4.7")]


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
def test_a_report_that_the_mail_arrived_is_no_bounce_and_no_persons_mail(action: str) -> None:
    mail = report(f"Final-Recipient: rfc822; anna@example.net\nAction: {action}\nStatus: 2.0.0")
    assert mail.kind is MessageKind.AUTO_REPLY
    assert mail.bounces == ()


def test_of_a_report_on_several_only_those_who_got_nothing_count() -> None:
    mail = report(
        "Final-Recipient: rfc822; anna@example.net\nAction: delivered\nStatus: 2.0.0\n\n"
        "Final-Recipient: rfc822; bo@example.net\nAction: failed\nStatus: 5.1.1"
    )
    assert [one.address for one in mail.bounces] == ["bo@example.net"]


def test_amazon_tells_of_bounces_in_json() -> None:
    told = {
        "notificationType": "Bounce",
        "bounce": {
            "bounceType": "Permanent",
            "bouncedRecipients": [
                {
                    "emailAddress": "anna@example.net",
                    "action": "failed",
                    "status": "5.1.1",
                    "diagnosticCode": "smtp; 550 5.1.1 user unknown",
                }
            ],
        },
        "mail": {"messageId": "ses-1", "commonHeaders": {"messageId": "<sent-1@desk.example.org>"}},
    }
    text = json.dumps(told) + "\n\n--\nIf you wish to stop receiving notifications"
    (found,) = read("no-reply@sns.example", "AWS Notification Message", text).bounces
    assert (found.address, found.status) == ("anna@example.net", "5.1.1")
    assert found.original_message_id == "sent-1@desk.example.org"


@pytest.mark.parametrize(
    ("sender", "subject", "text"),
    [
        (
            "Anna <anna@example.net>",
            "Undelivered mail",
            "My mail to bo@example.net came back. Why?",
        ),
        ("Anna <anna@example.net>", "Fwd: Returned mail: User unknown", FOR_PEOPLE["qmail"][2]),
        (
            "Anna <anna@example.net>",
            "Delivery failed",
            "The parcel did not come.\nanna@example.net",
        ),
        (
            "postmaster@example.net",
            "Wartung am Montag",
            "Der Mailserver steht von 8 bis 9 Uhr still.",
        ),
        ("Anna <anna@example.net>", "Frage", '{"bouncedRecipients": "was ist das?"}'),
    ],
)
def test_a_person_who_writes_about_bounces_sends_none(sender: str, subject: str, text: str) -> None:
    mail = read(sender, subject, text)
    assert mail.kind is MessageKind.ORDINARY
    assert mail.bounces == ()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("550 Requested action not taken: mailbox unavailable", "5.1.1"),
        ("Die Mailbox ist voll", "5.2.2"),
        ("452 4.2.2 The email account that you tried to reach is over quota", "4.2.2"),
        ("Benutzer unbekannt", "5.1.1"),
        ("message size exceeds the limit", "5.3.4"),
        ("450 greylisted, try again later", "4.7.1"),
        ("Connection refused", "4.4.1"),
        ("421 too many connections", "4.7.1"),
        ("Hello", ""),
    ],
)
def test_words_amount_to_a_status(words: str, status: str) -> None:
    assert status_of(words) == status
