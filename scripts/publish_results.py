"""Publish the report of a finished study: copy it to `results/`, and make the table of errors in docs/networks.md from it.

    python scripts/publish_results.py OUT

The SVG pictures stay behind where the results would exceed 5 MB with them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from paraisite.atomic import write_text_atomic
from paraisite.errors import ParaisiteError, RunError
from paraisite.outputs import MARKER
from paraisite.study.report.data import read_study
from paraisite.study.report.write import networks_table, write_report

REPOSITORY = Path(__file__).parents[1]
COMPARISON = "comparison"
TABLE_START, TABLE_END = "<!-- errors: made by scripts/publish_results.py -->\n", "<!-- end of errors -->\n"
MOST_BYTES = 5_000_000


def publish(out: Path, repository: Path) -> None:
    """Write the report of a study into a repository's `results/`, and its errors into `docs/networks.md`.

    Args:
        out: The study's folder.
        repository: Where `docs/networks.md` is; an older `results/` in it is replaced.

    Raises:
        RunError: The study is a quick one, or the page has no place for the table.
    """
    if read_study(out).quick:
        raise RunError(f"{out} holds a quick study, whose numbers mean nothing; publish a full one.")
    page = repository / "docs" / "networks.md"
    text = page.read_text(encoding="utf-8")
    if TABLE_START not in text or TABLE_END not in text:
        raise RunError(f"{page} has no lines {TABLE_START.strip()} and {TABLE_END.strip()} to put the table between.")
    results = repository / "results"
    for old in results.iterdir() if results.is_dir() else ():
        if old.name != COMPARISON:  # scripts/publish_comparison.py's
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    write_report(out, results, force=True)
    (results / MARKER).unlink()  # what is committed needs no guard
    shutil.copy2(out / "study.json", results / "study.json")
    if sum(path.stat().st_size for path in results.rglob("*") if path.is_file()) > MOST_BYTES:
        for path in (results / "figures").glob("*.svg"):
            path.unlink()
    before, rest = text.split(TABLE_START)
    after = rest.split(TABLE_END)[1]
    write_text_atomic(page, f"{before}{TABLE_START}\n{networks_table(results)}\n\n{TABLE_END}{after}")


def main() -> int:
    """Publish the study that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the study")
    parser.add_argument("--repository", type=Path, default=REPOSITORY)
    arguments = parser.parse_args()
    try:
        publish(arguments.out, arguments.repository)
    except ParaisiteError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
