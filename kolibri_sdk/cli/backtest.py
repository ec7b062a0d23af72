"""``kolibri backtest``: rules tried on old mail, gates for CI, and proofs for a promotion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from kolibri_sdk.cli.application import FAILED, app
from kolibri_sdk.cli.options import Database, Json, ProjectFolder, RulesFolder, Who, open_project
from kolibri_sdk.cli.printing import complain, frame_as_json, print_json, print_table, rows_of, say
from kolibri_sdk.client import InboundRule, InboundRules, Kolibri, read_mail
from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.lab import GateReport
from kolibri_sdk.model.gates import Gates
from kolibri_sdk.model.rule import InboundRule as PlainRule
from kolibri_sdk.rulebook import Rulebook, find_project, load_gates, load_rulebook, rulebook_at

__all__ = ["backtest"]


@app.command(
    epilog="Exit codes: 0 all gates are passed; 1 a gate failed; 2 a setting, a file or the "
    "command itself is wrong."
)
def backtest(
    archive: Annotated[
        Path | None,
        typer.Argument(
            help="An mbox, a Maildir, .eml files, a zip or tar; without it the project's own mail.",
            show_default=False,
        ),
    ] = None,
    mailbox: Annotated[
        str | None, typer.Option("--mailbox", "-M", help="Whose rules; else every mailbox's.")
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", help="This one alone, whatever its state; may be repeated."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Compare with git:REVISION, or with what is `active` by the audit."),
    ] = None,
    gates: Annotated[
        Path | None, typer.Option(help="What must be kept, such as gates.yaml.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only mail since, such as 2026-01-01.")] = None,
    until: Annotated[str | None, typer.Option(help="Only mail before; of the project's.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep it in the database, as the proof of a promotion.")
    ] = False,
    by: Who = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Try rules on old mail; nothing is done. With --gates, fail where one is not kept.

    Without --rule, all active rules of a mailbox and those in the shadow are tried together, in
    their order. An archive is tried without any database.
    """
    wanted = load_gates(gates) if gates is not None else Gates()
    asked = _Asked(archive, mailbox, tuple(rule or ()), against, since, until)
    needs = archive is None or keep or against == "active"
    reports: list[GateReport] = []
    numbers: list[list[int]] = []
    with _opened(needs, project, database, rules, by) as (k, book, folder):
        for tried, before, frame in asked.trials(k, book, folder):
            report = tried.check(frame, wanted, against=before)
            if keep and k is not None:
                kept = report if gates is not None else None
                numbers.append(k.audit.keep(report.trial, gates=kept))
            reports.append(report)
            if not as_json:
                _tell(report, gates is not None)
    ok = all(report.ok for report in reports)
    if as_json:
        print_json(_as_json(reports, numbers, ok))
    else:
        _tell_end(reports, numbers, ok, gates)
    if not ok:
        raise typer.Exit(FAILED)


@contextmanager
def _opened(
    needs: bool, project: Path | None, database: str | None, rules: Path | None, by: str | None
) -> Iterator[tuple[Kolibri | None, Rulebook, Path]]:
    """The project, its database only where one is needed; its rules; their folder."""
    found = find_project(project, database=database, rules=rules.absolute() if rules else None)
    if not needs:
        yield None, load_rulebook(found.rules), found.rules
        return
    with open_project(project, database, rules, by) as k:
        yield k, load_rulebook(found.rules), found.rules


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be tried on which mails."""

    archive: Path | None
    mailbox: str | None
    rules: tuple[str, ...]
    against: str | None
    since: str | None
    until: str | None

    def trials(
        self, k: Kolibri | None, book: Rulebook, folder: Path
    ) -> Iterator[tuple[InboundRules | InboundRule, Any, Any]]:
        """What is tried at a time, what it is compared with, and the mails."""
        boxes = self._mailboxes(book)
        for box in boxes:
            every = k.rules.inbound(box) if k is not None else InboundRules.of_files(book, box)
            before = self._before(k, folder, box)
            frame = self._mails(k, box)
            if not self.rules:
                yield every, before, frame
                continue
            for name in self.rules:
                plain = name.rpartition("/")[2]
                if any(one.name == plain for one in every):
                    same = [one for one in before or () if one.name == plain]
                    yield every.named(plain), same[0] if same else None, frame

    def _mailboxes(self, book: Rulebook) -> list[str]:
        if self.mailbox is not None and self.mailbox not in book.mailboxes:
            raise NotFound.named("mailbox", self.mailbox, list(book.mailboxes))
        boxes = [
            box for box in ([self.mailbox] if self.mailbox else book.mailboxes) if book.inbound(box)
        ]
        for name in self.rules:
            box, _, plain = name.rpartition("/")
            known = [one.name for b in boxes if not box or b == box for one in book.inbound(b)]
            if plain not in known:
                raise NotFound.named("incoming rule", name, known)
        if self.rules:
            boxes = [
                box for box in boxes if any(self._is_in(name, box, book) for name in self.rules)
            ]
        if not boxes:
            raise ConfigurationError("There is no incoming rule to try", "Run: kolibri check")
        if self.archive is not None and len(boxes) > 1:
            raise ConfigurationError(
                f"The archive may be mail of {', '.join(boxes)}", "Say whose: --mailbox NAME"
            )
        return boxes

    @staticmethod
    def _is_in(name: str, mailbox: str, book: Rulebook) -> bool:
        box, _, plain = name.rpartition("/")
        known = any(one.name == plain for one in book.inbound(mailbox))
        return known and (not box or box == mailbox)

    def _before(self, k: Kolibri | None, folder: Path, box: str) -> Sequence[PlainRule] | None:
        if self.against is None:
            return None
        kind, _, revision = self.against.partition(":")
        if kind == "git" and revision:
            return rulebook_at(folder, revision).inbound(box)
        if self.against == "active" and k is not None:
            return k.rules.in_force(box)
        raise ConfigurationError(
            f"--against {self.against} names no version", "Write git:main, or active"
        )

    def _mails(self, k: Kolibri | None, box: str) -> Any:
        if self.archive is not None:
            if self.until is not None:
                raise ConfigurationError(
                    "--until is for the project's own mail", "An archive is read --since"
                )
            return read_mail(self.archive, mailbox=box, since=self.since)
        assert k is not None
        return k.messages.frame(mailbox=box, since=self.since, until=self.until)


def _tell(report: GateReport, gated: bool) -> None:
    trial = report.trial
    columns = ["rule", "state", "tried", "matches", "rate", "errors", "skipped"]
    shown = trial.summary[columns].assign(rate=trial.summary["rate"].map("{:.1%}".format))
    of = f"{trial.rules[0].mailbox}: " if trial.rules else ""
    print_table(f"{of}{len(trial.mails):,} mails", columns, rows_of(shown, columns))
    plan = trial.plan()
    if len(plan.effects):
        print_table("What would be done", [*plan.summary], rows_of(plan.summary, [*plan.summary]))
    if len(trial.errors):
        names = ["rule", "verdict", "line", "column", "count", "reason"]
        print_table("Errors: no match in production", names, rows_of(trial.errors, names))
    if report.comparison is not None:
        changes = report.comparison.summary
        print_table("Against the other version", [*changes], rows_of(changes, [*changes]))
    if gated:
        marks = report.frame["passed"].map({True: "passed", False: "FAILED"})
        gates = report.frame.assign(passed=marks, found=report.frame["found"].map(_plain))
        print_table("Gates", [*gates], rows_of(gates, [*gates]))


def _plain(found: float) -> str:
    return "" if found != found else f"{found:g}"  # noqa: PLR0124 (NaN is not itself)


def _tell_end(
    reports: Sequence[GateReport], numbers: Sequence[Sequence[int]], ok: bool, gates: Path | None
) -> None:
    for report, kept in zip(reports, numbers, strict=False):
        for rule, number in zip(report.trial.rules, kept, strict=True):
            say(f"Kept as backtest {number}: {rule.name}, version {rule.digest[:12]}")
    if gates is None:
        return
    failed = sum(int((~report.frame["passed"]).sum()) for report in reports)
    if ok:
        say("All gates are passed.", style="green")
    else:
        complain(f"{failed} gate{'s' * (failed > 1)} of {gates} FAILED.")


def _as_json(
    reports: Sequence[GateReport], numbers: Sequence[Sequence[int]], ok: bool
) -> dict[str, Any]:
    kept = list(numbers) or [[] for _ in reports]
    return {
        "passed": ok,
        "trials": [
            {
                "mails": len(report.trial.mails),
                "summary": frame_as_json(report.trial.summary),
                "plan": frame_as_json(report.trial.plan().summary),
                "errors": frame_as_json(report.trial.errors),
                "comparison": frame_as_json(report.comparison.summary)
                if report.comparison is not None
                else None,
                "gates": report.as_json()["gates"],
                "backtests": list(ids),
            }
            for report, ids in zip(reports, kept, strict=True)
        ],
    }
