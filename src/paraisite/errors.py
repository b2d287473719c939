"""Errors that a user can cause: one clear sentence each, with a short code for tables."""

from __future__ import annotations


class ParaisiteError(Exception):
    """A mistake that the user can mend.

    The message is one sentence that names the file or value and the way out. The command line prints it without a
    traceback; a batch turns it into an error row.

    Attributes:
        code: Short machine-readable code, the `status` of an error row.
    """

    code: str = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        """Keep the sentence and, where given, a code other than the class's own."""
        super().__init__(message)
        if code is not None:
            self.code = code


class StructureError(ParaisiteError):
    """A structure that cannot be read or cannot be predicted."""

    code = "invalid_structure"


class ModelFileError(ParaisiteError):
    """A model file or folder that is missing, damaged or of another kind."""

    code = "invalid_model"


class RecipeError(ParaisiteError):
    """A training recipe with an unknown key or a value out of range."""

    code = "invalid_recipe"


class DataError(ParaisiteError):
    """A data set that is missing, or whose κ values cannot be used."""

    code = "invalid_data"


class RunError(ParaisiteError):
    """A run directory that cannot be resumed or evaluated."""

    code = "invalid_run"


class OutputError(ParaisiteError):
    """An output that would overwrite files of the user."""

    code = "output_exists"


class FetchError(ParaisiteError):
    """Public data that could not be fetched."""

    code = "fetch_failed"
