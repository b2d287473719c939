"""Lattice thermal conductivity of crystals from their structure, by two-stage transfer learning.

    >>> import paraisite
    >>> table = paraisite.predict_files(["NaCl.cif", "crystals.extxyz"])

The names below are loaded when they are first used, so that `import paraisite` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from paraisite.version import __version__

if TYPE_CHECKING:
    from paraisite.datasets.catalogue import DataSet, load_data_set, read_labelled
    from paraisite.datasets.examples import load_examples
    from paraisite.demo import run_demo
    from paraisite.errors import ParaisiteError
    from paraisite.fetch.catalogue import fetch_data, list_data
    from paraisite.models.explanation import Explanation
    from paraisite.models.files import shipped_models
    from paraisite.models.interface import Model, RefitOptions
    from paraisite.models.registry import load_model
    from paraisite.phonons.compute import ComputeOptions, compute
    from paraisite.phonons.potentials.registry import load_potential
    from paraisite.phonons.settings import ComputeSettings
    from paraisite.prediction.evaluation import Evaluation, evaluate
    from paraisite.prediction.explain import explain
    from paraisite.prediction.predict import Predictor, predict, predict_files
    from paraisite.progress import progress_bar
    from paraisite.readers.stream import iter_crystals, read_crystals
    from paraisite.screening.options import ScanOptions
    from paraisite.screening.scan import scan
    from paraisite.screening.state import ScanState, scan_state
    from paraisite.structures.crystal import Crystal
    from paraisite.study.report.write import write_report
    from paraisite.study.reproduce import reproduce
    from paraisite.training.finetune import finetune
    from paraisite.training.network.options import RunOptions
    from paraisite.training.network.recipe import Recipe, StageRecipe, family_recipe
    from paraisite.training.network.run import train

_HOMES = {
    "ComputeOptions": "phonons.compute",
    "ComputeSettings": "phonons.settings",
    "Crystal": "structures.crystal",
    "DataSet": "datasets.catalogue",
    "Evaluation": "prediction.evaluation",
    "Explanation": "models.explanation",
    "Model": "models.interface",
    "ParaisiteError": "errors",
    "Predictor": "prediction.predict",
    "Recipe": "training.network.recipe",
    "RefitOptions": "models.interface",
    "RunOptions": "training.network.options",
    "ScanOptions": "screening.options",
    "ScanState": "screening.state",
    "StageRecipe": "training.network.recipe",
    "compute": "phonons.compute",
    "evaluate": "prediction.evaluation",
    "explain": "prediction.explain",
    "family_recipe": "training.network.recipe",
    "fetch_data": "fetch.catalogue",
    "finetune": "training.finetune",
    "iter_crystals": "readers.stream",
    "list_data": "fetch.catalogue",
    "load_data_set": "datasets.catalogue",
    "load_examples": "datasets.examples",
    "load_model": "models.registry",
    "load_potential": "phonons.potentials.registry",
    "predict": "prediction.predict",
    "predict_files": "prediction.predict",
    "progress_bar": "progress",
    "read_crystals": "readers.stream",
    "read_labelled": "datasets.catalogue",
    "reproduce": "study.reproduce",
    "run_demo": "demo",
    "scan": "screening.scan",
    "scan_state": "screening.state",
    "shipped_models": "models.files",
    "train": "training.network.run",
    "write_report": "study.report.write",
}

__all__ = [
    "ComputeOptions",
    "ComputeSettings",
    "Crystal",
    "DataSet",
    "Evaluation",
    "Explanation",
    "Model",
    "ParaisiteError",
    "Predictor",
    "Recipe",
    "RefitOptions",
    "RunOptions",
    "ScanOptions",
    "ScanState",
    "StageRecipe",
    "__version__",
    "compute",
    "evaluate",
    "explain",
    "family_recipe",
    "fetch_data",
    "finetune",
    "iter_crystals",
    "list_data",
    "load_data_set",
    "load_examples",
    "load_model",
    "load_potential",
    "predict",
    "predict_files",
    "progress_bar",
    "read_crystals",
    "read_labelled",
    "reproduce",
    "run_demo",
    "scan",
    "scan_state",
    "shipped_models",
    "train",
    "write_report",
]


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'paraisite' has no attribute {name!r}")
    return getattr(import_module(f"paraisite.{_HOMES[name]}"), name)
