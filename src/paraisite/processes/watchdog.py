"""A limit on the time of a step, kept also where compiled code does not return: the process ends."""

from __future__ import annotations

import faulthandler
import os
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self, TypeVar

_T = TypeVar("_T")


class Watchdog:
    """Ends this process, a working one, if a step takes too long; whoever waits for it finds out which step that was.

    A timer of `faulthandler` needs no turn of the interpreter. It is set anew only now and then, so a step has up to twice
    the time.
    """

    def __init__(self, seconds: float) -> None:
        """Watch nothing yet.

        Args:
            seconds: Time that each step is given at least.
        """
        self._seconds, self._end = seconds, 0.0

    def __enter__(self) -> Self:
        """Watch the first step."""
        self._log = open(os.devnull, "w")  # noqa: PTH123 - closed by __exit__
        self.allow()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching."""
        self.pause()
        self._log.close()

    def allow(self, n_steps: int = 1) -> None:
        """Begin so many steps, or the next one."""
        left, needed = self._end - time.monotonic(), n_steps * self._seconds
        if not needed <= left <= needed + self._seconds:
            faulthandler.dump_traceback_later(needed + self._seconds / 2, exit=True, file=self._log)
            self._end = time.monotonic() + needed + self._seconds / 2

    def pause(self) -> None:
        """Stop watching until the next step."""
        faulthandler.cancel_dump_traceback_later()
        self._end = 0.0


def watched(items: Iterator[_T], watchdog: Watchdog) -> Iterator[_T]:
    """Items, each of which is a step."""
    for item in items:
        watchdog.allow()
        yield item
