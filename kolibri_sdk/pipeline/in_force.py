"""Which versions of rules are in force, and which were put to work past the lab."""

from __future__ import annotations

from kolibri_sdk.errors import Problem
from kolibri_sdk.model.rule import InboundRule, RuleState
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import decisions, releases

__all__ = ["rules_in_force", "unproven"]


def rules_in_force(system: System, mailbox: str) -> list[InboundRule]:
    """The versions that were last put to work, whatever the files say by now.

    Of a rule that was never released here, the newest version that ran as active.
    """
    names = {rule.name for rule in system.rulebook.inbound(mailbox)}
    with system.store.read() as tx:
        released = releases.in_force(tx)
        names |= {name for box, name in released if box == mailbox}
        found = []
        for name in sorted(names):
            documents = {
                row["digest"]: row["document"]
                for row in decisions.versions(tx, name)
                if row["document"].get("mailbox") == mailbox
            }
            ran = [d for d, one in documents.items() if one.get("state", "active") == "active"]
            step = released.get((mailbox, name))
            digest = step.digest if step is not None else ran[-1] if ran else ""
            if digest in documents:
                found.append(InboundRule(**{**documents[digest], "state": RuleState.ACTIVE}))
    return sorted(found, key=lambda rule: (rule.order, rule.name))


def unproven(system: System) -> list[Problem]:
    """Rules that were put to work by hand, past the lab: active without a proof of this version.

    Rules that never were draft or shadow, and that nobody has tried and kept, are not told: who
    does not use the lab's releases is not bothered with them.
    """
    book = system.rulebook
    active = [rule for rule in book.inbound_rules if rule.state is RuleState.ACTIVE]
    with system.store.read() as tx:
        known, began = releases.proven(tx, (rule.digest for rule in active)), releases.managed(tx)
        steps = releases.select(tx)
    released = {(step.mailbox, step.rule, step.digest) for step in steps if step.state == "active"}
    return [
        Problem(
            rule.file,
            f"the rule is active, and there is no backtest of it as it is ({rule.digest[:12]})",
            f"run `kolibri backtest --mailbox {rule.mailbox} --rule {rule.name} --keep`; "
            "where a review in git is the proof, leave it",
            *book.place(rule.file, ["state"]),
            severity="warning",
        )
        for rule in active
        if rule.name in began
        and rule.digest not in known
        and (rule.mailbox, rule.name, rule.digest) not in released
    ]
