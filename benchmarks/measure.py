"""Timing, peak memory and fresh processes, shared by all benchmarks; imports nothing heavy.

Every measured variant runs in a process of its own: `run_job` starts the benchmark's own file again with `--worker`,
waits, and returns what the job measured together with the peak memory of the process and all its children.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

Result = dict[str, Any]
Job = Callable[[Result], Result]

PACKAGES = (
    "numpy", "scipy", "pandas", "torch", "gemmi", "vesin", "spglib", "ase", "pymatgen-core", "matgl", "torch-geometric"
)  # fmt: skip
SAMPLE_SECONDS = 0.05
PSS_SAMPLE_SECONDS = 0.25
MIB = 1024.0


def timed(function: Callable[[], Any], repeats: int) -> list[float]:
    """Wall times in s of repeated calls."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return seconds


def memory_mib(field: str = "VmHWM", pid: int | str = "self") -> float:
    """A memory field of /proc/PID/status in MiB: VmHWM (highest resident size so far) or VmRSS; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) / MIB for line in lines if line.startswith(f"{field}:")), 0.0)


def resident_mib(pid: int) -> float:
    """Resident memory of a process in MiB; pages that it shares with others count whole."""
    return memory_mib("VmRSS", pid)


def proportional_mib(pid: int) -> float:
    """Proportional set size of a process in MiB: a page that n processes share counts 1/n; 0 if the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) / MIB for line in lines if line.startswith("Pss:")), 0.0)


class TreeSampler:
    """Samples the memory of a process and all its descendants while it runs.

    Attributes:
        peak_mib: Highest sum seen in MiB.
        samples: All sums in MiB.
        processes: Most processes seen at once.
    """

    def __init__(
        self, pid: int, size: Callable[[int], float] = resident_mib, every_seconds: float = SAMPLE_SECONDS
    ) -> None:
        """Begin to sample.

        Args:
            pid: The process.
            size: Memory of one process in MiB.
            every_seconds: Time between two samples.
        """
        self.pid, self.peak_mib, self.processes = pid, 0.0, 0
        self.samples: list[float] = []
        self._size, self._every = size, every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop sampling."""
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(self._every):
            sizes = [self._size(pid) for pid in _descendants(self.pid)]
            self.samples.append(sum(sizes))
            self.peak_mib = max(self.peak_mib, sum(sizes))
            self.processes = max(self.processes, sum(size > 0 for size in sizes))


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = path.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _descendants(int(child))


def run_job(script: str, job: str, spec: Result, threads: int | None = None) -> Result:
    """Run a job of a benchmark file in a fresh process.

    Args:
        script: Path of the benchmark file.
        job: Name of the job in its table.
        spec: Plain values handed to the job.
        threads: CPU threads that libraries may take; without it the process starts with its defaults.

    Returns:
        What the job returned, with `wall_seconds`, `peak_mib` (all processes together) and `processes`.
    """
    # Graphs are built each time, not taken from a cache of an earlier run.
    environment = {**os.environ, "PARAISITE_CACHE": ""}
    if threads is not None:
        environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        spec = {**spec, "threads": threads}
    with tempfile.TemporaryDirectory() as folder:
        spec_path, result_path = Path(folder, "spec.json"), Path(folder, "result.json")
        spec_path.write_text(json.dumps(spec))
        command = [sys.executable, script, "--worker", job, str(spec_path), str(result_path)]
        start = time.perf_counter()
        with Path(folder, "stderr.txt").open("w+") as errors:
            process = subprocess.Popen(command, env=environment, stdout=errors, stderr=errors)
            sampler = TreeSampler(process.pid)
            code = process.wait()
            sampler.close()
            errors.seek(0)
            if code != 0:
                raise RuntimeError(f"{Path(script).name} {job} ended with code {code}:\n{errors.read()[-3000:]}")
        result: Result = json.loads(result_path.read_text())
    result["wall_seconds"] = time.perf_counter() - start
    # A process alone is known exactly, by its own high-water mark; several are known from the samples of their sum.
    own = result.pop("own_peak_mib")
    result["peak_mib"] = own if sampler.processes <= 1 else max(own, sampler.peak_mib)
    result["processes"] = max(1, sampler.processes)
    return result


GOOD_CODES = (0, 3)
"""Exit codes of a command that worked: 3 where some structures have no prediction, as metals whose bonds were strained."""


def run_command(command: list[str], *, sample: bool = False) -> Result:
    """Run a program to its end, as a user does, and tell what it took.

    Args:
        command: The program and its arguments.
        sample: Whether to sample the proportional set size of all its processes.

    Returns:
        `seconds` of wall time, `cpu_seconds` of all its processes, `others_cores`: cores that the rest of the machine kept
        busy meanwhile; where sampled also `peak_mib`, `samples_mib` and `processes`.
    """
    with tempfile.TemporaryFile("w+") as printed:
        before, busy, start = _children_seconds(), _busy_seconds(), time.perf_counter()
        process = subprocess.Popen(command, stdout=printed, stderr=printed)
        sampler = TreeSampler(process.pid, proportional_mib, PSS_SAMPLE_SECONDS) if sample else None
        code = process.wait()
        seconds = time.perf_counter() - start
        cpu_seconds = _children_seconds() - before
        others = max(0.0, _busy_seconds() - busy - cpu_seconds) / seconds
        if sampler is not None:
            sampler.close()
        printed.seek(0)
        if code not in GOOD_CODES:
            raise RuntimeError(f"{' '.join(command)} ended with code {code}:\n{printed.read()[-3000:]}")
    result: Result = {"seconds": seconds, "cpu_seconds": cpu_seconds, "others_cores": others}
    if sampler is not None:
        result |= {"peak_mib": sampler.peak_mib, "samples_mib": sampler.samples, "processes": sampler.processes}
    return result


def _children_seconds() -> float:
    """CPU time of all children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _busy_seconds() -> float:
    """CPU time that all processes of the machine have taken since it started, by the first line of /proc/stat."""
    user, nice, system, *_ = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def run_settings(script: str, job: str, specs: list[Result]) -> list[Result]:
    """Run a job at several settings; a setting that fails is left out, as long as one works.

    Args:
        script: Path of the benchmark file.
        job: Name of the job.
        specs: One spec a setting, each with its `threads`.
    """
    results, errors = [], []
    for spec in specs:
        try:
            results.append(run_job(script, job, spec, spec["threads"]))
        except RuntimeError as error:
            errors.append(str(error))
            say(f"left out: {error}")
    if not results:
        raise RuntimeError(errors[0])
    return results


def options(description: str) -> argparse.ArgumentParser:
    """Options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", help="data folder with aflow_agl.extxyz.gz (else the variable PARAISITE_DATA)")
    parser.add_argument("--work", type=Path, help="folder for generated inputs, reused if given (else a temporary one)")
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works, not how fast it is")
    return parser


def main(description: str, jobs: dict[str, Job], benchmark: Job) -> None:
    """Entry point of a benchmark file: the benchmark itself, or one of its jobs with `--worker`.

    Args:
        description: One line for `--help`.
        jobs: Jobs by name; each takes its spec and returns plain values.
        benchmark: Takes the options `data`, `work` and `quick` as a dictionary and returns the result.
    """
    if sys.argv[1:2] == ["--worker"]:
        name, spec_path, result_path = sys.argv[2:5]
        result = jobs[name](json.loads(Path(spec_path).read_text()))
        result["own_peak_mib"] = memory_mib()
        Path(result_path).write_text(json.dumps(result))
        return
    given = options(description).parse_args()
    if given.data:
        os.environ["PARAISITE_DATA"] = given.data
    with work_folder(given.work) as work:
        result = benchmark({"work": str(work), "quick": given.quick, "data": os.environ.get("PARAISITE_DATA")})
    text = json.dumps(result, indent=2)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n")
    print(text)


@contextmanager
def work_folder(folder: Path | None) -> Iterator[Path]:
    """The given folder, made if need be, or a temporary one."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="paraisite-benchmark-") as temporary:
        yield Path(temporary)


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def thread_counts() -> list[int]:
    """Thread counts to try: 1 and 2 where there are two cores."""
    return [1, 2] if (os.cpu_count() or 1) > 1 else [1]


def fastest(results: list[Result], key: str) -> Result:
    """The result with the smallest value of a key."""
    return min(results, key=lambda result: float(result[key]))


def middle(seconds: list[float]) -> float:
    """Median."""
    return float(median(seconds))


def machine() -> Result:
    """The machine: processor, cores, memory, load."""
    cpu = _first_line("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()
    memory = _first_line("/proc/meminfo", "MemTotal").split()
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(float(memory[0]) / MIB / MIB, 1) if memory else None,
        "system": f"{platform.system()} {platform.release()}",
        "load_average_1_minute": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter."""
    found = {"python": platform.python_version()}
    for name in ("paraisite", *PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "source tree" if name == "paraisite" else "not installed"
    return found


def _first_line(path: str, start: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(start)), "")
