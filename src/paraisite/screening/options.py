"""How a scan works, and how it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from paraisite.errors import RunError
from paraisite.fetch.common import FetchReporter
from paraisite.fetch.policy import DEFAULT_LIMITS, HttpLimits
from paraisite.models.names import DEFAULT_MODEL
from paraisite.screening.manifest import Manifest
from paraisite.structures.limits import DEFAULT_READING, ReadingLimits

PIECE_SIZE = 1024


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How a scan works. What decides its rows may be left unset: a scan that goes on takes it from its folder.

    Attributes:
        model: Shipped model or model folder; the default model if unset.
        device: `cpu` or `cuda`.
        processes: Working processes; one per usable core if unset or -1.
        piece_size: Structures of a part, at most; 1024 if unset.
        symmetry: Whether to look for space groups, which takes about a millisecond a crystal; not if unset.
        allow_missing_hydrogens: Predict crystals whose sites lack hydrogens of the stated formula, with the status
            `missing_hydrogens`; else they are refused with it, also if unset.
        members: Whether to keep each member's κ, their mean and standard deviation; not if unset.
        resume: Go on with the scan that is in the folder.
        query: Filter of an `optimade:` source.
        engine: `local`, or `ray` for a cluster.
        address: Address of a Ray cluster; without it Ray starts one on this machine.
        report: Called after every part.
        report_fetch: Called while structures are fetched from a server.
        fetch_limits: What is taken from a server at most.
        limits: What is read of the source at most; the usual limits if unset.
    """

    model: str | Path | None = None
    device: str = "cpu"
    processes: int | None = None
    piece_size: int | None = None
    symmetry: bool | None = None
    allow_missing_hydrogens: bool | None = None
    members: bool | None = None
    resume: bool = False
    query: str = ""
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    report: Callable[[ScanProgress], None] | None = None
    report_fetch: FetchReporter | None = None
    fetch_limits: HttpLimits = DEFAULT_LIMITS
    limits: ReadingLimits | None = None


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How a scan stands.

    Attributes:
        rows: Rows written, those of earlier attempts too.
        rows_now: Rows written by this attempt.
        failed: Rows without a prediction.
        parts: Parts that are finished.
        seconds: Time of this attempt.
        seconds_left: Time that is left, by the bytes of the source that are done and left; None while nothing is known.
    """

    rows: int
    rows_now: int
    failed: int
    parts: int
    seconds: float
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class RowOptions:
    """Those options that decide the rows of a scan, all of them set.

    Attributes:
        model: Shipped model or model folder.
        piece_size: Structures of a part, at most.
        symmetry: Whether to look for space groups.
        allow_missing_hydrogens: Whether to predict crystals whose sites lack hydrogens of the stated formula.
        members: Whether to keep each member's κ, their mean and standard deviation.
        query: Filter of an `optimade:` source.
        limits: What is read of the source at most.
    """

    model: str
    piece_size: int
    symmetry: bool
    allow_missing_hydrogens: bool
    members: bool
    query: str
    limits: ReadingLimits = DEFAULT_READING


_DEFAULTS = RowOptions(
    DEFAULT_MODEL, PIECE_SIZE, symmetry=False, allow_missing_hydrogens=False, members=False, query=""
)


def row_options(options: ScanOptions, begun: Manifest | None, out: Path) -> RowOptions:
    """Set what is unset: as the scan in the folder was begun, or as usual.

    Args:
        options: What the user gives.
        begun: The scan to go on with, if there is one.
        out: Its folder, for the message.

    Raises:
        RunError: An option is given that contradicts the scan to go on with, or one that has no meaning.
    """
    values = {name: getattr(_DEFAULTS, name) for name in RowOptions.__slots__}
    for name in RowOptions.__slots__:
        given = getattr(options, name)
        given = None if given == "" else str(given) if isinstance(given, Path) else given
        stored = getattr(begun, name) if begun is not None else None
        if name == "limits" and stored is not None:
            stored = ReadingLimits(**stored)
        if None not in {given, stored} and given != stored:
            raise RunError(
                f"The scan in {out} was begun with {name} {_shown(stored)}, not {_shown(given)}; leave the option out to "
                "go on with it, or choose another folder."
            )
        value = given if given is not None else stored
        if value is not None:
            values[name] = value
    chosen = RowOptions(**values)
    if chosen.piece_size < 1:
        raise RunError(f"A part cannot hold {chosen.piece_size} structures; give a piece size of at least 1.")
    return chosen


def _shown(value: object) -> str:
    """A value for a message."""
    return str(value) if isinstance(value, ReadingLimits) else repr(value)
