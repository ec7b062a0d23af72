"""Which records are wanted: conditions on fields, as Python says them, for the database."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.model.entity import Entity
from kolibri_sdk.store.column_values import fitting

__all__ = ["conditions"]

_COMPARISONS: dict[str, Callable[[Any, Any], sa.ColumnElement[bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def conditions(
    entity: Entity, table: sa.Table, where: Mapping[str, Any], closed: bool | None = None
) -> list[sa.ColumnElement[bool]]:
    """The conditions in SQL.

    Parameters
    ----------
    where : mapping of str to object
        Field → a value; a list, of which it holds one; None, where it is empty; or a dict of
        comparisons such as ``{">=": 2, "<": 5}`` or ``{"contains": "vpn"}``.
    closed : bool, optional
        Whether records are to be closed.

    Raises
    ------
    NotFound
        When there is no such field.
    ConfigurationError
        When there is no such comparison, or the entity does not say when records are closed.
    ActionError
        When the field cannot hold such a value.
    """
    found = []
    for name, wanted in where.items():
        if name not in table.c:
            raise NotFound.named(f"field of {entity.name}", name, list(table.c.keys()))
        found.append(_condition(entity, table, name, wanted))
    if closed is not None:
        found.append(_closed(entity, table) if closed else sa.not_(_closed(entity, table)))
    return found


def _condition(entity: Entity, table: sa.Table, name: str, wanted: Any) -> sa.ColumnElement[bool]:
    column = table.c[name]

    def meant(value: Any) -> Any:
        return fitting(entity, table, name, value)

    if wanted is None:
        return column.is_(None)
    if isinstance(wanted, Mapping):
        return sa.and_(*(_compared(column, how, value, meant) for how, value in wanted.items()))
    if isinstance(wanted, Collection) and not isinstance(wanted, str | bytes):
        among = column.in_([meant(value) for value in wanted if value is not None])
        return sa.or_(among, column.is_(None)) if None in wanted else among
    same: sa.ColumnElement[bool] = column == meant(wanted)
    return same


def _compared(
    column: sa.Column[Any], how: str, value: Any, meant: Callable[[Any], Any]
) -> sa.ColumnElement[bool]:
    if how == "contains":
        return sa.func.lower(sa.cast(column, sa.Text)).contains(str(value).lower(), autoescape=True)
    if how not in _COMPARISONS:
        raise ConfigurationError(
            f"There is no comparison {how!r}", f"Take {', '.join(_COMPARISONS)} or contains"
        )
    if value is None:
        return column.is_(None) if how == "=" else column.is_not(None)
    return _COMPARISONS[how](column, meant(value))


def _closed(entity: Entity, table: sa.Table) -> sa.ColumnElement[bool]:
    if entity.closed is None:
        raise ConfigurationError(
            f"The entity {entity.name} does not say when a record is closed",
            f"Add closed to {entity.file or 'it'}, such as {{field: status, values: [closed]}}",
        )
    column = table.c[entity.closed.field]
    if entity.closed.values:
        text = sa.func.lower(sa.cast(column, sa.Text))
        exact = sa.cast(column, sa.Text)
        words = [str(value) for value in entity.closed.values if not isinstance(value, bool)]
        truths = [value for value in entity.closed.values if isinstance(value, bool)]
        known = [exact.in_(words)] if words else []
        if truths:
            spelled = [word for one in truths for word in (str(one).lower(), str(int(one)))]
            known.append(text.in_(spelled))
        return sa.func.coalesce(sa.or_(*known), sa.false())
    filled = sa.cast(column, sa.Text)
    return sa.func.coalesce(filled.not_in(["", "0", "false"]), sa.false())
