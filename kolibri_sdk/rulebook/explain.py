"""Turn what pydantic says of a document into problems with place, plain words and a mend."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kolibri_sdk.errors import ConfigurationError, Problem
from kolibri_sdk.rulebook.schema import known_at
from kolibri_sdk.rulebook.yaml_file import YamlFile, YamlPath

__all__ = ["did_you_mean", "explain", "validate"]

_Model = TypeVar("_Model", bound=BaseModel)
_Words = tuple[str, str]  #: message and mend


def validate(model: type[_Model], source: YamlFile) -> _Model:
    """The document as a value.

    Raises
    ------
    ConfigurationError
        With one problem per mistake.
    """
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        problems = explain(error, source, model)
        raise ConfigurationError(f"{source.file} cannot be used", problems=problems) from error


def explain(
    error: ValidationError, source: YamlFile, model: type[BaseModel]
) -> tuple[Problem, ...]:
    """One problem per mistake, in the order of the file."""
    faults = [_Fault.of(details, source, model) for details in error.errors()]
    problems = {fault.problem(): None for fault in faults if not _follows(fault, faults)}
    return tuple(sorted(problems, key=lambda each: (each.line or 0, each.column or 0)))


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The mend for a name that is not known.

    Examples
    --------
    >>> did_you_mean("wen", ["when", "then"])
    "did you mean 'when'?"
    >>> did_you_mean("x", ["when", "then"])
    'choose one of then, when'
    """
    names = sorted(known)
    if near := get_close_matches(str(name), names, n=1):
        return f"did you mean '{near[0]}'?"
    return f"choose one of {', '.join(names[:20])}" if names else "there is none yet: add it"


@dataclass(frozen=True)
class _Fault:
    """One error of pydantic beside what the author wrote there."""

    kind: str
    path: YamlPath  #: as far as it exists in the file
    name: str  #: the last step, existing or not
    value: Any
    context: dict[str, Any]
    said: str
    known: dict[str, Any]  #: the keys that may stand there, or beside it
    source: YamlFile

    @classmethod
    def of(cls, details: ErrorDetails, source: YamlFile, model: type[BaseModel]) -> _Fault:
        path = source.locate(details["loc"])
        kind, name = details["type"], str(details["loc"][-1]) if details["loc"] else ""
        parent = path[:-1] if kind == "extra_forbidden" else path
        return cls(
            kind,
            path,
            name if kind == "missing" else _name(path),
            _value(source.data, path),
            details.get("ctx", {}),
            details["msg"],
            known_at(model, source.data, parent),
            source,
        )

    def problem(self) -> Problem:
        words = _WORDS.get(self.kind)
        message, mend = words(self) if words else (f"{self.where}: {self.said}", "correct it")
        return Problem(self.source.file, message, mend, *self.source.place(self._to_show()))

    def _to_show(self) -> YamlPath:
        if self.kind == "union_tag_invalid":
            return (*self.path, self.discriminator)
        if self.kind in ("missing", "union_tag_not_found") and not self.path:
            return tuple(list(self.source.data)[:1]) if isinstance(self.source.data, dict) else ()
        return self.path

    @property
    def discriminator(self) -> str:
        """The key that decides between alternatives, such as protocol."""
        return str(self.context.get("discriminator", "")).strip("'")

    @property
    def where(self) -> str:
        return f"'{self.name}'" if self.name else "the document"

    @property
    def is_secret(self) -> bool:
        return not {"password", "secret", "key"}.isdisjoint(self.path)

    @property
    def shown(self) -> str:
        """What the author wrote, in few words; never what may be a secret."""
        if isinstance(self.value, str) and not self.is_secret:
            return f"'{self.value[:40]}'"
        if isinstance(self.value, int | float) and not isinstance(self.value, bool):
            return f"the number {self.value}"
        return _kind_of(self.value)


_CHOICES = ("literal_error", "enum")


def _follows(fault: _Fault, others: list[_Fault]) -> bool:
    """Whether this is only the consequence, or the other alternative, of another fault."""
    if fault.kind == "too_short":
        return bool(fault.value)
    if fault.kind == "missing":
        return any(
            other.kind == "extra_forbidden"
            and other.path[:-1] == fault.path
            and get_close_matches(other.name, [*other.known], n=1) == [fault.name]
            for other in others
        )
    beside = [other for other in others if other is not fault]
    if fault.kind in _CHOICES and isinstance(fault.value, dict):
        return any(other.path[: len(fault.path)] == fault.path for other in beside)
    if fault.kind == "model_type":
        return any(o.kind in _CHOICES and o.path == fault.path for o in beside)
    return False


def _unknown_key(fault: _Fault) -> _Words:
    mend = did_you_mean(fault.name, fault.known)
    return f"there is no key '{fault.name}' here", mend if fault.known else "delete it"


def _missing_key(fault: _Fault) -> _Words:
    about = fault.known.get(fault.name, {}).get("description", "")
    return f"'{fault.name}' is missing", f"add '{fault.name}: …'" + (f" ({about})" if about else "")


def _not_text(fault: _Fault) -> _Words:
    if isinstance(fault.value, dict | list) or fault.value is None:
        return f"{fault.where} must be text, not {_kind_of(fault.value)}", "write one line of text"
    written = fault.value
    if isinstance(written, bool):
        written = str(written).lower()
    mend = "put it in quotes" if fault.is_secret else f'put it in quotes: "{written}"'
    return f"{fault.where} must be text, not {_kind_of(fault.value)}", mend


def _not_a_whole_number(fault: _Fault) -> _Words:
    return f"{fault.where} must be a whole number, not {fault.shown}", "write it like 100"


def _not_a_number(fault: _Fault) -> _Words:
    return f"{fault.where} must be a number, not {fault.shown}", "write it like 30"


def _not_true_or_false(fault: _Fault) -> _Words:
    return f"{fault.where} must be true or false, not {fault.shown}", "write true or false"


def _not_a_list(fault: _Fault) -> _Words:
    message = f"{fault.where} must be a list, not {_kind_of(fault.value)}"
    return message, "write one entry per line, each behind a dash: '- …'"


def _not_keys(fault: _Fault) -> _Words:
    message = f"{fault.where} must hold keys, not {_kind_of(fault.value)}"
    if fault.name == "password":
        mend = "say where it is kept, {env: NAME} or {keyring: SERVICE}; never write it here"
        return message, mend
    known = ", ".join(list(fault.known)[:12])
    return message, f"write keys of: {known}" if known else "write 'key: value'"


def _not_a_choice(fault: _Fault) -> _Words:
    allowed = re.findall(r"'([^']*)'", fault.context.get("expected", ""))
    near = get_close_matches(str(fault.value), allowed, n=1)
    mend = f"write one of {', '.join(allowed)}"
    message = f"{fault.where} cannot be {fault.shown}"
    return message, f"did you mean '{near[0]}'? ({mend})" if near else mend


def _no_such_protocol(fault: _Fault) -> _Words:
    allowed = fault.context["expected_tags"].replace("'", "")
    kind = fault.discriminator
    return f"{fault.where} knows no {kind} '{fault.context['tag']}'", f"write one of {allowed}"


def _no_protocol(fault: _Fault) -> _Words:
    kind = fault.discriminator
    such_as = "microsoft or generic" if kind == "provider" else "imap or smtp"
    return f"{fault.where} does not say its {kind}", f"add '{kind}: …', such as {such_as}"


def _empty(fault: _Fault) -> _Words:
    return f"{fault.where} is empty", "write at least one entry"


def _no_text(fault: _Fault) -> _Words:
    return f"{fault.where} is empty", "write it, or delete the key"


def _out_of_range(fault: _Fault) -> _Words:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    bound = " and ".join(f"{words[k]} {v:g}" for k, v in fault.context.items() if k in words)
    return f"{fault.where} is {fault.value}, out of range", f"write {bound}"


def _wrong_form(fault: _Fault) -> _Words:
    if fault.name == "address":
        return f"{fault.shown} is no mail address", "write it like support@example.org"
    return f"{fault.where} has not the right form", f"it must match {fault.context['pattern']}"


def _no_date(fault: _Fault) -> _Words:
    return f"{fault.where} must be a date, not {fault.shown}", "write it like 2026-05-01"


def _rule_of_the_model(fault: _Fault) -> _Words:
    return str(fault.context["error"]), "correct it"


_WORDS: dict[str, Callable[[_Fault], _Words]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing_key,
    "string_type": _not_text,
    "int_type": _not_a_whole_number,
    "int_parsing": _not_a_whole_number,
    "int_from_float": _not_a_whole_number,
    "float_type": _not_a_number,
    "float_parsing": _not_a_number,
    "bool_type": _not_true_or_false,
    "bool_parsing": _not_true_or_false,
    "tuple_type": _not_a_list,
    "dict_type": _not_keys,
    "model_type": _not_keys,
    "model_attributes_type": _not_keys,
    "enum": _not_a_choice,
    "literal_error": _not_a_choice,
    "union_tag_invalid": _no_such_protocol,
    "union_tag_not_found": _no_protocol,
    "too_short": _empty,
    "string_too_short": _no_text,
    "greater_than": _out_of_range,
    "greater_than_equal": _out_of_range,
    "less_than": _out_of_range,
    "less_than_equal": _out_of_range,
    "string_pattern_mismatch": _wrong_form,
    "date_type": _no_date,
    "date_parsing": _no_date,
    "date_from_datetime_parsing": _no_date,
    "date_from_datetime_inexact": _no_date,
    "value_error": _rule_of_the_model,
}


def _kind_of(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    kinds = ((str, "text"), (int | float, "a number"), (date, "a date"), (list, "a list"))
    return next((word for kind, word in kinds if isinstance(value, kind)), "keys")


def _name(path: YamlPath) -> str:
    """The key that a path ends with; an entry of a list is called by its list."""
    if path and isinstance(path[-1], int):
        return f"{_name(path[:-1])}[{path[-1] + 1}]"
    return str(path[-1]) if path else ""


def _value(data: Any, path: YamlPath) -> Any:
    for step in path:
        data = data[step]
    return data
