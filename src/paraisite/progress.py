"""A progress bar for Python and notebooks, by tqdm, which draws a widget where there are widgets and else a line of text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from paraisite.fetch.common import FetchProgress
    from paraisite.screening.options import ScanProgress
    from paraisite.training.network.options import StageProgress


class ProgressBar:
    """What shows how far predictions, a scan, a training or a fetch are; made by `progress_bar`."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._bars: dict[str, Any] = {}
        self._errors: dict[str, str] = {}

    def predicted(self, tables: Iterable[pd.DataFrame], total: int | None = None) -> Iterator[pd.DataFrame]:
        """Pass on the tables of `Predictor.stream_files`, and show how many crystals they hold.

        Args:
            tables: The tables.
            total: Crystals in all, where that is known.
        """
        bar = self._bar("predict", total, "crystals")
        for table in tables:
            yield table
            bar.update(len(table))

    def scanned(self, now: ScanProgress) -> None:
        """Show how far a scan is; the `report` of `ScanOptions`."""
        left = now.seconds_left
        rate = now.rows_now / max(now.seconds, 1e-9)
        bar = self._bar("scan", None, "crystals")
        bar.total = None if left is None else now.rows + math.ceil(left * rate)
        bar.set_postfix_str(f"{now.failed} errors", refresh=False)
        self._move(bar, now.rows)

    def fetched(self, now: FetchProgress) -> None:
        """Show how far a fetch is; the `report` of `FetchOptions`, the `report_fetch` of `ScanOptions`."""
        bar = self._bar(f"fetch {now.name}", now.total, now.unit)
        bar.total = now.total
        if now.records:
            bar.set_postfix_str(f"{now.records} records", refresh=False)
        self._move(bar, now.done)

    def trained(self, now: StageProgress) -> None:
        """Show how far a stage of a training is; the `report` of `RunOptions` and of `run_demo`."""
        bar = self._bar(f"{now.run} {now.stage}", now.epochs, "epochs")
        if not math.isnan(now.validation_mape):  # not every epoch is validated
            self._errors[bar.desc] = f", validation MAPE {now.validation_mape:.3f}"
        bar.set_postfix_str(f"loss {now.train_loss:.3f}{self._errors.get(bar.desc, '')}", refresh=False)
        self._move(bar, now.epoch)

    def close(self) -> None:
        """Leave the bars as they are."""
        for bar in self._bars.values():
            bar.close()

    def _bar(self, name: str, total: int | None, unit: str) -> Any:
        if name not in self._bars:
            from tqdm.auto import tqdm  # noqa: PLC0415 - seldom needed

            self._bars[name] = tqdm(total=total, desc=name, unit=f" {unit}", dynamic_ncols=True)
        return self._bars[name]

    @staticmethod
    def _move(bar: Any, done: int) -> None:
        bar.update(done - bar.n)
        bar.refresh()


@contextmanager
def progress_bar() -> Iterator[ProgressBar]:
    """Show the progress of what is done in the block.

    with paraisite.progress_bar() as bar:
        paraisite.scan("folder/", "scan", paraisite.ScanOptions(report=bar.scanned))
        paraisite.train(recipe, "runs/mine", paraisite.RunOptions(report=bar.trained))
        tables = list(bar.predicted(paraisite.Predictor().stream_files("folder/")))
    """
    bar = ProgressBar()
    try:
        yield bar
    finally:
        bar.close()
