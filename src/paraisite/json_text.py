"""JSON that every reader takes: a number that is not finite is null (RFC 8259 has neither NaN nor Infinity)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any


def json_text(
    content: Any,
    *,
    indent: int | None = None,
    ensure_ascii: bool = True,
    default: Callable[[Any], Any] | None = None,
) -> str:
    """Write plain values as JSON; the options are those of `json.dumps`."""
    try:
        return json.dumps(content, indent=indent, ensure_ascii=ensure_ascii, default=default, allow_nan=False)
    except ValueError:  # a number that is not finite, or a value that holds itself
        plain = _finite(json.loads(json.dumps(content, default=default)))
        return json.dumps(plain, indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list) else value
