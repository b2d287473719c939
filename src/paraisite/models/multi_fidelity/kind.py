"""The multi-fidelity model as a kind of models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from paraisite.errors import ModelFileError
from paraisite.features.descriptors import DESCRIPTOR_GRAPHS
from paraisite.models.files import graph_settings
from paraisite.models.inputs import Inputs, Needs
from paraisite.models.interface import Model, ModelOutput
from paraisite.models.multi_fidelity.explanation import MultiFidelityExplainer
from paraisite.models.multi_fidelity.files import load_multi_fidelity, save_multi_fidelity
from paraisite.models.multi_fidelity.model import MultiFidelity
from paraisite.models.names import MULTI_FIDELITY
from paraisite.threads import require_device
from paraisite.uncertainty.files import load_uncertainty, save_uncertainty
from paraisite.uncertainty.judgement import Judgement, Uncertainty


class MultiFidelityModel(Model):
    """The multi-fidelity model with what judges its predictions; numpy on the CPU, whatever the device.

    Attributes:
        multi_fidelity: The model itself.
        uncertainty: Its domain; None where it has no such file.
    """

    kind: ClassVar[str] = MULTI_FIDELITY

    def __init__(
        self, multi_fidelity: MultiFidelity, uncertainty: Uncertainty | None = None, needs: Needs | None = None
    ) -> None:
        """Take a fitted model."""
        self.multi_fidelity = multi_fidelity
        self.uncertainty = uncertainty
        self.needs = needs or Needs(DESCRIPTOR_GRAPHS, descriptors=True)
        self.n_members = multi_fidelity.n_members

    @classmethod
    def load(cls, folder: Path, device: str = "cpu", threads: int | None = None) -> Self:  # noqa: ARG003 - numpy
        """See `Model.load`."""
        require_device(device)
        needs = Needs(graph_settings(folder), descriptors=True)
        return cls(load_multi_fidelity(folder), load_uncertainty(folder), needs)

    def save(self, folder: Path, card: dict[str, Any]) -> None:
        """See `Model.save`."""
        save_multi_fidelity(self.multi_fidelity, folder, card)
        if self.uncertainty is not None:
            save_uncertainty(self.uncertainty, folder)

    def predict(self, inputs: Inputs) -> ModelOutput:
        """See `Model.predict`; the interval is the calibrated one of the predictive distribution."""
        n = len(inputs)
        if n == 0:
            return ModelOutput.empty(self.n_members)
        if inputs.descriptors is None:
            raise ModelFileError("The multi-fidelity model predicts from descriptors; ask for them.")
        prediction = self.multi_fidelity.predict(inputs.descriptors)
        with np.errstate(over="ignore"):  # what is not finite is no prediction, which the table says
            low, high = (10**end for end in prediction.interval())
            kappa, said = 10**prediction.members, Judgement.unknown(n)
        if self.uncertainty is not None:
            features = inputs.descriptors.astype(np.float32)[None]
            said = self.uncertainty.judge(kappa, features, inputs.store, inputs.formula)
        judgement = Judgement(low, high, said.domain, said.domain_distance, said.domain_reason)
        return ModelOutput(kappa, judgement, prediction.log10_point, prediction.log10_std)

    def explainer(self) -> MultiFidelityExplainer:
        """See `Model.explainer`."""
        return MultiFidelityExplainer(self.multi_fidelity)
