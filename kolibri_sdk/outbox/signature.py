"""The signature below a mail that is written by hand: files of the mailbox, one pair a language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kolibri_sdk.errors import ConfigurationError, TemplateError
from kolibri_sdk.mail import as_html, embed_images, plain_twin, ready_html
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.message import Attachment
from kolibri_sdk.model.template import fallbacks
from kolibri_sdk.sandbox import RenderJob, Sandbox

__all__ = ["Signature", "signature_of"]


@dataclass(frozen=True, slots=True)
class Signature:
    """What stands below the mail; empty where the mailbox has none."""

    html: str = ""
    text: str = ""
    images: tuple[Attachment, ...] = ()


def signature_of(
    mailbox: Mailbox, language: str, context: Mapping[str, Any], root: Path, sandbox: Sandbox
) -> Signature:
    """The mailbox's signature in this language, else in the mailbox's own, else the first.

    Parameters
    ----------
    context : mapping
        Plain data for ``{{ … }}`` in the files: ``user`` and ``mailbox``.
    root : Path
        The project folder, which the files are relative to.

    Raises
    ------
    ConfigurationError
        When a file cannot be read.
    TemplateError
        When one cannot be rendered; the message names file and line.
    """
    if not mailbox.signature:
        return Signature()
    wanted = (*fallbacks(language), *fallbacks(mailbox.language), *sorted(mailbox.signature))
    files = mailbox.signature[next(tag for tag in wanted if tag in mailbox.signature)]
    html = text = ""
    images: tuple[Attachment, ...] = ()
    if files.html is not None:
        source = _rendered(mailbox, files.html, language, context, root, sandbox, html=True)
        embedded, images = embed_images(source)
        html = ready_html(embedded)
    if files.text is not None:
        text = _rendered(mailbox, files.text, language, context, root, sandbox, html=False)
    return Signature(html or as_html(text.strip()), text.strip() or plain_twin(html), images)


def _rendered(
    mailbox: Mailbox,
    file: str,
    language: str,
    context: Mapping[str, Any],
    root: Path,
    sandbox: Sandbox,
    *,
    html: bool,
) -> str:
    try:
        source = (root / file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The signature {file} of mailbox {mailbox.name} cannot be read: {error}",
            f"Mend the file, or signature: in {mailbox.file or 'the file of the mailbox'}",
        ) from error
    if "{{" not in source and "{%" not in source:
        return source
    (result,) = sandbox.render([RenderJob({file: source}, file, context, html, language)])
    if result.status != "ok":
        line = f", line {result.line}" if result.line else ""
        raise TemplateError(f"{file}{line}: {result.error}", "Correct the signature")
    return result.text
