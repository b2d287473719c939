"""Compressed files, told by their first bytes, read to their verified end and never further than the limits allow."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import PurePath
from typing import IO, Any, BinaryIO

from paraisite.structures.limits import DEFAULT_READING, FREE_BYTES, ReadingLimits, too_large

COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz")
"""What stands behind the suffix of a compressed file's format."""
DECOMPRESSION_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What damaged content raises."""

_CHUNK_BYTES = 1 << 16
_READ_BYTES = 1 << 20
_DICTIONARY_BYTES = 1 << 29
"""Memory that an xz file may ask for; its strongest preset asks for 65 MiB."""
_BGZF_FIELD = b"BC\x02\x00"
"""Marks the blocks of BGZF, the gzip of bgzip, the last of which is empty."""
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def _gzip_decompressor() -> Any:
    return zlib.decompressobj(wbits=31)  # with gzip's header and checksum


def _xz_decompressor() -> Any:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_DICTIONARY_BYTES)


_STARTS: tuple[tuple[bytes, Callable[[], Any]], ...] = (
    (b"\x1f\x8b", _gzip_decompressor),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", _xz_decompressor),
)
_LONGEST_START = max(len(start) for start, _ in _STARTS)


def decompressed_name(name: str) -> str:
    """A file's name without the suffix of its compression."""
    path = PurePath(name)
    return name[: -len(path.suffix)] if path.suffix.lower() in COMPRESSED_SUFFIXES and path.stem else name


def read_bounded(stream: IO[bytes], name: object, limits: ReadingLimits = DEFAULT_READING) -> bytes:
    """All that is left of a stream.

    Raises:
        StructureError: `too_large` for more than `content_bytes`.
    """
    content = io.BytesIO()
    while chunk := stream.read(_READ_BYTES):
        content.write(chunk)
        if content.tell() > limits.content_bytes:
            raise too_large(name, "its content has more than {} bytes", "content_bytes", limits)
    return content.getvalue()


def decompressed(data: bytes, name: object = "content", limits: ReadingLimits = DEFAULT_READING) -> bytes:
    """Content without its compression, if it has one.

    Raises:
        OSError, EOFError, zlib.error, lzma.LZMAError: The content is damaged.
        StructureError: `too_large`.
    """
    if not _is_compressed(data[:_LONGEST_START]):
        return data
    return read_bounded(open_decompressed(io.BytesIO(data), name, limits), name, limits)


def open_decompressed(raw: BinaryIO, name: object = "content", limits: ReadingLimits = DEFAULT_READING) -> IO[bytes]:
    """A stream without the compression of another one, which is at its beginning and can be searched.

    Its end is reached only where the compression says so, and the checksums agree.

    Raises:
        OSError, EOFError, zlib.error, lzma.LZMAError: The content is damaged; also raised when it is read.
    """
    head = raw.read(_LONGEST_START)
    raw.seek(0)
    if not _is_compressed(head):
        return raw
    return io.BufferedReader(_Decompressed(raw, name, limits), _CHUNK_BYTES)


def _is_compressed(head: bytes) -> bool:
    return any(head.startswith(start) for start, _ in _STARTS)


def _damaged(reason: object) -> OSError:
    return OSError(f"its compression is damaged, {reason}; what was read of it before may be wrong")


class _Decompressed(io.RawIOBase):
    """What a compressed file holds: one stream, or several of the same kind one after the other.

    The modules of the standard library end without a word where what follows a bzip2 or xz stream is damaged.
    """

    def __init__(self, raw: BinaryIO, name: object, limits: ReadingLimits) -> None:
        super().__init__()
        self._raw, self._name, self._limits = raw, name, limits
        self._waiting = raw.read(_CHUNK_BYTES)
        self._start, self._new = next(item for item in _STARTS if self._waiting.startswith(item[0]))
        self._decompressor = self._new()
        self._n_in, self._n_out = len(self._waiting), 0
        self._is_bgzf = self._waiting[12:16] == _BGZF_FIELD
        self._last = self._waiting[-len(_BGZF_END) :]

    def readable(self) -> bool:
        """True."""
        return True

    def close(self) -> None:
        """Close the file below."""
        self._raw.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; 0 at the verified end.

        Raises:
            OSError, EOFError, zlib.error, lzma.LZMAError: The content is damaged.
            StructureError: `too_large`.
        """
        while True:
            if self._decompressor.eof and not self._begin_next():
                return 0
            if not self._waiting and not self._pending() and not self._fetch():
                raise EOFError("its compression has no end, so it was cut off")
            data = self._decompress(len(buffer))
            if data:
                buffer[: len(data)] = data
                self._count(len(data))
                return len(data)

    def _decompress(self, size: int) -> bytes:
        waiting, self._waiting = self._waiting, b""
        try:
            data = bytes(self._decompressor.decompress(waiting, size))
        except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise _damaged(error) from error
        if not self._decompressor.eof:
            self._waiting = getattr(self._decompressor, "unconsumed_tail", b"")
        return data

    def _pending(self) -> bool:
        """Whether more comes out without more going in."""
        return not getattr(self._decompressor, "needs_input", True)

    def _begin_next(self) -> bool:
        """Begin the stream after one that ended; False at the end of the file."""
        self._waiting = self._decompressor.unused_data
        while not self._waiting.strip(b"\0"):  # zeros are allowed between streams and at the end
            self._waiting = b""
            if not self._fetch():
                self._check_bgzf()
                return False
        self._waiting = self._waiting.lstrip(b"\0")
        if len(self._waiting) < _LONGEST_START:
            self._fetch()
        if not self._waiting.startswith(self._start):
            raise _damaged("no stream follows the first")
        self._decompressor = self._new()
        return True

    def _fetch(self) -> bool:
        chunk = self._raw.read(_CHUNK_BYTES)
        self._waiting += chunk
        self._n_in += len(chunk)
        self._last = (self._last + chunk)[-len(_BGZF_END) :]
        return bool(chunk)

    def _check_bgzf(self) -> None:
        if self._is_bgzf and self._last != _BGZF_END:
            raise EOFError("its compression lacks the empty block at its end (BGZF), so it was cut off")

    def _count(self, n_bytes: int) -> None:
        self._n_out += n_bytes
        if self._n_out > FREE_BYTES and self._n_out > self._limits.decompressed_bytes(self._n_in):
            raise too_large(self._name, "it grows to more than {} times its size", "expansion", self._limits)
