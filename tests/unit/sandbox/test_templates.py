"""Jinja in the sandbox: plain data, places of faults, limits (fault 47)."""

from __future__ import annotations

import pytest
from jinja2.filters import FILTERS
from jinja2.tests import TESTS

from kolibri_sdk.sandbox import Rendered, RenderJob, Sandbox

CONTEXT = {
    "record": {
        "number": "INC-000123",
        "title": "<b>VPN</b> 😀",
        "caller": {"name": "Anna"},
        "opened": "2026-05-01T10:00:00+00:00",
        "cost": 1234567.891,
        "items": ["one", "two"],
        "watchers": [{"email": "a@example.org"}],
    },
}


def render(sandbox: Sandbox, source: str, *, html: bool = False, language: str = "en") -> Rendered:
    [rendered] = sandbox.render([RenderJob({"mail": source}, "mail", CONTEXT, html, language)])
    return rendered


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ record.number }}: {{ record.caller.name }}\n", "INC-000123: Anna\n"),
        ("{{ record.title }}", "<b>VPN</b> 😀"),
        ("{% for item in record.items %}{{ item }} {% endfor %}", "one two "),
        ("{{ record['caller'].items()|list }}", "[('name', 'Anna')]"),
        ("{{ record.nothing|default('-') }}", "-"),
        ("{% if record.nothing is defined %}a{% else %}b{% endif %}", "b"),
        ("{{ record.number|lower|replace('-', ' ') }}", "inc 000123"),
        ("\ud83d{{ record.number }}", "\ufffdINC-000123"),
    ],
)
def test_renders(sandbox: Sandbox, source: str, text: str) -> None:
    assert render(sandbox, source) == Rendered("ok", text)


def test_html_is_escaped_where_it_is_html(sandbox: Sandbox) -> None:
    source = '<p title="{{ record.title }}">{{ record.title }}</p>'
    assert "&lt;b&gt;" in render(sandbox, source, html=True).text
    assert "<b>VPN" in render(sandbox, source).text


def test_templates_reach_each_other(sandbox: Sandbox) -> None:
    sources = {
        "base": "A{% block body %}{% endblock %}{% import 'macros' as m %}{{ m.hi('x') }}",
        "macros": "{% macro hi(name) %}hi {{ name }}{% endmacro %}",
        "mail": "{% extends 'base' %}{% block body %}{% include 'part' %}{% endblock %}",
        "part": "{{ record.number }}",
    }
    [rendered] = sandbox.render([RenderJob(sources, "mail", CONTEXT)])
    assert rendered.text == "AINC-000123hi x"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "May 1, 2026|May 1, 2026, 10:00:00\u202fAM|1,234,567.891|1,234,567.89"),
        ("de", "01.05.2026|01.05.2026, 10:00:00|1.234.567,891|1.234.567,89"),
        ("de-AT", "01.05.2026|01.05.2026, 10:00:00|1.234.567,891|1.234.567,89"),
        ("tlh", "May 1, 2026|May 1, 2026, 10:00:00\u202fAM|1,234,567.891|1,234,567.89"),
    ],
)
def test_dates_and_numbers_are_written_as_the_language_does(
    sandbox: Sandbox, language: str, text: str
) -> None:
    source = (
        "{{ record.opened|date }}|{{ record.opened|datetime }}|"
        "{{ record.cost|number }}|{{ record.cost|number(2) }}"
    )
    assert render(sandbox, source, language=language).text == text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("2026-05-01T10:00:00+02:00", "1. Mai 2026, 10:00:00 +0200"),
        ("2026-05-01T10:00:00Z", "1. Mai 2026, 10:00:00 UTC"),
        ("2026-05-01T10:00:00", "1. Mai 2026, 10:00:00 UTC"),
    ],
)
def test_a_time_keeps_its_offset(sandbox: Sandbox, given: str, text: str) -> None:
    source = f"{{{{ '{given}'|datetime('long') }}}}"
    assert render(sandbox, source, language="de").text == text


def test_nothing_of_jinja_needs_a_file_that_can_no_longer_be_opened() -> None:
    expressions = [f"'x y'|{name}" for name in FILTERS]
    expressions += [f"'x' is {name}" for name in TESTS]
    expressions += ["'x y'|wordwrap(1)", "lipsum(1)", "'{:d}'.format(1)", "'x'.encode('idna')"]
    sources = {source: f"{{{{ {source} }}}}" for source in expressions}
    with Sandbox() as fresh:
        for rendered in fresh.render([RenderJob(sources, name, {}) for name in sources]):
            assert rendered.status in ("ok", "error")
            assert "OSError" not in rendered.error


@pytest.mark.parametrize(
    ("source", "error", "line"),
    [
        ("a\n{{ record.calller }}", "'record.calller' is not defined; did you mean 'caller'?", 2),
        ("{{ record.caller.nme }}", "'record.caller.nme' is not defined; did you mean 'name'?", 1),
        ("{{ record.watchers[0].x }}", "'record.watchers[0].x' is not defined", 1),
        ("\n\n{{ recrd.number }}", "'recrd' is not defined", 3),
        ("a\n{% if %}", "Expected an expression, got 'end of statement block'", 2),
        ("{{ record.number|nofilter }}", "No filter named 'nofilter'.", 1),
        ("{% include 'mial' %}", "there is no template 'mial'; did you mean 'mail'?", 1),
        ("{{ ''.__class__ }}", "access to attribute '__class__' of 'str' object is unsafe.", 1),
        ("{{ record.items.append(1) }}", "is unsafe", 1),
        ("{{ record.update({}) }}", "is not defined", 1),
        ("{{ record._path }}", "'record._path' is not defined", 1),
        ("{{ record.title|date }}", "ValueError: ", 1),
        ("{{ 'x'|number }}", "ValueError: 'x' is not a number", 1),
        ("\n{{ 1 // 0 }}", "ZeroDivisionError", 2),
        ("{{ range(1000000)|list }}", "OverflowError", 1),
    ],
)
def test_a_fault_tells_template_and_line(
    sandbox: Sandbox, source: str, error: str, line: int
) -> None:
    rendered = render(sandbox, source)
    assert (rendered.status, rendered.text, rendered.template) == ("error", "", "mail")
    assert error in rendered.error
    assert rendered.line == line


def test_a_fault_in_an_included_template_is_told_there(sandbox: Sandbox) -> None:
    sources = {"mail": "a\n{% include 'part' %}", "part": "\n\n{{ record.missing }}"}
    [rendered] = sandbox.render([RenderJob(sources, "mail", CONTEXT)])
    assert (rendered.template, rendered.line) == ("part", 3)


def test_what_takes_too_much_does_not_touch_the_others() -> None:
    sources = {
        "good": "{{ record.number }}",
        "endless": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "long": "{% for i in range(90000) %}{{ 'x' * 100 }}{% endfor %}",
        "large": "{{ ('a' * 700000000)|length }}",
        "power": "{{ 10 ** (10 ** 9) }}",
        "large2": "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}"
        "{% set ns.x = ns.x + [i|string * 9999] %}{% endfor %}",
    }
    with Sandbox(deadline=0.3, memory_mb=128) as sandbox:
        names = ["good", "endless", "good", "long", "large", "good", "power", "large2", "good"]
        results = sandbox.render([RenderJob(sources, name, CONTEXT) for name in names])
    told = {name: result for name, result in zip(names, results, strict=True) if name != "good"}
    assert [r.text for n, r in zip(names, results, strict=True) if n == "good"] == [
        "INC-000123"
    ] * 4
    assert told["endless"].status == "timeout"
    assert told["long"].error == "gave more than 5,000,000 characters"
    assert told["large"].error == "needed more memory than it may have"
    assert told["power"].status in ("timeout", "error")
    assert told["large2"].status in ("timeout", "error", "crash")


def test_templates_are_checked_without_rendering(sandbox: Sandbox) -> None:
    sources = {
        "good": "{{ anything.at.all|date }}",
        "if": "\n{% if %}",
        "open": "{{ x",
        "filter": "a\nb\n{{ 1|nofilter }}",
        "block": "{% block a %}{% endblock %}{% block a %}{% endblock %}",
    }
    faults = sandbox.check_templates(sources)
    assert {name: fault.line for name, fault in faults.items()} == {
        "if": 2,
        "open": 1,
        "filter": 3,
        "block": 1,
    }
    assert all(fault.message for fault in faults.values())
    assert sandbox.check_templates({}) == {}


@pytest.mark.parametrize(
    ("source", "language", "text"),
    [
        ("'2026-07-31T22:30:00Z'|datetime('short')", "de", "01.08.26, 00:30"),
        ("'2026-07-31T22:30:00'|time", "de", "00:30"),
        ("'2026-01-31T23:30:00+00:00'|date('long')", "de-AT", "1. Februar 2026"),
        ("'2026-01-31'|date('long')", "de-AT", "31. Jänner 2026"),
        ("'2026-07-31T22:30:00Z'|datetime('full')", "en", "Central European Summer Time"),
        ("'2026-05-01T07:00:00Z'|ago", "en", "3 hours ago"),
        ("'2026-05-03T10:00:00Z'|ago", "de", "in 2 Tagen"),
        ("1234.5|currency('EUR')", "de", "1.234,50\xa0€"),
        ("0.256|percent", "en", "26%"),
        ("0.256|percent(1)", "de", "25,6\xa0%"),
    ],
)
def test_filters_write_in_the_readers_language_and_zone(
    sandbox: Sandbox, source: str, language: str, text: str
) -> None:
    job = RenderJob(
        {"mail": f"{{{{ {source} }}}}"},
        "mail",
        {},
        language=language,
        zone="Europe/Vienna",
        now="2026-05-01T10:00:00Z",
    )
    [rendered] = sandbox.render([job])
    assert rendered.error == ""
    assert text in rendered.text


def test_jobs_of_one_call_keep_their_zone_and_time_apart(sandbox: Sandbox) -> None:
    sources = {"mail": "{{ at|time }} {{ at|ago }}"}
    context = {"at": "2026-05-01T10:00:00Z"}
    given = [("Europe/Vienna", "2026-05-01T11:00:00Z"), ("Asia/Tokyo", "2026-05-01T12:00:00Z")]
    jobs = [
        RenderJob(sources, "mail", context, language="de", zone=zone, now=now)
        for zone, now in given
    ]
    texts = [rendered.text for rendered in sandbox.render(jobs)]
    assert texts == ["12:00 vor 1 Stunde", "19:00 vor 2 Stunden"]


def test_nothing_is_carried_from_one_mail_to_the_next(sandbox: Sandbox) -> None:
    sources = {
        "mail": "{% from 'parts' import count %}{{ count() }}",
        "parts": "{% set seen = namespace(n=0) %}"
        "{% macro count() %}{% set seen.n = seen.n + 1 %}{{ seen.n }}{% endmacro %}",
    }
    jobs = [RenderJob(sources, "mail", {})] * 3
    assert [rendered.text for rendered in sandbox.render(jobs)] == ["1", "1", "1"]


def test_an_image_is_told_by_its_address(sandbox: Sandbox) -> None:
    sources = {
        "mail": "{% from 'parts' import logo %}{{ logo() }}",
        "parts": '{% macro logo() %}<img src="{{ image("logo.png") }}">{% endmacro %}',
        "odd": "\n{{ image('lgo.png') }}",
    }
    images = {"logo.png": "cid:1@kolibri"}
    good, odd = sandbox.render(
        [RenderJob(sources, name, {}, html=True, images=images) for name in ("mail", "odd")]
    )
    assert good.text == '<img src="cid:1@kolibri">'
    assert (odd.template, odd.line) == ("odd", 2)
    assert "no image 'lgo.png' beside the template; did you mean 'logo.png'?" in odd.error
