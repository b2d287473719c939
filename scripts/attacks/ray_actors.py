"""Actors of Ray that are killed in a scan: others take their pieces, and the rows are the same."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from pathlib import Path
from random import Random

from attacks import bench, kills
from attacks.base import Attack, Command, FaultError, succeeded
from paraisite.screening.manifest import done_parts


def _actors() -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if command.startswith(b"ray::") and b"PieceActor" in command:
            found.append(int(folder.name))
    return found


def _killed_actors(random: Random, folder: Path) -> str:
    if importlib.util.find_spec("ray") is None:
        return "Ray is not installed"
    out, n_killed, wanted = folder / "out", 0, random.choice((1, 1, 2))
    before = set(_actors())
    words = ["scan", bench.scanned().source, "-o", out, "--piece-size", bench.PIECE, "-p", 1, "--engine", "ray"]
    command = Command(*words, cwd=folder, environment={"RAY_ADDRESS": ""}, address_bytes=None)
    deadline = time.monotonic() + 300
    while command.process.poll() is None and n_killed < wanted and time.monotonic() < deadline:
        if (out / "parts").is_dir() and len(done_parts(out)) > n_killed:
            for process in set(_actors()) - before:
                os.kill(process, signal.SIGKILL)
                n_killed += 1
                break
            time.sleep(random.uniform(0, 0.5))
        time.sleep(0.01)
    succeeded(command.ended(), (3,))
    if n_killed == 0:
        raise FaultError("no actor was there to be killed")
    kills.check_rows(out)
    return f"{n_killed} actors killed, the same rows"


ATTACKS = (Attack("ray", "Ray actors killed", 3, _killed_actors),)
