"""Names that the command line needs before PyTorch is loaded."""

DEFAULT_MODEL = "MultiFidelity"
"""The shipped model that predicts unless another is named."""
MULTI_FIDELITY = "multi_fidelity"
"""Kind of a model, in its card, that is no network; a card without a kind is a network's."""
