"""A decision's effects: told as a plan, or carried out inside the message's transaction (S25)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kolibri_sdk import checkpoint
from kolibri_sdk.actions.registry import find
from kolibri_sdk.actions.scene import ActionScene
from kolibri_sdk.errors import ActionError, KolibriError
from kolibri_sdk.model.decision import Decision
from kolibri_sdk.model.rule import Action, InboundRule

__all__ = ["carry_out", "values_of"]


def values_of(decision: Decision, step: int) -> dict[str, Any]:
    """The values that the JavaScript of one action gave, by path within the action.

    Examples
    --------
    >>> from kolibri_sdk.model.decision import Verdict
    >>> values_of(Decision("r", "", Verdict.MATCH, values={"0.set.title": "x"}), 0)
    {'set.title': 'x'}
    """
    prefix = f"{step}."
    return {
        path.removeprefix(prefix): value
        for path, value in decision.values.items()
        if path.startswith(prefix)
    }


def carry_out(scene: ActionScene, rule: InboundRule, decision: Decision) -> list[dict[str, Any]]:
    """Do what a matching rule says, in order; what each action did, as plain data.

    Raises
    ------
    ActionError
        Naming rule and action; the caller rolls the whole message back.
    """
    done = []
    for step, action in enumerate(rule.then):
        try:
            done.append({"action": action.kind, **_do(scene, rule, step, action, decision)})
        except KolibriError as error:
            raise ActionError(
                f"Rule {rule.name}, then[{step}] ({action.kind}): {error.what}", error.next_step
            ) from error
        checkpoint.reach("act.after_action")
    return done


def _do(
    scene: ActionScene, rule: InboundRule, step: int, action: Action, decision: Decision
) -> dict[str, Any]:
    values = values_of(decision, step)
    if action.create_record:
        key = scene.create_record(action.create_record.entity, _set(values))
        return {"record": [key.entity, key.key]}
    if action.update_record:
        conflicts = scene.update_record(_set(values), rule.name)
        return {"set": _set(values), **({"conflicts": conflicts} if conflicts else {})}
    if action.add_note:
        scene.add_note(_text(values["text"]))
        return {}
    if action.send_mail:
        queued = scene.send_mail(rule, step, action.send_mail, values)
        dropped = [[one.value, one.reason] for one in queued.dropped]
        return {
            "outbox": list(queued.items),
            **({"held": queued.held, "because": list(queued.reasons)} if queued.held else {}),
            **({"dropped": dropped} if dropped else {}),
        }
    assert action.call is not None
    return _call(scene, action.call.name, _with(values))


def _call(scene: ActionScene, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    function = find(name)
    try:
        function(scene, **arguments)
    except KolibriError:
        raise
    except Exception as error:
        raise ActionError(
            f"The Python action {name!r} raised {type(error).__name__}: {error}",
            f"See {function.__module__}.{function.__qualname__}",
        ) from error
    return {"called": name}


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    return {path.removeprefix("set."): value for path, value in values.items()}


def _with(values: Mapping[str, Any]) -> dict[str, Any]:
    return {path.removeprefix("with."): value for path, value in values.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
