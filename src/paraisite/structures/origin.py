"""Where a record of a file comes from, and what its table columns say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from paraisite.structures.checks import unreadable
from paraisite.structures.crystal import Crystal

ID_KEYS = ("material_id", "id", "name", "identifier", "entry_id", "mp_id", "task_id", "jid")
"""Columns that name a crystal, the first present one wins."""


@dataclass(slots=True)
class Origin:
    """Source and identifier of one record.

    A parser sets `material_id` as soon as it knows it, so that a failure further on still carries it.

    Attributes:
        source: As for `Crystal`; the name in every error message.
        material_id: As for `Crystal`.
    """

    source: str
    material_id: str


Record = Callable[[Origin], Crystal]
"""One crystal of a file, not yet parsed; raises StructureError."""


def characters_of(record: Record) -> int:
    """Characters of text that a record carries: those of a `partial` of texts and lists of them."""
    given = getattr(record, "args", ())
    return sum(
        len(item) if isinstance(item, str) else sum(map(len, item)) for item in given if isinstance(item, str | list)
    )


def broken_record(reason: str, remedy: str = "check the file") -> Record:
    """A record that fails with code `unreadable`, the source put before the reason; it can be pickled, like every record."""
    return partial(_fail, reason, remedy)


def _fail(reason: str, remedy: str, origin: Origin) -> Crystal:
    raise unreadable(origin.source, reason, remedy)


def take_id(origin: Origin, columns: Mapping[str, Any]) -> str | None:
    """Set the identifier from the columns and return the key that held it."""
    for key in ID_KEYS:
        value = columns.get(key)
        if value is not None and not isinstance(value, bool | dict | list) and str(value).strip():
            origin.material_id = str(value).strip()
            return key
    return None


def scalar_columns(columns: Mapping[str, Any], skip: str | None = None) -> dict[str, Any]:
    """The columns that hold one number, flag or text, as plain Python values."""
    plain = {}
    for key, value in columns.items():
        scalar = value.item() if isinstance(value, np.generic) else value
        if key != skip and isinstance(scalar, str | int | float | bool):
            plain[str(key)] = scalar
    return plain
