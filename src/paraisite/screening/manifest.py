"""What a scan's folder says of itself, so that a scan that was stopped goes on with the same source, model and parts."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from paraisite.atomic import write_text_atomic
from paraisite.errors import RunError
from paraisite.structures.limits import DEFAULT_READING
from paraisite.version import __version__

MANIFEST = "scan.json"
PARTS = "parts"
_PART = re.compile(r"part-(\d{8})\.parquet")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What decides the rows of a scan.

    Attributes:
        source: The source as the user gave it.
        fingerprint: Hash of the source's files.
        model: Name or folder of the model.
        model_hash: Hash of its weights.
        n_members: Its members.
        piece_size: Structures of a part, at most.
        symmetry: Whether space groups were looked for.
        members: Whether the rows have each member's κ, their mean and standard deviation.
        allow_missing_hydrogens: Whether crystals without all their hydrogens were predicted.
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
    limits: dict[str, int] = field(default_factory=lambda: asdict(DEFAULT_READING))
    version: str = __version__


def part_path(out: Path, index: int) -> Path:
    """Where a piece's rows are written."""
    return out / PARTS / f"part-{index:08d}.parquet"


def done_parts(out: Path) -> set[int]:
    """Pieces whose rows are there; a part is written whole or not at all."""
    folder = out / PARTS
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else iter(())
    return {int(match[1]) for name in names if (match := _PART.fullmatch(name))}


def part_paths(out: str | Path) -> list[Path]:
    """Parts of a scan, in order.

    Raises:
        RunError: The folder holds no scan, or none of its parts is finished.
    """
    folder = Path(out)
    read_manifest(folder)
    paths = [part_path(folder, index) for index in sorted(done_parts(folder))]
    if not paths:
        raise RunError(f"The scan in {out} has no finished part yet.")
    return paths


def refuse_second(out: Path, *, resume: bool) -> None:
    """Refuse to begin a scan where there is one.

    Raises:
        RunError: There is a scan already, and it is not to be resumed.
    """
    if (out / MANIFEST).exists() and not resume:
        raise RunError(f"{out} holds a scan already; go on with it by --resume, or choose another folder.")


def begin(out: Path, manifest: Manifest) -> None:
    """Write the manifest of a new scan, or compare it with that of the one to go on with.

    Raises:
        RunError: The folder holds another scan.
    """
    path = out / MANIFEST
    if not path.exists():
        if done_parts(out):
            raise RunError(f"{out} holds parts of a scan without its {MANIFEST}; choose another folder.")
        write_text_atomic(path, json.dumps({**asdict(manifest), "complete": False}, indent=1) + "\n")
        return
    before = read_manifest(out)
    for name, value in asdict(manifest).items():
        if getattr(before, name) != value:
            shown = "other files" if name == "fingerprint" else f"{name} {getattr(before, name)!r}, not {value!r}"
            raise RunError(f"The scan in {out} was begun with {shown}; choose another folder.")
    remove_left_overs(out)


def remove_left_overs(out: Path) -> None:
    """Remove what killed workers left half written."""
    for left_over in (out / PARTS).glob(".*.part"):
        left_over.unlink()


def finish(out: Path, manifest: Manifest, counts: dict[str, int]) -> None:
    """Note that every piece is done, with the number of rows by status."""
    content = {**asdict(manifest), "complete": True, "rows": sum(counts.values()), "rows_by_status": counts}
    write_text_atomic(out / MANIFEST, json.dumps(content, indent=1) + "\n")


def read_manifest(out: str | Path) -> Manifest:
    """Read what a scan's folder says of itself.

    Raises:
        RunError: The folder holds no scan, or its manifest is damaged.
    """
    path = Path(out) / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Manifest(**{name: content[name] for name in Manifest.__slots__})
    except OSError as error:
        raise RunError(f"{out} holds no scan: {MANIFEST} cannot be read, {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"The manifest {path} is damaged; begin the scan anew in another folder.") from error


def file_hash(path: Path) -> str:
    """SHA-256 of a file, 16 hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]
