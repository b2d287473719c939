"""What this package wrote, which is no input: who reads a folder must not read the parts of a scan, nor an earlier export."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from paraisite.outputs import MARKER, written_files

_LOG = logging.getLogger(__name__)
MANIFEST = "scan.json"
PARTS = "parts"
CHECKSUMS = "checksums"
INVENTORY = "source_files.parquet"

SCAN = "scan"
"""What the marker of a scan's folder says that made it."""
SOURCE_FOLDER = "source"
"""Folder of a scan with what was fetched for it."""
_OF_A_SCAN = frozenset({MANIFEST, PARTS, CHECKSUMS, INVENTORY, MARKER})


class OwnOutput:
    """Tells files that this package wrote from the user's, for a search below one folder.

    Attributes:
        folders: Folders in which files of the package were found, in the order in which they were met.
    """

    def __init__(self, top: Path) -> None:
        """Begin a search.

        Args:
            top: The folder that the user named: what was exported into it is read, unless a scan wrote it.
        """
        self._top = top
        self._known: dict[Path, tuple[str, frozenset[str]]] = {}
        self.folders: dict[Path, None] = {}

    def wrote(self, path: Path) -> bool:
        """Whether a file below the top is the package's own."""
        for folder in path.parents:
            made_by, files = self._marker(folder)
            inside = path.relative_to(folder)
            ours = inside.parts[0] in files if made_by == SCAN else folder != self._top and str(inside) in files
            if ours:
                self.folders[folder] = None
                return True
            if folder == self._top:
                return False
        return False

    def _marker(self, folder: Path) -> tuple[str, frozenset[str]]:
        if folder not in self._known:
            self._known[folder] = (SCAN, _names_in(folder)) if is_scan(folder) else written_files(folder)
        return self._known[folder]


def of_the_user(top: Path, found: list[Path]) -> list[Path]:
    """Files below a folder without those that this package wrote, which a warning in the log counts."""
    own = OwnOutput(top)
    kept = [path for path in found if not own.wrote(path)]
    if len(kept) < len(found):
        places = ", ".join(map(str, own.folders))
        _LOG.warning("%d files that paraisite wrote are no source and left out: in %s.", len(found) - len(kept), places)
    return kept


def is_scan(folder: Path) -> bool:
    """Whether a folder holds a scan, also one that has no manifest any more."""
    return (folder / PARTS).is_dir() and ((folder / MANIFEST).is_file() or written_files(folder)[0] == SCAN)


def _names_in(scan: Path) -> frozenset[str]:
    """Files and folders that a scan wrote into its folder; a folder `source` can also be the user's."""
    try:
        source = json.loads((scan / MANIFEST).read_text(encoding="utf-8"))["source"]
        fetched = ":" in str(source).partition("/")[0]
    except (OSError, ValueError, LookupError, TypeError):
        fetched = True
    return _OF_A_SCAN | {SOURCE_FOLDER} if fetched else _OF_A_SCAN
