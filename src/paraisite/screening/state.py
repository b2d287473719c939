"""How much of a scan is there: every part that is read is compared with what was written, and what is missing is said."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from paraisite.errors import RunError
from paraisite.screening.checksums import CheckedParts, check_parts
from paraisite.screening.lock import scan_at_work
from paraisite.screening.manifest import Progress, part_path, read_manifest, read_progress

_SHOWN = 5
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScanState:
    """What of a scan is there.

    Attributes:
        out: The scan's folder.
        rows: Rows of the parts that can be read.
        expected_rows: Rows of the whole scan: exact once it was complete, estimated by the bytes of the source before, None
            while there is nothing to estimate by.
        complete: Whether every piece of the source has its part.
        at_work: Whether a scan seems to be at work in the folder.
        parts: Numbers of the parts that can be read.
        missing: Numbers of parts that were there when the scan was complete.
        damaged: Numbers of parts that are not what was written, or belong to another scan.
        unknown: Numbers of parts without a checksum, which are among `parts`.
    """

    out: Path
    rows: int
    expected_rows: int | None
    complete: bool
    at_work: bool
    parts: tuple[int, ...]
    missing: tuple[int, ...]
    damaged: tuple[int, ...]
    unknown: tuple[int, ...]

    @property
    def sentence(self) -> str:
        """All that in a sentence."""
        again = f"`paraisite scan -o {self.out} --resume`"
        if self.complete and not self.unknown:
            return f"{self.out}: all {self.rows} rows of the scan."
        said = [f"{self.out}: {self.rows} rows{self._of} are there"]
        if self.damaged:
            said.append(f"{_named(self.damaged)} damaged, {again} makes what is damaged anew")
        if self.missing:
            said.append(f"{_named(self.missing)} missing, {again} makes what is missing anew")
        elif self.at_work:
            said.append("a scan is at work on the rest")
        elif not self.complete and not self.damaged:
            said.append(f"the scan is unfinished, {again} goes on with it")
        if self.unknown:
            said.append(f"{_named(self.unknown)} without a checksum, so that damage to it would not be seen")
        return "; ".join(said) + "."

    @property
    def _of(self) -> str:
        if self.expected_rows is None:
            return ""
        exact = self.missing or self.complete or self.damaged
        return f" of {'' if exact else 'about '}{self.expected_rows}"


def scan_state(out: str | Path) -> ScanState:
    """Find out how much of a scan is there, and whether it is what was written.

    Every byte of the parts is read: about a second per gigabyte.

    Args:
        out: The scan's folder.

    Raises:
        RunError: The folder holds no scan, or its manifest is damaged.
    """
    folder = Path(out)
    progress = read_progress(folder)
    checked = check_parts(folder, read_manifest(folder).identity())
    return _state(folder, progress, checked)


def _state(folder: Path, progress: Progress, checked: CheckedParts) -> ScanState:
    unknown = {number: _n_rows(part_path(folder, number)) for number in checked.unknown}
    damaged = {*checked.damaged, *(number for number, n_rows in unknown.items() if n_rows is None)}
    rows = sum(record.n_rows for record in checked.good.values()) + sum(filter(None, unknown.values()))
    there = sorted({*checked.good, *unknown} - damaged)
    missing = set(range(progress.parts if progress.complete else 0)) - {*there, *damaged}
    expected = progress.rows if progress.complete else None
    if not progress.complete and progress.share > 0:
        expected = max(round(progress.rows / progress.share), rows)
    return ScanState(
        out=folder,
        rows=rows,
        expected_rows=expected,
        complete=progress.complete and not missing and not damaged,
        at_work=scan_at_work(folder),
        parts=tuple(there),
        missing=tuple(sorted(missing)),
        damaged=tuple(sorted(damaged)),
        unknown=tuple(sorted(unknown.keys() - damaged)),
    )


def _n_rows(path: Path) -> int | None:
    """Rows of a part without a checksum; None where it cannot be read."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except Exception:  # whatever a damaged file makes the library raise
        return None


def usable_parts(out: str | Path) -> list[Path]:
    """Parts of a scan to ask, in order. What of it is there is said in the log: as a warning where something lacks.

    Raises:
        RunError: The folder holds no scan, a part is damaged, or none is finished.
    """
    state = scan_state(out)
    if state.damaged:
        paths = ", ".join(str(part_path(state.out, number)) for number in state.damaged[:_SHOWN])
        more = f" and {len(state.damaged) - _SHOWN} more" if len(state.damaged) > _SHOWN else ""
        raise RunError(
            f"{paths}{more} {'is' if len(state.damaged) == 1 else 'are'} damaged: not what the scan wrote; `paraisite scan "
            f"-o {out} --resume` makes what is damaged anew, and without the damaged files the other rows can be asked."
        )
    if not state.parts:
        raise RunError(f"The scan in {out} has no finished part yet.")
    _LOG.log(logging.INFO if state.complete and not state.unknown else logging.WARNING, "%s", state.sentence)
    return [part_path(state.out, number) for number in state.parts]


def _named(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN])) + (
        f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    )
    return f"part {shown} is" if len(numbers) == 1 else f"parts {shown} are"
