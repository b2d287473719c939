"""Training, prediction and evaluation leave every setting of the process as they found it."""

from __future__ import annotations

import logging
import os
import random
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import paraisite
from paraisite.datasets.catalogue import load_data_set
from paraisite.prediction.evaluation import evaluate
from paraisite.threads import torch_settings
from paraisite.training.network.options import RunOptions
from paraisite.training.network.recipe import Recipe, StageRecipe
from paraisite.training.network.run import train


def global_state() -> dict[str, Any]:
    """What a caller would miss if it were changed."""
    numpy_random = np.random.get_state()  # noqa: NPY002 - the state that a user's program may rely on
    return {
        "threads": torch.get_num_threads(),
        "threads between operations": torch.get_num_interop_threads(),
        "denormals flushed": float(torch.tensor(1e-40) * 1.0) == 0.0,
        "tf32": (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32),
        "matmul precision": torch.get_float32_matmul_precision(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, torch.backends.cudnn.enabled),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "dtype": torch.get_default_dtype(),
        "torch random": torch.get_rng_state().tolist(),
        "numpy random": (numpy_random[1].tolist(), numpy_random[2:]),
        "random": random.getstate(),
        "numpy errors": np.geterr(),
        "numpy printing": np.get_printoptions(),
        "warnings": list(warnings.filters),
        "pandas": (pd.get_option("mode.chained_assignment"), pd.get_option("display.width")),
        "log": (logging.getLogger().level, list(logging.getLogger().handlers)),
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
    }


@contextmanager
def unchanged() -> Iterator[None]:
    """Compare all global state before and after, under settings that the package would not choose itself."""
    tf32 = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.set_num_threads(2)
    try:
        with np.errstate(divide="raise", over="ignore"), warnings.catch_warnings():
            warnings.simplefilter("once", DeprecationWarning)
            before = global_state()
            yield
            after = global_state()
    finally:
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.set_num_threads(1)
    assert {name: after[name] for name, value in before.items() if after[name] != value} == {}


@pytest.fixture(autouse=True, scope="module")
def torch_is_imported_whole() -> None:
    """The first optimiser of a process makes PyTorch import its compiler and SymPy, which set a variable and a filter."""
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])


def tiny(data: str, **changes: Any) -> Recipe:
    stage = StageRecipe("only", data, epochs=1, batch_size=64, selection="inner")
    return replace(Recipe("tiny", (stage,), runs=(1, 2)), **changes)


@pytest.mark.parametrize("tf32", [False, True])
def test_a_training(tf32: bool, tmp_path: Path) -> None:
    with unchanged():
        train(tiny("togo15", threads=3), tmp_path, RunOptions(tf32=tf32))


def test_a_training_that_fails(tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise KeyboardInterrupt

    with unchanged(), pytest.raises(KeyboardInterrupt):
        train(tiny("togo15", threads=3), tmp_path, RunOptions(tf32=False, report=fail))


def test_tf32_is_as_asked_while_it_trains(tmp_path: Path) -> None:
    seen = []

    def look(_: object) -> None:
        seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.get_num_threads()))

    train(tiny("togo15", threads=3), tmp_path, RunOptions(tf32=True, report=look))
    assert seen == [(True, True, 3)]


@pytest.mark.parametrize("model", ["MultiFidelity", "FEAFTG15"])
def test_a_prediction_and_an_evaluation(model: str) -> None:
    crystals = load_data_set("togo15").crystals[:5]
    with unchanged():
        paraisite.predict(crystals, model)
        evaluate("togo15", model)


@pytest.mark.parametrize("device_is_rounded", [True, False])
def test_settings_without_a_wish_for_tf32_leave_it(device_is_rounded: bool) -> None:
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = device_is_rounded
    try:
        with torch_settings(1):
            assert torch.backends.cuda.matmul.allow_tf32 == device_is_rounded
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
