"""Predict κ at 300 K of crystals: from files or objects to a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from paraisite.errors import DataError, StructureError
from paraisite.models.files import model_caution
from paraisite.models.interface import Model, ModelOutput
from paraisite.models.names import DEFAULT_MODEL
from paraisite.models.registry import load_model
from paraisite.prediction.chunks import prepare_paths
from paraisite.prediction.prepare import CHUNK_CRYSTALS, NOT_FINITE, Prepared, prepare
from paraisite.prediction.table import columns, make_columns, make_table
from paraisite.prediction.worker import Preparation, prepare_pool, prepare_with
from paraisite.readers.stream import STANDARD_INPUT
from paraisite.sources.walk import crystals_below, files_to_read
from paraisite.structures.convert import as_crystal, is_structure
from paraisite.structures.crystal import Crystal, ReadFailure, ReadOptions
from paraisite.structures.limits import DEFAULT_READING, ReadingLimits
from paraisite.threads import number_of_processes

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms
    from pymatgen.core.structure import Structure

    Given: TypeAlias = str | Path | Crystal | Structure | Atoms
    """A structure, or the path of a file or folder of structures."""

WORKER_FILES = 200
WORKER_BYTES = 1_000_000
"""Fewer and smaller files are read in this process: starting another takes longer."""


class Predictor:
    """Predicts κ at 300 K by a loaded model of whatever kind.

    Attributes:
        model: The model.
        needs: What it asks of every crystal.
        members: Whether its tables give the members too.
        caution: What the model says of all its predictions, last in every `domain_reason`; mostly empty.
    """

    def __init__(
        self,
        model: str | Path | Model = DEFAULT_MODEL,
        *,
        device: str = "cpu",
        threads: int | None = None,
        members: bool = False,
    ) -> None:
        """Load a model.

        Args:
            model: Name of a shipped model, a model folder, or a model that is loaded already, which stays as it is.
            device: `cpu` or `cuda`.
            threads: CPU threads of a network; without it, one for small graphs, where more are slower, else one per core.
            members: Whether its tables give each member's κ, their mean and standard deviation too.

        Raises:
            ModelFileError: There is no such model, or it is damaged.
        """
        self.model = model if isinstance(model, Model) else load_model(model, device, threads)
        self.caution = "" if isinstance(model, Model) else model_caution(model)
        self.needs = self.model.needs
        self.members = members

    @property
    def n_members(self) -> int:
        """Number of members."""
        return self.model.n_members

    @property
    def columns(self) -> list[str]:
        """Columns of every table that this predictor makes."""
        return columns(self.n_members if self.members else None)

    def outputs(self, chunk: Prepared) -> ModelOutput:
        """Predict and judge the crystals of a chunk that have a graph.

        Where the model gives no finite κ, the row of the chunk gets the status `not_finite` and the output is empty.
        """
        output = self.model.predict(chunk.inputs)
        said = replace(output, judgement=output.judgement.with_concerns(chunk.concerns, self.caution))
        finite = np.isfinite(said.kappa).all(axis=0)
        for row in chunk.predicted[~finite]:
            chunk.rows.status[row] = NOT_FINITE
            chunk.rows.error[row] = (
                f"{chunk.rows.source[row] or chunk.rows.material_id[row]}: the model gives no finite κ; its weights are "
                "damaged or its training diverged, so take another model."
            )
        return said.where(finite)

    def predict_prepared(self, chunk: Prepared) -> pd.DataFrame:
        """Predict a chunk of graphs."""
        return self._table(chunk, self.outputs(chunk))

    def _table(self, chunk: Prepared, said: ModelOutput) -> pd.DataFrame:
        return make_table(chunk.rows, chunk.predicted, said.kappa, said.judgement, members=self.members)

    def predict(self, structures: Given | Iterable[Given]) -> pd.DataFrame:
        """Predict crystals.

        Args:
            structures: One crystal or any iterable of them, mixed as they come: `Crystal`, pymatgen `Structure` or ASE
                `Atoms` objects, and paths of structure files or of folders of them.

        Returns:
            One row per structure, in their order; one that cannot be predicted has its reason in `status` and `error`.
        """
        return self._join([self._table(chunk, said) for chunk, said in self.predict_chunks(structures)])

    def predict_chunks(self, structures: Given | Iterable[Given]) -> Iterator[tuple[Prepared, ModelOutput]]:
        """As `predict`, a chunk at a time, with all that the model says instead of a table."""
        items = _items(structures)
        while chunk := list(islice(items, CHUNK_CRYSTALS)):
            prepared = prepare(chunk, self.needs)
            yield prepared, self.outputs(prepared)

    def stream_files(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        format: str | None = None,  # noqa: A002 - the word that users expect
        processes: int | None = None,
        allow_missing_hydrogens: bool = False,
        limits: ReadingLimits = DEFAULT_READING,
    ) -> Iterator[pd.DataFrame]:
        """Predict the crystals of files, a table per chunk, in the order of the files; memory stays bounded.

        Args:
            paths: Structure files, folders of them at any depth, or `-` for the standard input.
            format: Format of all files, as for `iter_crystals`; by each file's name, else its content, if not given.
            processes: Processes in all, this one included; -1 for one per core; without it, that where it pays.
            allow_missing_hydrogens: Predict crystals whose sites lack hydrogens of the formula that their file states, with
                the status `missing_hydrogens`; else they are refused with it.
            limits: What is read at most.

        Yields:
            Tables of up to 256 rows.

        Raises:
            StructureError: `unsupported_format` for a format that does not exist.
        """
        options = ReadOptions(allow_missing_hydrogens=allow_missing_hydrogens, limits=limits)
        for chunk in self._prepared(input_files(paths, format), format, processes, options):
            yield self.predict_prepared(chunk)

    def stream_columns(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        format: str | None = None,  # noqa: A002 - as above
        processes: int | None = None,
        allow_missing_hydrogens: bool = False,
        limits: ReadingLimits = DEFAULT_READING,
    ) -> Iterator[dict[str, Any]]:
        """As `stream_files`, each table as its columns by name, without pandas."""
        options = ReadOptions(allow_missing_hydrogens=allow_missing_hydrogens, limits=limits)
        for chunk in self._prepared(input_files(paths, format), format, processes, options):
            said = self.outputs(chunk)
            yield make_columns(chunk.rows, chunk.predicted, said.kappa, said.judgement, members=self.members)

    def predict_files(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        format: str | None = None,  # noqa: A002 - as above
        processes: int | None = None,
        allow_missing_hydrogens: bool = False,
        limits: ReadingLimits = DEFAULT_READING,
    ) -> pd.DataFrame:
        """Predict the crystals of files: `stream_files` as one table."""
        tables = self.stream_files(
            paths, format=format, processes=processes, allow_missing_hydrogens=allow_missing_hydrogens, limits=limits
        )
        return self._join(list(tables))

    def _prepared(
        self, paths: list[Path], kind: str | None, processes: int | None, options: ReadOptions
    ) -> Iterator[Prepared]:
        wanted = number_of_processes(processes, None if _worth_sharing(paths) else 1)
        # The standard input belongs to this process alone.
        if wanted <= 1 or any(str(path) == STANDARD_INPUT for path in paths):
            yield from prepare_paths(paths, self.needs, options, kind)
            return
        # This process reads the first files itself, while the others start.
        head = CHUNK_CRYSTALS if len(paths) > CHUNK_CRYSTALS else 0
        with prepare_pool(wanted - 1, Preparation(self.needs, options, kind)) as pool:
            rest = prepare_with(pool, paths[head:])
            yield from prepare_paths(paths[:head], self.needs, options, kind)
            yield from rest

    def _join(self, tables: list[pd.DataFrame]) -> pd.DataFrame:
        import pandas as pd  # noqa: PLC0415 - half a second, for which the command line has no use

        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=self.columns)


def predict(
    structures: Given | Iterable[Given],
    model: str | Path = DEFAULT_MODEL,
    *,
    device: str = "cpu",
    members: bool = False,
) -> pd.DataFrame:
    """Predict κ at 300 K of one crystal or many, given as objects or files; see `Predictor.predict`."""
    return Predictor(model, device=device, members=members).predict(structures)


def predict_files(
    paths: str | Path | Sequence[str | Path],
    model: str | Path = DEFAULT_MODEL,
    *,
    device: str = "cpu",
    format: str | None = None,  # noqa: A002 - the word that users expect
    processes: int | None = None,
    allow_missing_hydrogens: bool = False,
    limits: ReadingLimits = DEFAULT_READING,
    members: bool = False,
) -> pd.DataFrame:
    """Predict κ at 300 K of the crystals in files; see `Predictor.predict_files`."""
    return Predictor(model, device=device, members=members).predict_files(
        paths, format=format, processes=processes, allow_missing_hydrogens=allow_missing_hydrogens, limits=limits
    )


def _items(structures: Given | Iterable[Given]) -> Iterator[Crystal | ReadFailure]:
    """The crystals of what a user gives: objects as they are, paths as the crystals of their files."""
    for index, structure in enumerate(_listed(structures), 1):
        if isinstance(structure, str | Path):
            yield from crystals_below([structure])
        else:
            yield _convert(index, structure)


def _listed(structures: Given | Iterable[Given]) -> Iterable[Any]:
    """One structure as a list of it. pymatgen's and ASE's objects are iterable too, over their atoms."""
    if isinstance(structures, str | Path) or is_structure(structures):
        return [structures]
    if isinstance(structures, Mapping | bytes) or not isinstance(structures, Iterable):
        raise DataError(
            f"{type(structures).__name__} is no crystal; give a path, a Crystal, a pymatgen Structure or ASE Atoms, or a "
            "list of them."
        )
    return structures


def _convert(index: int, structure: Any) -> Crystal | ReadFailure:
    try:
        return as_crystal(structure)
    except StructureError as error:
        return ReadFailure(f"structure-{index}", "", error.code, f"Structure {index}: {error}")


def input_files(paths: str | Path | Sequence[str | Path], kind: str | None = None) -> list[Path]:
    """Files that a prediction of paths reads: each folder is replaced by its files.

    Args:
        paths: Structure files and folders.
        kind: Format of all files; by each file's name, else its content, if not given.
    """
    expanded: list[Path] = []
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        try:
            expanded += files_to_read(path, kind) if path.is_dir() else [path]
        except (StructureError, OSError):
            expanded.append(path)  # the reader says what is wrong with it
    return expanded


def _worth_sharing(paths: list[Path]) -> bool:
    """Whether reading takes longer than starting another process."""
    return len(paths) >= WORKER_FILES or sum(path.stat().st_size for path in paths if path.is_file()) > WORKER_BYTES
