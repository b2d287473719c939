"""Names that the command line needs before PyTorch is loaded."""

DEFAULT_MODEL = "FEAFTG15"
"""The shipped model that predicts unless another is named."""
