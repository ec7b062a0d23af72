"""Bytes of mails to values and back: parse, compose, bounces, reply cutting, safe HTML."""

from kolibri_sdk.mail.arrival import arrived_at
from kolibri_sdk.mail.compose import Draft, compose
from kolibri_sdk.mail.html import inline_css, plain_twin, preview_frame, sanitise
from kolibri_sdk.mail.identity import content_key, content_names
from kolibri_sdk.mail.limits import LIMITS, Limits
from kolibri_sdk.mail.outgoing_html import as_html, embed_images, ready_html
from kolibri_sdk.mail.parse import parse_mail
from kolibri_sdk.mail.quoting import (
    Quotable,
    Quotation,
    forward_of,
    forward_subject,
    quote_of,
    reply_subject,
)
from kolibri_sdk.mail.redact import Redactor
from kolibri_sdk.mail.reply import newly_written

__all__ = [
    "LIMITS",
    "Draft",
    "Limits",
    "Quotable",
    "Quotation",
    "Redactor",
    "arrived_at",
    "as_html",
    "compose",
    "content_key",
    "content_names",
    "embed_images",
    "forward_of",
    "forward_subject",
    "inline_css",
    "newly_written",
    "parse_mail",
    "plain_twin",
    "preview_frame",
    "quote_of",
    "ready_html",
    "reply_subject",
    "sanitise",
]
