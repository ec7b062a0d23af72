"""The rules that ``kolibri init`` copies: without a problem, and good to read when rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kolibri_sdk.model.template import Template
from kolibri_sdk.rulebook import Rulebook, check_rulebook, load_rulebook
from kolibri_sdk.sandbox import Rendered, RenderJob, Sandbox

RULES = Path(__file__).parents[3] / "rules"

RECORD = {
    "number": "INC-000412",
    "title": "VPN <drops> & dies",
    "caller": "anna.weiss@customer.example",
    "group": "Network",
    "priority": 1,
    "status": "open",
}
CONTEXT: dict[str, Any] = {
    "record": RECORD,
    "old": {**RECORD, "group": "Service Desk"},
    "message": None,
    "user": {"id": "anna", "name": "Anna Weiß", "address": "a@customer.example", "language": "de"},
    "mailbox": {
        "name": "support",
        "address": "support@kolibri.example",
        "display_name": "Kolibri Support",
    },
    "link": "https://desk.example/incident/INC-000412",
}
SPARSE = {**CONTEXT, "old": None, "user": None, "link": ""}


@pytest.fixture(scope="module")
def book() -> Rulebook:
    return load_rulebook(RULES)


def render(
    sandbox: Sandbox, template: Template, language: str, context: dict[str, Any]
) -> dict[str, Rendered]:
    variant = template.variants[language]
    sources = {**template.includes, **variant.sources()}
    parts = list(variant.sources())
    jobs = [RenderJob(sources, part, context, part == "html", language) for part in parts]
    return dict(zip(parts, sandbox.render(jobs), strict=True))


def test_there_is_nothing_wrong_with_them(book: Rulebook, sandbox: Sandbox) -> None:
    assert check_rulebook(book, sandbox) == ()
    assert [rule.name for rule in book.inbound("support")] == [
        "create-incident",
        "urgent",
        "reopen-on-reply",
    ]
    assert [rule.name for rule in book.outbound("incident")] == ["group-changed"]


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("name", ["incident-received", "incident-assigned", "lead-received"])
def test_every_template_speaks_both_languages(
    book: Rulebook, sandbox: Sandbox, name: str, language: str
) -> None:
    for context in (CONTEXT, SPARSE):
        parts = render(sandbox, book.templates[name], language, context)
        assert sorted(parts) == ["html", "subject", "text"]
        assert [part.error for part in parts.values()] == ["", "", ""]
        assert "VPN <drops> & dies" in parts["subject"].text
        assert "VPN <drops> & dies" in parts["text"].text
        assert "VPN &lt;drops&gt; &amp; dies" in parts["html"].text
        assert f'lang="{language}"' in parts["html"].text
        assert "Kolibri Support" in parts["text"].text
        for part in ("html", "text"):
            assert ("https://desk.example" in parts[part].text) == (context is CONTEXT)
            assert ("Anna Weiß" in parts[part].text) == (context is CONTEXT)


def test_the_group_before_is_told_where_there_was_one(book: Rulebook, sandbox: Sandbox) -> None:
    template = book.templates["incident-assigned"]
    assert "bisher: Service Desk" in render(sandbox, template, "de", CONTEXT)["text"].text
    assert "bisher" not in render(sandbox, template, "de", SPARSE)["text"].text


def test_every_example_mail_belongs_to_a_rule(book: Rulebook) -> None:
    used = {book.example_mail(rule, each) for rule in book.inbound_rules for each in rule.examples}
    assert used == set(RULES.glob("inbound/*/examples/*.eml"))
