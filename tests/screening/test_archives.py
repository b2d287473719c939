"""Archives that are cut off, damaged, or hold links: whatever is lost has a row, and the rest is read."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from paraisite.cli.main import main
from paraisite.screening.sources import open_source
from paraisite.structures.crystal import ReadFailure

N_MEMBERS = 30
BLOCK = tarfile.BLOCKSIZE
MEMBER = 2 * BLOCK
"""Bytes of a member in the tar archive: its header and its content."""
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data, "tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress,
}  # fmt: skip


def frame(number: int) -> bytes:
    lattice = f"{4 + number * 1e-4:.4f} 0 0 0 4 0 0 0 4"
    head = f'2\nLattice="{lattice}" Properties=species:S:1:pos:R:3 material_id=n{number}\n'
    return f"{head}Na 0 0 0\nCl 2 2 2\n".encode()


def tar_of(members: list[tuple[str, bytes, bytes]], kind: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar archive of members with name, type and content, which for a link is its target."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=kind) as archive:
        for name, type_, content in members:
            info = tarfile.TarInfo(name)
            info.type = type_
            if type_ in {tarfile.LNKTYPE, tarfile.SYMTYPE}:
                info.linkname = content.decode()
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def plain_tar(prefix: str = "") -> bytes:
    return tar_of([(f"{prefix}n{number}.extxyz", tarfile.REGTYPE, frame(number)) for number in range(N_MEMBERS)])


def plain_zip(compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        for number in range(N_MEMBERS):
            archive.writestr(f"n{number}.extxyz", frame(number))
    return data.getvalue()


def read(path: Path, data: bytes) -> tuple[list[str], list[ReadFailure]]:
    """Identifiers of the crystals of an archive, and its failures."""
    path.write_bytes(data)
    items = [item for piece in open_source(path).pieces(7) for item in piece.items()]
    failures = [item for item in items if isinstance(item, ReadFailure)]
    return [item.material_id for item in items if not isinstance(item, ReadFailure)], failures


ALL = [f"n{number}" for number in range(N_MEMBERS)]


@pytest.mark.parametrize("ending", COMPRESS)
def test_an_intact_archive_has_no_failure(ending: str, tmp_path: Path) -> None:
    assert read(tmp_path / f"x.{ending}", COMPRESS[ending](plain_tar())) == (ALL, [])
    long = COMPRESS[ending](plain_tar("folder" * 40 + "/"))
    assert read(tmp_path / f"x.{ending}", long) == (ALL, [])


@pytest.mark.parametrize("ending", COMPRESS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 1.0])
def test_a_truncated_tar_says_so(ending: str, share: float, tmp_path: Path) -> None:
    data = plain_tar()[: N_MEMBERS * MEMBER + 2 * BLOCK]  # without the padding behind the end mark
    packed = COMPRESS[ending](data)
    cut = packed[: min(int(share * len(packed)), len(packed) - 1)]
    found, failures = read(tmp_path / f"x.{ending}", cut)
    assert found == ALL[: len(found)]
    assert failures
    assert all(str(tmp_path) in failure.message for failure in failures)


@pytest.mark.parametrize("blocks", [0, 1])
def test_a_tar_that_is_cut_between_members_lacks_its_end_mark(blocks: int, tmp_path: Path) -> None:
    found, (failure,) = read(tmp_path / "x.tar", plain_tar()[: 10 * MEMBER] + bytes(blocks * BLOCK))
    assert found == ALL[:10]
    assert "lacks its end mark" in failure.message


@pytest.mark.parametrize("ending", [*COMPRESS, "zip", "parquet"])
def test_a_listed_archive_that_is_not_there_has_a_row(ending: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"x.{ending}\n")
    (piece,) = open_source(tmp_path / "list.txt").pieces(7)
    (failure,) = piece.items()
    assert isinstance(failure, ReadFailure)
    assert "there is no such file" in failure.message


def test_a_damaged_header_costs_its_member_alone(tmp_path: Path) -> None:
    data = bytearray(plain_tar())
    data[10 * MEMBER + 10] ^= 1
    found, (failure,) = read(tmp_path / "x.tar", bytes(data))
    assert found == ALL[:10] + ALL[11:]
    assert f"the header at byte {10 * MEMBER} is damaged" in failure.message


def test_a_hole_of_zeros_is_no_end_mark(tmp_path: Path) -> None:
    data = bytearray(plain_tar())
    data[8 * MEMBER : 12 * MEMBER] = bytes(4 * MEMBER)
    found, (failure,) = read(tmp_path / "x.tar", bytes(data))
    assert found == ALL[:8] + ALL[12:]
    assert "some are lost" in failure.message


def test_several_archives_in_one_file(tmp_path: Path) -> None:
    found, (failure,) = read(tmp_path / "x.tar", plain_tar() * 2)
    assert found == ALL * 2
    assert "several archives in one" in failure.message
    found, (failure,) = read(tmp_path / "x.zip", plain_zip() * 2)
    assert sorted(found) == sorted(ALL)
    assert "perhaps another archive" in failure.message


def test_links_and_other_kinds_have_rows_and_odd_names_are_read(tmp_path: Path) -> None:
    file, content = tarfile.REGTYPE, frame(0)
    members = [
        ("a.extxyz", file, content), ("hard.extxyz", tarfile.LNKTYPE, b"a.extxyz"),
        ("soft.extxyz", tarfile.SYMTYPE, b"a.extxyz"), ("pipe", tarfile.FIFOTYPE, b""), ("odd.extxyz", b"Z", content),
        ("../up.extxyz", file, content), ("/root.extxyz", file, content), ("a.extxyz", file, content),
        ("folder", tarfile.DIRTYPE, b""), (".hidden", file, b"x"), ("._a.extxyz", file, b"x"),
    ]  # fmt: skip
    found, failures = read(tmp_path / "x.tar", tar_of(members))
    assert len(found) == 4
    assert [failure.source.rpartition("/")[2] for failure in failures] == [
        "hard.extxyz", "soft.extxyz", "pipe", "odd.extxyz",
    ]  # fmt: skip
    assert "a link to a.extxyz" in failures[0].message


def test_a_zip_reads_members_of_one_name_and_refuses_links(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("n1.extxyz", frame(1))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("n1.extxyz", frame(2))
        archive.writestr("../n3.extxyz", frame(3))
        link = zipfile.ZipInfo("link.extxyz")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "n1.extxyz")
    found, (failure,) = read(tmp_path / "x.zip", data.getvalue())
    assert sorted(found) == ["n1", "n2", "n3"]
    assert "it is a link" in failure.message


def test_a_damaged_zip_member_costs_itself_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(plain_zip())
    info = zipfile.ZipFile(io.BytesIO(data)).getinfo("n10.extxyz")
    start = info.header_offset + 30 + len(info.filename)
    for place in range(start, start + 8):
        data[place] ^= 0x5A
    (tmp_path / "x.zip").write_bytes(data)
    assert main(["scan", str(tmp_path / "x.zip"), "-o", str(tmp_path / "out"), "-p", "1"]) == 3
    assert f"{N_MEMBERS} structures, 1 without a prediction" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "out" / "scan.json").read_text())
    assert manifest["rows_by_status"] == {"ok": N_MEMBERS - 1, "unreadable": 1}


def test_a_flipped_bit_that_hides_a_zip_member_is_told(tmp_path: Path) -> None:
    data = bytearray(plain_zip())
    listed = data.rindex(b"n7.extxyz")
    data[listed] ^= ord("n") ^ ord(".")  # one bit, after which the name is that of a hidden file
    found, (failure,) = read(tmp_path / "x.zip", bytes(data))
    assert sorted(found) == sorted(set(ALL) - {"n7"})
    assert "differ" in failure.message


def test_truncated_archives_leave_the_scan_with_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.tar").write_bytes(plain_tar()[: 10 * MEMBER + 300])
    assert main(["scan", str(tmp_path / "x.tar"), "-o", str(tmp_path / "out"), "-p", "1"]) == 3
    capsys.readouterr()
    manifest = json.loads((tmp_path / "out" / "scan.json").read_text())
    assert manifest["rows_by_status"]["ok"] == 10
    assert manifest["rows_by_status"]["unreadable"] >= 1


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("damage", ["junk", "cut", "flip"])
def test_damage_behind_the_first_of_several_streams_is_told(
    compress: Callable[[bytes], bytes], damage: str, tmp_path: Path
) -> None:
    data = b"".join(frame(number) for number in range(N_MEMBERS))
    first, second = compress(data[:1000]), bytearray(compress(data[1000:]))
    path = tmp_path / "x.extxyz.gz"
    found, failures = read(path, first + bytes(second) + bytes(64))
    assert (found, failures) == (ALL, [])
    second[0] ^= damage == "flip"
    ending = {"junk": bytes(second) + b"junk", "cut": bytes(second[:-3]), "flip": bytes(second)}[damage]
    found, failures = read(path, first + ending)
    assert found == ALL[: len(found)]
    assert failures
    assert "compression" in failures[-1].message


def test_a_bgzf_file_without_its_last_block_is_told(tmp_path: Path) -> None:
    def block(content: bytes) -> bytes:
        packed = gzip.compress(content)[10:]
        size = len(packed) + 18 - 1
        return bytes.fromhex("1f8b08040000000000ff060042430200") + size.to_bytes(2, "little") + packed

    data = block(frame(0)) + block(frame(1))
    end = block(b"")
    assert end.hex() == "1f8b08040000000000ff0600424302001b0003000000000000000000"
    assert read(tmp_path / "x.extxyz.gz", data + end) == (ALL[:2], [])
    found, (failure,) = read(tmp_path / "x.extxyz.gz", data)
    assert found == ALL[:2]
    assert "BGZF" in failure.message


@pytest.mark.slow
@pytest.mark.parametrize("ending", [*COMPRESS, "zip", "stored.zip"])
def test_no_random_damage_loses_a_member_without_a_row(ending: str, tmp_path: Path) -> None:
    chance = random.Random(ending)
    stored = zipfile.ZIP_STORED if ending == "stored.zip" else zipfile.ZIP_DEFLATED
    data = COMPRESS[ending](plain_tar()) if ending in COMPRESS else plain_zip(stored)
    for number in range(300):
        damaged, place = bytearray(data), chance.randrange(len(data))
        if number % 3 == 0:
            damaged[place] ^= 1 << chance.randrange(8)
        elif number % 3 == 1:
            del damaged[place:]
        else:
            length = min(chance.choice((1, 100, BLOCK, 4096)), len(data) - place)
            damaged[place : place + length] = bytes(length)
        found, failures = read(tmp_path / f"x.{ending}", bytes(damaged))
        # One flipped bit in the text of a stored member may change its identifier, but not their number.
        assert len(found) == N_MEMBERS or failures, (number, place)
