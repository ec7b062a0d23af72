"""Jinja in the worker process: plain data in, text out, faults with template and line."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from hashlib import sha256
from types import TracebackType
from typing import Any, ClassVar

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
_FULL = 4  # so many times that much may come out of one batch
_MOST_ENVIRONMENTS = 64
_STATE = re.compile(r"\b(?:namespace|cycler|joiner)\b")  # all that an import could remember
_WARM_UP = {
    "formats": "{{ 1|number }}{{ '2026-05-01T10:00:00Z'|datetime('full') }}"
    "{{ 1|currency('EUR') }}{{ 1|percent }}{{ '2026-05-01'|ago }}{{ '2026-05-01'|time('full') }}",
    "filters": "{{ 'x'|wordwrap(1)|striptags|pprint }}{{ lipsum(1) }}{{ 'x'.encode('idna') }}",
    "faulty": "{{ nothing.there }}",
}


class Missing(StrictUndefined):
    """An undefined name: an error that names the whole path, and what comes near."""

    __slots__ = ()
    names: ClassVar[Mapping[str, Any]] = {}  #: what the template that is being rendered sees

    @property
    def _undefined_message(self) -> str:
        owner, name = self._undefined_obj, self._undefined_name
        if owner is missing:
            near = get_close_matches(str(name), self.names, n=1)
            return f"'{name}' is not defined{_hint(near)}"
        path = next(_paths_to(owner, self.names), None) if isinstance(owner, dict) else None
        if path is None:
            return super()._undefined_message
        return f"'{path}.{name}' is not defined{_hint(get_close_matches(str(name), owner, n=1))}"


def _hint(near: Sequence[str]) -> str:
    return f"; did you mean '{near[0]}'?" if near else ""


def _paths_to(wanted: Any, names: Mapping[str, Any]) -> Iterator[str]:
    """How a template reaches this very object, such as ``record.caller``."""
    steps: list[tuple[str, Any]] = [*names.items()][::-1]
    while steps:
        path, value = steps.pop()
        if value is wanted:
            yield path
        elif isinstance(value, dict):
            steps += [(f"{path}.{name}", item) for name, item in [*value.items()][::-1]]
        elif isinstance(value, list):
            steps += [(f"{path}[{index}]", item) for index, item in [*enumerate(value)][::-1]]


class _Jinja(ImmutableSandboxedEnvironment):
    """A field of a record comes before the dict method of the same name (items, values, …)."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


class _Sources(BaseLoader):
    """Like DictLoader, but tells the name as file name, so that tracebacks carry it."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self.sources = sources
        self.keeps_state = any(_STATE.search(source) for source in sources.values())

    def get_source(
        self,
        environment: Environment,  # noqa: ARG002 (Jinja's signature)
        template: str,
    ) -> tuple[str, str, Any]:
        if template not in self.sources:
            near = get_close_matches(template, self.sources, n=1)
            raise TemplateNotFound(template, f"there is no template '{template}'{_hint(near)}")
        return self.sources[template], template, lambda: True


class Templates:
    """A sandboxed Jinja; it answers ``render`` and ``check``."""

    def __init__(self, languages: Sequence[str], zones: Sequence[str] = ()) -> None:
        self._formats = {
            (language, zone): Formats(language, zone)
            for language in languages
            for zone in ("", *zones)
        }
        self._environments: OrderedDict[str, _Jinja] = OrderedDict()
        # Jinja and the standard library load parts on first use, which needs open files
        self.answer("check", json.dumps({"warm-up": "{{ x|default('x') }}", "faulty": "{{"}))
        for language, zone in self._formats:
            setting = {"sources": 0, "html": True, "language": language, "zone": zone}
            request = {
                "sources": [_WARM_UP],
                "settings": [{**setting, "now": "2026-05-01T10:00:00Z", "images": {}}],
                "contexts": [{}],
                "jobs": [(0, name, 0) for name in _WARM_UP],
            }
            self.answer("render", json.dumps(request))
        self._environments.clear()

    def answer(self, operation: str, payload: str) -> str:
        """Take and give JSON."""
        request = json.loads(payload)
        if operation == "check":
            return json.dumps(self._faults(request))
        return json.dumps(self._render_all(**request))

    def _render_all(
        self,
        sources: Sequence[Mapping[str, str]],
        settings: Sequence[Mapping[str, Any]],
        contexts: Sequence[dict[str, Any]],
        jobs: Sequence[tuple[int, str, int]],
    ) -> list[dict[str, Any]]:
        marks = [sha256(json.dumps(one).encode()).hexdigest() for one in sources]
        ready = [self._ready(sources, marks, setting) for setting in settings]
        ago = [self._formats[one["language"], one["zone"]].ago_from(one["now"]) for one in settings]
        room = _MOST_TEXT * _FULL  # what does not fit is asked for again, one by one
        answers = []
        for setting, name, context in jobs:
            ready[setting].filters["ago"] = ago[setting]
            answers.append(_rendered(ready[setting], name, contexts[context]))
            room -= len(answers[-1].get("text", ""))
            if room < 0:
                raise MemoryError("the texts of a batch are larger than fits")
        return answers

    def _ready(
        self,
        sources: Sequence[Mapping[str, str]],
        marks: Sequence[str],
        setting: Mapping[str, Any],
    ) -> _Jinja:
        """An environment for this setting, its templates compiled where it was used before."""
        mark = json.dumps([{**setting, "sources": marks[setting["sources"]], "now": ""}])
        environment = self._environments.pop(mark, None)
        if environment is None:
            formats = self._formats[setting["language"], setting["zone"]]
            environment = _environment(sources[setting["sources"]], html=setting["html"])
            environment.filters.update(formats.filters())
            environment.globals["image"] = _image(setting["images"])
        self._environments[mark] = environment
        if len(self._environments) > _MOST_ENVIRONMENTS:
            self._environments.popitem(last=False)
        return environment

    def _faults(self, sources: Mapping[str, str]) -> dict[str, tuple[str, int | None]]:
        environment = _environment(sources, html=False)
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


def _environment(sources: Mapping[str, str], *, html: bool) -> _Jinja:
    return _Jinja(
        loader=_Sources(sources),
        undefined=Missing,
        autoescape=html,
        keep_trailing_newline=True,
        auto_reload=False,
    )


def _rendered(environment: _Jinja, name: str, context: dict[str, Any]) -> dict[str, Any]:
    assert isinstance(environment.loader, _Sources)
    Missing.names = context
    try:
        if environment.loader.keeps_state:
            _forget(environment)
        text = _bounded(environment.get_template(name).generate(context))
    except Exception as error:  # noqa: BLE001 (somebody else's template may raise anything)
        place, line = _place(error, name, environment.loader.sources)
        return {"status": "error", "error": _described(error), "template": place, "line": line}
    return {"status": "ok", "text": _whole(text)}


def _forget(environment: _Jinja) -> None:
    """What an imported template has counted: one mail must not tell another's."""
    for template in environment.cache.values() if environment.cache else ():
        template._module = None


def _image(images: Mapping[str, str]) -> Any:
    def image(name: str) -> str:
        if name not in images:
            near = get_close_matches(str(name), images, n=1)
            raise TemplateError(f"there is no image '{name}' beside the template{_hint(near)}")
        return images[name]

    return image


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
    if text.isascii():
        return text
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
