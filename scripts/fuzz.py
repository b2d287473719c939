"""Feed damaged CIF, POSCAR, extxyz and JSON to the readers and to scans, and report what is neither a crystal nor a sentence.

    python scripts/fuzz.py --inputs 100000 [--seed 0] [--format cif] [--save DIR]
    python scripts/fuzz.py --scan 5000 [--seed 0]
    python scripts/fuzz.py --semantic 20000 [--seed 0]

An input is a function of seed, format and number, so `--first N --inputs 1 --format cif` gives one again. Inputs are read
in a child process with 3 GB of address space; a structure that takes longer than 10 s is a finding too, and so is an input
that ends the process. With `--semantic`, files stay well formed and contradict their own formula, number of
formula units or symmetry: none may be read as another crystal than that of the intact file. The exit
code is 1 where there are findings.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import selectors
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS / "fuzzing"))

from mutators import Input, mutated_input  # noqa: E402 - beside the tests
from seeds import SUFFIXES  # noqa: E402

LIMIT_BYTES = 3 * 1024**3
LIMIT_SECONDS = 10.0
START_SECONDS = 120.0
SHOWN_EACH = 3
REPORT_EVERY = 5000


def numbered_input(seed: int, kind: str, number: int) -> tuple[Input, Random]:
    """Input of a number, and what is left of its randomness."""
    random = Random(f"{seed} {kind} {number}")
    return mutated_input(random, kind), random


def child(arguments: argparse.Namespace) -> None:
    """Check inputs one after the other; say before each which it is, and after it what came of it."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    from checks import check_input  # noqa: PLC0415 - seconds, which only a child needs

    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        for number in range(arguments.first, arguments.first + arguments.inputs):
            for kind in arguments.format:
                given, random = numbered_input(arguments.seed, kind, number)
                _say({"number": number, "kind": kind})
                start = time.perf_counter()
                try:
                    answer = {"crystals": check_input(given, Path(folder), random, _beat())}
                except Exception as error:  # whatever it is, it is a finding
                    answer = {"problem": _problem(error)}
                _say({**answer, "seconds": time.perf_counter() - start})
    _say({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024})


def _beat() -> Callable[[], None]:
    """A function that says, once a second, that the child goes on: a file of many structures may take longer than one."""
    last = time.monotonic()

    def alive() -> None:
        nonlocal last
        if time.monotonic() - last > 1:
            last = time.monotonic()
            _say({"alive": True})

    return alive


def _say(content: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def _problem(error: Exception) -> str:
    """One line: the error, and the last places of the package on its way."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "paraisite" in frame.filename]
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-3:]]
    return f"{type(error).__name__}: {ascii(str(error))[:300]} at {' > '.join(places)}"


class Run:
    """The run of a child over its inputs, begun anew behind an input that killed it."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Count nothing yet."""
        self._arguments = arguments
        self.problems: Counter[str] = Counter()
        self.inputs: Counter[str] = Counter()
        self.with_crystals: Counter[str] = Counter()
        self.slowest: list[tuple[float, str, int]] = []
        self.peak = 0

    def all(self) -> None:
        """Check every input."""
        given = self._arguments
        todo = [(number, kind) for number in range(given.first, given.first + given.inputs) for kind in given.format]
        while todo:
            last = self._some(todo[0])
            todo = todo[todo.index(last) + 1 :] if last else []

    def _some(self, first: tuple[int, str]) -> tuple[int, str] | None:
        """Check inputs from one on; the one at which the child ended, None where it came to the end."""
        given = self._arguments
        kinds = given.format
        if first[1] != kinds[0]:  # the rest of a number's formats
            stop, formats, start = first[0] + 1, kinds[kinds.index(first[1]) :], first[0]
        else:
            stop, formats, start = given.first + given.inputs, kinds, first[0]
        words = ["--child", "--seed", given.seed, "--first", start, "--inputs", stop - start, "--format", *formats]
        command = [sys.executable, __file__, *map(str, words)]
        current, end, begun = first, (stop - 1, formats[-1]), False
        environment = {**os.environ, "SPGLIB_WARNING": "OFF", "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            for answer in _answers(process):
                if "number" in answer:
                    current, begun = (int(answer["number"]), str(answer["kind"])), True
                elif "peak" in answer:
                    self.peak = max(self.peak, int(answer["peak"]))
                    return end
                elif "alive" not in answer:
                    self._take(current, answer)
            hung = process.poll() is None
            process.kill()
        if not begun:
            sys.exit("The child process does not start; see its error above.")
        status = process.returncode
        self._take(current, {"problem": "longer than 10 s" if hung else f"ended its process, status {status}"})
        return current

    def _take(self, which: tuple[int, str], answer: dict[str, object]) -> None:
        number, kind = which
        self.inputs[kind] += 1
        self.with_crystals[kind] += bool(answer.get("crystals"))
        self.slowest = sorted([*self.slowest, (float(str(answer.get("seconds", 0))), kind, number)])[-5:]
        if problem := answer.get("problem"):
            key = str(problem).rpartition(" at ")[2] + str(problem)[:30]
            self.problems[key] += 1
            if self.problems[key] <= SHOWN_EACH:
                print(f"{kind} {number}: {problem}", flush=True)
                self._save(number, kind)
        if self.inputs.total() % REPORT_EVERY == 0:
            print(f"{self.inputs.total()} inputs, {self.problems.total()} findings", flush=True)

    def _save(self, number: int, kind: str) -> None:
        if self._arguments.save is not None:
            given, _ = numbered_input(self._arguments.seed, kind, number)
            self._arguments.save.mkdir(parents=True, exist_ok=True)
            (self._arguments.save / f"{kind}-{number}-{given.name}").write_bytes(given.data)


def _answers(process: subprocess.Popen[bytes]) -> Iterator[dict[str, object]]:
    """Lines of a child, as long as they come in time."""
    assert process.stdout is not None
    limit, waiting = START_SECONDS, b""
    os.set_blocking(process.stdout.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(limit):
            some = process.stdout.read(1 << 16)
            if some is None:
                continue
            if not some:
                process.wait()
                return
            *lines, waiting = (waiting + some).split(b"\n")
            answers = [json.loads(line) for line in lines]
            yield from answers
            # After an answer the next input is made, which is not what is tried.
            limit = LIMIT_SECONDS if answers and {"number", "alive"} & set(answers[-1]) else START_SECONDS


def fuzz_semantically(arguments: argparse.Namespace) -> int:
    """Read mutants that contradict themselves; the exit code."""
    from semantic import FORMATS, check_mutant, mutant  # noqa: PLC0415 - loads what only this needs

    outcomes: dict[str, Counter[str]] = {}
    findings = 0
    for number in range(arguments.first, arguments.first + arguments.semantic):
        for kind in FORMATS:
            given = mutant(Random(f"{arguments.seed} semantic {kind} {number}"), kind)
            try:
                outcome = check_mutant(given)
            except Exception as error:  # another crystal, or whatever else the package lets through
                findings += 1
                outcome = "FINDING"
                print(f"{kind} {number}: {_problem(error)}", flush=True)
                if arguments.save is not None:
                    arguments.save.mkdir(parents=True, exist_ok=True)
                    (arguments.save / f"semantic-{number}.{kind}").write_text(given.text)
            outcomes.setdefault(given.change, Counter())[outcome] += 1
        if (number + 1) % REPORT_EVERY == 0:
            print(f"{number + 1} mutants, {findings} findings", flush=True)
    for change, counts in outcomes.items():
        print(f"{change}: {', '.join(f'{count} {outcome}' for outcome, count in counts.most_common())}")
    print(f"{sum(counts.total() for counts in outcomes.values())} mutants, {findings} findings")
    return 1 if findings else 0


def main() -> int:
    """Fuzz as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=0, help="inputs in all, shared out over the formats")
    parser.add_argument("--scan", type=int, default=0, help="inputs that scans read, in folders, archives and tables")
    parser.add_argument("--semantic", type=int, default=0, help="well-formed files that contradict themselves")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each format")
    parser.add_argument("--format", nargs="+", choices=list(SUFFIXES), default=list(SUFFIXES))
    parser.add_argument("--save", type=Path, help="folder for inputs with findings")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments)
        return 0
    arguments.inputs = -(-arguments.inputs // len(arguments.format))
    start = time.monotonic()
    if arguments.scan:
        from scans import check_scan  # noqa: PLC0415 - loads PyTorch

        with tempfile.TemporaryDirectory() as folder:
            n_rows = check_scan(Path(folder), seed=arguments.seed, n_inputs=arguments.scan)
        print(
            f"scans of {arguments.scan} inputs in {time.monotonic() - start:.0f} s: {n_rows} rows, every input has one"
        )
    if arguments.semantic:
        return fuzz_semantically(arguments)
    run = Run(arguments)
    run.all()
    if not arguments.inputs:
        return 0
    for kind in run.inputs:
        print(f"{kind}: {run.inputs[kind]} inputs, {run.with_crystals[kind]} of them still with crystals")
    print(f"{run.inputs.total()} inputs in {time.monotonic() - start:.0f} s, peak memory {run.peak / 1e6:.0f} MB")
    print(
        f"slowest: {', '.join(f'{kind} {number} {seconds:.2f} s' for seconds, kind, number in reversed(run.slowest))}"
    )
    print(f"{run.problems.total()} findings of {len(run.problems)} kinds")
    return 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main())
