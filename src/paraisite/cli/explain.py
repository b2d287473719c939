"""The option `--explain` of `predict`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from paraisite.cli.output import clean
from paraisite.errors import ParaisiteError

if TYPE_CHECKING:
    import pandas as pd

    from paraisite.models.explanation import Explanation, Section
    from paraisite.prediction.predict import Predictor
    from paraisite.structures.crystal import ReadOptions


def explained_tables(
    predictor: Predictor,
    files: Sequence[Path],
    console: Console | None,
    plot_folder: Path | None,
    reading: ReadOptions,
    structure_format: str | None = None,
    *,
    force: bool = False,
) -> Iterator[pd.DataFrame]:
    """Predict and explain the crystals of files, one at a time.

    Args:
        predictor: Predicts with a model that can be explained.
        files: Structure files or folders of them.
        console: Where to show each explanation; None shows none.
        plot_folder: Folder for a picture of each; None draws none.
        reading: What readers let pass.
        structure_format: Format of all files, as for `iter_crystals`.
        force: Write pictures also among files of others.

    Returns:
        Tables of one row each with the further column `explanation`: a dictionary, or None for a failure.

    Raises:
        OutputError: The folder of pictures holds files of others.
        ParaisiteError: The model cannot be explained, or pictures are wanted without the library that they need.
    """
    import pandas as pd

    from paraisite.outputs import claim_folder
    from paraisite.prediction.prepare import prepare
    from paraisite.readers.stream import iter_crystals
    from paraisite.reporting.attributions import plot_attributions

    explainer = predictor.model.explainer()
    if plot_folder is not None and explainer.note:
        raise ParaisiteError(explainer.note)
    if plot_folder is not None:
        claim_folder(plot_folder, "predict", force=force)

    def tables() -> Iterator[pd.DataFrame]:
        for number, item in enumerate(iter_crystals(files, format=structure_format, options=reading), 1):
            chunk = prepare([item], predictor.needs)
            explanation = next(explainer.explain(chunk.inputs), None)
            if explanation is not None and console is not None:
                show_explanation(explanation, console)
            if explanation is not None and plot_folder is not None:
                plot_attributions(explanation, plot_folder / _picture_name(number, explanation.material_id))
            column = pd.Series([explanation and explanation.as_dict()], dtype=object)
            yield predictor.predict_prepared(chunk).assign(explanation=column)

    return tables()


def show_explanation(explanation: Explanation, console: Console) -> None:
    """Show an explanation as a block: what the prediction is made of, its nearest crystals, its descriptors."""
    title = f"{explanation.formula}  {explanation.material_id}"
    console.print(f"Why {clean(title.strip())}", style="bold", markup=False, highlight=False)
    for section in explanation.sections():
        _show(_section(section), console)
    if explanation.note:
        console.print(f"  {explanation.note}\n", markup=False, highlight=False, soft_wrap=True)
    if explanation.attributions:
        _show(_attributions(explanation), console)


def _show(table: Table, console: Console) -> None:
    console.print(Padding(table, (0, 0, 1, 2)), highlight=False)


def _section(section: Section) -> Table:
    table = _table(*section.headers)
    for column in section.left:
        table.columns[column].justify = "left"
    for row in section.rows:
        table.add_row(*map(_escape, row))
    return table


def _attributions(explanation: Explanation) -> Table:
    from paraisite.models.explanation import N_SHOWN, as_factor

    table = _table(
        f"from {explanation.background_kappa:.3g}, mean of sampled training crystals, to the median", "factor"
    )
    for group, part in explanation.groups.items():
        table.add_row(group, as_factor(part))
    table.add_row()
    for one in explanation.attributions[:N_SHOWN]:
        table.add_row(one.text, as_factor(one.log10_kappa))
    rest = explanation.attributions[N_SHOWN:]
    table.add_row(f"the other {len(rest)} descriptors", as_factor(sum(one.log10_kappa for one in rest)))
    return table


def _table(*headers: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="italic", show_edge=False)
    table.add_column(headers[0])
    for name in headers[1:]:
        table.add_column(name, justify="right")
    return table


def _escape(text: str) -> str:
    return clean(text).replace("[", "\\[")


def _picture_name(number: int, material_id: str) -> str:
    """A file name that every system takes; the number keeps equal identifiers apart."""
    return f"{number:04d}_{re.sub(r'[^A-Za-z0-9._+-]+', '_', material_id)}.png"
