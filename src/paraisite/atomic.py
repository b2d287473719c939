"""Files that are whole or absent: written beside their place, then moved into it; and whether one still is what it was."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RUST_ERROR = re.compile(r"\(os error (\d+)\)$")
"""How libraries written in Rust, such as safetensors, end the message of an error that is none of Python's `OSError`s."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and move it there when the block ends without an error.

    Raises:
        OSError: The disk is full, or the place cannot be written, whatever library said so.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The end of the name alone: with the whole one, a name that is just short enough for the file system would not be.
    temporary = path.with_name(f".{path.name[-50:]}.{os.getpid()}.part")
    try:
        with errors_name(path):
            yield temporary
            temporary.chmod(0o644)  # some writers make files that nobody else may read
            with temporary.open("rb+") as handle:
                os.fsync(handle.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def errors_name(path: str | Path) -> Iterator[None]:
    """Have the system's errors in the block, such as that of a full disk, name the file that is written.

    Raises:
        OSError: The error with the name, whatever library said so.
    """
    try:
        yield
    except Exception as error:
        number = _system_error(error)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def _system_error(error: Exception) -> int | None:
    """Number of an error of the system that does not name its file; None for any other."""
    if isinstance(error, OSError):
        return error.errno if error.filename is None else None
    match = _RUST_ERROR.search(str(error))
    return int(match[1]) if match else None


def write_text_atomic(path: str | Path, content: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
