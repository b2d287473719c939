"""The state of a stage in training, and its checkpoint file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from paraisite.atomic import atomic_path
from paraisite.errors import RunError
from paraisite.models.network.paraisite import ParAIsite

METRICS = (
    "train_loss",
    "selection_mape",
    "validation_mape",
    "validation_mae_log10",
    "validation_mape_compressed",
    "running_validation_mape",
)
"""Columns of the history: `train_loss` and `running_validation_mape` are taken during the epoch, the others after it."""

N_METADATA = 3
"""Entries of a checkpoint's metadata beside its SHA-256: epoch, digest and metrics."""


@dataclass(slots=True)
class TrainingState:
    """Everything that the next epoch depends on.

    Attributes:
        model: The ensemble.
        optimizer: Its optimiser.
        epoch: Epochs done.
        history: [n_epochs_done][n_members][len(METRICS)] as a list of [n_members, len(METRICS)] float64 tensors; NaN where
            an epoch was not validated.
        best_error: Lowest selection error of each member so far, [n_members] float64.
        best_epoch: Its epoch, counted from 1, [n_members] int64.
        best: Parameters of each member at its best epoch, by name.
    """

    model: ParAIsite
    optimizer: torch.optim.Adam
    epoch: int
    history: list[Tensor]
    best_error: Tensor
    best_epoch: Tensor
    best: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def start(cls, model: ParAIsite, optimizer: torch.optim.Adam) -> TrainingState:
        """Make the state before the first epoch."""
        n_members = model.settings.n_members
        best = {name: value.detach().clone() for name, value in model.named_parameters()}
        return cls(
            model, optimizer, 0, [],
            torch.full((n_members,), torch.inf, dtype=torch.float64), torch.zeros(n_members, dtype=torch.int64), best,
        )  # fmt: skip

    def keep_best(self, selection_error: Tensor) -> None:
        """Keep the parameters of the members whose selection error, [n_members], is the lowest so far."""
        better = selection_error < self.best_error
        self.best_error = torch.where(better, selection_error, self.best_error)
        self.best_epoch = torch.where(better, torch.tensor(self.epoch), self.best_epoch)
        with torch.no_grad():
            for name, value in self.model.named_parameters():
                self.best[name][better.to(value.device)] = value[better.to(value.device)]

    def restore_best(self) -> None:
        """Put each member back to its best epoch."""
        with torch.no_grad():
            for name, value in self.model.named_parameters():
                value.copy_(self.best[name])

    def save(self, path: Path, digest: str) -> None:
        """Write the checkpoint, whole or not at all; `digest` names the recipe that it belongs to."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"adam.{key}.{name}"] = value
        tensors |= {"best_error": self.best_error, "best_epoch": self.best_epoch}
        if self.history:
            tensors["history"] = torch.stack(self.history)
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        metadata = {"epoch": str(self.epoch), "digest": digest, "metrics": json.dumps(METRICS)}
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, {**metadata, "sha256": _sha256(tensors, metadata)})

    def load(self, path: Path, digest: str) -> None:
        """Continue from a checkpoint.

        Raises:
            RunError: The file is damaged (its SHA-256 is not the one that was written), or belongs to another recipe or
                data set.
        """
        try:
            with safe_open(path, framework="pt") as handle:
                metadata = handle.metadata()
                tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise RunError(
                f"The checkpoint {path} cannot be read: {error}; delete it to begin the stage anew."
            ) from error
        if metadata is None or metadata.get("digest") != digest or metadata.get("metrics") != json.dumps(METRICS):
            raise RunError(
                f"The checkpoint {path} belongs to another recipe, data set or version; choose another run folder, or "
                "delete it to begin the stage anew."
            )
        written = metadata.pop("sha256", None)  # version 0.1.0 wrote none
        is_whole = len(metadata) == N_METADATA if written is None else written == _sha256(tensors, metadata)
        if not is_whole:
            raise RunError(f"The checkpoint {path} is damaged; delete it to begin the stage anew.")
        self._restore(tensors, int(metadata["epoch"]))

    def _restore(self, tensors: dict[str, Tensor], epoch: int) -> None:
        self.epoch = epoch
        self.history = list(tensors["history"]) if "history" in tensors else []
        self.best_error, self.best_epoch = tensors["best_error"], tensors["best_epoch"]
        model_prefix, best_prefix = "model.", "best."
        self.model.load_state_dict(
            {name[len(model_prefix) :]: value for name, value in tensors.items() if name.startswith(model_prefix)}
        )
        device = next(self.model.parameters()).device
        for name in self.best:
            self.best[name] = tensors[best_prefix + name].to(device)
        for name, parameter in self.model.named_parameters():
            keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"adam.{key}.{name}" in tensors]
            self.optimizer.state[parameter] = {key: tensors[f"adam.{key}.{name}"].to(parameter.device) for key in keys}


def _sha256(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """Hash of names, kinds, shapes and bytes of all tensors, and of the metadata."""
    content = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        content.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        content.update(tensor.numpy().tobytes())
    return content.hexdigest()
