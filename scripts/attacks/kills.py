"""`kill -9` at any moment, to all processes; the command given again loses nothing and ends with the same numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from random import Random

from attacks import bench
from attacks.base import Attack, Command, FaultError, numbered, run, succeeded
from attacks.server import Served, serving

MAX_KILLS = 3
"""Of one run."""


def killed_and_resumed(
    words: Callable[[int], Sequence[object]], seconds: float, random: Random, cwd: Path, codes: Sequence[int] = (0, 3)
) -> int:
    """Kill a command at random moments of its time, then let it end; how often it was killed.

    Args:
        words: Its words, by the number of the attempt.
        seconds: How long it takes undisturbed.
        random: Tells the moments.
        cwd: Its folder.
        codes: Exit codes of a good end.

    Raises:
        FaultError: It does not go on.
    """
    n_kills = 0
    for attempt in range(random.choice((1, 1, 2, MAX_KILLS))):
        command = Command(*words(attempt), cwd=cwd)
        time.sleep(random.uniform(0.05, 1.05 * seconds))
        command.kill()
        n_kills += command.ended().code < 0
    last = run(*words(MAX_KILLS), cwd=cwd)
    if n_kills == 0 and last.code == 1 and "already" in last.err:
        return 0  # it had ended before
    succeeded(last, codes)
    return n_kills


def _scan(random: Random, folder: Path) -> str:
    intact = bench.scanned()
    out = folder / "out"

    def words(_: int) -> list[object]:
        resume = ["--resume"] if (out / "scan.json").exists() else []
        return ["scan", intact.source, "-o", out, *bench.SCAN_WORDS, *resume]

    n_kills = killed_and_resumed(words, intact.seconds, random, folder)
    check_rows(out)
    return f"{n_kills} kills, the same rows"


def check_rows(out: Path) -> None:
    """Demand the rows of the undisturbed scan, each once.

    Raises:
        FaultError: Rows are gone, twice, or others.
    """
    expected, found = bench.scanned().rows, bench.rows_by_source(out)
    if found.num_rows != expected.num_rows:
        raise FaultError(f"{found.num_rows} rows instead of {expected.num_rows}")
    if not found.equals(expected):
        columns = [name for name in expected.schema.names if not found[name].equals(expected[name])]
        raise FaultError(f"other values in {', '.join(columns)}")
    left = [path.name for path in out.rglob(".*.part")]
    if left:
        raise FaultError(f"left behind: {', '.join(left)}")


@cache
def undisturbed(*words: object) -> tuple[dict[str, bytes], float]:
    """Files of a training that nothing disturbs, and its time; the word OUT stands for its folder."""
    folder = bench.fresh("undisturbed")
    given = [folder / "out" if word == "OUT" else word for word in words]
    start = time.monotonic()
    succeeded(run(*given, cwd=folder))
    return bench.trained_files(folder / "out"), time.monotonic() - start


def _training(words: Callable[[], Sequence[object]], random: Random, folder: Path) -> str:
    given = words()
    expected, seconds = undisturbed(*given)
    out = folder / "out"
    placed = [out if word == "OUT" else word for word in given]
    n_kills = killed_and_resumed(lambda _: placed, seconds, random, folder)
    check_training(out, expected)
    return f"{n_kills} kills, the same files"


def check_training(out: Path, expected: dict[str, bytes]) -> None:
    """Demand the files of the undisturbed training.

    Raises:
        FaultError: Some are gone or others.
    """
    found = bench.trained_files(out)
    if missing := set(expected) - set(found):
        raise FaultError(f"missing: {', '.join(sorted(missing))}")
    if changed := [name for name in expected if found[name] != expected[name]]:
        raise FaultError(f"other numbers in {', '.join(changed)}")


def train_words() -> Sequence[object]:
    """Words of a training by a recipe."""
    return ("train", bench.recipe_file(), "-o", "OUT")


def finetune_words(model: str) -> Sequence[object]:
    """Words of a fine-tuning."""
    few = ("--epochs", 3) if model == "FEAF" else ()
    return ("finetune", bench.small_data(), "-o", "OUT", "--model", model, *few)


def _finetune(random: Random, folder: Path) -> str:
    model = "FEAF" if numbered(random) % 2 else "MultiFidelity"
    return _training(partial(finetune_words, model), random, folder)


def _fetch(random: Random, folder: Path) -> str:
    with serving(delay_seconds=0.15) as server:
        expected, seconds = _undisturbed_fetch(server)
        words = ["data", "fetch", "aflow_agl", "--data", folder / "out", "--url", server.url]
        n_kills = killed_and_resumed(lambda _: words, seconds, random, folder)
    if (folder / "out" / "aflow_agl.extxyz.gz").read_bytes() != expected:
        raise FaultError("the fetched file is another one")
    return f"{n_kills} kills, the same file"


def _undisturbed_fetch(server: Served) -> tuple[bytes, float]:
    if not _fetched:
        folder = bench.fresh("fetched")
        start = time.monotonic()
        succeeded(run("data", "fetch", "aflow_agl", "--data", folder / "out", "--url", server.url, cwd=folder))
        _fetched.append(((folder / "out" / "aflow_agl.extxyz.gz").read_bytes(), time.monotonic() - start))
    return _fetched[0]


_fetched: list[tuple[bytes, float]] = []

ATTACKS = (
    Attack("kill-scan", "scans killed", 50, _scan),
    Attack("kill-train", "trainings killed", 20, partial(_training, train_words)),
    Attack("kill-finetune", "fine-tunings killed", 10, _finetune),
    Attack("kill-fetch", "fetches killed", 10, _fetch),
)
