"""Predict κ at 300 K of crystals: from files or objects to a table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paraisite.errors import StructureError
from paraisite.models.files import find_model
from paraisite.models.names import DEFAULT_MODEL
from paraisite.prediction.backends import load_backend
from paraisite.prediction.chunks import prepare_paths
from paraisite.prediction.prepare import CHUNK_CRYSTALS, Prepared, prepare
from paraisite.prediction.table import columns, make_table
from paraisite.prediction.worker import prepare_pool, prepare_with
from paraisite.structures.convert import as_crystal
from paraisite.structures.crystal import Crystal, ReadFailure
from paraisite.structures.readers import structure_files
from paraisite.uncertainty.judgement import Judgement

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure

WORKER_FILES = 200
WORKER_BYTES = 1_000_000
"""Fewer and smaller files are read in this process: starting another takes longer."""


class Predictor:
    """A loaded ensemble that predicts κ at 300 K.

    Attributes:
        backend: The loaded model; see `paraisite.prediction.backends`.
        settings: Graph settings that it was trained with.
    """

    def __init__(self, model: str | Path = DEFAULT_MODEL, *, device: str = "cpu", threads: int | None = None) -> None:
        """Load a model.

        Args:
            model: Name of a shipped model, or a model folder.
            device: `cpu` or `cuda`.
            threads: CPU threads of a network; without it, one for small graphs, where more are slower, else one a core.

        Raises:
            ModelFileError: There is no such model, or it is damaged.
        """
        self.backend = load_backend(find_model(model), device, threads)
        self.settings = self.backend.settings

    @property
    def n_members(self) -> int:
        """Number of members."""
        return self.backend.n_members

    @property
    def columns(self) -> list[str]:
        """Columns of every table that this predictor makes."""
        return columns(self.n_members)

    def outputs(self, chunk: Prepared) -> tuple[np.ndarray, Judgement]:
        """Predict and judge a chunk's graphs; see `paraisite.prediction.backends.Backend.outputs`."""
        return self.backend.outputs(chunk)

    def predict_prepared(self, chunk: Prepared) -> pd.DataFrame:
        """Predict a chunk of graphs."""
        return make_table(chunk.rows, chunk.predicted, *self.outputs(chunk))

    def predict(self, structures: Iterable[Crystal | Structure | Atoms]) -> pd.DataFrame:
        """Predict crystals given as objects.

        Args:
            structures: `Crystal`, pymatgen `Structure` or ASE `Atoms` objects.

        Returns:
            One row a structure; one that cannot be predicted has its reason in `status` and `error`.
        """
        items = (_convert(index, structure) for index, structure in enumerate(structures, 1))
        tables = []
        while chunk := list(islice(items, CHUNK_CRYSTALS)):
            tables.append(self.predict_prepared(prepare(chunk, self.settings)))
        return self._join(tables)

    def stream_files(
        self, paths: str | Path | Sequence[str | Path], *, processes: int | None = None
    ) -> Iterator[pd.DataFrame]:
        """Predict the crystals of files, a table a chunk, in the order of the files; memory stays bounded.

        Args:
            paths: Structure files or folders of them.
            processes: Processes in all, this one included; without it, one a core where there are enough files.

        Yields:
            Tables of up to 256 rows.
        """
        for chunk in self._prepared(_expand(paths), processes):
            yield self.predict_prepared(chunk)

    def predict_files(self, paths: str | Path | Sequence[str | Path], *, processes: int | None = None) -> pd.DataFrame:
        """Predict the crystals of files: `stream_files` as one table."""
        return self._join(list(self.stream_files(paths, processes=processes)))

    def _prepared(self, paths: list[Path], processes: int | None) -> Iterator[Prepared]:
        wanted = processes or ((os.cpu_count() or 1) if _worth_sharing(paths) else 1)
        if wanted <= 1:
            yield from prepare_paths(paths, self.settings)
            return
        # This process reads the first files itself, while the others start.
        head = CHUNK_CRYSTALS if len(paths) > CHUNK_CRYSTALS else 0
        with prepare_pool(wanted - 1, self.settings) as pool:
            rest = prepare_with(pool, paths[head:])
            yield from prepare_paths(paths[:head], self.settings)
            yield from rest

    def _join(self, tables: list[pd.DataFrame]) -> pd.DataFrame:
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=self.columns)


def predict(
    structures: Iterable[Crystal | Structure | Atoms], model: str | Path = DEFAULT_MODEL, *, device: str = "cpu"
) -> pd.DataFrame:
    """Predict κ at 300 K of crystals given as objects; see `Predictor.predict`."""
    return Predictor(model, device=device).predict(structures)


def predict_files(
    paths: str | Path | Sequence[str | Path],
    model: str | Path = DEFAULT_MODEL,
    *,
    device: str = "cpu",
    processes: int | None = None,
) -> pd.DataFrame:
    """Predict κ at 300 K of the crystals in files; see `Predictor.predict_files`."""
    return Predictor(model, device=device).predict_files(paths, processes=processes)


def _convert(index: int, structure: Any) -> Crystal | ReadFailure:
    try:
        return as_crystal(structure)
    except StructureError as error:
        return ReadFailure(f"structure-{index}", "", error.code, f"Structure {index}: {error}")


def _expand(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    """Replace each folder by its files, so that they can be shared out."""
    expanded: list[Path] = []
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        try:
            expanded += structure_files(path, None) if path.is_dir() else [path]
        except (StructureError, OSError):
            expanded.append(path)  # the reader says what is wrong with it
    return expanded


def _worth_sharing(paths: list[Path]) -> bool:
    """Whether reading takes longer than starting another process."""
    return len(paths) >= WORKER_FILES or sum(path.stat().st_size for path in paths if path.is_file()) > WORKER_BYTES
