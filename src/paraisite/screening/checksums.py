"""SHA-256 of every part, kept beside the parts: a bit that flips on a disk must not become another κ.

Every working process appends to a file of its own, a line before the part is moved into its place, so that a part has its
line however the scan ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import zlib
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from paraisite.atomic import sha256_of
from paraisite.screening.manifest import done_parts, part_path
from paraisite.sources.own_output import CHECKSUMS

_THREADS = 8


@dataclass(frozen=True, slots=True)
class PartRecord:
    """What is known of a part that was written.

    Attributes:
        part: Its number.
        scan: Identity of the scan that it belongs to, see `Manifest.identity`.
        sha256: Hash of the file.
        rows: Rows by status.
    """

    part: int
    scan: str
    sha256: str
    rows: dict[str, int]

    @property
    def n_rows(self) -> int:
        """Rows of any status."""
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class CheckedParts:
    """The parts of a scan's folder, every byte of them compared with what was written.

    Attributes:
        good: Those that are whole, by number.
        damaged: Those that are not, or that belong to another scan.
        unknown: Those that nothing is known of.
    """

    good: dict[int, PartRecord]
    damaged: tuple[int, ...]
    unknown: tuple[int, ...]


class HashedFile:
    """A file that is written, and hashed as it is: what the disk makes of it later is found out by the hash."""

    closed = False

    def __init__(self, handle: BinaryIO) -> None:
        """Hash what is written into an open file."""
        self._handle, self._digest, self._size = handle, hashlib.sha256(), 0

    def write(self, content: bytes) -> int:
        """Write and hash."""
        self._digest.update(content)
        self._handle.write(content)
        self._size += len(content)
        return len(content)

    def tell(self) -> int:
        """Bytes that were written."""
        return self._size

    def flush(self) -> None:
        """Give what was written to the operating system."""
        self._handle.flush()

    def hexdigest(self) -> str:
        """SHA-256 of what was written."""
        return self._digest.hexdigest()


def append_record(out: Path, record: PartRecord) -> None:
    """Note a part, before it is moved into its place."""
    folder = out / CHECKSUMS
    folder.mkdir(exist_ok=True)
    machine = re.sub(r"[^A-Za-z0-9.-]", "_", socket.gethostname())
    content = json.dumps(asdict(record))
    # After a line that was cut off by a full disk, this one begins on its own.
    line = f"\n{zlib.crc32(content.encode()):08x} {content}\n"
    with (folder / f"{machine}-{os.getpid()}.txt").open("a", encoding="utf-8") as handle:
        handle.write(line)


def read_records(out: Path) -> dict[int, list[PartRecord]]:
    """All that was noted of the parts; lines that are cut off or damaged are passed over."""
    found: dict[int, list[PartRecord]] = defaultdict(list)
    for path in sorted((out / CHECKSUMS).glob("*.txt")):
        for record in _records(path.read_bytes()):
            found[record.part].append(record)
    return dict(found)


def _records(content: bytes) -> Iterator[PartRecord]:
    for line in filter(None, content.split(b"\n")):
        checksum, _, text = line.partition(b" ")
        if checksum == b"%08x" % zlib.crc32(text):
            yield PartRecord(**json.loads(text))


def check_parts(out: Path, scan: str) -> CheckedParts:
    """Compare every part of a folder with what was written.

    Args:
        out: The scan's folder.
        scan: Identity of the scan.
    """
    numbers, records = sorted(done_parts(out)), read_records(out)
    with ThreadPoolExecutor(_THREADS) as pool:
        hashes = dict(zip(numbers, pool.map(lambda number: sha256_of_part(out, number), numbers), strict=True))
    good, damaged, unknown = {}, [], []
    for number in numbers:
        fitting = [one for one in records.get(number, ()) if (one.scan, one.sha256) == (scan, hashes[number])]
        if fitting:
            good[number] = fitting[-1]
        elif number in records:
            damaged.append(number)
        else:
            unknown.append(number)
    return CheckedParts(good, tuple(damaged), tuple(unknown))


def sha256_of_part(out: Path, number: int) -> str:
    """Hash of a part as it is on the disk; empty where it cannot be read."""
    try:
        return sha256_of(part_path(out, number))
    except OSError:
        return ""
