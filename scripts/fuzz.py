"""Feed damaged inputs of every kind to the readers and to scans, and report what is neither a crystal nor a sentence.

    python scripts/fuzz.py --inputs 100000 [--seed 0] [--format cif zip card] [--save DIR]
    python scripts/fuzz.py --inputs 1000000 --state DIR [--minutes 60]     goes on where DIR/fuzz.jsonl ends
    python scripts/fuzz.py --state DIR --summary | --again
    python scripts/fuzz.py --scan 5000 [--seed 0]
    python scripts/fuzz.py --semantic 20000 [--seed 0]

Kinds are the text formats, compressed files, archives, Parquet, ASE databases, cards of models, and answers of an OPTIMADE
provider (`tests/fuzzing/kinds.py`). An input is a function of seed, kind and number, so `--first N --inputs 1 --format cif`
gives one again. Inputs are read in a child process with 3 GB of address space; one that takes longer than 10 s of its
processor is a finding too, and so is one that ends the process, crystals that are gone without a word, or another value where
the format carries check sums. With `--semantic`, files stay well formed and contradict their own formula, number of
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

from attacks.fuzz_state import State, again, summary  # noqa: E402 - beside this file, with the path above
from kinds import KINDS, check_number, is_due, numbered_input, warm_up  # noqa: E402 - beside the tests
from seeds import FILE_NAMES  # noqa: E402

LIMIT_BYTES = 3 * 1024**3
LIMIT_SECONDS = 10.0
START_SECONDS = 900.0
SHOWN_EACH = 3
REPORT_EVERY = 5000
STATE_EVERY = 1000
NUMBERS_EACH = 500
"""Of a child: what libraries never give back must not add up to its limit of memory."""


def child(arguments: argparse.Namespace) -> None:
    """Check inputs one after the other; say before each which it is, and after it what came of it."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        warm_up(arguments.format, Path(folder))
        for number, kind in pairs(arguments):
            _say({"number": number, "kind": kind})
            start = time.process_time()
            try:
                answer = {"crystals": check_number(arguments.seed, kind, number, Path(folder), _beat())}
            except Exception as error:  # whatever it is, it is a finding
                answer = {"problem": _problem(error)}
            _say({**answer, "seconds": time.process_time() - start})
    _say({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024})


def pairs(arguments: argparse.Namespace) -> Iterator[tuple[int, str]]:
    """Numbers and kinds of the inputs, in their order."""
    skipped = arguments.skip
    for number in range(arguments.first, arguments.first + arguments.inputs):
        yield from ((number, kind) for kind in arguments.format[skipped:] if is_due(kind, number))
        skipped = 0


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
        """Count nothing yet; a run with a state goes on where that ends."""
        self._arguments = arguments
        self._end = arguments.first + arguments.inputs
        self._stop_at = time.monotonic() + 60 * (arguments.minutes or 1e9)
        self.state = None if arguments.state is None else State(arguments.state / "fuzz.jsonl", arguments.seed)
        if self.state is not None:
            arguments.first, arguments.skip = self.state.next
            self._end = arguments.first + arguments.inputs
        self.problems: Counter[str] = Counter()
        self.inputs: Counter[str] = Counter()
        self.with_crystals: Counter[str] = Counter()
        self.slowest: list[tuple[float, str, int]] = []
        self.peak = 0

    def all(self) -> None:
        """Check every input, or as many as there is time for."""
        given = self._arguments
        while given.first < self._end and time.monotonic() < self._stop_at:
            given.first, given.skip = self._after(self._some())
        if self.state is not None:
            self.state.write((given.first, given.skip))

    def _after(self, last: tuple[int, str]) -> tuple[int, int]:
        """Number, and how many of its kinds are done, after an input."""
        skip = self._arguments.format.index(last[1]) + 1
        return (last[0], skip) if skip < len(self._arguments.format) else (last[0] + 1, 0)

    def _some(self) -> tuple[int, str]:
        """Check inputs; the last one, or that at which the child ended or was stopped."""
        given = self._arguments
        stop = min(self._end, given.first + NUMBERS_EACH)
        words = ["--child", "--seed", given.seed, "--first", given.first, "--inputs", stop - given.first]
        command = [sys.executable, __file__, *map(str, words), "--skip", str(given.skip), "--format", *given.format]
        current, begun = None, False
        environment = {**os.environ, "SPGLIB_WARNING": "OFF", "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            for answer in _answers(process):
                if "number" in answer:
                    current, begun = (int(str(answer["number"])), str(answer["kind"])), True
                elif "peak" in answer:
                    self.peak = max(self.peak, int(str(answer["peak"])))
                    return stop - 1, given.format[-1]
                elif "alive" not in answer and current is not None:
                    self._take(current, answer)
                    if time.monotonic() > self._stop_at:
                        process.kill()
                        return current
            hung = process.poll() is None
            process.kill()
        if not begun or current is None:
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
            key = kind + str(problem).rpartition(" at ")[2] + str(problem)[:30]
            self.problems[key] += 1
            if self.problems[key] <= SHOWN_EACH:
                print(f"{kind} {number}: {problem}", flush=True)
                self._save(number, kind)
        if self.state is not None:
            self.state.take(kind, number, answer)
            if self.inputs.total() % STATE_EVERY == 0:
                self.state.write(self._after(which))
        if self.inputs.total() % REPORT_EVERY == 0:
            print(f"{self.inputs.total()} inputs, {self.problems.total()} findings", flush=True)

    def _save(self, number: int, kind: str) -> None:
        if self._arguments.save is not None and kind in FILE_NAMES:
            given, _ = numbered_input(self._arguments.seed, kind, number)
            self._arguments.save.mkdir(parents=True, exist_ok=True)
            (self._arguments.save / f"{kind}-{number}-{given.name}").write_bytes(given.data)


def _answers(process: subprocess.Popen[bytes]) -> Iterator[dict[str, object]]:
    """Lines of a child, as long as they come in time; on a busy machine its own processor time counts."""
    assert process.stdout is not None
    limit, waiting = START_SECONDS, b""
    os.set_blocking(process.stdout.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        heard, used = time.monotonic(), _processor_seconds(process.pid)
        while True:
            if not selector.select(limit):
                silent = time.monotonic() - heard
                if silent < START_SECONDS and _processor_seconds(process.pid) - used < limit:
                    continue
                return
            some = process.stdout.read(1 << 16)
            if some is None:
                continue
            if not some:
                process.wait()
                return
            *lines, waiting = (waiting + some).split(b"\n")
            yield from map(json.loads, lines)
            limit, heard, used = LIMIT_SECONDS, time.monotonic(), _processor_seconds(process.pid)


def _processor_seconds(process: int) -> float:
    """Processor time of a process; that of the clock where the system does not say."""
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


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
    arguments = _parser().parse_args()
    if arguments.child:
        child(arguments)
        return 0
    if arguments.summary:
        return summary(arguments.state / "fuzz.jsonl")
    if arguments.again:
        return again(arguments.state / "fuzz.jsonl", check_number)
    arguments.inputs = -(-arguments.inputs // len(arguments.format))
    if arguments.scan:
        _fuzz_scans(arguments)
    if arguments.semantic:
        return fuzz_semantically(arguments)
    return _fuzz(arguments) if arguments.inputs else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=0, help="inputs in all, shared out over the kinds")
    parser.add_argument("--scan", type=int, default=0, help="inputs that scans read, in folders, archives and tables")
    parser.add_argument("--semantic", type=int, default=0, help="well-formed files that contradict themselves")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each kind")
    parser.add_argument("--format", nargs="+", choices=KINDS, default=list(KINDS), help="kinds of inputs")
    parser.add_argument("--save", type=Path, help="folder for inputs with findings")
    parser.add_argument("--state", type=Path, help="folder of counts; a run goes on after what they hold")
    parser.add_argument("--minutes", type=float, help="stop after this time")
    parser.add_argument("--summary", action="store_true", help="print what --state holds")
    parser.add_argument("--again", action="store_true", help="check the findings in --state with the code of today")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--skip", type=int, default=0, help=argparse.SUPPRESS)
    return parser


def _fuzz_scans(arguments: argparse.Namespace) -> None:
    from scans import check_scan  # noqa: PLC0415 - loads PyTorch

    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        n_rows = check_scan(Path(folder), seed=arguments.seed, n_inputs=arguments.scan)
    print(f"scans of {arguments.scan} inputs in {time.monotonic() - start:.0f} s: {n_rows} rows, every input has one")


def _fuzz(arguments: argparse.Namespace) -> int:
    start = time.monotonic()
    run = Run(arguments)
    run.all()
    for kind in run.inputs:
        print(f"{kind}: {run.inputs[kind]} inputs, {run.with_crystals[kind]} of them still with crystals")
    print(f"{run.inputs.total()} inputs in {time.monotonic() - start:.0f} s, peak memory {run.peak / 1e6:.0f} MB")
    slowest = ", ".join(f"{kind} {number} {seconds:.2f} s" for seconds, kind, number in reversed(run.slowest))
    print(f"slowest: {slowest}")
    print(f"{run.problems.total()} findings of {len(run.problems)} kinds")
    return 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main())
