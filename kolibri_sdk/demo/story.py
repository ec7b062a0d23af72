"""The demonstration's story: a request, its answer, replies and much other mail, a second look."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from kolibri_sdk import clock
from kolibri_sdk.client import Kolibri, connect
from kolibri_sdk.demo.letters import MAILS, deliver, read_answer, replies_to
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.pipeline import COUNTS, PassReport
from kolibri_sdk.schedule import Outcome, RunResult, report_path, run_notebook
from kolibri_sdk.shipped import shipped, start_project

__all__ = ["DemoResult", "run_demo"]

_NOBODY_WROTE = {
    "auto_reply": "an automatic reply",
    "bounce": "a report of mail that could not be delivered",
    "list": "mail to many",
}
_EXPECTED_UNPARSED = 1  #: one of the mails is nested too deep, to show what becomes of such mail
_PEOPLE = (
    ("anna", "anna.kuehn@stadtwerke.example", "Anna Kühn", "de", ("customers",)),
    ("deniz", "deniz.yilmaz@buchladen.example", "Deniz Yılmaz", "de", ("customers",)),
    ("priya", "priya.nair@northwind.example", "Priya Nair", "en", ("customers",)),
    ("duty", "duty@kolibri.example", "On duty", "de", ("duty",)),
    ("noc", "noc@kolibri.example", "Network operations", "en", ("duty",)),
)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demonstration did; every number comes from the project's own database.

    Attributes
    ----------
    counts : Counter of str
        By the names in ``kolibri_sdk.pipeline.COUNTS``, over all passes.
    refused : tuple of str
        What was not done on purpose, and why.
    surprises : tuple of str
        What a healthy demonstration does not show; empty when all is well.
    """

    folder: Path
    notebook: Path
    answers: Path
    counts: Counter[str]
    refused: tuple[str, ...]
    surprises: tuple[str, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The result as plain JSON types."""
        names = ("fetched", "stored", "referenced", "decisions", "records", "sent")
        return {
            **{name: self.counts[name] for name in names},
            "refused": list(self.refused),
            "unparsed": self.counts["unparsed"],
            "notebook": str(self.notebook),
            "seconds": round(self.seconds, 1),
        }


def run_demo(folder: Path | None, *, keep: bool, progress: TextIO) -> DemoResult:
    """Make a project, let mail arrive, execute the poller notebook, look a second time.

    Parameters
    ----------
    folder : Path or None
        Where the project is made; None: in a new temporary folder.
    keep : bool
        Whether the project is left there afterwards.
    progress : file
        Gets a line for each step, and what the notebook prints.

    Raises
    ------
    ConfigurationError
        When the folder holds something already; nothing is touched then.
    """
    elapsed = clock.stopwatch()
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty", "Choose a new folder for the demo")
    place = folder.absolute() if folder else Path(tempfile.mkdtemp(prefix="kolibri-demo-"))
    try:
        start_project(place)
        return _play(place, elapsed, progress)
    finally:
        if not keep:
            shutil.rmtree(place)


def _play(place: Path, elapsed: Callable[[], float], progress: TextIO) -> DemoResult:
    def tell(what: str) -> None:
        print(what, file=progress, flush=True)

    tell(f"A project in {place}: two mailboxes, SQLite, the shipped rules")
    incoming = {name: place / "mail" / name for name in ("support", "sales")}
    answers = place / "mail" / "sent"
    letters = {name: _letters(name) for name in incoming}
    with connect(project=place) as k:
        for person, address, name, language, groups in _PEOPLE:
            k.users.add(person, address, name=name, language=language, groups=groups)
        delivered = deliver(letters["support"][:1], incoming["support"])
        tell("A customer's request arrives, and is answered:")
        first = _one_pass(k)
        tell(f"  {first.line()}")
        address = k.mailboxes["support"].address
        replies = replies_to(read_answer(answers), address)
        delivered += deliver(replies, incoming["support"])
    delivered += deliver(letters["support"][1:], incoming["support"])
    delivered += deliver(letters["sales"], incoming["sales"])
    tell(f"Two replies and {delivered - 3} other mails arrive; papermill runs the poller notebook:")
    run = run_notebook(
        shipped("notebooks") / "poller.ipynb",
        {"passes": 2, "every": 1},
        report_path(place / "reports", "poller"),
        folder=place,
        progress=progress,
    )
    with connect(project=place) as k:
        tell("A second look, to see that nothing happens twice:")
        last = _one_pass(k)
        tell(f"  {last.line()}")
        counts, refused, errors = _what_was_done(k)
    surprises = [*errors, *_surprises(run, counts, delivered, last)]
    return DemoResult(
        place, run.report, answers, counts, tuple(refused), tuple(surprises), elapsed()
    )


def _letters(mailbox: str) -> list[tuple[str, bytes]]:
    return [(path.name, path.read_bytes()) for path in sorted((MAILS / mailbox).glob("*.eml"))]


def _one_pass(k: Kolibri) -> PassReport:
    (report,) = k.poll(passes=1)
    return report


def _what_was_done(k: Kolibri) -> tuple[Counter[str], list[str], list[str]]:
    """Counts, refusals and errors of all passes, as the database has them."""
    runs = k.runs.frame()
    counts: Counter[str] = Counter()
    refused: list[str] = []
    for done in runs["counts"]:
        counts.update({name: done[name] for name in COUNTS if name in done})
        refused += done.get("refused", [])
    refused += _left_alone(k)
    return counts, refused, [error for errors in runs["errors"] for error in errors]


def _left_alone(k: Kolibri) -> Iterator[str]:
    """The mails that got neither a record nor an answer, because no person wrote them."""
    frame = k.messages.frame(direction="in", state="done")
    for row in frame[frame["entity"].isna()].to_dict(orient="records"):
        if row["kind"] in _NOBODY_WROTE:
            yield (
                f"Message {row['id']} made no record and got no answer: "
                f"it is {_NOBODY_WROTE[row['kind']]} ({row['subject']})"
            )


def _surprises(
    run: RunResult, counts: Counter[str], delivered: int, last: PassReport
) -> Iterator[str]:
    if run.outcome is not Outcome.FINE:
        yield f"the notebook ended as {run.outcome}: {run.reason}"
    if counts["stored"] != delivered:
        yield f"{delivered} mails were delivered, and {counts['stored']} stored"
    if counts["unparsed"] != _EXPECTED_UNPARSED:
        yield f"{counts['unparsed']} mails could not be parsed"
    if not (counts["records"] and counts["sent"] and counts["referenced"]):
        yield "no record was made, no mail was sent, or no reply found its record"
    if any(last.counts.values()):
        yield f"the second look did something: {last.line()}"
