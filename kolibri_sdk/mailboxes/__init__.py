"""Mailboxes on their servers: reading by IMAP, POP3 and Maildir, sending by SMTP."""

from __future__ import annotations

from kolibri_sdk.mailboxes.check import MailboxCheck, SideCheck, check_mailbox
from kolibri_sdk.mailboxes.kept import Connections
from kolibri_sdk.mailboxes.opening import open_source, open_transport
from kolibri_sdk.mailboxes.password import resolve
from kolibri_sdk.mailboxes.sent_folder import SentFolder
from kolibri_sdk.mailboxes.source import (
    Batch,
    Fetched,
    FolderStatus,
    Listed,
    Listing,
    MailSource,
    Moved,
)
from kolibri_sdk.mailboxes.survey import FolderCount, Survey
from kolibri_sdk.mailboxes.transport import MailTransport

__all__ = [
    "Batch",
    "Connections",
    "Fetched",
    "FolderCount",
    "FolderStatus",
    "Listed",
    "Listing",
    "MailSource",
    "MailTransport",
    "MailboxCheck",
    "Moved",
    "SentFolder",
    "SideCheck",
    "Survey",
    "check_mailbox",
    "open_source",
    "open_transport",
    "resolve",
]
