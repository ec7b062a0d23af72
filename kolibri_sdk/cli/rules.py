"""``kolibri rules``: their way from draft over shadow to active, and back, and who took it."""

from __future__ import annotations

from typing import Annotated

import typer

from kolibri_sdk.cli.application import FAILED, app
from kolibri_sdk.cli.options import (
    Database,
    Json,
    ProjectFolder,
    RulesFolder,
    Who,
    open_project,
)
from kolibri_sdk.cli.printing import print_frame_as_json, print_json, print_table, rows_of, say
from kolibri_sdk.client import InboundRule, Kolibri
from kolibri_sdk.errors import NotFound

__all__ = [
    "Rule",
    "incoming",
    "list_proofs",
    "list_rules",
    "promote_rule",
    "roll_rule_back",
    "rules",
    "shadow_rule",
    "show_drift",
    "show_history",
]

rules = typer.Typer(
    no_args_is_help=True, help="Rules: from draft over shadow to active, by a backtest; and back."
)
app.add_typer(rules, name="rules")

Rule = Annotated[
    str, typer.Argument(help="The rule; MAILBOX/RULE where two have the name.", show_default=False)
]
Why = Annotated[str, typer.Option("--reason", "-r", help="Why; the audit keeps it.")]
ManyRows = Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")]


def incoming(k: Kolibri, name: str) -> InboundRule:
    """The incoming rule of this name.

    Raises
    ------
    NotFound
        When there is none, or it is an outgoing one.
    """
    found = k.rules[name]
    if not isinstance(found, InboundRule):
        raise NotFound(
            f"{name} is an outgoing rule", "Incoming rules are released; edit its state by hand"
        )
    return found


@rules.command(name="list")
def list_rules(
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """List the incoming rules: state, version, and the backtest that it rests on."""
    with open_project(project, database, rules) as k:
        proofs = {row["digest"]: row["id"] for row in k.audit.backtests().to_dict("records")}
        found = [rule for rule in k.rules if isinstance(rule, InboundRule)]
        rows = [
            (one.mailbox, one.order, one.name, one.state.value, one.digest, proofs.get(one.digest))
            for one in found
        ]
    names = ("mailbox", "order", "rule", "state", "digest", "backtest")
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    shown = [(*row[:4], row[4][:12], row[5]) for row in rows]
    print_table(f"Incoming rules: {len(rows)}", names, shown)


@rules.command(name="shadow")
def shadow_rule(
    name: Rule,
    reason: Why = "",
    by: Who = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """Let a rule decide on live mail and act on nothing; its decisions are kept."""
    with open_project(project, database, rules, by) as k:
        rule = incoming(k, name).shadow(reason)
    say(f"{rule.name} ({rule.digest[:12]}) is in the shadow: it decides, and acts on nothing.")


@rules.command(name="promote")
def promote_rule(
    name: Rule,
    reason: Why,
    backtest: Annotated[
        int | None,
        typer.Option(help="Number of the backtest; else the newest of exactly this version."),
    ] = None,
    by: Who = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """Put a rule to work; asks for a backtest of exactly this version, kept by `kolibri backtest`.

    Exits with 2 when there is none, and says which command makes one.
    """
    with open_project(project, database, rules, by) as k:
        rule = incoming(k, name).promote(reason=reason, backtest=backtest)
        step = rule.history().iloc[-1]
    say(f"{rule.name} ({rule.digest[:12]}) is active, by backtest {step['backtest']}.")


@rules.command(name="rollback")
def roll_rule_back(
    name: Rule,
    reason: Why = "",
    to: Annotated[
        str | None,
        typer.Option(help="Beginning of a version's digest; else the one active before."),
    ] = None,
    by: Who = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """Put an earlier version of a rule to work again."""
    with open_project(project, database, rules, by) as k:
        rule = incoming(k, name).rollback(to, reason=reason)
    say(f"{rule.name} is back at version {rule.digest[:12]}, and active.")


@rules.command(name="history")
def show_history(
    name: Annotated[
        str | None, typer.Argument(help="The rule; without it, all of them.", show_default=False)
    ] = None,
    limit: ManyRows = 50,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Show who released which version when, why, and by which backtest."""
    with open_project(project, database, rules) as k:
        # A rule that was deleted has a history still.
        mailbox, _, rule = (name or "").rpartition("/")
        frame = k.audit.frame(rule=rule or None, mailbox=mailbox or None).tail(limit)
    if as_json:
        print_frame_as_json(frame)
        return
    shown = frame.assign(version=frame["digest"].str[:12], before=frame["before"].str[:12])
    columns = ["at", "author", "rule", "step", "was", "state", "before", "version", "backtest"]
    head = ("when (UTC)", "who", *columns[2:], "why")
    print_table(f"Releases: {len(frame):,}", head, rows_of(shown, [*columns, "reason"]))


@rules.command(name="proofs")
def list_proofs(
    name: Annotated[
        str | None, typer.Argument(help="The rule; without it, all of them.", show_default=False)
    ] = None,
    limit: ManyRows = 50,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Show the backtests that were kept as proofs."""
    with open_project(project, database, rules) as k:
        frame = k.audit.backtests(rule=name).tail(limit)
    if as_json:
        print_frame_as_json(frame)
        return
    shown = frame.assign(version=frame["digest"].str[:12])
    columns = ["id", "at", "author", "rule", "version", "mails", "first_at", "last_at"]
    columns += ["matches", "errors"]
    print_table(f"Backtests: {len(frame):,}", columns, rows_of(shown, columns))


@rules.command(name="drift")
def show_drift(
    name: Rule,
    days: Annotated[float, typer.Option(min=0.01, help="How far back.")] = 7,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Compare a promoted rule on live mail with its backtest; exits with 1 where it drifts."""
    with open_project(project, database, rules) as k:
        frame = incoming(k, name).drift(days)
    if as_json:
        print_frame_as_json(frame)
    else:
        shares = ["expected", "live", "low", "high"]
        shown = frame.assign(
            **{n: frame[n].map("{:.1%}".format, na_action="ignore") for n in shares}
        )
        shown["alarm"] = frame["alarm"].map({True: "ALARM", False: ""})
        print_table(f"Drift of {name}", [*frame], rows_of(shown, [*frame]))
    if frame["alarm"].any():
        raise typer.Exit(FAILED)
