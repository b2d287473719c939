"""Attack scans, trainings, fetchers and files, and write down what held.

    python scripts/attack.py FOLDER [--minutes N] [--only NAME …] [--seed 0]   attack; goes on after what FOLDER holds
    python scripts/attack.py FOLDER --report                                  write docs/reliability.md from it

FOLDER gets `attacks.jsonl`, a line for each attack, which names seed and number: `--only NAME --number N` repeats one.
Lines of other code do not count. Where FOLDER holds the counts of the fuzzer too (`scripts/fuzz.py --state FOLDER`), the
report has them.
The exit code is 1 where there are faults.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from attacks.base import Attack
from attacks.execute import execute
from attacks.record import append, code_version, lines
from attacks.report import DOCUMENT, RESULTS, write_report


def all_attacks() -> tuple[Attack, ...]:
    """Every kind of attack; the quick ones first."""
    from attacks import bombs, damage, disk, kills, names, own_files, races, ray_actors  # noqa: PLC0415 - loads PyTorch

    modules = (damage, own_files, names, bombs, disk, kills, races, ray_actors)
    return tuple(attack for module in modules for attack in module.ATTACKS)


def done(path: Path, seed: int) -> set[tuple[str, int]]:
    """Names and numbers of the attacks that were made with this code and seed."""
    made = (line for line in lines(path) if line["code"] == code_version() and line["seed"] == seed)
    return {(line["attack"], line["number"]) for line in made}


def in_turn(attacks: Sequence[Attack], made: set[tuple[str, int]]) -> Iterator[tuple[Attack, list[int]]]:
    """A share of each kind in turn, until all are made: quick ones many at a time, in one forked process."""
    left = {attack: [n for n in range(attack.planned) if (attack.name, n) not in made] for attack in attacks}
    while any(left.values()):
        for attack, numbers in left.items():
            share = numbers[: 40 if attack.quick else 1]
            del numbers[: len(share)]
            if share:
                yield attack, share


def main() -> int:
    """Attack as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the results")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this time")
    parser.add_argument("--only", nargs="+", default=[], help="attacks whose names begin so")
    parser.add_argument("--number", type=int, help="this one alone, once more")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", action="store_true", help="write docs/reliability.md and results/reliability.json")
    parser.add_argument("--report-to", type=Path, help="attack, and write these two into another folder")
    arguments = parser.parse_args()
    path = arguments.folder / "attacks.jsonl"
    code = 0 if arguments.report else _attack(parser, arguments, path)
    if arguments.report or arguments.report_to:
        folder = arguments.report_to
        places = (folder / DOCUMENT.name, folder / RESULTS.name) if folder else (DOCUMENT, RESULTS)
        code = max(code, write_report(path, arguments.folder / "fuzz.jsonl", all_attacks(), *places))
    return code


def _attack(parser: argparse.ArgumentParser, arguments: argparse.Namespace, path: Path) -> int:
    """Attack; the exit code."""
    chosen = [item for item in all_attacks() if not arguments.only or item.name.startswith(tuple(arguments.only))]
    if not chosen:
        parser.error(f"there is no attack {' '.join(arguments.only)}: {', '.join(item.name for item in all_attacks())}")
    stop_at = time.monotonic() + 60 * arguments.minutes
    if arguments.number is not None:
        work: Iterator[tuple[Attack, list[int]]] = iter([(attack, [arguments.number]) for attack in chosen])
    else:
        work = in_turn(chosen, done(path, arguments.seed))
    n_faults = n_made = 0
    for attack, numbers in work:
        if time.monotonic() > stop_at:
            break
        for result in execute(attack, numbers, arguments.seed):
            append(path, attack=attack.name, seed=arguments.seed, **result)
            n_made += 1
            if result["fault"]:
                n_faults += 1
                print(f"{attack.name} {result['number']}: {result['fault']}", flush=True)
    print(f"{n_made} attacks, {n_faults} faults")
    return 1 if n_faults else 0


if __name__ == "__main__":
    sys.exit(main())
