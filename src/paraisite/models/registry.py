"""The kinds of models by name: those of the package, and those that other packages bring along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from paraisite.errors import ModelFileError
from paraisite.models.files import WEIGHTS_NAME, checked_file, find_model, read_card
from paraisite.models.names import DEFAULT_MODEL, MULTI_FIDELITY, NETWORK, kind_of

if TYPE_CHECKING:
    from paraisite.models.interface import Model, Trainer

KIND_ENTRY_POINTS = "paraisite.models"
"""Entry points of other packages: the name is that of the kind, the object a `Kind`."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of models. Its classes are named, not imported: the registry lies below what trains, and costs no PyTorch.

    Attributes:
        name: As cards give it.
        title: For tables and figures.
        model: Its `paraisite.models.interface.Model`, written `module:name`.
        trainer: Its `paraisite.models.interface.Trainer`, written the same way; empty where it cannot be fitted here.
        candidate: Whether `paraisite compare` offers the kind under its name.
        trained_on: Data sets that its usual start was trained on, so that it cannot be judged by them.
    """

    name: str
    title: str
    model: str
    trainer: str = ""
    candidate: bool = True
    trained_on: tuple[str, ...] = ()

    def model_class(self) -> type[Model]:
        """Import the class of its models."""
        return cast("type[Model]", _load(self.model))

    def make_trainer(self) -> Trainer:
        """Make its trainer.

        Raises:
            ModelFileError: It has none.
        """
        if not self.trainer:
            raise ModelFileError(f"A model of the kind {self.name!r} cannot be fitted by this package; choose another.")
        return cast("type[Trainer]", _load(self.trainer))()


_OWN = (
    Kind(
        MULTI_FIDELITY,
        "Multi-fidelity (AGL surrogate and Gaussian processes)",
        "paraisite.models.multi_fidelity.kind:MultiFidelityModel",
        "paraisite.training.multi_fidelity.trainer:MultiFidelityTrainer",
        trained_on=("aflow_agl",),
    ),
    Kind(
        NETWORK,
        "Network (formation energies, AFLOW, fine-tuned)",
        "paraisite.models.network.kind:NetworkModel",
        "paraisite.training.network.trainer:NetworkTrainer",
        trained_on=("aflow_agl",),
    ),
)


@lru_cache(maxsize=1)
def kinds() -> Mapping[str, Kind]:
    """All kinds by name; those of other packages are found by their entry points, and theirs alone are imported.

    Raises:
        ModelFileError: An installed package brings a kind that cannot be used.
    """
    found = {kind.name: kind for kind in _OWN}
    for entry in entry_points(group=KIND_ENTRY_POINTS):
        if entry.name in found:
            raise ModelFileError(f"The package of {entry.value} brings a second kind {entry.name!r}; uninstall it.")
        try:
            kind = entry.load()
        except Exception as error:  # whatever a foreign module raises
            raise ModelFileError(f"The kind {entry.name!r} cannot be imported from {entry.value}: {error}.") from error
        if not isinstance(kind, Kind) or kind.name != entry.name:
            raise ModelFileError(f"{entry.value} is not the kind {entry.name!r}; its package must be mended.")
        found[entry.name] = kind
    return found


def find_kind(name: str, folder: Path | None = None) -> Kind:
    """Find a kind by its name.

    Args:
        name: Its name.
        folder: Folder of the model that names it, for the message.

    Raises:
        ModelFileError: There is no such kind here.
    """
    known = {kind.name: kind for kind in _OWN}
    if name not in known:
        known = dict(kinds())
    if name not in known:
        where = "" if folder is None else f"The card in {folder} names "
        raise ModelFileError(
            f"{where}{'a' if where else 'There is no'} kind of model {name!r}{', which is not known here' if where else ''}: "
            f"known are {', '.join(known)}; install the package that brings it."
        )
    return known[name]


def kind_of_model(name: str | Path = DEFAULT_MODEL) -> tuple[Kind, Path]:
    """Find a model's kind and its folder.

    Raises:
        ModelFileError: There is no such model, or its kind is not known.
    """
    folder = find_model(name)
    return find_kind(kind_of(read_card(folder)), folder), folder


def load_model(name: str | Path = DEFAULT_MODEL, device: str = "cpu", threads: int | None = None) -> Model:
    """Load a model of whatever kind.

    Args:
        name: Name of a shipped model, a model folder, or a finished run.
        device: `cpu` or `cuda`.
        threads: CPU threads; the kind's own choice without it.

    Raises:
        ModelFileError: There is no such model, it is damaged, or its kind is not known.
        ParaisiteError: There is no such device.
    """
    kind, folder = kind_of_model(name)
    if kind not in _OWN:  # those of the package look when they read
        checked_file(folder, WEIGHTS_NAME, read_card(folder))
    return kind.model_class().load(folder, device, threads)


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
