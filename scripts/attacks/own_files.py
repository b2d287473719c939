"""Flipped bits in the package's own files: noticed or harmless."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from random import Random

import pandas as pd

from attacks import bench, kills
from attacks.base import Attack, Command, FaultError, run, succeeded

from cards import small_models  # isort: skip - beside the tests
from containers import flip_bits  # isort: skip

from paraisite.datasets.tables import load_togo15
from paraisite.errors import ParaisiteError
from paraisite.models.files import CARD_NAME, UNCERTAINTY_NAME, WEIGHTS_NAME, shipped_models
from paraisite.prediction.predict import Predictor
from paraisite.screening.manifest import done_parts, part_path
from paraisite.screening.query import stream_query
from paraisite.screening.scan import ScanOptions, scan
from paraisite.sources.own_output import MANIFEST

RESUMED_SHARE = 0.3
"""Share of the damaged scans that are resumed too, which takes seconds."""


def flip(path: Path, random: Random) -> None:
    """Flip one bit, seldom some, of a file."""
    path.write_bytes(flip_bits(random, path.read_bytes()))


def _answer(out: Path) -> pd.DataFrame:
    return pd.concat(stream_query(out, "SELECT * FROM scan ORDER BY position"), ignore_index=True)


@cache
def _expected_answer() -> pd.DataFrame:
    return _answer(bench.scanned().out)


def _part(random: Random, folder: Path) -> str:
    """A query of a scan with a damaged part, then `--resume`, which must mend or refuse."""
    out = folder / "out"
    shutil.copytree(bench.scanned().out, out)
    flip(part_path(out, random.choice(sorted(done_parts(out)))), random)
    return _query_and_resume(out, resume=random.random() < RESUMED_SHARE)


def _manifest(random: Random, folder: Path) -> str:
    out = folder / "out"
    shutil.copytree(bench.scanned().out, out)
    flip(out / MANIFEST, random)
    return _query_and_resume(out, resume=random.random() < RESUMED_SHARE)


def _query_and_resume(out: Path, *, resume: bool) -> str:
    said = []
    try:
        with warnings_of_the_package() as warned:
            found = _answer(out)
        if found.equals(_expected_answer()):
            said.append("the same rows")
        elif warned and _among(found, _expected_answer()):
            said.append("some of the rows, with a warning")
        else:
            raise FaultError("a query gives other rows without a word")
    except ParaisiteError as error:
        _sentence(error)
        said.append("the query is refused")
    if not resume:
        return said[0]
    try:
        scan(bench.scanned().source, out, ScanOptions(processes=1, piece_size=bench.PIECE, resume=True))
    except ParaisiteError as error:
        _sentence(error)
        return f"{said[0]}, --resume is refused"
    try:
        mended = _answer(out).equals(_expected_answer())
    except ParaisiteError as error:
        raise FaultError(f"--resume ends well, and a query is refused: {error}") from error
    if not mended:
        raise FaultError("--resume ends well with other rows")
    return f"{said[0]}, --resume gives the right rows"


@contextmanager
def warnings_of_the_package() -> Iterator[list[str]]:
    """What the package logs as warnings."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("paraisite")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


def _among(found: pd.DataFrame, expected: pd.DataFrame) -> bool:
    """Whether all rows are rows of the undamaged scan, by their content without their position."""
    rows, all_rows = (
        set(table.drop(columns=["position", "duplicate_of"]).astype(str).itertuples(index=False, name=None))
        for table in (found, expected)
    )
    return rows <= all_rows


def _sentence(error: ParaisiteError) -> None:
    text = str(error).strip()
    if not text.endswith((".", ")")) or "Traceback" in text:
        raise FaultError(f"no sentence: {text[:200]!a}")


@cache
def _small_models() -> tuple[Path, ...]:
    network, default = small_models()
    return network, default, shipped_models()["FEAFTG15"]


@cache
def _expected_kappa(model: Path) -> pd.DataFrame:
    return Predictor(model).predict(load_togo15()[:20])


def _model_file(name: str, random: Random, folder: Path) -> str:
    models = [model for model in _small_models() if (model / name).exists()]
    # The network of the paper is large to copy: it comes less often.
    model = random.choice([*models[:2], *models[:2], *models])
    copy = folder / "model"
    copy.mkdir()
    for path in model.iterdir():
        if path.is_file():
            shutil.copyfile(path, copy / path.name)
    flip(copy / name, random)
    try:
        table = Predictor(copy).predict(load_togo15()[:20])
    except ParaisiteError as error:
        _sentence(error)
        return "refused"
    expected = _expected_kappa(model)
    if not table.equals(expected):
        columns = [column for column in expected if not table[column].equals(expected[column])]
        raise FaultError(f"other {', '.join(columns)} without a word ({model.name})")
    return "the same numbers"


@cache
def _half_trained() -> Path:
    """A training that was killed after its first checkpoint, and before its last."""
    words = kills.train_words()
    expected, seconds = kills.undisturbed(*words)
    assert expected
    for share in (0.7, 0.8, 0.6, 0.9, 0.75, 0.85, 0.5, 0.95):
        folder = bench.fresh("half")
        command = Command(*[folder / "out" if word == "OUT" else word for word in words], cwd=folder)
        _wait_for(folder / "out", "*/checkpoint.safetensors", command, share * seconds)
        command.kill()
        command.ended()
        if list((folder / "out").glob("*/checkpoint.safetensors")) and not (folder / "out/second/errors.json").exists():
            return folder / "out"
    raise FaultError("no training could be stopped with a checkpoint")


def _wait_for(folder: Path, pattern: str, command: Command, seconds: float) -> None:
    deadline = time.monotonic() + 10 * seconds
    while time.monotonic() < deadline and command.process.poll() is None and not list(folder.glob(pattern)):
        time.sleep(0.002)


def _checkpoint(random: Random, folder: Path) -> str:
    """A run folder of which any file is damaged: the training is refused, or ends with the same numbers."""
    out = folder / "out"
    shutil.copytree(_half_trained(), out)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    checkpoints = [path for path in files if path.name == "checkpoint.safetensors"]
    chosen = random.choice(checkpoints if random.random() < 0.6 else files)
    flip(chosen, random)
    words = kills.train_words()
    ended = run(*[out if word == "OUT" else word for word in words], cwd=folder)
    if ended.code == 1 and "Error: " in ended.err:
        return "refused"
    succeeded(ended, (0,))
    try:
        kills.check_training(out, kills.undisturbed(*words)[0])
    except FaultError as fault:
        raise FaultError(f"{chosen.relative_to(out)}: {fault}") from fault
    return "the same files"


def _recorded(path: str, check: Callable[[Random, Path], str]) -> Callable[[Random, Path], str]:
    def named(random: Random, folder: Path) -> str:
        try:
            return check(random, folder)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise FaultError(f"{path}: {type(error).__name__}: {error}") from error

    return named


ATTACKS = (
    Attack("flip-part", "flipped bits in parts of a scan", 120, _recorded("part", _part), quick=True),
    Attack("flip-manifest", "flipped bits in scan.json", 60, _recorded(MANIFEST, _manifest), quick=True),
    Attack("flip-weights", "flipped bits in weights", 120, partial(_model_file, WEIGHTS_NAME), quick=True),
    Attack(
        "flip-uncertainty", "flipped bits in uncertainty files", 60, partial(_model_file, UNCERTAINTY_NAME), quick=True
    ),
    Attack("flip-card", "flipped bits in cards of models", 120, partial(_model_file, CARD_NAME), quick=True),
    Attack("flip-run", "flipped bits in checkpoints and files of a training", 30, _checkpoint),
)
