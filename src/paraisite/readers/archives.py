"""Zip and tar archives: which they are, and the files in them."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from paraisite.structures.checks import unreadable

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive, by its name."""
    return path.name.lower().endswith((".zip", *TAR_SUFFIXES))


def is_member(name: str) -> bool:
    """Whether an archive's member is read; folders, hidden files and what macOS adds are not."""
    parts = Path(name).parts
    return not name.endswith("/") and not any(part.startswith((".", "__MACOSX")) for part in parts)


def archive_members(path: Path) -> Iterator[tuple[str, bytes | Exception]]:
    """Name and content of every file in an archive, or why it has none: a zip's by name, a tar's in its order.

    Raises:
        StructureError: `unreadable` for an archive without files, and behind the members that stand before damage.
    """
    n_members = 0
    try:
        for member in _zip_members(path) if path.name.lower().endswith(".zip") else _tar_members(path):
            n_members += 1
            yield member
    except Exception as error:
        raise unreadable(path, f"the archive is broken after {n_members} files, {error}") from error
    if n_members == 0:
        raise unreadable(path, "the archive holds no files")


def _zip_members(path: Path) -> Iterator[tuple[str, bytes | Exception]]:
    with zipfile.ZipFile(path) as archive:
        for name in sorted(name for name in archive.namelist() if is_member(name)):
            try:
                content: bytes | Exception = archive.read(name)
            except Exception as error:
                content = error
            yield name, content


def _tar_members(path: Path) -> Iterator[tuple[str, bytes | Exception]]:
    with path.open("rb") as raw, tarfile.open(fileobj=raw, mode="r|*") as archive:
        for member in archive:
            if member.isfile() and is_member(member.name):
                handle = archive.extractfile(member)
                yield member.name, b"" if handle is None else handle.read()
