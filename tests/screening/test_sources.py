"""Sources of a scan: every form gives the same crystals, cut into the same pieces every time."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import ase.io
import databases
import pytest

from paraisite import Predictor
from paraisite.errors import DataError
from paraisite.screening.sources import Meter, Work, open_source
from paraisite.sources.pieces import FilesPiece
from paraisite.sources.walk import crystals_below
from paraisite.structures.crystal import Crystal, ReadFailure

Make = Callable[[Path], Path]


def cifs(folder: Path) -> Path:
    return databases.write_cifs(folder / "cifs")


FORMS: dict[str, Make] = {
    "folder": cifs,
    "extxyz": lambda folder: databases.write_extxyz(folder / "all.extxyz"),
    "optimade json lines": lambda folder: databases.write_jsonl(folder / "all.jsonl"),
    "parquet, optimade": lambda folder: databases.write_parquet(folder / "all.parquet", nested=True),
    "parquet, json": lambda folder: databases.write_parquet(folder / "all.parquet", nested=False),
    "zip": lambda folder: databases.write_zip(folder / "all.zip", cifs(folder)),
    "tar": lambda folder: databases.write_tar(folder / "all.tar.gz", cifs(folder)),
    "list": lambda folder: databases.write_list(folder / "all.txt", cifs(folder)),
    "glob": lambda folder: cifs(folder) / "*.cif",
}


def items_of(source: str | Path, size: int = 5) -> list[Crystal | ReadFailure]:
    return [item for piece in open_source(source).pieces(size) for item in piece.items()]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_crystals(form: str, tmp_path: Path) -> None:
    items = items_of(FORMS[form](tmp_path))
    expected = {crystal.material_id: crystal for crystal in databases.crystals()}
    assert {item.material_id for item in items} == set(expected)
    assert len(items) == len(expected)
    for item in items:
        assert isinstance(item, Crystal)
        assert item.formula == expected[item.material_id].formula
        assert item.volume == pytest.approx(expected[item.material_id].volume, rel=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_pieces_are_small_the_same_every_time_and_can_be_sent(form: str, tmp_path: Path) -> None:
    source = open_source(FORMS[form](tmp_path))
    first, second = ([[item.material_id for item in piece.items()] for piece in source.pieces(5)] for _ in range(2))
    assert first == second
    assert max(map(len, first)) <= 5
    assert len(first) >= 3
    sent = [pickle.loads(pickle.dumps(piece)) for piece in source.pieces(5)]
    assert [[item.material_id for item in piece.items()] for piece in sent] == first


def test_a_mixed_folder_is_read_to_any_depth(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    databases.write_extxyz(tmp_path / "deep" / "er.extxyz", 3)
    cifs(tmp_path)
    (tmp_path / "README").write_text("no structure")
    (tmp_path / ".hidden").mkdir()
    databases.write_extxyz(tmp_path / ".hidden" / "x.extxyz", 2)
    assert len(items_of(tmp_path)) == 3 + databases.N_CRYSTALS


def test_a_prediction_descends_as_a_scan_does(tmp_path: Path) -> None:
    for number, (form, make) in enumerate(FORMS.items()):
        if form not in ("list", "glob"):
            (tmp_path / "source" / str(number)).mkdir(parents=True)
            make(tmp_path / "source" / str(number))
    databases.write_extxyz(tmp_path / "one.extxyz", 3)
    ase.io.write(tmp_path / "source" / "rows.db", ase.io.read(tmp_path / "one.extxyz", index=":"))
    (tmp_path / "source" / "broken.zip").write_bytes(b"PK no archive")
    (tmp_path / "source" / "broken.parquet").write_bytes(b"PAR1")
    scanned, read = items_of(tmp_path / "source"), list(crystals_below([tmp_path / "source"]))
    assert len(scanned) == 9 * databases.N_CRYSTALS + 3 + 2
    assert [(item.source, item.material_id) for item in read] == [(item.source, item.material_id) for item in scanned]
    assert [item.code for item in read if isinstance(item, ReadFailure)] == ["unreadable"] * 2
    assert len(Predictor().predict_files(tmp_path / "source", processes=2)) == len(scanned)


def test_several_sources(tmp_path: Path) -> None:
    folder, file = cifs(tmp_path), databases.write_extxyz(tmp_path / "all.extxyz", 4)
    source = open_source([folder, file])
    assert sum(1 for piece in source.pieces(100) for _ in piece.items()) == databases.N_CRYSTALS + 4


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("ending", ["zip", "tar.gz", "parquet", "extxyz.gz"])
def test_a_truncated_file_is_told(ending: str, share: float, tmp_path: Path) -> None:
    if ending == "zip":
        path = databases.write_zip(tmp_path / "all.zip", cifs(tmp_path))
    elif ending == "tar.gz":
        path = databases.write_tar(tmp_path / "all.tar.gz", cifs(tmp_path))
    elif ending == "parquet":
        path = databases.write_parquet(tmp_path / "all.parquet", nested=True)
    else:
        path = databases.write_extxyz(tmp_path / "all.extxyz.gz")
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    items = items_of(path)
    failures = [item for item in items if isinstance(item, ReadFailure)]
    assert failures
    assert all(str(path) in failure.message for failure in failures)
    # What came before the damage is kept.
    assert len({item.material_id for item in items if isinstance(item, Crystal)}) <= databases.N_CRYSTALS


@pytest.mark.parametrize("ending", [".zip", ".tar", ".parquet"])
def test_a_file_that_is_not_what_it_is_named(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"wrong{ending}"
    path.write_text("something else")
    (failure,) = items_of(path)
    assert isinstance(failure, ReadFailure)
    assert path.name in failure.message


def test_a_parquet_file_without_structures(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"formula": ["NaCl"]}), tmp_path / "t.parquet")
    (failure,) = items_of(tmp_path / "t.parquet")
    assert isinstance(failure, ReadFailure)
    assert "column structure" in failure.message


def test_a_missing_file_of_a_list_is_one_failure(tmp_path: Path) -> None:
    (tmp_path / "all.txt").write_text("nowhere.cif\n")
    (failure,) = items_of(tmp_path / "all.txt")
    assert isinstance(failure, ReadFailure)
    assert "nowhere.cif" in failure.message


@pytest.mark.parametrize("name", ["nowhere", "nowhere/*.cif"])
def test_a_source_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        open_source(str(tmp_path / name))


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no files"):
        open_source(tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_the_bytes_that_are_done_rise_to_all_of_the_source(form: str, tmp_path: Path) -> None:
    source = open_source(FORMS[form](tmp_path))
    ends = [until for _, until in source.cuts(2)]
    assert ends == sorted(ends)
    assert 0 < ends[0] <= ends[-1] == source.size() == sum(path.stat().st_size for path in source.files)


@pytest.mark.parametrize("name", ["x.extxyz", "x.jsonl"])
def test_the_bytes_of_a_long_file_rise_piece_by_piece(name: str, tmp_path: Path) -> None:
    write = databases.write_jsonl if name.endswith(".jsonl") else databases.write_extxyz
    path = write(tmp_path / name, 95)
    ends = [until for _, until in open_source(path).cuts(5)]
    assert len(ends) == 19
    assert ends == sorted(ends)
    assert len(set(ends)) >= 3  # files are read in blocks of some KB
    assert ends[-1] == path.stat().st_size


def test_a_meter_counts_what_is_left(tmp_path: Path) -> None:
    source = open_source(cifs(tmp_path))
    work, meter = Work(source, 5, frozenset({1})), Meter(source.size())
    assert meter.left == source.size()
    pieces = dict(work.left(meter))
    n_bytes = {
        index: sum(Path(path).stat().st_size for path in piece.paths)
        for index, piece in pieces.items()
        if isinstance(piece, FilesPiece)
    }
    assert list(n_bytes) == [0, 2]
    assert meter.left == n_bytes[0] + n_bytes[2]  # that of earlier attempts is neither left nor finished now
    meter.finish(2)
    assert (meter.left, meter.finished) == (n_bytes[0], n_bytes[2])
    meter.finish(0)
    assert meter.left == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_lists_of_files_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    for name in ("café.cif", "plain.cif"):
        (tmp_path / name).write_text("data_x")
    (tmp_path / "list.txt").write_bytes("café.cif\n# a remark\n\nplain.cif\r\n".encode(encoding))
    assert open_source(tmp_path / "list.txt").files == (tmp_path / "café.cif", tmp_path / "plain.cif")


def test_a_list_names_files_by_their_bytes(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.cif"))
    path.write_text("data_x")
    (tmp_path / "list.txt").write_bytes(b"caf\xe9.cif\n")
    assert open_source(tmp_path / "list.txt").files == (path,)
