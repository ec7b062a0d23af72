"""Every frame that the SDK hands out: its columns, their dtypes and what they mean."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ACTIVITY",
    "BOUNCED",
    "CHANGES",
    "DECISIONS",
    "MESSAGES",
    "OUTBOX",
    "QUARANTINE",
    "REFERENCE_KEYS",
    "RUNS",
    "SUGGESTIONS",
    "TIME",
    "USERS",
    "FrameColumn",
]

TIME = "datetime64[us, UTC]"


@dataclass(frozen=True, slots=True)
class FrameColumn:
    """One column of a frame."""

    dtype: str
    meaning: str


def _columns(**columns: tuple[str, str]) -> dict[str, FrameColumn]:
    return {name: FrameColumn(*column) for name, column in columns.items()}


#: ``k.messages.frame()`` and ``read_mail()``: one row per mail. It holds all that a condition sees,
#: so that a rule can be tried on either; only an attachment's bytes stay where they are.
MESSAGES = _columns(
    id=(
        "int64",
        "number of the KolibriMessage; in a frame of read_mail, of the mail in the archive",
    ),
    direction=("string", "in or out"),
    mailbox=("string", "name of the mailbox"),
    state=(
        "string",
        "fetched, parsed, done, failed, unparsed, imported, held, queued, sent, unsent",
    ),
    received_at=(TIME, "when the server got it; missing for outgoing mail"),
    sent_at=(TIME, "its Date header, or when it was sent"),
    from_address=("string", "first From address"),
    from_name=("string", "its display name"),
    to=("object", "list of addresses"),
    to_names=("object", "list of their display names, in the same order"),
    cc=("object", "list of addresses"),
    cc_names=("object", "list of their display names, in the same order"),
    reply_to=("object", "list of addresses"),
    reply_to_names=("object", "list of their display names, in the same order"),
    subject=("string", "decoded"),
    text=("string", "the whole text"),
    reply_text=("string", "what the sender newly wrote"),
    html=("string", "the HTML body; missing where there is none"),
    headers=("object", "dict of lower-case header name → list of values"),
    attachments=("object", "list of {filename, content_type, size, inline}"),
    kind=("string", "ordinary, auto_reply, bounce, list, own"),
    size=("int64", "bytes"),
    entity=("string", "entity of the record it belongs to"),
    record_key=("string", "key of that record"),
    grade=(
        "string",
        "signed, stranger, header (a reference), created (the record was made from it)",
    ),
    message_id=("string", "Message-ID without angle brackets"),
    in_reply_to=("object", "list of Message-IDs that it answers"),
    references=("object", "list of Message-IDs of its thread, oldest first"),
    thread=("string", "Message-ID of the mail that began its thread, as far as the frame knows"),
    forwarded=("object", "{from, to, sent, subject, message_id} of the mail that was passed on"),
    forwarded_from=("string", "who wrote the mail that was passed on: address, or name"),
    authentication=(
        "object",
        "{server, spf, dkim, dmarc, mailfrom, signed_by} of a trusted server",
    ),
    spf=("string", "pass, fail, softfail, … as a trusted server found; missing without one"),
    dkim=("string", "the same for signatures; pass where one of them holds"),
    dmarc=("string", "the same for the alignment of the From address"),
    defects=("object", "list of what the parser found wrong"),
    source=("string", "file and place that it was read or imported from; missing for fetched mail"),
    error=("string", "what went wrong, with the next step; empty where nothing did"),
)

#: ``k.outbox.frame()``: one row per mail to be sent.
OUTBOX = _columns(
    id=("int64", "number of the outbox row"),
    message=("int64", "number of its KolibriMessage"),
    mailbox=("string", "which sends"),
    state=("string", "queued, sending, sent, failed, uncertain, held, cancelled"),
    recipients=("object", "list of addresses"),
    results=(
        "object",
        "address → status (accepted, temporary, permanent, bounced, delayed), code, answer",
    ),
    entity=("string", "entity of the record it is about"),
    record_key=("string", "key of that record"),
    cause=("string", "what it is sent for; unique"),
    attempts=("int64", "how often it was handed to a server"),
    due_at=(TIME, "not before"),
    created_at=(TIME, "when it was queued"),
    sent_at=(TIME, "when a server took it"),
    error=("string", "the last thing that went wrong"),
)

#: ``k.bounced.frame()``: one row per address that a mail came back from.
BOUNCED = _columns(
    address=("string", "in lower case"),
    permanent=("int64", "how often a bounce said that the address cannot be reached"),
    temporary=("int64", "how often a mail was late, or refused for what it was"),
    since=(TIME, "since when automatic mail to it is held; missing where it is not"),
    last_at=(TIME, "when a mail to it came back last"),
    status=("string", "enhanced status code, such as 5.1.1"),
    reason=("string", "the server's words"),
    message=("int64", "number of the KolibriMessage that told it"),
)

#: ``k.decisions.frame()``: one row per rule and message or change.
DECISIONS = _columns(
    id=("Int64", "number of the decision; missing for a plain no"),
    rule=("string", "name of the rule"),
    digest=("string", "SHA-256 of the version that decided"),
    message=("Int64", "number of the KolibriMessage, or missing"),
    event=("Int64", "number of the change, or missing"),
    verdict=("string", "match, no, error, timeout, crash, skipped"),
    shadow=("bool", "decided only, nothing was done"),
    reason=("string", "why, where it is no plain yes or no"),
    line=("Int64", "line in the expression where it failed"),
    column=("Int64", "column there"),
    micros=("float64", "microseconds it took; missing for a plain no"),
    actions=("object", "list of what was done"),
    at=(TIME, "when"),
)

#: ``record.activity.frame()``: one row per entry, oldest first.
ACTIVITY = _columns(
    id=("int64", "number of the entry"),
    entity=("string", "entity of the record"),
    record_key=("string", "key of the record"),
    kind=(
        "string",
        "created, changed, note, mail_in, mail_sent, mail_failed, mail_uncertain, mail_cancelled, "
        "detached, verified",
    ),
    at=(TIME, "when it happened"),
    author=("string", "address of the sender, name of the mailbox, or empty"),
    text=("string", "what happened"),
    message=("Int64", "number of the KolibriMessage it is about"),
    cause=("string", "rule with digest, reference with grade"),
)

#: ``k.records["incident"].changes()`` and ``record.changes()``: one row per change, oldest first.
#: Outgoing rules can be tried on it; it holds all that their conditions see.
CHANGES = _columns(
    id=("int64", "number of the change"),
    at=(TIME, "when"),
    entity=("string", "entity of the record"),
    record_key=("string", "key of the record"),
    kind=("string", "insert, update, delete"),
    happened=("object", "list, in the words of a rule's on: close, reopen, insert, update, delete"),
    changed=("object", "list of the fields with another value; of an update only"),
    before=("object", "dict of the record's fields before; missing for an insert"),
    after=("object", "dict of the record's fields after; missing for a delete"),
    message=("Int64", "number of the KolibriMessage on which a rule of ours wrote it; or missing"),
    rule=("string", "name of that rule"),
    digest=("string", "beginning of the digest of its text; see k.rules.version"),
    user=("string", "who wrote it by hand with the SDK; missing for other programs"),
    state=("string", "new, done, failed: whether outgoing rules have seen it"),
    error=("string", "why it failed; empty where nothing did"),
)

#: ``k.messages.suggestions()``: one row per record that a mail may belong to.
SUGGESTIONS = _columns(
    message=("int64", "number of the KolibriMessage"),
    mailbox=("string", "name of the mailbox"),
    received_at=(TIME, "when the server got it"),
    from_address=("string", "first From address"),
    subject=("string", "decoded"),
    entity=("string", "entity of the record that is suggested"),
    record_key=("string", "key of that record"),
    carrier=("string", "number, subject, forward, thread: by what it was found; person: by hand"),
    state=("string", "open, accepted, dismissed"),
    decided_by=("string", "who accepted or dismissed it; empty while it is open"),
    decided_at=(TIME, "when"),
    tied_entity=("string", "entity of the record that the mail belongs to now; or missing"),
    tied_key=("string", "key of that record"),
)

#: ``k.reference_keys.frame()``: one row per key that signs references, without its secret.
REFERENCE_KEYS = _columns(
    id=("int64", "number of the key; every token names its key"),
    state=("string", "signs, retired (still verifies), revoked (verifies nothing)"),
    created_at=(TIME, "when it was made"),
    retired_at=(TIME, "when another one took over"),
    revoked_at=(TIME, "when it was revoked"),
)

#: ``k.users.frame()``: one row per user.
USERS = _columns(
    id=("string", "what records and rules call the user"),
    address=("string", "mail address"),
    name=("string", "display name"),
    language=("string", "language tag such as de or de-AT; missing: the mailbox's"),
    groups=("object", "list of names"),
)

#: ``k.quarantine.frame()``: one row per mail on a server that is not in the table.
QUARANTINE = _columns(
    mailbox=("string", "name of the mailbox"),
    folder=("string", "its folder on the server"),
    uid=("string", "UID or UIDL of the mail, or name of its file"),
    state=("string", "quarantined, failing, passed_over or too_old"),
    attempts=("int64", "how often it was tried"),
    seen_at=(TIME, "when it was listed first"),
    retry_at=(TIME, "when it is tried again; missing: in the next pass, or never"),
    size=("Int64", "bytes, where the server's listing says it"),
    error=("string", "what the server answered"),
)

#: ``k.runs.frame()``: one row per pass of the poller.
RUNS = _columns(
    id=("int64", "number of the pass"),
    started_at=(TIME, "when it began"),
    finished_at=(TIME, "when it ended"),
    counts=("object", "what was counted, by name; also mailboxes and refused"),
    errors=("object", "list of what went wrong"),
)
