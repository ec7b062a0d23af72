"""From an outbox row to bytes: the template in the sandbox, then the mail with its reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import KolibriError, SendError
from kolibri_sdk.mail import Draft, compose, inline_css, plain_twin, sanitise
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.message import Address, MessageState
from kolibri_sdk.model.outbox import OutboxState
from kolibri_sdk.model.stored import OutboxItem, StoredMessage
from kolibri_sdk.model.template import Template, TemplateVariant
from kolibri_sdk.outbox.letter import BY_HAND, compose_again
from kolibri_sdk.reference import Carriers
from kolibri_sdk.sandbox import Rendered, RenderJob, Sandbox
from kolibri_sdk.store import blobs, messages, outbox

__all__ = ["Composed", "compose_anew", "compose_items", "save_composed"]


@dataclass(frozen=True, slots=True)
class Composed:
    """An outbox row with its mail as it will go out, or the reason why there is none."""

    item: OutboxItem
    raw: bytes = b""
    subject: str = ""
    text: str = ""
    html: str | None = None
    error: str = ""


def compose_items(
    items: Sequence[tuple[OutboxItem, StoredMessage]],
    templates: Mapping[str, Template],
    mailboxes: Mapping[str, Mailbox],
    sandbox: Sandbox,
) -> list[Composed]:
    """Render and compose these mails; all templates cross into the sandbox at once."""
    jobs: list[RenderJob] = []
    owners: list[tuple[int, str]] = []
    results: list[Composed | None] = [None] * len(items)
    for position, (item, _) in enumerate(items):
        template = templates.get(item.request["template"])
        if template is None or item.mailbox not in mailboxes:
            results[position] = Composed(item, error=_missing(item, template))
            continue
        for part, job in _jobs(template, item.request).items():
            owners.append((position, part))
            jobs.append(job)
    rendered: dict[int, dict[str, Rendered]] = {}
    for (position, part), result in zip(owners, sandbox.render(jobs), strict=True):
        rendered.setdefault(position, {})[part] = result
    for position, parts in rendered.items():
        item, message = items[position]
        results[position] = _composed(
            item, message, mailboxes[item.mailbox], templates[item.request["template"]], parts
        )
    return [result for result in results if result is not None]


def save_composed(tx: sa.Connection, done: Sequence[Composed]) -> None:
    """Keep the mails byte for byte as they will go out (S22); a failed one is marked as such."""
    for one in done:
        if one.error:
            outbox.save(tx, one.item.id, state=OutboxState.FAILED.value, error=one.error)
            messages.save_outgoing(
                tx, one.item.message, state=MessageState.UNSENT.value, error=one.error
            )
            continue
        (name,) = blobs.put(tx, [one.raw])
        outbox.save(tx, one.item.id, blob=name)
        messages.save_outgoing(
            tx,
            one.item.message,
            blob=name,
            size=len(one.raw),
            subject=one.subject,
            text=one.text,
            reply_text=one.text,
            html=one.html,
        )


def compose_anew(tx: sa.Connection, item: OutboxItem, mailbox: Mailbox) -> None:
    """Put a claimed mail whose bytes are lost back into the queue, to be composed once more.

    What is left of the bytes goes, too: were the new ones the same, they would count as stored.
    """
    if item.blob is not None:
        blobs.forget(tx, item.blob)
    state, error, name = OutboxState.QUEUED, "its bytes were lost; it is composed anew", None
    if BY_HAND in item.request:
        try:
            name = compose_again(tx, item, messages.get(tx, item.message), mailbox)
        except KolibriError as lost:
            state, error = OutboxState.FAILED, f"its bytes were lost; write it once more: {lost}"
            messages.save_outgoing(tx, item.message, state=MessageState.UNSENT.value, error=error)
    outbox.settle(tx, item, state, error=error)
    outbox.save(tx, item.id, blob=name)
    messages.save_outgoing(tx, item.message, blob=name)


def _missing(item: OutboxItem, template: Template | None) -> str:
    if template is None:
        return f"There is no template {item.request['template']!r} any more; add it, then retry"
    return f"There is no mailbox {item.mailbox!r} any more; add it, then retry"


def _jobs(template: Template, request: Mapping[str, Any]) -> dict[str, RenderJob]:
    variant = _variant(template, request)
    sources = {**template.includes, **_named(template, variant)}
    return {
        part: RenderJob(
            sources=sources,
            name=_name(template, variant, part),
            context=request["context"],
            html=part == "html",
            language=variant.language,
        )
        for part in variant.sources()
    }


def _variant(template: Template, request: Mapping[str, Any]) -> TemplateVariant:
    return template.choose(request["language"], request["language"])


def _name(template: Template, variant: TemplateVariant, part: str) -> str:
    return variant.files.get(part) or f"{template.name}/{variant.language}.{part}.j2"


def _named(template: Template, variant: TemplateVariant) -> dict[str, str]:
    return {_name(template, variant, part): text for part, text in variant.sources().items()}


def _composed(
    item: OutboxItem,
    message: StoredMessage,
    mailbox: Mailbox,
    template: Template,
    parts: Mapping[str, Rendered],
) -> Composed:
    for part, result in parts.items():
        if result.status != "ok":
            place = result.template or f"template {template.name} ({part})"
            line = f", line {result.line}" if result.line else ""
            return Composed(item, error=f"{place}{line}: {result.error}")
    carriers = Carriers(**item.request["carriers"])
    subject = carriers.subject(" ".join(parts["subject"].text.split()))
    html = inline_css(sanitise(parts["html"].text)) if "html" in parts else None
    text = parts["text"].text if "text" in parts else plain_twin(html or "")
    if html is not None and carriers.marker:
        html = _before_end(html, carriers.marker)
    draft = Draft(
        message_id=item.message_id,
        sender=Address(mailbox.address, mailbox.display_name),
        to=_shown(item.request),
        subject=subject,
        text=text,
        html=html,
        reply_to=Address(carriers.reply_to, mailbox.display_name) if carriers.reply_to else None,
        in_reply_to=message.in_reply_to[0] if message.in_reply_to else None,
        references=(*message.references, *filter(None, [carriers.thread_id])),
        date=clock.now(),
        headers=(*_automatic_headers(item), ("X-Loop", mailbox.address)),
    )
    try:
        return Composed(item, compose(draft), subject, text, html)
    except SendError as unfit:  # a recipient that cannot stand in a header; the others go on
        return Composed(item, error=str(unfit))


def _before_end(html: str, marker: str) -> str:
    head, end, tail = html.rpartition("</body>")
    return f"{head}{marker}{end}{tail}" if end else html + marker


def _shown(request: Mapping[str, Any]) -> tuple[Address, ...]:
    """The To header: a single recipient; of several, nobody sees the others."""
    people = [Address(person["address"], person["name"]) for person in request["to"]]
    return tuple(people) if len(people) == 1 else ()


def _automatic_headers(item: OutboxItem) -> tuple[tuple[str, str], ...]:
    # RFC 3834 section 5: so that no other responder answers, whoever runs it.
    kind = "auto-replied" if item.sender == "" else "auto-generated"
    return (("Auto-Submitted", kind), ("X-Auto-Response-Suppress", "All"))
