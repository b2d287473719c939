"""What a scan's folder says of itself, so that a scan that was stopped goes on with the same source, model and parts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from paraisite.atomic import write_text_atomic
from paraisite.errors import RunError
from paraisite.sources.own_output import MANIFEST, PARTS
from paraisite.structures.limits import DEFAULT_READING
from paraisite.version import __version__

_PART = re.compile(r"part-(\d{8})\.parquet")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What decides the rows of a scan.

    Attributes:
        source: The source, in words.
        fingerprint: Hash of the identities of the source's files.
        model: Name or folder of the model.
        model_hash: Hash of what decides its numbers.
        n_members: Its members.
        piece_size: Structures of a part, at most.
        symmetry: Whether space groups were looked for.
        members: Whether the rows have each member's κ, their mean and standard deviation.
        allow_missing_hydrogens: Whether crystals without all their hydrogens were predicted.
        given: The source as the user gave it; empty where that was no text.
        query: Filter of an `optimade:` source.
        limits: What was read at most, by the names of `ReadingLimits`.
        version: Version of the package.
    """

    source: str
    fingerprint: str
    model: str
    model_hash: str
    n_members: int
    piece_size: int
    symmetry: bool
    members: bool
    allow_missing_hydrogens: bool = False
    given: tuple[str, ...] = ()
    query: str = ""
    limits: dict[str, int] = field(default_factory=lambda: asdict(DEFAULT_READING))
    version: str = __version__

    def identity(self) -> str:
        """Hash of all that, 16 hexadecimal digits: equal for parts that may stand in one folder."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan came when that was last noted; a running scan does every few seconds.

    Attributes:
        complete: Whether every piece had its part.
        parts: Parts that were there, all of them for a complete scan.
        rows: Their rows.
        share: Share of the source that they are, by bytes.
    """

    complete: bool = False
    parts: int = 0
    rows: int = 0
    share: float = 0.0


def part_path(out: Path, index: int) -> Path:
    """Where a piece's rows are written."""
    return out / PARTS / f"part-{index:08d}.parquet"


def done_parts(out: Path) -> set[int]:
    """Pieces whose rows are there; a part is written whole or not at all."""
    folder = out / PARTS
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else iter(())
    return {int(match[1]) for name in names if (match := _PART.fullmatch(name))}


def remove_left_overs(out: Path) -> None:
    """Remove what killed workers left half written."""
    for left_over in (out / PARTS).glob(".*.part"):
        left_over.unlink(missing_ok=True)


def write_scan_manifest(
    out: Path, manifest: Manifest, progress: Progress, counts: Mapping[str, int] | None = None
) -> None:
    """Write what a scan is and how far it came.

    Args:
        out: The scan's folder.
        manifest: What decides its rows.
        progress: How far it came.
        counts: Rows by status of a finished scan.
    """
    content: dict[str, Any] = {**asdict(manifest), "identity": manifest.identity(), **asdict(progress)}
    if counts is not None:
        content["rows_by_status"] = dict(counts)
    write_text_atomic(out / MANIFEST, json.dumps(content, indent=1) + "\n")


def read_manifest(out: str | Path) -> Manifest:
    """Read what a scan's folder says of itself.

    Raises:
        RunError: The folder holds no scan, or its manifest is damaged.
    """
    return _read(Path(out))[0]


def read_progress(out: str | Path) -> Progress:
    """Read how far a scan came.

    Raises:
        RunError: As for `read_manifest`.
    """
    return _read(Path(out))[1]


def _read(out: Path) -> tuple[Manifest, Progress]:
    path = out / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        values = {field.name: content[field.name] for field in fields(Manifest)}
        manifest = Manifest(**{**values, "given": tuple(values["given"])})
        if content.get("identity", manifest.identity()) != manifest.identity():
            raise ValueError("its identity is another")
        known = asdict(Progress())
        progress = Progress(**{name: type(known[name])(content.get(name, known[name])) for name in known})
    except OSError as error:
        raise RunError(f"{out} holds no scan: {MANIFEST} cannot be read, {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"The manifest {path} is damaged; delete it, and give the whole command of the scan again with --resume, which "
            "writes it anew."
        ) from error
    return manifest, progress


def difference(before: Manifest, now: Manifest) -> str:
    """What of a scan's options, model or version is another than at its beginning, by name; empty where nothing is.

    The source is compared by its files, see `paraisite.screening.identity`.
    """
    if before.model == now.model and before.model_hash != now.model_hash:
        return f"other weights of the model {before.model}"
    for name in (one.name for one in fields(Manifest)):
        old, new = getattr(before, name), getattr(now, name)
        if name not in {"source", "given", "fingerprint", "model_hash"} and old != new:
            return f"{name} {old!r}, not {new!r}"
    return ""
