"""Chunks of structures carried through the pipeline together; what fails for one costs that one alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from paraisite.models.inputs import Needs
from paraisite.prediction.prepare import CHUNK_CRYSTALS, Prepared, prepare
from paraisite.processes.watchdog import Watchdog, watched
from paraisite.sources.walk import crystals_below
from paraisite.structures.checks import one_line
from paraisite.structures.crystal import STRICT, Crystal, ReadFailure, ReadOptions

_T = TypeVar("_T")

UNEXPECTED = "unexpected_error"


def prepare_paths(
    paths: Iterable[str | Path],
    needs: Needs,
    options: ReadOptions = STRICT,
    format: str | None = None,  # noqa: A002 - the word that users expect
    watchdog: Watchdog | None = None,
) -> Iterator[Prepared]:
    """Read structure files and build their graphs, a chunk at a time; a bad structure becomes a row with its error.

    Args:
        paths: Files and folders.
        needs: What the model asks of crystals.
        options: What readers let pass.
        format: Format of all files, as for `iter_crystals`.
        watchdog: As for `prepare_stream`.
    """
    return prepare_stream(crystals_below(paths, format, options), needs, watchdog)


def prepare_stream(
    stream: Iterator[Crystal | ReadFailure], needs: Needs, watchdog: Watchdog | None = None
) -> Iterator[Prepared]:
    """Build the graphs of crystals that come one at a time, a chunk at a time.

    Args:
        stream: The crystals.
        needs: What the model asks of them.
        watchdog: Limits the time for each, in a working process; not while it waits until a chunk is taken.
    """
    if watchdog is None:
        while items := list(islice(stream, CHUNK_CRYSTALS)):
            yield with_failures(items, lambda chosen: prepare(chosen, needs))
        return
    steps = watched(stream, watchdog)
    while True:
        with watchdog:
            items = list(islice(steps, CHUNK_CRYSTALS))
            watchdog.allow(len(items) + 1)
            prepared = with_failures(items, lambda chosen: prepare(chosen, needs)) if items else None
        if prepared is None:
            return
        yield prepared


def with_failures(items: list[Crystal | ReadFailure], work: Callable[[list[Crystal | ReadFailure]], _T]) -> _T:
    """Do the work on a chunk; where it raises, the crystals that alone make it raise become failures.

    The readers and checks refuse what is known to be wrong; this keeps what nobody thought of from costing a whole scan.

    Args:
        items: The chunk.
        work: Takes crystals and failures.
    """
    try:
        return work(items)
    except Exception:
        return work([_alone(item, work) for item in items])


def _alone(item: Crystal | ReadFailure, work: Callable[[list[Crystal | ReadFailure]], object]) -> Crystal | ReadFailure:
    if isinstance(item, ReadFailure):
        return item
    try:
        work([item])
    except Exception as error:
        message = f"{item.source or item.material_id}: {type(error).__name__}, {one_line(error)}; leave it out."
        return ReadFailure(item.material_id, item.source, UNEXPECTED, message)
    return item
