"""What the commands on a scan say first: how much of it is there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from paraisite.cli.output import say

_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Sayer(logging.Handler):
    """Prints each message once."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message of a record."""
        message = record.getMessage()
        if message not in self._said:
            self._said.add(message)
            say(f"Warning: {message}" if record.levelno >= logging.WARNING else message)


def says_scan_state(command: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let a command say how many rows of how many of each scan are there, on the error stream."""

    @wraps(command)
    def saying(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with _said():
            return command(*args, **kwargs)

    return saying


@contextmanager
def _said() -> Iterator[None]:
    logger = logging.getLogger("paraisite.screening.state")
    handler, level, propagate = _Sayer(), logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
