"""JSON text, refused where it is nested so deeply that reading it would exhaust the stack."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from paraisite.errors import StructureError
from paraisite.structures.limits import DEFAULT_READING, ReadingLimits, too_large

JSON_ERRORS = (ValueError,)
"""What `load_json` raises for text that is no JSON, or holds a number of thousands of digits."""

_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = np.zeros(256, dtype=np.int8)
_STEP[list(b"[{")], _STEP[list(b"]}")] = 1, -1
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BLOCK = 1 << 20


def load_json(text: str, name: object, limits: ReadingLimits = DEFAULT_READING) -> Any:
    """The value of a JSON text.

    Args:
        text: The text.
        name: File or record for the error message.
        limits: What is read at most.

    Raises:
        StructureError: `too_large` for more than `json_depth` arrays and objects inside each other.
        ValueError: The text is no JSON.
    """
    # Brackets inside strings count only where the text is doubtful: strings are seldom full of them.
    if _depth(text) > limits.json_depth and _depth(_STRING.sub("", text)) > limits.json_depth:
        raise _too_deep(name, limits)
    try:
        return json.loads(text)
    except RecursionError as error:  # the limit was raised above what Python takes
        raise _too_deep(name, limits) from error


def _too_deep(name: object, limits: ReadingLimits) -> StructureError:
    return too_large(name, "its JSON is nested more than {} deep", "json_depth", limits)


def _depth(text: str) -> int:
    """Most brackets that are open at once."""
    brackets = np.frombuffer(text.encode("utf-8", "replace").translate(None, _NOT_BRACKETS), dtype=np.uint8)
    depth = deepest = 0
    for start in range(0, len(brackets), _BLOCK):
        n_open = depth + np.cumsum(_STEP[brackets[start : start + _BLOCK]], dtype=np.int64)
        depth, deepest = int(n_open[-1]), max(deepest, int(n_open.max()))
    return deepest
