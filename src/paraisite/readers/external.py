"""Readers of other packages, called so that whatever goes wrong in them is one sentence about the file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from typing import TypeVar

from paraisite.errors import StructureError
from paraisite.structures.checks import unreadable

_T = TypeVar("_T")

MAX_LINE_CHARACTERS = 1000
MAX_LINE_BRACKETS = 30
"""More than any program writes. Readers of ASE take time by the square of either."""

_LABEL = re.compile(r"([A-Z][a-z]?)(?:\d+|[_-].*|:.*)?")


def call_reader(read: Callable[[], _T], name: str, program: str) -> _T:
    """What a reader of another package gives.

    Args:
        read: The call.
        name: File for the error message.
        program: Package that reads, for the error message.

    Raises:
        StructureError: `unreadable` with the package's own reason.
        MemoryError: As the reader raises it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read()
        except (StructureError, MemoryError):
            raise
        except Exception as error:  # whatever a foreign reader stumbles over belongs to this file
            reason = str(error).strip() or type(error).__name__
            raise unreadable(name, f"{program} cannot read it, {reason}") from error


def check_lines(lines: Iterable[str], name: str) -> None:
    """Refuse lines that no program writes, over which a reader of another package would sit for minutes.

    Raises:
        StructureError: `unreadable` for a line that is too long, or has too many brackets.
    """
    for line in lines:
        if len(line) > MAX_LINE_CHARACTERS:
            raise unreadable(name, f"a line is longer than {MAX_LINE_CHARACTERS} characters")
        if line.count("(") > MAX_LINE_BRACKETS:
            raise unreadable(name, f"a line has more than {MAX_LINE_BRACKETS} brackets")


def element_of_label(label: str, name: str) -> str:
    """The element symbol of a species label such as `Fe1`, `C_h`, `O-2` or `Fe:up`.

    Args:
        label: The label; whatever follows the symbol begins with a digit, `_`, `-` or `:`.
        name: File for the error message.

    Raises:
        StructureError: `unsupported_element` for a label that does not say where its symbol ends, such as `HO1`.
    """
    match = _LABEL.fullmatch(label)
    if match is None:
        raise StructureError(
            f"{name}: the label '{label}' is no element symbol with a number or a suffix after it; correct it.",
            code="unsupported_element",
        )
    return match[1]


def elements_of_labels(labels: Iterable[str], name: str) -> list[str]:
    """`element_of_label` of each label."""
    known: dict[str, str] = {}
    return [
        known[label] if label in known else known.setdefault(label, element_of_label(label, name)) for label in labels
    ]


def float_or_none(word: str) -> float | None:
    """A number, or None for a word that is none."""
    try:
        return float(word)
    except ValueError:
        return None
