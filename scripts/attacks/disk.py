"""A disk that fills up: the command says so in a sentence, keeps what it had, and goes on when there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from attacks import bench, kills
from attacks.base import Attack, FaultError, numbered, refused, run, succeeded
from attacks.server import serving


@contextmanager
def _small_disk(folder: Path, kilobytes: int) -> Iterator[tuple[Path, bool]]:
    """A disk, and whether it is one: where none can be mounted, the largest size of a file stands in for it."""
    disk = folder / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]
    mounted = subprocess.run(["mount", *options], check=False, capture_output=True).returncode == 0
    try:
        yield disk, mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(disk)], check=True)


def _enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=200M", str(disk)], check=True)


def _scan(random: Random, folder: Path) -> str:
    with _small_disk(folder, random.choice((4, 24, 60))) as (disk, mounted):
        words = ["scan", bench.scanned().source, "-o", disk / "out", *bench.SCAN_WORDS]
        refused(run(*words, cwd=folder, file_bytes=None if mounted else 4000))
        if mounted:
            _enlarge(disk)
        resume = ["--resume"] if (disk / "out" / "scan.json").exists() else []
        succeeded(run(*words, *resume, cwd=folder))
        kills.check_rows(disk / "out")
    return "refused, then goes on"


def _training(words: tuple[object, ...], random: Random, folder: Path) -> str:
    expected, _ = kills.undisturbed(*words)
    with _small_disk(folder, random.choice((20, 400))) as (disk, mounted):
        placed = [disk / "out" if word == "OUT" else word for word in words]
        refused(run(*placed, cwd=folder, file_bytes=None if mounted else 8000))
        if mounted:
            _enlarge(disk)
        succeeded(run(*placed, cwd=folder))
        kills.check_training(disk / "out", expected)
    return "refused, then goes on"


def _fetch(random: Random, folder: Path) -> str:
    with _small_disk(folder, random.choice((20, 200))) as (disk, mounted), serving(delay_seconds=0.0) as server:
        words = ["data", "fetch", "aflow_agl", "--data", disk / "out", "--url", server.url]
        refused(run(*words, cwd=folder, file_bytes=None if mounted else 8000))
        if mounted:
            _enlarge(disk)
        succeeded(run(*words, cwd=folder))
    return "refused, then goes on"


def _tables(_: Random, folder: Path) -> str:
    """Tables of `predict`, `query` and `export`, of which rows that were written may stay."""
    out = bench.scanned().out
    with _small_disk(folder, 4) as (disk, mounted):
        table = disk / "kappa.csv"
        commands: list[list[object]] = [
            ["predict", bench.scanned().source, "--csv", table],
            ["query", out, "SELECT * FROM scan", "--csv", table],
            ["export", out, "--csv", table],
        ]
        for words in commands:
            refused(run(*words, cwd=folder, file_bytes=None if mounted else 4000))
            table.unlink(missing_ok=True)
    return "refused"


def _disk(random: Random, folder: Path) -> str:
    cases = (
        ("scan", _scan),
        ("train", lambda *given: _training(tuple(kills.train_words()), *given)),
        ("finetune", lambda *given: _training(tuple(kills.finetune_words("MultiFidelity")), *given)),
        ("finetune FEAF", lambda *given: _training(tuple(kills.finetune_words("FEAF")), *given)),
        ("fetch", _fetch),
        ("tables", _tables),
    )
    name, case = cases[numbered(random) % len(cases)]
    try:
        return case(random, folder)
    except FaultError as fault:
        raise FaultError(f"{name}: {fault}") from fault


ATTACKS = (Attack("disk", "disks that fill up", 12, _disk),)
