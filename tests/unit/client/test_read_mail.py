"""``read_mail``: historic mail as a frame that holds all a condition sees, without a database."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from kolibri_sdk import connect, read_mail
from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.frames import MESSAGES, messages_of
from kolibri_sdk.mail import arrived_at, parse_mail
from kolibri_sdk.model.binding import message_binding
from kolibri_sdk.model.stored import StoredMessage
from tests.project import ProjectFolder

CORPUS = Path(__file__).parents[2] / "corpus"
MARK = b"From anna@customer.example Fri May  1 12:00:00 2026\n"


def mail(number: int, **headers: str) -> bytes:
    lines = [
        "From: Anna <anna@customer.example>",
        "To: Support <support@kolibri.example>, bob@kolibri.example",
        f"Subject: {number}",
        f"Message-ID: <{number}@customer.example>",
        f"Date: Fri, {number} May 2026 12:00:00 +0200",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\n".join([*lines, "", "Hello", ""]).encode()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "old.mbox"
    path.write_bytes(b"".join(MARK + mail(number) + b"\n" for number in range(1, 6)))
    return path


def test_columns_and_dtypes_are_those_of_the_table(archive: Path) -> None:
    frame = read_mail(archive, mailbox="support")
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        name: column.dtype for name, column in MESSAGES.items()
    }
    assert list(frame["subject"]) == ["1", "2", "3", "4", "5"]
    row = frame.iloc[1]
    assert row["source"] == f"{archive}@{len(MARK + mail(1)) + 1}"
    assert (row["id"], row["mailbox"], row["state"]) == (2, "support", "parsed")
    assert row["to"] == ["support@kolibri.example", "bob@kolibri.example"]
    assert row["to_names"] == ["Support", ""]
    assert row["received_at"] == pd.Timestamp("2026-05-01 12:00", tz="UTC"), "of the postmark"
    assert row["headers"]["message-id"] == ["<2@customer.example>"]


MAILS = [path for path in sorted(CORPUS.glob("*.eml")) if path.stat().st_size]


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_a_condition_sees_the_same_in_a_frame_as_in_the_poller(path: Path) -> None:
    frame = read_mail(path, mailbox="support", progress=False)
    parsed = parse_mail(path.read_bytes())
    arrived = arrived_at(parsed) or datetime(2026, 1, 1, tzinfo=UTC)
    polled = StoredMessage.of(parsed, mailbox="support", received_at=arrived, number=1)
    (tried,) = messages_of(frame)
    seen, expected = message_binding(tried), message_binding(polled)
    if arrived_at(parsed) is None:
        assert seen.pop("received") is None
        expected.pop("received")
    assert seen == expected


def test_a_frame_of_the_table_holds_the_same_as_one_of_the_archive(
    archive: Path, tmp_path: Path
) -> None:
    folder = ProjectFolder(tmp_path)
    folder.mailbox("support", inbound={"protocol": "maildir", "path": "mail"})
    with folder.open() as k:
        k.import_mail(archive, mailbox="support", progress=False)
        k.import_mail(CORPUS, mailbox="support", progress=False)
        of_table = k.messages.frame()
    of_files = pd.concat([read_mail(archive, mailbox="support"), read_mail(CORPUS)])
    of_files["mailbox"] = "support"
    by_place = {row["source"]: row for row in of_files.to_dict("records")}
    for row in of_table.to_dict("records"):
        twin = by_place[row["source"]]
        apart = {n for n in MESSAGES if not _same(row[n], twin[n])}
        assert apart <= {"id", "state", "thread", "size"} | ({"defects"} if row["error"] else set())
    assert [message_binding(m) for m in messages_of(of_table)]


def _same(one: object, other: object) -> bool:
    if one is None or other is None or isinstance(one, list | dict):
        return one == other
    return bool(pd.isna(one) and pd.isna(other)) or one == other


def test_threads_are_found_by_references_alone(tmp_path: Path) -> None:
    (tmp_path / "1.eml").write_bytes(mail(1))
    (tmp_path / "2.eml").write_bytes(mail(2, In_Reply_To="<1@customer.example>"))
    (tmp_path / "3.eml").write_bytes(mail(3, In_Reply_To="<2@customer.example>"))
    (tmp_path / "4.eml").write_bytes(mail(4, References="<0@x.example> <9@x.example>"))
    (tmp_path / "5.eml").write_bytes(mail(5, In_Reply_To="<6@customer.example>"))
    (tmp_path / "6.eml").write_bytes(mail(6, In_Reply_To="<5@customer.example>"))
    (tmp_path / "7.eml").write_bytes(b"Subject: no name\nTo: x\n\nHello\n")
    threads = list(read_mail(tmp_path, columns=["thread"])["thread"])
    assert threads[:4] == ["1@customer.example"] * 3 + ["0@x.example"]
    assert threads[4] == threads[5]
    assert pd.isna(threads[6])


def test_some_columns_some_mails_and_since(archive: Path) -> None:
    assert list(read_mail(archive, columns=["subject", "kind"]).columns) == ["subject", "kind"]
    assert len(read_mail(archive, limit=2)) == 2
    assert len(read_mail(archive, since="2026-05-02")) == 0
    assert len(read_mail(archive, since="2026-05-01T11:00")) == 5
    with pytest.raises(NotFound, match="'subject'"):
        read_mail(archive, columns=["subjcet"])
    with pytest.raises(ConfigurationError, match="no column text"):
        messages_of(read_mail(archive).drop(columns="text"))
    with pytest.raises(ConfigurationError, match="no file or folder"):
        read_mail(archive.parent / "nothing.mbox")


def test_when_a_mail_arrived_is_taken_from_the_last_server(tmp_path: Path) -> None:
    received = "from a by mx; Sat, 2 May 2026 08:00:00 +0000"
    (tmp_path / "a.eml").write_bytes(mail(1, Received=received))
    (tmp_path / "b.eml").write_bytes(mail(3))
    first, second = read_mail(tmp_path)["received_at"]
    assert first == pd.Timestamp("2026-05-02 08:00", tz="UTC")
    assert second == pd.Timestamp("2026-05-03 10:00", tz="UTC"), "no server: its Date"


def test_mails_that_cannot_be_read_are_rows_with_their_error(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(b"")
    (tmp_path / "b.eml").write_bytes(mail(1))
    (tmp_path / "c.eml").write_bytes(b"X-A: %b\n\nHello" % (b"a" * 300_000))
    frame = read_mail(tmp_path)
    assert list(frame["state"]) == ["unparsed", "parsed", "unparsed"]
    assert "empty" in frame["error"][0]
    assert frame["error"][1] == ""
    assert "header" in frame["error"][2]


def test_a_bar_on_the_terminal_only_where_it_is_wanted(archive: Path) -> None:
    code = f"from kolibri_sdk import read_mail; read_mail({str(archive)!r}, progress=%s)"
    for progress, shown in (("True", True), ("None", False), ("False", False)):
        done = subprocess.run(
            [sys.executable, "-c", code % progress], capture_output=True, check=True, text=True
        )
        assert ("old.mbox" in done.stderr) is shown
        assert done.stdout == ""


def test_a_bar_in_a_notebook_is_one_line_that_stays(archive: Path) -> None:
    code = f"""
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
shell = InteractiveShell.instance(); shell.kernel = None
from kolibri_sdk import read_mail
import json
with capture_output() as seen:
    read_mail({str(archive)!r})
print(json.dumps([output.data for output in seen.outputs]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    last = json.loads(done.stdout.splitlines()[-1])[-1]
    assert "old.mbox: 5 mails" in last["text/plain"]
    assert 'value="1.000"' in last["text/html"]


def test_nothing_of_the_database_is_touched(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(archive.parent)
    read_mail(archive)
    assert [path.name for path in archive.parent.iterdir()] == ["old.mbox"]
    with pytest.raises(ConfigurationError):
        connect()
