"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ForceOption = Annotated[
    bool,
    typer.Option(
        "--force", help="Replace or overwrite what is in the way: files of yours, or an output of other data."
    ),
]
ModelOption = Annotated[str, typer.Option("--model", "-m", help="Name of a shipped model, or a model folder.")]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu or cuda.")]
MembersOption = Annotated[
    bool, typer.Option("--members", help="Give each member's κ, their mean and standard deviation too.")
]
ReadingLimitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        help="Raise a limit on what is read (or fetched, by scan): NAME=NUMBER, such as record_bytes=1000000000; repeatable.",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", envvar="PARAISITE_DATA", help="Folder of data and weights that the package does not ship."),
]
