"""The frames of releases: the audit, the proofs, and what rules were applied to by hand."""

from __future__ import annotations

from kolibri_sdk.frames.columns import TIME, FrameColumn

__all__ = [
    "APPLICATIONS",
    "BACKTESTS",
    "DRIFT",
    "GATES",
    "GOLDEN",
    "GOLDEN_PASSED_OVER",
    "RELEASES",
]

#: ``k.audit.frame()``, ``k.rules["vpn"].history()``: one row per step of a release, oldest first.
RELEASES = {
    "id": FrameColumn("int64", "number of the step"),
    "at": FrameColumn(TIME, "when"),
    "author": FrameColumn("string", "who: connect(user=), KOLIBRI_USER, or the system's login"),
    "rule": FrameColumn("string", "name of the rule"),
    "mailbox": FrameColumn("string", "whose rule it is"),
    "step": FrameColumn("string", "save, shadow, promote, rollback"),
    "was": FrameColumn("string", "state before: new, draft, shadow, active"),
    "state": FrameColumn("string", "state after"),
    "before": FrameColumn("string", "SHA-256 of the version before; missing for a new rule"),
    "digest": FrameColumn("string", "SHA-256 of the version after"),
    "backtest": FrameColumn("Int64", "number of the proof; missing where none was asked for"),
    "reason": FrameColumn("string", "why"),
}

#: ``k.audit.backtests()``: one row per backtest that was kept as a proof, oldest first.
BACKTESTS = {
    "id": FrameColumn("int64", "number of the backtest"),
    "at": FrameColumn(TIME, "when it was kept"),
    "author": FrameColumn("string", "who kept it"),
    "rule": FrameColumn("string", "name of the rule"),
    "mailbox": FrameColumn("string", "whose rule it is"),
    "digest": FrameColumn("string", "SHA-256 of the version that was tried"),
    "mails": FrameColumn("int64", "mails that it was tried on"),
    "first_at": FrameColumn(TIME, "when the oldest of them came"),
    "last_at": FrameColumn(TIME, "when the newest came"),
    "fingerprint": FrameColumn("string", "SHA-256 of the mails: the same for the same ones"),
    "tried": FrameColumn("int64", "mails that no earlier rule's stop kept from it"),
    "matches": FrameColumn("int64", "mails that it matched"),
    "errors": FrameColumn("int64", "mails on which it failed"),
    "score": FrameColumn("object", "true and false positives and negatives, where it was judged"),
    "gates": FrameColumn("object", "the gates, with what was wanted and found; passed or not"),
}

#: ``rules.check(frame, gates=…).frame``: one row per gate and rule.
GATES = {
    "gate": FrameColumn("string", "its name in gates.yaml"),
    "rule": FrameColumn("string", "the rule it is about; missing where it is about all of them"),
    "wanted": FrameColumn("string", "such as `<= 0` or `>= 0.95`"),
    "found": FrameColumn("float64", "what it was; missing where that cannot be said"),
    "passed": FrameColumn("bool", "whether that is as wanted"),
    "told": FrameColumn("string", "why it cannot be said, or which mails to look at"),
}

#: ``k.rules["vpn"].drift()``: one row per rate, live against the promoted backtest.
DRIFT = {
    "rate": FrameColumn("string", "match, error, overruled"),
    "expected": FrameColumn("float64", "in the backtest; missing where it had no labels"),
    "live": FrameColumn("float64", "since the promotion, or in the last days; missing for none"),
    "count": FrameColumn("int64", "live matches, errors, or mails overruled by people"),
    "of": FrameColumn("int64", "live decisions, or mails on which it made or set a record"),
    "low": FrameColumn("float64", "lower control limit (3 sigma)"),
    "high": FrameColumn("float64", "upper control limit"),
    "alarm": FrameColumn("bool", "whether it lies outside, and there is enough to say so"),
}

#: ``k.rules["vpn"].applications()``: one row per mail that the rule was applied to by hand.
APPLICATIONS = {
    "application": FrameColumn("int64", "number of the application"),
    "at": FrameColumn(TIME, "when"),
    "author": FrameColumn("string", "who applied it"),
    "rule": FrameColumn("string", "name of the rule"),
    "digest": FrameColumn("string", "SHA-256 of the version"),
    "message": FrameColumn("int64", "number of the KolibriMessage"),
    "nth": FrameColumn("int64", "0: for the first time; 1 and more: again, on purpose"),
    "actions": FrameColumn("object", "list of what was done"),
    "reason": FrameColumn("string", "why"),
}

#: ``trial.to_golden().kept``: one row per golden example that was written beside the rule.
GOLDEN = {
    "file": FrameColumn("string", "the redacted mail, relative to the rule's file"),
    "match": FrameColumn("bool", "whether the rule matches it"),
    "message": FrameColumn("int64", "id of the mail that it was made of"),
    "subject": FrameColumn("string", "of the redacted mail"),
    "distance": FrameColumn("Int64", "leaves of the condition that would have to come out else"),
}

#: ``trial.to_golden().passed_over``: mails that would have come next.
GOLDEN_PASSED_OVER = {
    "message": FrameColumn("int64", "id of the mail"),
    "reason": FrameColumn("string", "why it was not kept"),
}
