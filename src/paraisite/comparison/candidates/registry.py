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
from paraisite.comparison.candidates.kinds import KindCandidate
from paraisite.comparison.candidates.regressors import Median, extra_trees, nearest_neighbours, random_forest
from paraisite.comparison.candidates.roost import RoostEnsemble
from paraisite.comparison.candidates.slack import SlackAgl
from paraisite.errors import ParaisiteError
from paraisite.models.names import MULTI_FIDELITY, NETWORK
from paraisite.models.registry import find_kind, kinds


def _shipped(make: Callable[[], Candidate]) -> CandidateFactory:
    """A candidate that needs no data."""
    return lambda data_folder=None: make()  # noqa: ARG005


def _kind(name: str) -> CandidateFactory:
    """A kind of models, found when it is asked for."""
    return lambda data_folder=None: KindCandidate(find_kind(name))  # noqa: ARG005


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
    MULTI_FIDELITY: _kind(MULTI_FIDELITY),
}
"""How to make each candidate that stands beside the network, in the order of tables."""
NETWORKS: dict[str, CandidateFactory] = {NETWORK: _kind(NETWORK)}
"""The network itself as a candidate; the study trains it by recipes of its own."""
_TRAINED_ON = dict.fromkeys(("slack_agl", "slack_agl_calibrated", "gaussian_process_aflow"), ("aflow_agl",))
"""Data sets whose values a candidate that is no kind of models knows before it is fitted."""


def factories() -> dict[str, CandidateFactory]:
    """How to make each candidate: those above, and the kinds of other packages that can be fitted."""
    own = {**CANDIDATES, **NETWORKS}
    others = {name: _kind(name) for name, kind in kinds().items() if kind.candidate and kind.trainer}
    return {**own, **{name: make for name, make in others.items() if name not in own}}


def trained_on(name: str) -> tuple[str, ...]:
    """Data sets whose values a candidate knows before it is fitted, so that it cannot be judged by them."""
    kind = kinds().get(name)
    return _TRAINED_ON.get(name, ()) if kind is None else kind.trained_on


def make_candidate(name: str, data_folder: str | Path | None = None) -> Candidate:
    """Make a candidate.

    Args:
        name: A name in `factories`.
        data_folder: Folder of what the package does not ship.

    Raises:
        ParaisiteError: There is no such candidate, or what it needs is missing.
    """
    known = factories()
    if name not in known:
        raise ParaisiteError(f"There is no candidate {name!r}; choose among {', '.join(known)}.")
    for module, package in (("sklearn", "scikit-learn"), ("matminer", "matminer")):
        if find_spec(module) is None:
            raise ParaisiteError(f"The candidates need {package}: install it with pip install 'paraisite[study]'.")
    return known[name](data_folder)
