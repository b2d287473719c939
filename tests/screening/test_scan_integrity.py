"""What was written is what is read: damaged, lost, swapped and foreign parts are named, and made anew by --resume."""

from __future__ import annotations

import json
import logging
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import databases
import pandas as pd
import pyarrow.parquet as pq
import pytest
from databases import rows_of

from paraisite.cli.main import main
from paraisite.errors import ParaisiteError, RunError
from paraisite.screening.analysis.report import analyze
from paraisite.screening.lock import locked_scan
from paraisite.screening.manifest import Progress, part_path, read_manifest, write_scan_manifest
from paraisite.screening.query import stream_query
from paraisite.screening.scan import ScanOptions, scan
from paraisite.screening.selection import Selection, export_csv, select_rows
from paraisite.screening.state import scan_state
from paraisite.sources.own_output import CHECKSUMS, MANIFEST, PARTS

OPTIONS = ScanOptions(processes=1, piece_size=5)
RESUME = ScanOptions(processes=1, resume=True)
N_ROWS = databases.N_CRYSTALS
N_FLIPS = 60
N_FILE_FLIPS = 200


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return databases.write_extxyz(tmp_path_factory.mktemp("source") / "long.extxyz")


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan of three parts."""
    out = tmp_path_factory.mktemp("whole") / "scan"
    scan(source, out, OPTIONS)
    return out


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "scan")


def flip(path: Path, generator: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def rows(out: Path) -> pd.DataFrame:
    return pd.concat(stream_query(out, "SELECT * FROM scan ORDER BY position"), ignore_index=True)


# Damage


def test_a_flipped_bit_in_a_part_is_named_wherever_it_is(out: Path) -> None:
    generator, path = random.Random(1), part_path(out, 1)
    content = path.read_bytes()
    for _ in range(N_FLIPS):
        path.write_bytes(content)
        flip(path, generator)
        with pytest.raises(RunError, match=r"part-00000001\.parquet is damaged.*--resume"):
            rows(out)
        assert scan_state(out).damaged == (1,)


def swap(out: Path) -> None:
    first, second = part_path(out, 0).read_bytes(), part_path(out, 1).read_bytes()
    part_path(out, 0).write_bytes(second)
    part_path(out, 1).write_bytes(first)


def rewrite(out: Path) -> None:
    """Other numbers in a file that is whole as Parquet."""
    table = pq.read_table(part_path(out, 1)).to_pandas()
    table["kappa"] *= 2
    table.to_parquet(part_path(out, 1))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda out: part_path(out, 1).write_bytes(part_path(out, 1).read_bytes()[:-50]),
    "empty": lambda out: part_path(out, 1).write_bytes(b""),
    "swapped": swap,
    "rewritten": rewrite,
    "a folder": lambda out: (part_path(out, 1).unlink(), part_path(out, 1).mkdir()),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_any_other_content_is_named(out: Path, name: str) -> None:
    DAMAGE[name](out)
    assert 1 in scan_state(out).damaged
    for ask in (
        lambda: rows(out),
        lambda: select_rows(out, Selection(lowest=1)),
        lambda: export_csv(out, out / "x.csv"),
        lambda: analyze(out),
    ):
        with pytest.raises(RunError, match=r"part-0000000[01]\.parquet.*damaged"):
            ask()
    assert not (out / "x.csv").exists()


def test_damage_is_named_and_mended_by_resume_alone(out: Path, whole: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = part_path(out, 0).stat().st_mtime_ns
    flip(part_path(out, 1), random.Random(2))
    part_path(out, 2).unlink()
    progress = scan(None, out, RESUME)
    assert "part-00000001.parquet is damaged and made anew" in caplog.text
    assert (progress.rows, progress.rows_now) == (N_ROWS, N_ROWS - 5)
    assert part_path(out, 0).stat().st_mtime_ns == kept
    assert rows_of(out).equals(rows_of(whole))
    assert scan_state(out).complete


def test_a_part_of_another_scan_is_not_taken_for_one_of_this(source: Path, out: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    scan(source, other, replace(OPTIONS, symmetry=True))
    shutil.copy2(part_path(other, 1), part_path(out, 1))
    for path in (other / CHECKSUMS).iterdir():
        shutil.copy2(path, out / CHECKSUMS / f"copied-{path.name}")
    assert scan_state(out).damaged == (1,)


def test_a_page_is_checked_also_when_the_part_was_believed(out: Path) -> None:
    """Without its checksum a part is believed, with a warning; the checksums of its pages are still looked at."""
    shutil.rmtree(out / CHECKSUMS)
    path = part_path(out, 1)
    file = pq.ParquetFile(path).metadata.row_group(0).column(10)
    content = bytearray(path.read_bytes())
    content[file.data_page_offset + file.total_compressed_size - 3] ^= 4
    path.write_bytes(content)
    with pytest.raises(Exception, match=r"(?i)crc"):
        rows(out)


def test_lost_checksums_are_said_and_made_anew(out: Path, whole: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(out / CHECKSUMS)
    assert scan_state(out).unknown == (0, 1, 2)
    assert len(rows(out)) == N_ROWS
    assert "without a checksum" in caplog.text
    scan(None, out, RESUME)
    assert rows_of(out).equals(rows_of(whole))
    assert scan_state(out).sentence.endswith(f"all {N_ROWS} rows of the scan.")


def test_a_flipped_bit_in_the_checksums_costs_a_part_and_no_number(out: Path, whole: Path) -> None:
    generator = random.Random(3)
    (path,) = (out / CHECKSUMS).iterdir()
    content, expected = path.read_bytes(), rows(whole)
    for _ in range(N_FLIPS):
        path.write_bytes(content)
        flip(path, generator)
        state = scan_state(out)
        assert not state.damaged
        assert state.rows == N_ROWS
        pd.testing.assert_frame_equal(rows(out), expected)


def test_a_flipped_bit_in_the_manifest_changes_nothing_silently(out: Path, whole: Path) -> None:
    generator, path, before = random.Random(4), out / MANIFEST, read_manifest(whole)
    content, refused = path.read_bytes(), list[str]()
    for _ in range(N_FILE_FLIPS):
        path.write_bytes(content)
        flip(path, generator)
        try:
            assert read_manifest(out) == before
        except RunError as error:
            refused.append(str(error))
    assert len(refused) > N_FILE_FLIPS // 2
    assert all(MANIFEST in message and "--resume" in message for message in refused)


def test_a_damaged_manifest_is_written_anew_by_the_whole_command(source: Path, out: Path, whole: Path) -> None:
    (out / MANIFEST).unlink()
    with pytest.raises(RunError, match="--resume"):
        scan(source, out, OPTIONS)
    with pytest.raises(RunError, match="parts of another scan"):
        scan(source, out, replace(OPTIONS, resume=True, piece_size=6))
    assert not (out / MANIFEST).exists()
    before = {path: path.stat().st_mtime_ns for path in (out / PARTS).iterdir()}
    scan(source, out, replace(OPTIONS, resume=True))
    assert {path: path.stat().st_mtime_ns for path in (out / PARTS).iterdir()} == before
    assert read_manifest(out) == read_manifest(whole)


# What is missing


def unfinished(out: Path) -> None:
    """What a kill leaves."""
    part_path(out, 2).unlink()
    write_scan_manifest(out, read_manifest(out), Progress(parts=2, rows=10, share=0.8))


def test_a_missing_part_is_said_in_python(out: Path, caplog: pytest.LogCaptureFixture) -> None:
    part_path(out, 1).unlink()
    state = scan_state(out)
    assert (state.rows, state.expected_rows, state.complete, state.missing) == (N_ROWS - 5, N_ROWS, False, (1,))
    for ask in (
        lambda: rows(out),
        lambda: select_rows(out, Selection(lowest=3)),
        lambda: export_csv(out, out / "x.csv"),
    ):
        caplog.clear()
        ask()
        (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
        assert f"{N_ROWS - 5} rows of {N_ROWS} are there; part 1 is missing" in record.getMessage()
    analyze(out, out / "analysis")
    assert "part 1 is missing" in caplog.text


def test_an_unfinished_scan_is_said(out: Path, caplog: pytest.LogCaptureFixture) -> None:
    unfinished(out)
    rows(out)
    assert "10 rows of about 12 are there; the scan is unfinished" in caplog.text
    assert "--resume` goes on with it" in caplog.text


def test_a_scan_at_work_is_said(out: Path) -> None:
    unfinished(out)
    with locked_scan(out):
        assert scan_state(out).sentence.endswith("10 rows of about 12 are there; a scan is at work on the rest.")
    assert not scan_state(out).at_work


def test_a_whole_scan_warns_of_nothing(out: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(rows(out)) == N_ROWS
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "words",
    [("query", "SELECT count(*) FROM scan"), ("top",), ("export", "--csv", "rows.csv"), ("analyze", "-o", "report")],
)
def test_commands_say_how_many_rows_of_how_many(
    out: Path,
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    command, *rest = words
    assert main([command, "scan", *rest]) == 0
    assert capsys.readouterr().err.count(f"scan: all {N_ROWS} rows of the scan.") == 1
    part_path(out, 0).unlink()
    more = ["--force"] if command in {"export", "analyze"} else []
    assert main([command, "scan", *rest, *more]) == 0
    assert (
        capsys.readouterr().err.count(f"Warning: scan: {N_ROWS - 5} rows of {N_ROWS} are there; part 0 is missing") == 1
    )
    unfinished(out)
    assert main([command, "scan", *rest, *more]) == 0
    assert capsys.readouterr().err.count("Warning: scan: 5 rows of about 12 are there; the scan is unfinished") == 1
    flip(part_path(out, 1), random.Random(5))
    assert main([command, "scan", *rest, *more]) == 1
    assert "part-00000001.parquet is damaged" in capsys.readouterr().err


def test_no_exception_but_the_package_s_own(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps([]))
    for ask in (
        lambda: scan_state(tmp_path),
        lambda: scan_state(tmp_path / "none"),
        lambda: scan(None, tmp_path, RESUME),
    ):
        with pytest.raises(ParaisiteError):
            ask()
