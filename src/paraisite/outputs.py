"""Folders and files that a command writes: replaced as a whole, and only where they are this package's own.

A folder that a command made holds a marker with the names and hashes of its files. Whatever else lies in a folder is the
user's: it is neither removed nor overwritten unless the user insists, and then it is named. What a command reads is never
overwritten, not even then.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import shutil
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from paraisite.atomic import sha256_of, write_text_atomic
from paraisite.errors import OutputError

MARKER = ".paraisite.json"
_SHOWN = 5
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
"""Arguments of Linux's renameat2: paths are relative to the current folder; both names are exchanged in one step."""
_LOG = logging.getLogger(__name__)


@contextmanager
def output_folder(
    folder: str | Path, made_by: str, *, inputs: str = "", reads: Iterable[str | Path] = (), force: bool = False
) -> Iterator[Path]:
    """Give an empty folder to write into, which takes the place of `folder` when the block ends without an error.

    Files of the user that lie in `folder` stay there. A process that is killed leaves the earlier folder as it was.

    Args:
        folder: Where the output belongs.
        made_by: Name of the command; a folder that another one made is the user's to decide about.
        inputs: What the output was made from, where a folder made from something else must not be replaced.
        reads: Files that the command reads, which are not overwritten even then.
        force: Replace whatever is in the way; what is overwritten is named in a warning of the log.

    Raises:
        OutputError: `folder` holds files that are not of this command, or were changed since, and `force` is not set; or an
            output would take the place of what was read.
    """
    place = Path(folder).absolute()
    _recover(place)
    if not force:
        _refuse_foreign(place, made_by, inputs)
    beside = _beside(place)
    beside.mkdir(parents=True)
    try:
        yield beside
        for path in reads:
            _require_kept(place, beside, Path(path))
        _replace(place, beside, made_by, inputs, force=force)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """Give an empty folder to write into, which takes the place of `folder`, a part of this package's own output.

    Unlike `output_folder` it asks for no marker: the folder around it is known to be this package's.
    """
    place = Path(folder).absolute()
    _recover(place)
    beside = _beside(place)
    beside.mkdir(parents=True)
    try:
        yield beside
        _swap(place, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def run_folder(
    folder: str | Path, made_by: str, inputs: str, files: Collection[str], *, adopt: bool = False, force: bool = False
) -> Iterator[Path]:
    """Give the folder of a run that is continued when it was stopped.

    A new run, and one of the same inputs, work in `folder` itself. With `force`, a run of other inputs works in a hidden
    folder beside it, is continued there when the command is given again, and takes the place of the earlier one as a whole
    when the block ends without an error: until then the earlier run stays as it was.

    Args:
        folder: Where the run belongs.
        made_by: Name of the command.
        inputs: What the run is made from, so that a run of something else is not continued.
        files: Names of all files that the run may write, relative to its folder; one that ends in / stands for all below it.
        adopt: Take a folder without a marker for this run; the caller has looked into it.
        force: Replace whatever is in the way; what is overwritten is named in a warning of the log.

    Raises:
        OutputError: `folder` holds files that are not of this run, and `force` is not set.
    """
    place = Path(folder).absolute()
    _recover(place)
    marker = _read_marker(place)
    is_same = (marker.get("made_by"), marker.get("inputs")) == (made_by, inputs)
    if not is_same and not (adopt and not marker) and not force:
        _refuse_foreign(place, made_by, inputs)
    if is_same or (adopt and not marker) or not place.exists() or not any(place.iterdir()):
        _mark(place, made_by, inputs, dict.fromkeys(files, ""))
        yield place
        return
    if not place.is_dir():
        raise OutputError(f"{place} is a file; choose a folder.")
    beside = place.with_name(f".{place.name}.next")
    begun = _read_marker(beside)
    if (begun.get("made_by"), begun.get("inputs")) != (made_by, inputs):
        shutil.rmtree(beside, ignore_errors=True)
    _mark(beside, made_by, inputs, dict.fromkeys(files, ""))
    yield beside
    _replace(place, beside, made_by, inputs, force=True)


def claim_folder(folder: str | Path, made_by: str, *, adopt: bool = False, force: bool = False) -> None:
    """Take a folder that a command fills over several calls, each file of it whole.

    Args:
        folder: The folder; made where it is not there.
        made_by: Name of the command.
        adopt: Take a folder without a marker; the caller has looked into it.
        force: Take a folder with files of others; the first of them are named in a warning of the log.

    Raises:
        OutputError: The folder holds files that are not of this command, and `force` is not set.
    """
    place = Path(folder).absolute()
    marker = _read_marker(place)
    if marker.get("made_by") == made_by:
        return
    if not force and not (adopt and not marker):
        _refuse_foreign(place, made_by, "")
    elif force and place.is_dir() and (found := sorted(path.name for path in place.iterdir())):
        _LOG.warning("Written among %s in %s", _names(found), place)
    _mark(place, made_by, "", {})


def refuse_existing(path: str | Path, *, inputs: Iterable[str | Path] = (), force: bool = False) -> None:
    """Refuse to overwrite a file.

    Args:
        path: The file; `-`, the standard output, is none.
        inputs: Files that the command reads.
        force: Overwrite a file that is no input.

    Raises:
        OutputError: There is a file, and `force` is not set or the file is an input.
    """
    place = Path(path)
    if not place.is_file() or place.stat().st_size == 0:
        return
    for one in map(Path, inputs):
        if one.is_file() and one.samefile(place):
            raise OutputError(f"{path} is what the command reads; choose another name.")
    if not force:
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


def _require_kept(place: Path, beside: Path, read: Path) -> None:
    """Refuse outputs that would take the place of a file that was read."""
    for path in beside.rglob("*"):
        earlier = place / path.relative_to(beside)
        if path.is_file() and earlier.is_file() and read.is_file() and earlier.samefile(read):
            raise OutputError(f"{read} is what the command reads, and an output of that name; choose another folder.")


def _replace(place: Path, beside: Path, made_by: str, inputs: str, *, force: bool) -> None:
    new = {str(path.relative_to(beside)): sha256_of(path) for path in sorted(beside.rglob("*")) if path.is_file()}
    new.pop(MARKER, None)
    if place.is_dir():
        marker = _read_marker(place)
        ours = set(_files_of(marker)) - set(_changed(place, marker)) | {MARKER}
        foreign = [
            str(path.relative_to(place)) for path in sorted(place.rglob("*")) if path.is_file() or path.is_symlink()
        ]
        folders = tuple(name for name in ours if name.endswith("/"))
        foreign = [name for name in foreign if name not in ours and not name.startswith(folders)]
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
    _mark(beside, made_by, inputs, new)
    _swap(place, beside)


def _mark(place: Path, made_by: str, inputs: str, files: Mapping[str, str]) -> None:
    content = {"made_by": made_by, "inputs": inputs, "files": files}
    write_text_atomic(place / MARKER, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _swap(place: Path, beside: Path) -> None:
    """Put one folder in the place of another, at every moment the one or the other where the system can."""
    if not place.exists():
        beside.rename(place)
    elif _exchange(place, beside):
        shutil.rmtree(beside, ignore_errors=True)
    else:
        earlier = _earlier(place)
        place.rename(earlier)
        beside.rename(place)
        shutil.rmtree(earlier, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange the names of two folders in one step; False where system or file system cannot."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    names = (os.fsencode(first), os.fsencode(second))
    return bool(rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)


def _beside(place: Path) -> Path:
    """A hidden folder of this process beside a place; those that killed processes of this machine left there are removed."""
    start, end = f".{place.name}.{socket.gethostname()}-", ".new"
    for path in place.parent.iterdir() if place.parent.is_dir() else ():
        number = path.name[len(start) : -len(end)]
        left_over = path.name.startswith(start) and path.name.endswith(end) and number.isdecimal()
        if left_over and (int(number) == os.getpid() or not _is_alive(int(number))):
            shutil.rmtree(path, ignore_errors=True)
    return place.with_name(f"{start}{os.getpid()}{end}")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


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
    return [name for name, value in found if value and (place / name).is_file() and sha256_of(place / name) != value]


def _names(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
