"""Old mail comes out of every form of archive, with its place and its folder."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kolibri_sdk.archives import ArchivedMail, open_archive
from kolibri_sdk.errors import ConfigurationError

MARK = b"From anna@customer.example Fri May  1 12:00:00 2026\n"


def mail(subject: str) -> bytes:
    return f"From: anna@customer.example\nSubject: {subject}\n\nHello\n".encode()


def mbox(*subjects: str) -> bytes:
    return b"".join(MARK + mail(subject) + b"\n" for subject in subjects)


def write(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def read(path: Path) -> list[ArchivedMail]:
    return list(open_archive(path))


def subjects(mails: list[ArchivedMail]) -> list[str]:
    """The subjects; of one that cannot be read, its error."""
    return [
        m.raw.split(b"Subject: ")[1].split(b"\n")[0].decode() if m.raw is not None else m.error
        for m in mails
    ]


FILES = {
    "a/one.eml": mail("one"),
    "a/b/two.eml": mail("two"),
    "old.mbox": mbox("three", "four"),
    "notes.txt": b"nothing\n",
    "a/.hidden.eml": mail("hidden"),
    "__MACOSX/a/._one.eml": b"\x00\x05\x16\x07",
}
FOUND = [("a", "one"), ("a/b", "two"), ("old", "three"), ("old", "four")]


def as_folder(root: Path) -> Path:
    return write(root / "old", FILES)


def as_zip(root: Path) -> Path:
    return write(root, {"old.zip": zipped(FILES)}) / "old.zip"


def as_tar(root: Path) -> Path:
    return write(root, {"old.tar": tarred(FILES)}) / "old.tar"


def as_tar_gz(root: Path) -> Path:
    return write(root, {"old.tgz": tarred(FILES, "w:gz")}) / "old.tgz"


def as_tar_xz(root: Path) -> Path:
    return write(root, {"old.tar.xz": tarred(FILES, "w:xz")}) / "old.tar.xz"


@pytest.mark.parametrize("made", [as_folder, as_zip, as_tar, as_tar_gz, as_tar_xz])
def test_mails_and_mboxes_in_folders_and_packed(
    made: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = made(tmp_path)
    mails = read(path)
    found = list(zip((m.folder for m in mails), subjects(mails), strict=True))
    assert sorted(found) == sorted(FOUND)
    second = next(m for m in mails if subjects([m]) == ["four"])
    sign = "/" if path.is_dir() else "!"
    assert second.source == f"{path}{sign}old.mbox@{len(mbox('three'))}"


def test_they_can_be_gone_through_twice_and_their_progress_is_known(tmp_path: Path) -> None:
    for path in (as_folder(tmp_path), as_zip(tmp_path), as_tar_gz(tmp_path)):
        archive = open_archive(path)
        assert len(list(archive)) == len(list(archive)) == 4
        assert 0 < archive.read_bytes <= archive.total_bytes() * 2


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_an_mbox_packed_or_not(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "support.mbox.gz"
    path.write_bytes(pack(mbox("one", "two")))
    assert open_archive(path).kind == "mbox"
    mails = read(path)
    assert subjects(mails) == ["one", "two"]
    assert {m.folder for m in mails} == {"support"}


def test_a_maildir_with_its_folders(tmp_path: Path) -> None:
    root = write(
        tmp_path / "Maildir",
        {
            "cur/1777636800.M1P2.host,S=48:2,S": mail("inbox"),
            "new/1777636801.M1P2.host": mail("new"),
            "tmp/1777636802.M1P2.host": mail("being delivered"),
            ".Sent/cur/1777636803.M1P2.host:2,S": mail("sent"),
            ".Entw&APw-rfe.2024/cur/1777636804.M1P2.host:2,S": mail("draft"),
            "dovecot-uidlist": b"3 V1 N2\n1 :x\n",
            "cur/.nfs01": b"",
        },
    )
    (root / ".Sent" / "new").mkdir()
    archive = open_archive(root)
    assert archive.kind == "Maildir"
    mails = list(archive)
    assert sorted(zip((m.folder for m in mails), subjects(mails), strict=True)) == [
        ("Entwürfe/2024", "draft"),
        ("INBOX", "inbox"),
        ("INBOX", "new"),
        ("Sent", "sent"),
    ]
    inbox = next(m for m in mails if subjects([m]) == ["inbox"])
    assert inbox.received_at == datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_one_mail_alone(tmp_path: Path) -> None:
    path = write(tmp_path, {"one.eml": mail("one")}) / "one.eml"
    (only,) = read(path)
    assert (only.raw, only.source, only.folder) == (mail("one"), str(path), "one.eml")


def test_mails_without_a_suffix_and_of_apple(tmp_path: Path) -> None:
    apples = b"%d\n%b<?xml version='1.0'?><plist/>" % (len(mail("apple")), mail("apple"))
    root = write(tmp_path / "mh", {"1": mail("one"), "2": mail("two"), "3.emlx": apples})
    mails = read(root)
    assert subjects(mails) == ["one", "two", "apple"]
    assert mails[2].raw == mail("apple")


def test_folders_of_thunderbird(tmp_path: Path) -> None:
    root = write(
        tmp_path / "Mail",
        {
            "Inbox": mbox("one"),
            "Inbox.msf": b"// <!-- <mdb:mork:z v='1.4'/> -->\n",
            "Archives.sbd/2024": mbox("two"),
        },
    )
    assert [m.folder for m in read(root)] == ["Archives/2024", "Inbox"]


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("Rückfragen/größer.eml", "Rückfragen/größer.eml"),
        ("Rückfragen/größer.eml".encode().decode("cp437"), "Rückfragen/größer.eml"),
    ],
)
def test_names_in_a_zip_are_read_as_their_maker_meant_them(
    stored: str, shown: str, tmp_path: Path
) -> None:
    path = tmp_path / "old.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(_Unflagged(stored), mail("one"))
    (only,) = read(path)
    assert only.source == f"{path}!{shown}"
    assert only.folder == "Rückfragen"


class _Unflagged(zipfile.ZipInfo):
    """A member whose name is not marked as UTF-8, as old programs write it."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - zipfile's own
        return self.filename.encode("cp437"), self.flag_bits & ~0x800


def test_what_cannot_be_read_is_a_mail_with_its_reason(tmp_path: Path) -> None:
    root = write(
        tmp_path / "old",
        {
            "a.eml": b"",
            "b.msg": b"\xd0\xcf\x11\xe0",
            "c.zip": zipped({"x": b""}),
            "d.eml": mail("good"),
        },
    )
    os.symlink(root / "gone", root / "e.eml")
    os.mkfifo(root / "f.eml")
    empty, outlook, inner, good, gone = read(root)
    assert good.raw == mail("good")
    assert "empty" in empty.error
    assert "Outlook" in outlook.error
    assert "archive within an archive" in inner.error
    assert "No such file" in gone.error
    assert all(m.source.startswith(str(root)) for m in (empty, outlook, inner, gone))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.pdf", b"%PDF-1.7\n", "looks like a PDF"),
        ("a.pst", b"!BDN\x00\x00", "Outlook data file"),
        ("a.txt", b"Dear all,\nnothing\n", "begins with 'Dear all,'"),
        ("a.bin", b"\x01\x00\x02", "binary"),
        ("a.mbox", b"", "is empty"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "7z archive"),
        ("a.gz", b"\x1f\x8b\x08rubbish", "cannot be read further"),
    ],
)
def test_a_file_that_is_no_archive_is_told_with_what_it_looks_like(
    name: str, content: bytes, told: str, tmp_path: Path
) -> None:
    path = write(tmp_path, {name: content}) / name
    with pytest.raises(ConfigurationError, match=told) as caught:
        open_archive(path)
    assert str(path) in str(caught.value)


def test_nothing_there_and_a_folder_without_mail(tmp_path: Path) -> None:
    write(tmp_path, {"photo.jpg": b"\xff\xd8\xff"})
    with pytest.raises(ConfigurationError, match=r"no file or folder .*old\.mbox.*photo\.jpg"):
        open_archive(tmp_path / "old.mbox")
    with pytest.raises(ConfigurationError, match=r"no mail in the folder .*photo\.jpg"):
        open_archive(tmp_path)
