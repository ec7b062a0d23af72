"""Jinja in the worker process: plain data in, text out, faults with template and line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import TracebackType
from typing import Any

from jinja2 import (
    BaseLoader,
    Environment,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from kolibri_sdk.sandbox.formats import Formats

__all__ = ["Templates"]

_MOST_TEXT = 5_000_000  # characters
_WARM_UP = {
    "formats": "{{ 1|number }}{{ '2026-05-01T10:00:00Z'|datetime('full') }}",
    "filters": "{{ 'x'|wordwrap(1)|striptags|pprint }}{{ lipsum(1) }}{{ 'x'.encode('idna') }}",
    "faulty": "{{ nothing.there }}",
}


class Record(dict[str, Any]):
    """A dict that knows by which path the template reached it, for better messages."""

    def __init__(self, items: Mapping[str, Any], path: str) -> None:
        super().__init__({name: _named(item, f"{path}.{name}") for name, item in items.items()})
        self._path = path


def _named(value: Any, path: str) -> Any:
    if isinstance(value, dict):
        return Record(value, path)
    if isinstance(value, list):
        return [_named(item, f"{path}[{index}]") for index, item in enumerate(value)]
    return value


class Missing(StrictUndefined):
    """An undefined name: an error that names the whole path, and what comes near."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        owner, name = self._undefined_obj, self._undefined_name
        if owner is missing:
            return f"'{name}' is not defined"
        if not isinstance(owner, Record):
            return super()._undefined_message
        near = get_close_matches(str(name), owner.keys(), n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return f"'{owner._path}.{name}' is not defined{hint}"


class _Jinja(ImmutableSandboxedEnvironment):
    """A field of a record comes before the dict method of the same name (items, values, …)."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Record) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


class _Sources(BaseLoader):
    """Like DictLoader, but tells the name as file name, so that tracebacks carry it."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources

    def get_source(
        self,
        environment: Environment,  # noqa: ARG002 (Jinja's signature)
        template: str,
    ) -> tuple[str, str, Any]:
        if template not in self._sources:
            near = get_close_matches(template, self._sources, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise TemplateNotFound(template, f"there is no template '{template}'{hint}")
        return self._sources[template], template, lambda: True


class Templates:
    """A sandboxed Jinja; it answers ``render`` and ``check``."""

    def __init__(self, languages: Sequence[str]) -> None:
        self._formats = {language: Formats(language) for language in languages}
        # Jinja and the standard library load parts on first use, which needs open files
        self.answer("check", json.dumps({"warm-up": "{{ x|default('x') }}", "faulty": "{{"}))
        for language in languages:
            for name in _WARM_UP:
                job = {"sources": _WARM_UP, "name": name, "context": {}, "html": True}
                self.answer("render", json.dumps({**job, "language": language}))

    def answer(self, operation: str, payload: str) -> str:
        """Take and give JSON."""
        request = json.loads(payload)
        if operation == "check":
            return json.dumps(self._faults(request))
        return json.dumps(self._render(**request))

    def _environment(
        self, sources: Mapping[str, str], *, html: bool, language: str | None = None
    ) -> Environment:
        environment = _Jinja(
            loader=_Sources(sources),
            undefined=Missing,
            autoescape=html,
            keep_trailing_newline=True,
        )
        if language is not None:
            environment.filters.update(self._formats[language].filters())
        return environment

    def _faults(self, sources: Mapping[str, str]) -> dict[str, tuple[str, int | None]]:
        environment = self._environment(sources, html=False)
        environment.filters.update(Formats.named())
        faults: dict[str, tuple[str, int | None]] = {}
        for name, source in sources.items():
            try:
                environment.compile(source, name, name)
            except TemplateSyntaxError as error:
                faults[name] = (_whole(error.message or "syntax error"), error.lineno)
            except (RecursionError, MemoryError, SyntaxError, ValueError) as error:
                faults[name] = (f"cannot be compiled: {_described(error)}", None)
        return faults

    def _render(
        self,
        sources: Mapping[str, str],
        name: str,
        context: dict[str, Any],
        *,
        html: bool,
        language: str,
    ) -> dict[str, Any]:
        environment = self._environment(sources, html=html, language=language)
        try:
            names = {key: _named(value, key) for key, value in context.items()}
            text = _bounded(environment.get_template(name).generate(names))
        except Exception as error:  # noqa: BLE001 (somebody else's template may raise anything)
            place, line = _place(error, name, sources)
            return {"status": "error", "error": _described(error), "template": place, "line": line}
        return {"status": "ok", "text": _whole(text)}


def _bounded(pieces: Any) -> str:
    taken: list[str] = []
    room = _MOST_TEXT
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            raise TemplateError(f"gave more than {_MOST_TEXT:,} characters")
        taken.append(piece)
    return "".join(taken)


def _whole(text: str) -> str:
    """The text with halves of surrogate pairs joined, and lone ones replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _described(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "needed more memory than it may have"
    message = _whole(str(error))[:500]
    return message if isinstance(error, TemplateError) else f"{type(error).__name__}: {message}"


def _place(error: BaseException, name: str, sources: Mapping[str, str]) -> tuple[str, int | None]:
    """The innermost template and line; Jinja rewrites tracebacks so that they carry both."""
    if isinstance(error, TemplateSyntaxError):
        return error.name or name, error.lineno
    place: tuple[str, int | None] = (name, None)
    step: TracebackType | None = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename in sources:
            place = step.tb_frame.f_code.co_filename, step.tb_lineno
        step = step.tb_next
    return place
