"""What is read of a source at most, so that a small hostile or damaged file cannot fill the memory or take for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from paraisite.errors import ParaisiteError, StructureError

TOO_LARGE = "too_large"
"""Code of what is over a limit."""
FREE_BYTES = 1 << 26
"""Decompressed bytes that any compressed file may have, whatever its expansion."""


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """What is read at most; each limit can be raised, none can be switched off.

    Files that are read record by record (extended XYZ, JSON lines, Parquet, databases, members of archives) have no limit on
    their total, so they may be of any size.

    Attributes:
        content_bytes: Content that is held in memory as a whole: a file of another format, or a member of an archive;
            decompressed.
        expansion: Decompressed bytes for each compressed byte, over the first 64 MiB. Text of crystals has 3 to 15 by gzip, a
            million decorations of one prototype 35 by xz; gzip reaches 1 032, xz and bzip2 thousands.
        record_bytes: One record: a frame of extended XYZ, a line of JSON lines, a column of a database's row.
        atoms: Atoms of a crystal. The graph of about 200 000 is over its own limit.
        json_depth: Arrays and objects inside each other in JSON.
        rows: Rows of a database or of a Parquet file.
        id_characters: Characters of an identifier.
        symmetry_atoms: Atoms of a crystal whose space group is looked for; those of larger ones are left empty, since the
            search takes 2 s at 1 000 atoms without symmetry and 34 s at 4 000.
        record_seconds: Time that a working process may take over a structure.
    """

    content_bytes: int = 2**31
    expansion: int = 100
    record_bytes: int = 2**26
    atoms: int = 500_000
    json_depth: int = 100
    rows: int = 1_000_000_000
    id_characters: int = 1_000
    symmetry_atoms: int = 2_000
    record_seconds: int = 120

    def decompressed_bytes(self, compressed: int) -> int:
        """Bytes that so many compressed bytes may become."""
        return max(FREE_BYTES, self.expansion * compressed)

    def __str__(self) -> str:
        """Limits that differ from the defaults."""
        changed = {name: value for name, value in asdict(self).items() if value != getattr(DEFAULT_READING, name)}
        return ", ".join(f"{name}={value}" for name, value in changed.items()) or "the default limits"


DEFAULT_READING = ReadingLimits()


def too_large(name: object, what: str, limit: str, limits: ReadingLimits) -> StructureError:
    """The error for what is over a limit.

    Args:
        name: File or record for the message.
        what: What is over it, such as `a line has more than {} bytes`; the value of the limit is put in.
        limit: Name of the limit.
        limits: The limits.
    """
    said = what.format(f"{getattr(limits, limit):,}".replace(",", " "))
    return StructureError(f"{name}: {said}; check it, or raise the limit by --limit {limit}=NUMBER.", code=TOO_LARGE)


def updated_limits(texts: Sequence[str], *groups: Any) -> tuple[Any, ...]:
    """Groups of limits, changed by texts such as `record_bytes=1000000000`.

    Args:
        texts: Names with values.
        groups: Dataclasses of whole numbers above 0, without a name in common.

    Raises:
        ParaisiteError: `unknown_limit` for a text that names none, or whose value is no whole number above 0.
    """
    updated = list(groups)
    owners = {item.name: index for index, group in enumerate(groups) for item in fields(group)}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in owners:
            known = ", ".join(f"{known}=NUMBER" for known in owners)
            raise ParaisiteError(f"There is no limit {name!r}: give {known}.", code="unknown_limit")
        if not (value.isascii() and value.isdigit() and 0 < int(value[:20]) < 2**63):
            raise ParaisiteError(
                f"The limit {name} must be a whole number above 0, not {value!r}.", code="unknown_limit"
            )
        updated[owners[name]] = replace(updated[owners[name]], **{name: int(value)})
    return tuple(updated)
