"""A mail template: per language a subject, and a body in HTML, plain text, or both (S7, S8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Template", "TemplateVariant", "fallbacks"]


@dataclass(frozen=True, slots=True)
class TemplateVariant:
    """A template in one language: Jinja2 sources, and the files they were read from."""

    language: str
    subject: str
    html: str | None = None
    text: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)  #: "subject" | "html" | "text" → file

    def sources(self) -> dict[str, str]:
        """The parts that are given: a mapping of "subject", "html", "text" to Jinja2 source."""
        parts = {"subject": self.subject, "html": self.html, "text": self.text}
        return {name: source for name, source in parts.items() if source is not None}


@dataclass(frozen=True, slots=True)
class Template:
    """``rules/templates/NAME/{LANGUAGE}.{subject,html,txt}.j2``."""

    name: str
    variants: Mapping[str, TemplateVariant]
    includes: Mapping[str, str] = field(default_factory=dict)  #: shared sources by name

    def choose(self, language: str | None, default: str) -> TemplateVariant:
        """The variant for a user's language, else for the default language (S8).

        ``de-AT`` falls back to ``de``, then to the default, then to the first there is.

        Examples
        --------
        >>> german, english = TemplateVariant("de", "Hallo"), TemplateVariant("en", "Hi")
        >>> t = Template("hello", {"de": german, "en": english})
        >>> t.choose("de-AT", "en").subject, t.choose("fr", "en").subject
        ('Hallo', 'Hi')
        """
        for wanted in (language, default):
            for tag in fallbacks(wanted):
                if tag in self.variants:
                    return self.variants[tag]
        return self.variants[sorted(self.variants)[0]]


def fallbacks(language: str | None) -> tuple[str, ...]:
    """A language tag and its ever shorter prefixes (RFC 4647 section 3.4).

    Examples
    --------
    >>> fallbacks("de_AT")
    ('de-at', 'de')
    """
    parts = (language or "").replace("_", "-").lower().split("-")
    return tuple("-".join(parts[:n]) for n in range(len(parts), 0, -1) if parts[0])
