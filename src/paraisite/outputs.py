"""Folders and files that a command writes: replaced as a whole, and only where they are this package's own.

A folder that a command made holds a marker with the names and hashes of its files. Whatever else lies in a folder is the
user's: it is neither removed nor overwritten unless the user insists, and then it is named.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from paraisite.atomic import write_text_atomic
from paraisite.errors import OutputError

MARKER = ".paraisite.json"
_SHOWN = 5
_LOG = logging.getLogger(__name__)


@contextmanager
def output_folder(folder: str | Path, made_by: str, *, inputs: str = "", force: bool = False) -> Iterator[Path]:
    """Give an empty folder to write into, which takes the place of `folder` when the block ends without an error.

    Files of the user that lie in `folder` stay there. A process that is killed leaves the earlier folder as it was.

    Args:
        folder: Where the output belongs.
        made_by: Name of the command; a folder that another one made is the user's to decide about.
        inputs: What the output was made from, where a folder made from something else must not be replaced.
        force: Replace whatever is in the way; what is overwritten is named in a warning of the log.

    Raises:
        OutputError: `folder` holds files that are not of this command, or were changed since, and `force` is not set.
    """
    place = Path(folder).absolute()
    _recover(place)
    if not force:
        _refuse_foreign(place, made_by, inputs)
    beside = place.with_name(f".{place.name}.{os.getpid()}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        _replace(place, beside, made_by, inputs, force=force)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def refuse_existing(path: str | Path, *, force: bool = False) -> None:
    """Refuse to overwrite a file.

    Raises:
        OutputError: There is a file, and `force` is not set.
    """
    if not force and Path(path).is_file() and Path(path).stat().st_size > 0:
        raise OutputError(f"{path} is there already; choose another name, or give --force to overwrite it.")


def mark_folder(folder: Path, made_by: str) -> None:
    """Write the marker of a folder that grows, such as a scan's, whose files are not listed."""
    if not (folder / MARKER).exists():
        content = {"made_by": made_by, "inputs": "", "files": {}}
        write_text_atomic(folder / MARKER, json.dumps(content, indent=1) + "\n")


def written_files(folder: Path) -> tuple[str, frozenset[str]]:
    """What made a folder, empty for one of the user's, and the files that it wrote there, as its marker names them."""
    marker = _read_marker(folder)
    return str(marker.get("made_by", "")), frozenset(_files_of(marker))


def _refuse_foreign(place: Path, made_by: str, inputs: str) -> None:
    if not place.exists():
        return
    if not place.is_dir():
        raise OutputError(f"{place} is a file; choose a folder.")
    marker = _read_marker(place)
    if not marker:
        if found := sorted(path.name for path in place.iterdir()):
            raise OutputError(
                f"{place} holds files that `paraisite {made_by}` did not write ({_names(found)}); choose a new or empty "
                "folder, or give --force to write among them."
            )
        return
    if marker.get("made_by") != made_by:
        raise OutputError(
            f"{place} was made by `paraisite {marker.get('made_by')}`; choose another folder, or give --force."
        )
    if inputs and marker.get("inputs") not in {"", inputs}:
        raise OutputError(
            f"{place} was made from {marker.get('inputs')}, not from {inputs}; choose another folder, or give --force to "
            "replace it."
        )
    if changed := _changed(place, marker):
        raise OutputError(
            f"{place} holds files that were changed since `paraisite {made_by}` wrote them ({_names(changed)}); move them, "
            "choose another folder, or give --force to overwrite them."
        )


def _replace(place: Path, beside: Path, made_by: str, inputs: str, *, force: bool) -> None:
    new = {str(path.relative_to(beside)): _hash(path) for path in sorted(beside.rglob("*")) if path.is_file()}
    if place.is_dir():
        marker = _read_marker(place)
        ours = set(_files_of(marker)) - set(_changed(place, marker)) | {MARKER}
        foreign = [
            str(path.relative_to(place)) for path in sorted(place.rglob("*")) if path.is_file() or path.is_symlink()
        ]
        foreign = [name for name in foreign if name not in ours]
        in_the_way = [name for name in foreign if name in new]
        if in_the_way and not force:
            raise OutputError(
                f"{place} holds {_names(in_the_way)}, which `paraisite {made_by}` did not write; move them, choose another "
                "folder, or give --force to overwrite them."
            )
        for name in in_the_way:
            _LOG.warning("Overwritten: %s", place / name)
        for name in foreign:
            if name not in new:
                _carry(place / name, beside / name)
    content = {"made_by": made_by, "inputs": inputs, "files": new}
    write_text_atomic(beside / MARKER, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    earlier = _earlier(place)
    if place.exists():
        place.rename(earlier)
    beside.rename(place)
    shutil.rmtree(earlier, ignore_errors=True)


def _earlier(place: Path) -> Path:
    return place.with_name(f".{place.name}.earlier")


def _recover(place: Path) -> None:
    """Put back the folder of a process that was killed between the two renames, and remove what is left of it else."""
    earlier = _earlier(place)
    if earlier.is_dir() and not place.exists():
        earlier.rename(place)
    shutil.rmtree(earlier, ignore_errors=True)


def _carry(old: Path, new: Path) -> None:
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:  # a file system without hard links
        shutil.copy2(old, new, follow_symlinks=False)


def _read_marker(place: Path) -> Mapping[str, object]:
    try:
        marker = json.loads((place / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return marker if isinstance(marker, dict) else {}


def _files_of(marker: Mapping[str, object]) -> dict[str, str]:
    files = marker.get("files")
    return {str(name): str(value) for name, value in files.items()} if isinstance(files, dict) else {}


def _changed(place: Path, marker: Mapping[str, object]) -> list[str]:
    """Files of the marker whose content is no longer what was written."""
    found = _files_of(marker).items()
    return [name for name, value in found if (place / name).is_file() and _hash(place / name) != value]


def _hash(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _names(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
