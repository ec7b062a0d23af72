"""An archive made to do harm: nothing is written, nothing grows without end, the rest is read."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from kolibri_sdk.archives import open_archive
from kolibri_sdk.archives import stream as streams
from kolibri_sdk.errors import ConfigurationError
from tests.unit.archives.test_archives import (
    FILES,
    MARK,
    mail,
    mbox,
    read,
    subjects,
    tarred,
    zipped,
)

OUTSIDE = "leads out of the archive"


@pytest.mark.parametrize(
    "name", ["../evil.eml", "/etc/evil.eml", "a/../../evil.eml", "C:\\evil.eml"]
)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_lead_outside_are_refused_and_the_others_read(
    name: str, pack: object, tmp_path: Path
) -> None:
    path = tmp_path / "in" / "old.zip"
    path.parent.mkdir()
    path.write_bytes(pack({name: mail("evil"), "good.eml": mail("good")}))  # type: ignore[operator]
    before = sorted(tmp_path.rglob("*"))
    evil, good = read(path)
    assert evil.raw is None
    assert OUTSIDE in evil.error
    assert subjects([good]) == ["good"]
    assert sorted(tmp_path.rglob("*")) == before, "nothing is unpacked to the disk"


def test_links_and_devices_in_a_tar_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "old.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (("a.eml", tarfile.SYMTYPE), ("b.eml", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        good = tarfile.TarInfo("good.eml")
        good.size = len(mail("good"))
        archive.addfile(good, io.BytesIO(mail("good")))
    assert subjects(read(path)) == ["good"]


def test_a_bomb_is_read_no_further_than_is_reasonable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_FREE", 1_000_000)
    bomb = MARK + b"Subject: bomb\nTo: x\n\n" + b"\n" * 20_000_000
    for name, content in (
        ("bomb.mbox.gz", gzip.compress(bomb)),
        ("bomb.zip", zipped({"bomb.mbox": bomb})),
        ("bomb.tgz", tarred({"bomb.mbox": bomb}, "w:gz")),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        mails = read(path)
        assert any("unpacks to more than" in m.error for m in mails), name
        assert sum(len(m.raw or b"") for m in mails) < len(bomb)


def test_a_zip_whose_members_share_their_bytes_is_bounded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_FREE", 1_000_000)
    monkeypatch.setattr(streams, "_RATIO", 20)
    content = mail("kernel") + b"x" * 100_000
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.eml", content)
        first = archive.infolist()[0]
        archive.filelist.extend(_copy(first, f"{n}.eml") for n in range(1, 200))
        for one in archive.filelist[1:]:
            archive.NameToInfo[one.filename] = one
        archive._didModify = True  # type: ignore[attr-defined]
    path = tmp_path / "old.zip"
    path.write_bytes(buffer.getvalue())
    mails = read(path)
    assert len([m for m in mails if m.raw]) < 20
    assert any(m.error for m in mails)


def _copy(member: zipfile.ZipInfo, name: str) -> zipfile.ZipInfo:
    other = zipfile.ZipInfo(name)
    for field in ("compress_type", "CRC", "compress_size", "file_size", "header_offset"):
        setattr(other, field, getattr(member, field))
    return other


def test_damage_inside_an_archive_is_told_and_what_came_before_is_read(tmp_path: Path) -> None:
    whole = zipped({"one.eml": mail("one"), "two.eml": mail("two")})
    at = whole.index(b"two.eml") + len("two.eml") + 4
    (tmp_path / "a.zip").write_bytes(whole[:at] + b"\xff" * 8 + whole[at + 8 :])
    one, two = read(tmp_path / "a.zip")
    assert subjects([one]) == ["one"]
    assert two.raw is None
    assert "a.zip!two.eml" in two.error

    cut = tarred({"one.eml": mail("one"), "two.eml": mail("two") * 1000})[:3000]
    (tmp_path / "b.tar").write_bytes(cut)
    one, *rest = read(tmp_path / "b.tar")
    assert subjects([one]) == ["one"]
    assert any(m.error for m in rest)

    (tmp_path / "c.mbox.gz").write_bytes(gzip.compress(mbox(*map(str, range(4000))))[:-400])
    *mails, end = read(tmp_path / "c.mbox.gz")
    assert len(mails) > 1000
    assert "cannot be read further" in end.error


def test_an_encrypted_member_is_told(tmp_path: Path) -> None:
    content = bytearray(zipped({"one.eml": mail("one")}))
    content[6] |= 1  # the flag in the member's own head, and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    (only,) = read(tmp_path / "a.zip")
    assert "encrypted" in only.error


def test_opening_looks_at_the_beginning_only(tmp_path: Path) -> None:
    path = tmp_path / "old.mbox"
    path.write_bytes(mbox("one"))
    archive = open_archive(path)
    assert archive.read_bytes == 0


SEEDS = {
    "zip": zipped(FILES),
    "tar": tarred(FILES),
    "tgz": tarred(FILES, "w:gz"),
    "txz": tarred(FILES, "w:xz"),
    "mbox": mbox("one", "two", "three"),
    "mbox.gz": gzip.compress(mbox(*"abcdefgh")),
}


@pytest.mark.parametrize("kind", SEEDS)
def test_whatever_is_broken_in_it_an_archive_raises_nothing_while_it_is_read(
    kind: str, tmp_path: Path
) -> None:
    dice = random.Random(kind)
    path = tmp_path / f"old.{kind}"
    for _ in range(200):
        path.write_bytes(_broken(SEEDS[kind], dice))
        with suppress(ConfigurationError):
            for found in open_archive(path):
                assert (found.raw is None) == bool(found.error)


def _broken(whole: bytes, dice: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(data) or 1)
        match dice.choice(["flip", "flip", "cut", "insert", "end"]):
            case "flip":
                data[at : at + 1] = dice.randbytes(1)
            case "cut":
                del data[at : at + dice.randint(1, 40)]
            case "insert":
                data[at:at] = dice.randbytes(dice.randint(1, 20))
            case "end":
                del data[at + 1 :]
    return bytes(data)
