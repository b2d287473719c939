"""What tells whether the files of a source are those that a scan began with: size, time, and a hash of head and tail."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from paraisite.atomic import atomic_path
from paraisite.sources.own_output import INVENTORY

SAMPLE_BYTES = 1 << 16
"""Bytes that are hashed at either end of a file; shorter files than twice that are hashed whole."""
_THREADS = 16
_FILES_PER_TASK = 256
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What tells a file from what it was.

    Attributes:
        path: Its path, as the source has it.
        size: Its bytes; -1 where there is none.
        mtime_ns: Time of its last change in ns since 1970; 0 where there is none.
        sample: Hash of its head and tail, 16 hexadecimal digits; empty where it cannot be read.
    """

    path: str
    size: int
    mtime_ns: int
    sample: str

    def content(self) -> tuple[object, ...]:
        """What must be equal. The time counts only for a file that is not hashed whole: copies have another."""
        return self.path, self.size, self.sample, self.mtime_ns if self.size > 2 * SAMPLE_BYTES else 0


def identify(path: Path) -> FileIdentity:
    """Identity of a file as it is now."""
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as handle:
            status = os.fstat(handle.fileno())
            digest.update(handle.read(2 * SAMPLE_BYTES if status.st_size <= 2 * SAMPLE_BYTES else SAMPLE_BYTES))
            if status.st_size > 2 * SAMPLE_BYTES:
                handle.seek(-SAMPLE_BYTES, os.SEEK_END)
                digest.update(handle.read(SAMPLE_BYTES))
    except (OSError, ValueError):
        return _unreadable(path)
    return FileIdentity(str(path), status.st_size, status.st_mtime_ns, digest.hexdigest()[:16])


def _unreadable(path: Path) -> FileIdentity:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return FileIdentity(str(path), -1, 0, "")
    return FileIdentity(str(path), status.st_size, status.st_mtime_ns, "")


def identify_all(paths: Sequence[Path]) -> list[FileIdentity]:
    """Identities of files, in their order; several are opened at a time, which takes long on a shared file system."""
    if len(paths) <= _FILES_PER_TASK:
        return _identify_some(paths)
    stream = iter(paths)
    tasks = iter(lambda: list(islice(stream, _FILES_PER_TASK)), [])
    with ThreadPoolExecutor(_THREADS) as pool:
        return [identity for some in pool.map(_identify_some, tasks) for identity in some]


def _identify_some(paths: Iterable[Path]) -> list[FileIdentity]:
    return [identify(path) for path in paths]


def fingerprint(identities: Iterable[FileIdentity]) -> str:
    """Hash of the identities of all files: a scan goes on only with the source that it began with."""
    digest = hashlib.sha256()
    for identity in identities:
        # Names need not be text on every system.
        digest.update("\0".join(map(str, identity.content())).encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()


def write_inventory(out: Path, identities: Sequence[FileIdentity]) -> None:
    """Keep the identities of a source in the scan's folder, so that a file that changed can be named."""
    table = pa.table({
        "path": pa.array([os.fsencode(one.path) for one in identities], pa.binary()),
        "size": pa.array([one.size for one in identities], pa.int64()),
        "mtime_ns": pa.array([one.mtime_ns for one in identities], pa.int64()),
        "sample": pa.array([one.sample for one in identities], pa.string()),
    })  # fmt: skip
    with atomic_path(out / INVENTORY) as path:
        pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def read_inventory(out: Path) -> list[FileIdentity] | None:
    """Read the identities again; None where they are gone or damaged."""
    try:
        rows = pq.read_table(out / INVENTORY, page_checksum_verification=True).to_pylist()
        return [FileIdentity(os.fsdecode(row["path"]), row["size"], row["mtime_ns"], row["sample"]) for row in rows]
    except (OSError, pa.ArrowException, KeyError, TypeError):
        return None


def differences(before: Sequence[FileIdentity] | None, now: Sequence[FileIdentity]) -> str:
    """What differs between two lists of files, by name."""
    if before is None:
        return "other files"
    old, new = {one.path: one for one in before}, {one.path: one for one in now}
    gone = [path for path in old if path not in new or (new[path].size < 0 <= old[path].size)]
    added = [path for path in new if path not in old]
    changed = [path for path in old if path in new and path not in gone and old[path].content() != new[path].content()]
    said = [_said(changed, "was", "changed since"), _said(gone, "is", "gone"), _said(added, "is", "new")]
    return "; ".join(filter(None, said)) or "the same files in another order"


def _said(paths: list[str], verb: str, what: str) -> str:
    rest = len(paths) - _SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    verb = verb if len(paths) == 1 else {"is": "are", "was": "were"}[verb]
    return f"{', '.join(paths[:_SHOWN])}{more} {verb} {what}" if paths else ""


def changed_meanwhile(identities: Sequence[FileIdentity]) -> str:
    """What of a source changed since it was identified, by name; empty where nothing did.

    Only files with another size or time are read again.
    """
    suspects = [one for one in identities if (one.size, one.mtime_ns) != _status(one.path)]
    now = identify_all([Path(one.path) for one in suspects])
    differ = [(one, new) for one, new in zip(suspects, now, strict=True) if one.content() != new.content()]
    return differences([one for one, _ in differ], [new for _, new in differ]) if differ else ""


def _status(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - a million paths
    except (OSError, ValueError):
        return -1, 0
    return status.st_size, status.st_mtime_ns
