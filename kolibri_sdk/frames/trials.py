"""The frames of the rule lab: their columns, dtypes and what they mean."""

from __future__ import annotations

from kolibri_sdk.frames.columns import TIME, FrameColumn

__all__ = [
    "RULE_VERSIONS",
    "TRIAL_CHANGES",
    "TRIAL_CONFLICTS",
    "TRIAL_DECISIONS",
    "TRIAL_EFFECTS",
    "TRIAL_ERRORS",
    "TRIAL_LEFT_OUT",
    "TRIAL_MATRIX",
    "TRIAL_MEASURES",
    "TRIAL_PAIRS",
    "TRIAL_SUMMARY",
]

#: ``trial.decisions``: one row per rule and mail, mails in the order of the frame.
TRIAL_DECISIONS = {
    "rule": FrameColumn("category", "name of the rule"),
    "message": FrameColumn("int64", "id of the mail in the frame"),
    "received_at": FrameColumn(TIME, "when the server got it"),
    "verdict": FrameColumn("category", "match, no, error, timeout, crash, skipped"),
    "acts": FrameColumn("bool", "it matches, and the rule is not in the shadow"),
    "reason": FrameColumn("category", "why, where it is no plain yes or no"),
    "line": FrameColumn("Int32", "line in the expression where it failed"),
    "column": FrameColumn("Int32", "column there"),
    "micros": FrameColumn("float32", "microseconds the condition took; missing where skipped"),
}

#: ``trial.summary``: one row per rule, in their order.
TRIAL_SUMMARY = {
    "rule": FrameColumn("string", "name of the rule"),
    "order": FrameColumn("int64", "its place in the order"),
    "state": FrameColumn("string", "draft, shadow, active"),
    "tried": FrameColumn("int64", "mails on which it was evaluated"),
    "matches": FrameColumn("int64", "mails that it matches"),
    "rate": FrameColumn("float64", "matches of those tried"),
    "errors": FrameColumn("int64", "error, timeout or crash: no match in production"),
    "skipped": FrameColumn("int64", "mails that an earlier rule's stop kept from it"),
    "median_us": FrameColumn("float64", "microseconds for a mail, the middle one"),
    "p99_us": FrameColumn("float64", "microseconds that 99 of 100 mails stay below"),
    "first_match": FrameColumn(TIME, "when the oldest mail came that it matches"),
    "last_match": FrameColumn(TIME, "when the newest one came"),
}

#: ``trial.errors``: one row per rule and kind of failure, the most frequent first.
TRIAL_ERRORS = {
    "rule": FrameColumn("string", "name of the rule"),
    "verdict": FrameColumn("string", "error, timeout, crash"),
    "reason": FrameColumn("string", "what happened"),
    "line": FrameColumn("Int64", "line in the expression"),
    "column": FrameColumn("Int64", "column there"),
    "count": FrameColumn("int64", "mails on which it happened"),
    "examples": FrameColumn("object", "list of the first three of them, by id"),
    "first": FrameColumn(TIME, "when the oldest of them came"),
    "last": FrameColumn(TIME, "when the newest came"),
}

#: ``trial.left_out``: mails of the frame that the poller would not show to these rules.
TRIAL_LEFT_OUT = {
    "message": FrameColumn("int64", "id of the mail in the frame"),
    "reason": FrameColumn("string", "why"),
}

#: ``trial.plan().effects``: one row per action that would be carried out, in that order.
TRIAL_EFFECTS = {
    "message": FrameColumn("int64", "id of the mail that causes it"),
    "received_at": FrameColumn(TIME, "when that mail came"),
    "rule": FrameColumn("string", "name of the rule"),
    "step": FrameColumn("int64", "which action of its `then`, from 0"),
    "action": FrameColumn("string", "create_record, update_record, send_mail, add_note, call"),
    "about": FrameColumn("string", "the record: `incident 7`, or `new incident` of this mail"),
    "entity": FrameColumn("string", "entity of that record"),
    "values": FrameColumn("object", "fields set, or arguments of the call: dict"),
    "before": FrameColumn("object", "what changed fields held before, where it is known: dict"),
    "template": FrameColumn("string", "of a mail"),
    "mailbox": FrameColumn("string", "that would send the mail"),
    "to": FrameColumn("object", "addresses that would get the mail: list"),
    "dropped": FrameColumn("object", "recipients who would not, each with the reason: list"),
    "text": FrameColumn("string", "of a note"),
    "error": FrameColumn("string", "why it fails, and with it everything this mail causes"),
}

#: ``trial.plan().conflicts``: two rules set one field of one record to different values.
TRIAL_CONFLICTS = {
    "message": FrameColumn("int64", "id of the mail"),
    "record": FrameColumn("string", "which record"),
    "field": FrameColumn("string", "which field"),
    "earlier": FrameColumn("string", "the rule that set it first"),
    "earlier_value": FrameColumn("object", "to this"),
    "later": FrameColumn("string", "the rule that wins"),
    "later_value": FrameColumn("object", "with this"),
}

#: ``trial.score(…).measures``: precision, recall and F1 of a rule.
TRIAL_MEASURES = {
    "measure": FrameColumn("string", "precision, recall, f1"),
    "value": FrameColumn("float64", "from 0 to 1; missing where nothing can be said"),
    "low": FrameColumn("float64", "lower end of the 95 % interval (Wilson)"),
    "high": FrameColumn("float64", "upper end"),
    "of": FrameColumn("int64", "labelled mails that it is a share of"),
}

#: ``trial.matrix().rules``: one row per rule, in their order.
TRIAL_MATRIX = {
    "rule": FrameColumn("string", "name of the rule"),
    "matches": FrameColumn("int64", "mails that it matches, where no stop keeps it from them"),
    "coverage": FrameColumn("float64", "share of all mails"),
    "alone": FrameColumn("int64", "matches that no other rule shares"),
    "overlap": FrameColumn("int64", "matches that another rule shares"),
    "conflicts": FrameColumn("int64", "mails of which it and another want different things"),
    "shadowed": FrameColumn("int64", "mails it would match, had no earlier rule said stop"),
    "shadowed_by": FrameColumn("string", "which rules those are, the most frequent first"),
    "shadows": FrameColumn("int64", "mails that a later rule would match, had this not said stop"),
    "never_fires": FrameColumn("bool", "it matches no mail"),
    "order_sensitive": FrameColumn("bool", "another place in the order would change the outcome"),
    "marginal": FrameColumn("int64", "mails that would be treated otherwise without this rule"),
}

#: ``trial.matrix().pairs``: one row per pair of rules that meet on a mail.
TRIAL_PAIRS = {
    "rule": FrameColumn("string", "the earlier one"),
    "other": FrameColumn("string", "the later one"),
    "both": FrameColumn("int64", "mails that both would match"),
    "conflicts": FrameColumn("int64", "those of which they want different things"),
    "shadowed": FrameColumn("int64", "those that the earlier one's stop keeps from the later"),
}

#: ``comparison.summary``: one row per rule of either version.
TRIAL_CHANGES = {
    "rule": FrameColumn("string", "name of the rule"),
    "is": FrameColumn("string", "new, gone, edited, or as it was"),
    "same": FrameColumn("int64", "mails that both versions match, with the same actions"),
    "gained": FrameColumn("int64", "that only the new one matches"),
    "lost": FrameColumn("int64", "that only the old one matches"),
    "changed": FrameColumn("int64", "that both match, with other actions"),
    "new_errors": FrameColumn("int64", "on which only the new one fails"),
    "mended": FrameColumn("int64", "on which only the old one failed"),
}

#: ``k.rules.versions("vpn")``: one row per text of a rule that has run, oldest first.
RULE_VERSIONS = {
    "rule": FrameColumn("string", "name of the rule"),
    "digest": FrameColumn("string", "SHA-256 over what the rule does"),
    "first_seen": FrameColumn("datetime64[us, UTC]", "when the poller first met it"),
    "when": FrameColumn("string", "its condition"),
}
