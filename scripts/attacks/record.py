"""Results of attacks and of the fuzzer: lines of JSON, so that a run that is killed goes on, with the code they hold for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import paraisite


@cache
def code_version() -> str:
    """Version of the package, and the beginning of the SHA-256 of all its files: results of other code do not count."""
    digest = hashlib.sha256()
    root = Path(paraisite.__file__).parent
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return f"{paraisite.__version__}+{digest.hexdigest()[:10]}"


def append(path: Path, **content: Any) -> None:
    """Append a line with the time and the code."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {**content, "code": code_version(), "date": datetime.now(UTC).isoformat(timespec="seconds")}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Lines that were written whole."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue  # the last line of a run that was killed
