"""Lines of a text that is never held in memory as a whole, none longer than a record may be."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TextIO

from paraisite.structures.limits import ReadingLimits

_SKIP_CHARACTERS = 1 << 20


def bounded_lines(text: TextIO, limits: ReadingLimits) -> Iterator[str]:
    """Lines of a text; of one that is longer than a record may be, one character more than that, and no line end."""
    limit = limits.record_bytes
    while line := text.readline(limit + 1):
        yield line
        if len(line) > limit:
            while not line.endswith("\n") and (line := text.readline(_SKIP_CHARACTERS)):
                pass


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
