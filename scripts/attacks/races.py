"""Two commands at once into one folder: one does the work, the other waits or is refused, and nothing is lost."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random

from attacks import bench, kills
from attacks.base import Attack, Command, Ended, FaultError, numbered, run, succeeded
from attacks.server import serving
from paraisite.screening.manifest import done_parts, part_path

KINDS = ("scan", "resume", "fetch", "train", "finetune")


def _both(first: Sequence[object], second: Sequence[object], random: Random, folder: Path) -> list[Ended]:
    """Two commands, the second one a little later."""
    commands = [Command(*first, cwd=folder)]
    time.sleep(random.choice((0.0, 0.1, 1.0, 3.0)))
    commands.append(Command(*second, cwd=folder))
    ended = [command.ended() for command in commands]
    if all(each.code == 1 for each in ended):
        raise FaultError(f"both are refused: {ended[0].last_word} / {ended[1].last_word}")
    for each in ended:
        if each.code == 1 and "Error: " not in each.err:
            raise FaultError(f"no sentence: {each.last_word}")
    return ended


def _said(ended: Sequence[Ended]) -> str:
    return "one is refused, the other ends well" if any(each.code == 1 for each in ended) else "both end well"


def _scans(random: Random, folder: Path, *, resume: bool) -> str:
    out = folder / "out"
    words = ["scan", bench.scanned().source, "-o", out, *bench.SCAN_WORDS]
    if resume:
        shutil.copytree(bench.scanned().out, out)
        for number in sorted(done_parts(out))[2:]:
            part_path(out, number).unlink()
        words.append("--resume")
    ended = _both(words, words if resume else [*words, *random.choice(([], ["--resume"]))], random, folder)
    said = _said(ended)
    if any(each.code in {0, 3} for each in ended):
        kills.check_rows(out)
    else:
        raise FaultError(f"neither ends well: {ended[0].last_word} / {ended[1].last_word}")
    succeeded(run(*words, *([] if resume else ["--resume"]), cwd=folder))
    kills.check_rows(out)
    return said


def _trainings(words: Sequence[object], random: Random, folder: Path) -> str:
    expected, _ = kills.undisturbed(*words)
    placed = [folder / "out" if word == "OUT" else word for word in words]
    ended = _both(placed, placed, random, folder)
    kills.check_training(folder / "out", expected)
    return _said(ended)


def _fetches(random: Random, folder: Path) -> str:
    with serving(delay_seconds=0.15) as server:
        words = ["data", "fetch", "aflow_agl", "--data", folder / "out", "--url", server.url]
        ended = _both(words, words, random, folder)
        expected, _ = kills._undisturbed_fetch(server)
    if (folder / "out" / "aflow_agl.extxyz.gz").read_bytes() != expected:
        raise FaultError("the fetched file is another one")
    return _said(ended)


def _race(random: Random, folder: Path) -> str:
    number = numbered(random)
    kind = KINDS[number % len(KINDS)]
    try:
        if kind in {"scan", "resume"}:
            said = _scans(random, folder, resume=kind == "resume")
        elif kind == "fetch":
            said = _fetches(random, folder)
        elif kind == "train":
            said = _trainings(kills.train_words(), random, folder)
        else:
            model = "FEAF" if number % 2 else "MultiFidelity"
            said = _trainings(kills.finetune_words(model), random, folder)
    except FaultError as fault:
        raise FaultError(f"two at once, {kind}: {fault}") from fault
    return f"{kind}: {said}"


ATTACKS = (Attack("race", "two commands at once into one folder", 20, partial(_race)),)
