"""Rules that could not be decided on changes, told by file and line, each fault once."""

from __future__ import annotations

from collections.abc import Iterable

from kolibri_sdk.model.decision import Decision, Said
from kolibri_sdk.model.rule import OutboundRule
from kolibri_sdk.model.stored import RecordEvent
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.rulebook import Rulebook

__all__ = ["place_of", "tell_faults"]


def tell_faults(
    book: Rulebook, decided: Iterable[tuple[RecordEvent, Said]], report: PassReport
) -> None:
    """Put the faults into the report; one that many changes met is told with the first of them."""
    met: dict[tuple[str, str, str, str], list[tuple[RecordEvent, Decision]]] = {}
    for event, said in decided:
        for one in said.faults:
            key = event.record.entity, one.rule, one.script, one.reason
            met.setdefault(key, []).append((event, one))
    rules = {(rule.entity, rule.name): rule for rule in book.outbound_rules}
    for (entity, name, _, reason), some in met.items():
        event, decision = some[0]
        more = f" (and on {len(some) - 1:,} more changes)" if len(some) > 1 else ""
        place = place_of(book, rules[entity, name], decision)
        report.errors.append(f"{event.record}, {event.kind}: rule {name} ({place}): {reason}{more}")


def place_of(book: Rulebook, rule: OutboundRule, decision: Decision) -> str:
    """File, line and column of what failed, as far as they are known."""
    if decision.line is None and decision.script == "when":
        return rule.file or "no file"
    place = book.expression_place(rule, decision.script, decision.line, decision.column)
    return ":".join(str(one) for one in (rule.file or decision.script, *place) if one is not None)
