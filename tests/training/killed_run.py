"""Train a recipe once for each chosen moment, in a process of its own that dies at that moment.

    python killed_run.py RECIPE FOLDER MOMENT...

trains into FOLDER/0, FOLDER/1, … and prints the signal that ended each process.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from paraisite.training.network import stage, state
from paraisite.training.network.options import RunOptions
from paraisite.training.network.recipe import Recipe
from paraisite.training.network.run import train


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(module: Any, name: str, matches: Callable[..., bool], action: Callable[..., None]) -> None:
    """Have `action` called with the arguments of a function once they match."""
    original = getattr(module, name)

    def replaced(*arguments: Any, **options: Any) -> Any:
        if matches(*arguments):
            action(*arguments)
        return original(*arguments, **options)

    setattr(module, name, replaced)


def counted(number: int) -> Callable[..., bool]:
    """Match at the call with this number, counted from 1."""
    calls = [0]

    def matches(*_: Any) -> bool:
        calls[0] += 1
        return calls[0] == number

    return matches


def writes(ending: str) -> Callable[..., bool]:
    return lambda path, *_: str(path).endswith(ending)


def half_written(_: Any, path: Path, *__: Any) -> None:
    """Leave the beginning of a checkpoint, as a kill in the middle of the write does."""
    Path(path).write_bytes(b"\x00" * 1000)
    die()


def arm(moment: str) -> None:
    """Prepare the death at a moment; each epoch takes two optimiser steps and saves one checkpoint."""
    if moment == "first epoch":
        before(torch.optim.Adam, "step", counted(1), lambda *_: die())
    elif moment == "middle of an epoch":
        before(torch.optim.Adam, "step", counted(6), lambda *_: die())
    elif moment == "half a checkpoint":
        before(state, "save_file", counted(3), half_written)
    elif moment == "between checkpoint and table":
        matches = counted(2)
        before(stage, "write_text_atomic", lambda path, *_: writes("metrics.csv")(path) and matches(), lambda *_: die())
    elif moment == "before the model":
        before(stage, "save_network", counted(1), lambda *_: die())
    elif moment == "before the last file":
        before(stage, "write_text_atomic", writes("first/errors.json"), lambda *_: die())
    elif moment == "second stage":
        before(torch.optim.Adam, "step", counted(13), lambda *_: die())
    elif moment == "waiting":
        before(torch.optim.Adam, "step", counted(6), lambda *_: time.sleep(3600))


def train_until(moment: str, recipe: str, folder: Path) -> None:
    """Train until the moment comes."""
    # A process started in the background of a shell inherits that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arm(moment)
    train(Recipe.from_toml(recipe), folder, RunOptions(checkpoint_every=1))


def main(recipe: str, folder: str, moments: list[str]) -> None:
    """Fork a process for each moment, which saves importing PyTorch again; a single moment needs no fork."""
    torch.set_num_threads(1)
    if len(moments) == 1:
        train_until(moments[0], recipe, Path(folder) / "0")
        return
    for number, moment in enumerate(moments):
        child = os.fork()
        if child == 0:
            train_until(moment, recipe, Path(folder) / str(number))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
