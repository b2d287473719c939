"""Compressed files, told by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import PurePath
from typing import IO, BinaryIO

COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz")
"""What stands behind the suffix of a compressed file's format."""
DECOMPRESSION_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What damaged content raises."""

_STARTS = ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ\x00", lzma))


def decompressed_name(name: str) -> str:
    """A file's name without the suffix of its compression."""
    path = PurePath(name)
    return name[: -len(path.suffix)] if path.suffix.lower() in COMPRESSED_SUFFIXES and path.stem else name


def decompressed(data: bytes) -> bytes:
    """Content without its compression, if it has one.

    Raises:
        OSError, EOFError, zlib.error, lzma.LZMAError: The content is damaged.
    """
    for start, module in _STARTS:
        if data.startswith(start):
            try:
                return bytes(module.decompress(data))
            except ValueError as error:  # the word of bz2 for what ends early
                raise EOFError(str(error)) from error
    return data


def open_decompressed(raw: BinaryIO) -> IO[bytes]:
    """A stream without the compression of another one, which is at its beginning and can be searched."""
    head = raw.read(max(len(start) for start, _ in _STARTS))
    raw.seek(0)
    for start, module in _STARTS:
        if head.startswith(start):
            opened: IO[bytes] = module.open(raw, "rb")
            return opened
    return raw
