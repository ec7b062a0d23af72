"""The JSON schema of the files in ``rules/``, for editors and for explaining mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from kolibri_sdk.model.entity import EntityDocument
from kolibri_sdk.model.gates import Gates
from kolibri_sdk.model.mailbox import MailboxDocument
from kolibri_sdk.model.rule import InboundRuleDocument, OutboundRuleDocument

__all__ = ["known_at", "schema"]

_DOCUMENTS: tuple[type[BaseModel], ...] = (
    InboundRuleDocument,
    OutboundRuleDocument,
    MailboxDocument,
    EntityDocument,
)
#: Not in ``rules/``, and told by the same schema: ``gates.yaml``.
_BESIDE: tuple[type[BaseModel], ...] = (Gates,)
_EXACTLY_ONE_KEY = ("Action", "Recipient", "Password")
_LIST_OR_SINGLE = (
    ("LabelSource", "positive"),
    ("SendMail", "to"),
    ("OutboundRuleDocument", "to"),
    ("OutboundRuleDocument", "on"),
)


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) that a file in ``rules/`` meets; ``rules/schema.json``.

    Examples
    --------
    >>> sorted(schema()["$defs"]["Example"]["required"])
    ['mail', 'match']
    """
    _, found = models_json_schema([(each, "validation") for each in (*_DOCUMENTS, *_BESIDE)])
    definitions = found["$defs"]
    for name in _EXACTLY_ONE_KEY:
        definitions[name].update(minProperties=1, maxProperties=1)
    for name, key in _LIST_OR_SINGLE:
        _allow_single(definitions[name]["properties"], key)
    digest = definitions["OutboundRuleDocument"]["properties"]["digest"]
    digest["anyOf"].insert(0, definitions["Digest"]["properties"]["every"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A file in rules/: an incoming or outgoing rule, a mailbox, or an entity",
        "anyOf": [{"$ref": f"#/$defs/{each.__name__}"} for each in _DOCUMENTS],
        "$defs": definitions,
    }


def _allow_single(properties: dict[str, Any], key: str) -> None:
    """A list of one may be written without the list."""
    listed = properties[key]
    kept = {name: listed.pop(name) for name in ("title", "description") if name in listed}
    properties[key] = {**kept, "anyOf": [listed, listed["items"]]}


def known_at(model: type[BaseModel], data: Any, path: Sequence[str | int]) -> dict[str, Any]:
    """The keys that may stand at this path of a document, each with its schema.

    Parameters
    ----------
    model : type of BaseModel
        The document's model, such as InboundRuleDocument.
    data : Any
        What the author wrote: it decides between alternatives (``protocol: imap``).
    path : sequence of str or int
        Steps through ``data``.
    """
    found = [_schema()["$defs"][model.__name__]]
    for step in path:
        found = [below for each in _alternatives(found, data) for below in _below(each, step)]
        data = data[step]
    keys: dict[str, Any] = {}
    for each in _alternatives(found, data):
        keys.update(each.get("properties", {}))
    return keys


@cache
def _schema() -> dict[str, Any]:
    return schema()


def _alternatives(schemas: Sequence[dict[str, Any]], data: Any) -> list[dict[str, Any]]:
    plain = [each for one in schemas for each in _plain(one)]
    return [each for each in plain if _may_be(each, data)] or plain


def _plain(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schemas that this one stands for, without references and alternatives."""
    if "$ref" in one:
        yield from _plain(_schema()["$defs"][one["$ref"].rpartition("/")[2]])
    elif branches := one.get("anyOf") or one.get("oneOf"):
        for branch in branches:
            yield from _plain(branch)
    else:
        yield one


def _may_be(one: dict[str, Any], data: Any) -> bool:
    if not isinstance(data, dict):
        return True
    known = one.get("properties", {})
    told = {name: known.get(name, {}).get("const") for name in ("protocol", "provider")}
    return all(const is None or data.get(name) == const for name, const in told.items())


def _below(one: dict[str, Any], step: str | int) -> Iterator[dict[str, Any]]:
    if isinstance(step, int):
        found = one.get("items")
    else:
        found = one.get("properties", {}).get(step, one.get("additionalProperties"))
    if isinstance(found, dict):
        yield found
