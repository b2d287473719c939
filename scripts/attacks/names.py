"""Hostile names: of files, members, modules beside the data, and identifiers that steer terminals or run in spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tarfile
import zipfile
from pathlib import Path
from random import Random

from attacks import bench
from attacks.base import Attack, FaultError, numbered, run, succeeded
from attacks.bombs import SALT

FILE_NAMES = (
    b"\x1b[31mred.extxyz", b"line\nbreak.extxyz", b"tab\there.extxyz", b"\xff\xfe.extxyz", "☢é.extxyz".encode(),
    b"=cmd|' c calc'!A1.extxyz", b"+1.extxyz", b"-rf.extxyz", b"@SUM(1).extxyz", b"--csv.extxyz", b"a;b.extxyz",
    b"$(touch PWNED).extxyz", b"`touch PWNED`.extxyz", b"%s%n.extxyz", b"[red]x[/red].extxyz", b"*.extxyz", b"?.extxyz",
    b"[a-z].extxyz", b"'; DROP TABLE scan; --.extxyz", b"<script>alert(1)</script>.extxyz".replace(b"/", b"_"),
    b"\xe2\x80\xae.extxyz", b"n" * 240 + b".extxyz", b" .extxyz", b"#1.extxyz", b"a#1.extxyz", b"\x7f.extxyz",
    b"\x9b31m.extxyz", b"con.extxyz", b"nul.extxyz", b"\\\\server\\x.extxyz", b"{x}.extxyz",
)  # fmt: skip
MODULES = (
    "gemmi", "numpy", "ase", "torch", "queue", "pickle", "json", "random", "paraisite", "pyarrow", "encodings", "site",
    "sitecustomize", "usercustomize", "spglib", "vesin", "duckdb", "typing", "select", "ray", "pandas", "filelock",
)  # fmt: skip
IDENTIFIERS = (
    "\x1b]0;title\x07", "=1+1", "+cmd", "-2+3", "@x", "\t=1", "\r=1", "a\nb", "\u202egnp", "\x00", "x" * 100_000, "'", '"',
    "<img src=x onerror=alert(1)>", "[bold]x[/]", "\u2028", "\x85", "%00", ",", ";",
)  # fmt: skip
MEMBERS = (
    "../outside.extxyz", "/abs.extxyz", "a//b.extxyz", "a/../../b.extxyz", "\x1b[31m.extxyz", "x\ny.extxyz", "é.extxyz",
    "=1.extxyz", "n" * 200 + ".extxyz", "dir.extxyz/x.extxyz", "C:\\x.extxyz", "...extxyz", "-.extxyz",
)  # fmt: skip
_ESCAPES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def _files(folder: Path) -> str:
    source = folder / "source"
    source.mkdir()
    for name in FILE_NAMES:
        (source / os.fsdecode(name)).write_bytes(SALT)
    for style, words in (("folder", [source]), ("list", [_list_of(folder, source)])):
        out = folder / f"out-{style}"
        ended = succeeded(run("scan", *words, "-o", out, "-p", 1, cwd=folder))
        _check_printed(ended.out + ended.err)
        rows = bench.databases.rows_of(out)
        expected = len(FILE_NAMES) - _not_listed(style)
        if rows.num_rows < expected:
            raise FaultError(f"{rows.num_rows} rows of {expected} files ({style})")
    ended = succeeded(run("predict", source, "--csv", folder / "kappa.csv", cwd=folder))
    _check_printed(ended.out + ended.err)
    _check_table(folder / "kappa.csv", len(FILE_NAMES))
    for words in (["top", folder / "out-folder"], ["query", folder / "out-folder", "SELECT * FROM scan"]):
        _check_printed(succeeded(run(*words, cwd=folder)).out)
    succeeded(
        run("export", folder / "out-folder", "--csv", folder / "x.csv", "--structures", folder / "cifs", cwd=folder)
    )
    _check_table(folder / "x.csv", len(FILE_NAMES))
    if (folder / "PWNED").exists() or (source / "PWNED").exists():
        raise FaultError("a name was run by a shell")
    return "a row each, nothing steered"


def _not_listed(style: str) -> int:
    """Names that a list, one a line, cannot hold."""
    unlistable = [name for name in FILE_NAMES if b"\n" in name or name.startswith((b"#", b" "))]
    return len(unlistable) if style == "list" else 0


def _list_of(folder: Path, source: Path) -> Path:
    names = [name for name in FILE_NAMES if b"\n" not in name and not name.startswith((b"#", b" "))]
    path = folder / "list.txt"
    path.write_bytes(b"".join(os.fsencode(source) + b"/" + name + b"\n" for name in names))
    return path


def _check_printed(text: str) -> None:
    if found := _ESCAPES.search(text.replace("\r\n", "\n")):
        raise FaultError(f"the terminal gets {found[0]!a}: {text[max(0, found.start() - 40) : found.end() + 40]!a}")


def _check_table(path: Path, n_rows: int) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    if len(rows) != n_rows + 1:
        raise FaultError(f"{path.name} has {len(rows) - 1} rows, not {n_rows}")
    for row in rows:
        for cell in row:
            number = re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", cell)
            if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not number:
                raise FaultError(f"a spreadsheet would run {cell[:60]!a} in {path.name}")
            if found := _ESCAPES.search(cell):
                raise FaultError(f"{path.name} holds {found[0]!a}")


def _modules(folder: Path) -> str:
    """Every command that starts processes, in a folder with modules of others' names."""
    source = folder / "source"
    source.mkdir()
    for number in range(220):
        (source / f"{number}.extxyz").write_bytes(SALT)
    for name in MODULES:
        (folder / f"{name}.py").write_text(
            f"open({str(folder / 'PWNED')!r}, 'a').write('{name} ')\nraise ImportError\n"
        )
    commands: list[list[object]] = [
        ["predict", source, "--csv", folder / "kappa.csv"],
        ["scan", source, "-o", folder / "out", "-p", 1],
        ["query", folder / "out", "SELECT count(*) FROM scan"],
        ["finetune", bench.small_data(), "-o", folder / "model"],
    ]
    for words in commands:
        ended = run(*words, cwd=folder)
        if (folder / "PWNED").exists():
            raise FaultError(f"{words[0]} runs {(folder / 'PWNED').read_text().strip()} of the current folder")
        succeeded(ended)
    return "no module of the current folder is run"


def _identifiers(folder: Path) -> str:
    source = folder / "all.jsonl"
    attributes = {
        "lattice_vectors": [[4, 0, 0], [0, 4, 0], [0, 0, 4]],
        "cartesian_site_positions": [[0, 0, 0], [2, 2, 2]],
        "species_at_sites": ["Na", "Cl"],
    }
    source.write_text("".join(json.dumps({"id": name, "attributes": attributes}) + "\n" for name in IDENTIFIERS))
    succeeded(run("scan", source, "-o", folder / "out", "-p", 1, cwd=folder))
    rows = bench.databases.rows_of(folder / "out")
    if rows.num_rows != len(IDENTIFIERS):
        raise FaultError(f"{rows.num_rows} rows of {len(IDENTIFIERS)} records")
    for words in (["top", folder / "out", "--lowest", 50], ["query", folder / "out", "SELECT material_id FROM scan"]):
        _check_printed(succeeded(run(*words, cwd=folder)).out)
    succeeded(run("export", folder / "out", "--csv", folder / "x.csv", "--structures", folder / "cifs", cwd=folder))
    _check_table(folder / "x.csv", len(IDENTIFIERS))
    outside = [path for path in folder.rglob("*.cif") if path.parent != folder / "cifs"]
    if outside:
        raise FaultError(f"export wrote {outside[0]}")
    ended = succeeded(run("predict", source, "--csv", folder / "kappa.csv", cwd=folder))
    _check_printed(ended.out + ended.err)
    _check_table(folder / "kappa.csv", len(IDENTIFIERS))
    return "a row each, nothing steered"


def _members(folder: Path) -> str:
    """Every member has a row: crystals, or the reason why its name is refused."""
    with zipfile.ZipFile(folder / "all.zip", "w") as archive, tarfile.open(folder / "all.tar", "w") as tar:
        for name in MEMBERS:
            archive.writestr(name, SALT)
            member = tarfile.TarInfo(name)
            member.size = len(SALT)
            tar.addfile(member, io.BytesIO(SALT))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo(f"special{kind.decode()}.extxyz")
            member.type, member.linkname = kind, "../../etc/passwd"
            tar.addfile(member)
    for name, n_members in (("all.zip", len(MEMBERS)), ("all.tar", len(MEMBERS) + 4)):
        ended = succeeded(run("scan", folder / name, "-o", folder / f"{name}.out", "-p", 1, cwd=folder))
        _check_printed(ended.out + ended.err)
        rows = bench.databases.rows_of(folder / f"{name}.out")
        if rows.num_rows < n_members:
            raise FaultError(f"{rows.num_rows} rows of {n_members} members of {name}")
    outside = list(folder.parent.rglob("*.extxyz"))
    if outside:
        raise FaultError(f"a member was unpacked to {outside[0]}")
    return "a row each, nothing unpacked"


CASES = (_files, _modules, _identifiers, _members)


def _name(random: Random, folder: Path) -> str:
    case = CASES[numbered(random) % len(CASES)]
    try:
        return case(folder)
    except FaultError as fault:
        raise FaultError(f"{case.__name__.strip('_')}: {fault}") from fault


ATTACKS = (Attack("name", "hostile names of files, members, modules and crystals", len(CASES), _name),)
