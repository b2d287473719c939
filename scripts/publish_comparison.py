"""Publish a finished comparison: tables and figures in `results/comparison/`, errors in the model's card and the README.

    python scripts/publish_comparison.py FOLDER

The SVG pictures stay behind where the results would exceed 1.5 MB with them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import pandas as pd

from paraisite.atomic import write_text_atomic
from paraisite.comparison import read_comparison, write_comparison
from paraisite.comparison.card import CARD_CANDIDATES, card_errors, readme_table
from paraisite.errors import ParaisiteError, RunError

REPOSITORY = Path(__file__).parents[1]
CARD = Path("src") / "paraisite" / "data" / "models" / "MultiFidelity" / "card.json"
AFTER_ERRORS = "architecture"
"""Key of the card before which `scripts/train_multi_fidelity.py` writes the errors."""
MOST_BYTES = 1_500_000
TABLE_START = "<!-- accuracy: made by scripts/publish_comparison.py -->\n"
TABLE_END = "<!-- end of accuracy -->\n"


def publish(folder: Path, repository: Path, candidate: str) -> None:
    """Write a comparison into a repository's `results/comparison/`, and its errors into the default model's card.

    Args:
        folder: The comparison's folder.
        repository: An older `results/comparison/` in it is replaced.
        candidate: Whose predictions the figures show.

    Raises:
        ParaisiteError: The folder holds no finished comparison, or none of the card's candidates or of `candidate`.
    """
    jobs, pool = read_comparison(folder)
    if not {str(job.spec) for job in jobs} & set(CARD_CANDIDATES):
        raise RunError(f"{folder} has none of {', '.join(CARD_CANDIDATES)}, whose errors the card tells; add them.")
    results = repository / "results" / "comparison"
    part = results.with_name(".comparison.part")
    shutil.rmtree(part, ignore_errors=True)
    write_comparison(jobs, pool, part, candidate)
    if sum(path.stat().st_size for path in part.rglob("*") if path.is_file()) > MOST_BYTES:
        for path in (part / "figures").glob("*.svg"):
            path.unlink()
    shutil.rmtree(results, ignore_errors=True)
    part.rename(results)
    _write_card(repository / CARD, results)
    readme = repository / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(TABLE_START)
    after = rest.split(TABLE_END)[1]
    shown = readme_table(pd.read_csv(results / "table.csv"))
    write_text_atomic(readme, f"{before}{TABLE_START}\n{shown}\n\n{TABLE_END}{after}")


def _write_card(path: Path, results: Path) -> None:
    card = json.loads(path.read_text(encoding="utf-8"))
    card.pop("errors", None)
    items = list(card.items())
    place = list(card).index(AFTER_ERRORS)
    items.insert(place, ("errors", card_errors(pd.read_csv(results / "table.csv"))))
    write_text_atomic(path, json.dumps(dict(items), indent=2, ensure_ascii=False) + "\n")


def main() -> int:
    """Publish the comparison that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the comparison")
    parser.add_argument("--candidate", default=CARD_CANDIDATES[-1], help="whose predictions the figures show")
    parser.add_argument("--repository", type=Path, default=REPOSITORY)
    arguments = parser.parse_args()
    try:
        publish(arguments.folder, arguments.repository, arguments.candidate)
    except ParaisiteError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
