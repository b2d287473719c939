"""Row groups of many pieces: read forwards, in any order, and never as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paraisite.sources.parquet import parquet_pieces
from paraisite.sources.pieces import Piece
from paraisite.structures.crystal import Crystal, ReadFailure

N_ROWS, PIECE = 5000, 700


def write_group(path: Path, n_rows: int = N_ROWS, first: int = 0) -> Path:
    """A file of one row group: caesium chloride, each cell a little larger than the one before."""
    lengths = 4.0 + 1e-5 * np.arange(first, first + n_rows)
    cells = np.eye(3) * lengths[:, None, None]
    sites = np.stack([np.zeros((n_rows, 3)), np.repeat(lengths[:, None] / 2, 3, axis=1)], axis=1)
    table = pa.table({
        "material_id": [str(number) for number in range(first, first + n_rows)],
        "lattice_vectors": cells.tolist(),
        "cartesian_site_positions": sites.tolist(),
        "species_at_sites": [["Cs", "Cl"]] * n_rows,
    })  # fmt: skip
    pq.write_table(table, path, row_group_size=n_rows)
    return path


def identifiers(piece: Piece) -> list[int]:
    items = list(piece.items())
    assert all(isinstance(item, Crystal) for item in items), items[0]
    return [int(item.material_id) for item in items]


@pytest.mark.parametrize("step", [1, -1, 2, 3])
def test_pieces_of_one_row_group_in_any_order(tmp_path: Path, step: int) -> None:
    pieces = list(parquet_pieces(write_group(tmp_path / "a.parquet"), PIECE))
    assert len(pieces) == 8
    for number in list(range(len(pieces)))[::step]:
        assert identifiers(pieces[number]) == list(range(N_ROWS))[number * PIECE : (number + 1) * PIECE]


def test_each_crystal_is_that_of_its_row(tmp_path: Path) -> None:
    for number, piece in enumerate(parquet_pieces(write_group(tmp_path / "a.parquet"), PIECE)):
        for row, item in enumerate(piece.items(), number * PIECE):
            assert isinstance(item, Crystal)
            assert item.source == f"{tmp_path / 'a.parquet'}#{row + 1}"
            assert item.cell[0, 0] == pytest.approx(4.0 + 1e-5 * row, abs=1e-12)


def test_two_files_in_turn(tmp_path: Path) -> None:
    first = parquet_pieces(write_group(tmp_path / "a.parquet"), PIECE)
    second = parquet_pieces(write_group(tmp_path / "b.parquet", first=N_ROWS), PIECE)
    read = [number for pair in zip(first, second, strict=True) for piece in pair for number in identifiers(piece)]
    assert sorted(read) == list(range(2 * N_ROWS))


def test_a_file_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = write_group(tmp_path / "a.parquet")
    before, after = list(parquet_pieces(path, PIECE))[:2]
    assert identifiers(before)[0] == 0
    path.unlink()
    write_group(path, N_ROWS + 1, first=N_ROWS)
    assert identifiers(after)[0] == N_ROWS + PIECE


def test_a_group_that_breaks_off_is_a_failure_of_each_piece_behind_the_break(tmp_path: Path) -> None:
    path = write_group(tmp_path / "a.parquet")
    pieces = list(parquet_pieces(path, PIECE))
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    for piece in pieces:
        (item,) = piece.items()
        assert isinstance(item, ReadFailure)
        assert item.code == "unreadable"
    path.write_bytes(whole)
    assert identifiers(pieces[1])[0] == PIECE


READ_ALL = """
import sys
from pathlib import Path
import pyarrow as pa
from paraisite.sources.parquet import parquet_pieces
n = sum(len(list(piece.items())) for piece in parquet_pieces(Path(sys.argv[1]), 2000))
print(n, pa.default_memory_pool().max_memory())
"""


def test_a_long_row_group_is_never_held_as_a_whole(tmp_path: Path) -> None:
    path = write_group(tmp_path / "a.parquet", 60_000)
    whole = pq.read_table(path).nbytes
    # In a process of its own: Arrow's high-water mark is that of the process.
    printed = subprocess.run([sys.executable, "-c", READ_ALL, str(path)], capture_output=True, text=True, check=True)
    n_rows, peak = map(int, printed.stdout.split())
    assert n_rows == 60_000
    assert peak < whole  # read at once it takes twice as much and more
