"""Small hostile files: each is one sentence with the code `too_large`, in little memory, and costs no other record."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import ase.db
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ase.build import bulk

from paraisite.cli.main import main
from paraisite.errors import ParaisiteError
from paraisite.readers import iter_crystals
from paraisite.structures import ReadingLimits
from paraisite.structures.crystal import Crystal, ReadFailure, ReadOptions
from paraisite.structures.limits import DEFAULT_READING, updated_limits

MIB = 1 << 20
MAX_GIGABYTES = 1.0
"""Of which the libraries take 0.1 to 0.2."""
READ = """
import json, sys
from paraisite.screening.sources import open_source
items = [item for piece in open_source(sys.argv[1]).pieces(100) for item in piece.items()]
# Not getrusage, which begins with the memory of the process that started this one.
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(json.dumps([[getattr(item, "code", "ok") for item in items], int(peak)]))
"""
FRAME = '2\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\nNa 0 0 0\nCl 2 2 2\n'
STRUCTURE = {
    "lattice_vectors": [[4, 0, 0], [0, 4, 0], [0, 0, 4]],
    "cartesian_site_positions": [[0, 0, 0], [2, 2, 2]],
    "species_at_sites": ["Na", "Cl"],
}


def grown(first: bytes = b"", block: bytes = bytes(32 * MIB)) -> bytes:
    """4 GiB in 4 MB of gzip."""
    return (gzip.compress(first) if first else b"") + gzip.compress(block, 9) * 128


def zip_bomb() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.cif", bytes(256 * MIB))
        archive.writestr("b.extxyz", FRAME)
    return data.getvalue()


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf()


def parquet_bomb(kind: str) -> bytes:
    data = io.BytesIO()
    if kind == "long":
        table = pa.table({"structure": ["[" * (80 * MIB)]})
    elif kind == "repeated":
        column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(200, np.int32)), pa.array(["[" * (8 * MIB)]))
        table = pa.table({"structure": column})
    else:
        table = pa.table({"structure": pa.nulls(1_000_000, pa.string())})
    pq.write_table(table, data, compression="zstd")
    return data.getvalue()


BOMBS = {
    "zeros.cif.gz": (grown, ["too_large"]),
    "zeros.extxyz.gz": (grown, ["too_large"]),
    "zeros.cif.bz2": (lambda: bz2.compress(bytes(32 * MIB)) * 128, ["too_large"]),
    "blank.json.xz": (lambda: lzma.compress(b" " * (32 * MIB)) * 128, ["too_large"]),
    "brackets.jsonl.gz": (lambda: grown(block=b"[" * (32 * MIB)), ["too_large"]),
    "lines.jsonl.gz": (lambda: grown(block=b"\n" * (32 * MIB)), ["too_large"]),
    "x.zip": (zip_bomb, ["too_large", "ok"]),
    "x.tar.gz": (lambda: grown(header("a.cif", 4 << 30)), ["too_large", "too_large"]),
    "pax.tar.gz": (lambda: grown(header("x", 2 << 30, b"x")), ["unreadable", "too_large"]),
    "name.tar.gz": (lambda: grown(header("x", 2 << 30, b"L")), ["unreadable", "too_large"]),
    "long.parquet": (lambda: parquet_bomb("long"), ["too_large"]),
    "nothing.parquet": (lambda: parquet_bomb("nothing"), ["unreadable"]),
    "deep.json": (lambda: b"[" * 2_000_000, ["too_large"]),
    "deep.jsonl": (
        lambda: (b'{"a":' * 900 + b"1" + b"}" * 900 + b"\n") + json.dumps(STRUCTURE).encode(), ["too_large", "ok"]
    ),
    "count.extxyz": (lambda: b"99999999\nLattice=\nNa 0 0 0\n" + FRAME.encode(), ["too_large", "ok"]),
    "POSCAR": (lambda: b"x\n1\n4 0 0\n0 4 0\n0 0 4\nNa\n999999999999\nDirect\n0 0 0\n", ["unreadable"]),
}  # fmt: skip


NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


@pytest.mark.slow
@NEEDS_PROC
@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_does_not_fill_the_memory(name: str, tmp_path: Path) -> None:
    make, codes = BOMBS[name]
    (tmp_path / name).write_bytes(make())
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / name)], capture_output=True, text=True, check=True
    )
    found, kilobytes = json.loads(done.stdout)
    assert found == codes
    assert kilobytes < MAX_GIGABYTES * 1e6


@pytest.mark.slow
@NEEDS_PROC
def test_a_value_that_stands_in_many_rows_is_held_once(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(parquet_bomb("repeated"))
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "x.parquet")], capture_output=True, text=True, check=True
    )
    found, kilobytes = json.loads(done.stdout)
    assert set(found) == {"too_large"}
    assert kilobytes < MAX_GIGABYTES * 1e6


def test_predict_and_scan_refuse_what_grows_and_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "az":
        (folder / f"{name}.extxyz").write_text(FRAME)
    (folder / "b.cif.gz").write_bytes(gzip.compress(bytes(MIB), 9) * 200)
    assert main(["predict", str(folder), "--csv", str(tmp_path / "x.csv")]) == 3
    assert main(["scan", str(folder), "-o", str(tmp_path / "scan"), "-p", "1"]) == 3
    said = capsys.readouterr()
    assert "2 ok, 1 too_large" in said.err
    assert "3 structures, 1 without a prediction" in said.out
    manifest = json.loads((tmp_path / "scan" / "scan.json").read_text())
    assert manifest["rows_by_status"] == {"ok": 2, "too_large": 1}
    assert manifest["limits"]["expansion"] == DEFAULT_READING.expansion


def limited(path: Path, **limits: int) -> list[Crystal | ReadFailure]:
    return list(iter_crystals(path, options=ReadOptions(limits=ReadingLimits(**limits))))


def test_each_limit_can_be_met_and_raised(tmp_path: Path) -> None:
    line = json.dumps({"id": "x" * 50, "structure": STRUCTURE})
    cases = {
        "content_bytes": (tmp_path / "x.json", line), "record_bytes": (tmp_path / "x.jsonl", f"{line}\n"),
        "atoms": (tmp_path / "x.extxyz", FRAME), "json_depth": (tmp_path / "y.jsonl", f"{line}\n"),
        "id_characters": (tmp_path / "z.jsonl", f"{line}\n"),
    }  # fmt: skip
    for name, (path, text) in cases.items():
        path.write_text(text)
        (failure,) = limited(path, **{name: 1})
        assert isinstance(failure, ReadFailure)
        assert failure.code == "too_large"
        assert f"--limit {name}=NUMBER" in failure.message
        (crystal,) = limited(path, **{name: 100_000})
        assert isinstance(crystal, Crystal)


def test_a_line_that_is_too_long_costs_itself_alone(tmp_path: Path) -> None:
    line = json.dumps({"structure": STRUCTURE})
    (tmp_path / "x.jsonl").write_text(f"{line}\n{' ' * 50_000}{line}\n{line}\n")
    (tmp_path / "x.extxyz").write_text(FRAME + "2\n" + "x" * 50_000 + "\nNa 0 0 0\nCl 2 2 2\n" + FRAME)
    for name in ("x.jsonl", "x.extxyz"):
        codes = [getattr(item, "code", "ok") for item in limited(tmp_path / name, record_bytes=1000)]
        assert codes == ["ok", "too_large", "ok"]


def test_a_compressed_stream_of_many_records_has_no_limit_on_its_total(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "x.extxyz.gz", "wt", compresslevel=1) as stream:
        for number in range(3000):
            stream.write(FRAME.replace("4 0 0 0 4", f"{4 + number * 1e-4:.4f} 0 0 0 4"))
    items = limited(tmp_path / "x.extxyz.gz", content_bytes=1000, record_bytes=1000)
    assert len(items) == 3000
    assert all(isinstance(item, Crystal) for item in items)


def test_limits_are_named_and_whole_numbers() -> None:
    assert updated_limits(["atoms=5", "rows=7"], DEFAULT_READING) == (ReadingLimits(atoms=5, rows=7),)
    assert str(ReadingLimits(atoms=5)) == "atoms=5"
    for bad in ("atom=5", "atoms", "atoms=0", "atoms=1e9"):
        with pytest.raises(ParaisiteError, match="limit"):
            updated_limits([bad], DEFAULT_READING)


# ASE's databases


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "x.db"
    with ase.db.connect(path) as opened:
        for number in range(40):
            opened.write(bulk("NaCl", "rocksalt", a=5 + number * 1e-3, cubic=True), material_id=f"m{number + 1}")
    return path


def change(path: Path, *statements: str) -> list[Crystal | ReadFailure]:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return list(iter_crystals(path))


def test_a_bad_row_of_a_database_costs_itself_alone(database: Path) -> None:
    items = change(
        database,
        "UPDATE systems SET positions = x'00' WHERE id = 7",
        "UPDATE systems SET key_value_pairs = '{' WHERE id = 9",
        "UPDATE systems SET cell = 'text' WHERE id = 11",
        "UPDATE systems SET numbers = zeroblob(80000000) WHERE id = 13",
        "DELETE FROM systems WHERE id = 15",
    )
    failures = {item.source.rpartition("#")[2]: item for item in items if isinstance(item, ReadFailure)}
    assert {place: failure.code for place, failure in failures.items()} == {
        "7": "unreadable", "9": "unreadable", "11": "unreadable", "13": "too_large",
    }  # fmt: skip
    assert {item.material_id for item in items if isinstance(item, Crystal)} == {
        f"m{number}" for number in range(1, 41) if number not in {7, 9, 11, 13, 15}
    }


def test_damaged_pages_of_a_database_are_told(database: Path) -> None:
    data = bytearray(database.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4096] = bytes(4096)
    database.write_bytes(data)
    items = list(iter_crystals(database))
    assert any(isinstance(item, ReadFailure) for item in items)
    assert sum(isinstance(item, Crystal) for item in items) > 20


COMPUTED = (
    "INSERT INTO information VALUES ('external_table_name', '(WITH RECURSIVE n(id) AS "
    "(SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id, id AS key, id AS value FROM n)')"
)


@pytest.mark.parametrize(
    "statements",
    [
        [
            "ALTER TABLE systems RENAME TO other",
            "CREATE VIEW systems AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS id FROM n",
        ],
        [COMPUTED],
    ],
)
def test_a_database_that_computes_its_rows_is_refused(database: Path, statements: list[str]) -> None:
    assert all(isinstance(item, ReadFailure) for item in change(database, *statements))
