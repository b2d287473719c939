"""The candidates by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from paraisite.comparison.candidates.gaussian_process import (
    gaussian_process_aflow,
    gaussian_process_magpie,
    gaussian_process_structure,
)
from paraisite.comparison.candidates.interface import Candidate, CandidateFactory
from paraisite.comparison.candidates.multi_fidelity import MultiFidelityCandidate
from paraisite.comparison.candidates.network import FineTunedNetwork
from paraisite.comparison.candidates.regressors import Median, extra_trees, nearest_neighbours, random_forest
from paraisite.comparison.candidates.roost import RoostEnsemble
from paraisite.comparison.candidates.slack import SlackAgl
from paraisite.errors import ParaisiteError


def _shipped(make: Callable[[], Candidate]) -> CandidateFactory:
    """A candidate that needs no data."""
    return lambda data_folder=None: make()  # noqa: ARG005


CANDIDATES: dict[str, CandidateFactory] = {
    "median": _shipped(Median),
    "slack_agl": SlackAgl,
    "slack_agl_calibrated": lambda data_folder=None: SlackAgl(data_folder, calibrated=True),
    "knn": _shipped(nearest_neighbours),
    "random_forest": _shipped(random_forest),
    "extra_trees": _shipped(extra_trees),
    "gaussian_process_structure": _shipped(gaussian_process_structure),
    "gaussian_process_magpie": _shipped(gaussian_process_magpie),
    "gaussian_process_aflow": _shipped(gaussian_process_aflow),
    "roost": _shipped(RoostEnsemble),
    "multi_fidelity": _shipped(MultiFidelityCandidate),
}
"""How to make each candidate that stands beside the network, in the order of tables."""
NETWORKS: dict[str, CandidateFactory] = {"network": _shipped(FineTunedNetwork)}
"""The network itself as a candidate; the study trains it by recipes of its own."""
TRAINED_ON_AFLOW = ("slack_agl", "slack_agl_calibrated", "gaussian_process_aflow", "multi_fidelity", *NETWORKS)
"""Candidates that know the values of the data set aflow_agl."""


def make_candidate(name: str, data_folder: str | Path | None = None) -> Candidate:
    """Make a candidate.

    Args:
        name: A name in `CANDIDATES` or `NETWORKS`.
        data_folder: Folder of what the package does not ship.

    Raises:
        ParaisiteError: There is no such candidate, or what it needs is missing.
    """
    factories = {**CANDIDATES, **NETWORKS}
    if name not in factories:
        raise ParaisiteError(f"There is no candidate {name!r}; choose among {', '.join(factories)}.")
    for module, package in (("sklearn", "scikit-learn"), ("matminer", "matminer")):
        if find_spec(module) is None:
            raise ParaisiteError(f"The candidates need {package}: install it with pip install 'paraisite[study]'.")
    return factories[name](data_folder)


def unavailable_candidates(data_folder: str | Path | None = None) -> dict[str, str]:
    """Reason by name of those candidates that cannot be made here.

    Args:
        data_folder: Folder of what the package does not ship.
    """
    reasons = {}
    for name in CANDIDATES:
        try:
            make_candidate(name, data_folder)
        except ParaisiteError as error:
            reasons[name] = str(error)
    return reasons
