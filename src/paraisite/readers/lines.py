"""Lines of a text that is never held in memory as a whole, none longer than a record may be."""

from __future__ import annotations

import codecs
import io
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO, Any

from paraisite.structures.limits import ReadingLimits

_BLOCK_BYTES = 1 << 13


def bounded_lines(binary: IO[bytes], limits: ReadingLimits) -> Iterator[str]:
    """Lines of a text in UTF-8, each with its end; what an error leaves of them comes before it.

    Of one that is longer than a record may be, a beginning that is longer too is given. Thousands of blank lines in a row are
    given as some.
    """
    begun: list[str] = []
    n_begun = 0
    for block in _blocks(binary):
        if not block:
            continue
        if block.isspace() and not begun:
            yield "\n"
            continue
        first, *more = block.split("\n")
        if n_begun <= limits.record_bytes:
            begun.append(first)
        n_begun += len(first)
        if more:
            yield "".join(begun) + "\n"
            last = more.pop()
            yield from [f"{line}\n" for line in more]
            begun, n_begun = [last] if last else [], len(last)
    if begun:
        yield "".join(begun)


def _blocks(binary: IO[bytes]) -> Iterator[str]:
    """Decoded blocks. A `TextIOWrapper` would lose what it decoded before an error in its next block."""
    utf8 = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
    buffered: Any = binary
    while data := buffered.read1(_BLOCK_BYTES):
        yield decoder.decode(data)
    yield decoder.decode(b"", final=True)


class Lines:
    """Lines of a stream that can be put back."""

    def __init__(self, stream: Iterable[str]) -> None:
        """Take any iterable of lines."""
        self._stream = iter(stream)
        self._back: deque[str] = deque()

    def __iter__(self) -> Iterator[str]:
        """The lines themselves."""
        return self

    def __next__(self) -> str:
        """The next line."""
        return self._back.popleft() if self._back else next(self._stream)

    def put_back(self, lines: Iterable[str]) -> None:
        """Make these the next lines."""
        self._back.extendleft(reversed(list(lines)))

    def peek(self) -> str | None:
        """The next line that is not blank, left in place; None at the end."""
        for line in self:
            if not line.isspace():
                self._back.appendleft(line)
                return line
        return None

    def peek_whole(self) -> str | None:
        """As `peek`; None too where reading fails, which is then raised for the next line: what was read before is whole."""
        try:
            return self.peek()
        except Exception as error:
            self._stream = _raising(error)
            return None


def _raising(error: Exception) -> Iterator[str]:
    raise error
    yield
