"""Working processes by loky and by paraisite's own layer: start, throughput of small tasks, a killed worker, a killed parent.

    python benchmarks/process_layers.py        # needs loky: pip install loky

Prints a table; docs/decisions/processes.md keeps one. The order of the two alternates, and the medians are shown.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

N_WORKERS = 2
N_TASKS = 2000
REPEATS = 5
HERE = Path(__file__).parent


def reply(task: bytes) -> bytes:
    return task


def replies() -> Callable[[bytes], Iterator[bytes]]:
    return lambda task: iter([task])


def die_at_three(task: int) -> int:
    time.sleep(0.05)
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def deaths() -> Callable[[int], Iterator[int]]:
    return lambda task: iter([die_at_three(task)])


def write_lines(path: str) -> None:
    for _ in range(400):
        with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write("x")
        time.sleep(0.01)


def writing() -> Callable[[str], Iterator[None]]:
    return lambda path: iter([write_lines(path)])


def ours(service: object, tasks: list[object]) -> Iterator[tuple[float, object]]:
    from paraisite.processes.child import Child
    from paraisite.processes.pool import Pool

    begin = time.perf_counter()
    with Pool(partial(Child, service), N_WORKERS, lambda *_: iter(["died"])) as pool:  # type: ignore[arg-type]
        for answer in pool.in_order(iter(tasks)):
            yield time.perf_counter() - begin, answer


def loky(work: Callable[[object], object], tasks: list[object]) -> Iterator[tuple[float, object]]:
    from loky import ProcessPoolExecutor

    begin = time.perf_counter()
    executor = ProcessPoolExecutor(N_WORKERS, env={"OMP_NUM_THREADS": "1"})
    for future in [executor.submit(work, task) for task in tasks]:
        try:
            answer = future.result()
        except Exception as error:
            answer = type(error).__name__
        yield time.perf_counter() - begin, answer
    executor.shutdown(kill_workers=True)


def layers(name: str, tasks: list[object]) -> dict[str, Iterator[tuple[float, object]]]:
    service, work = {
        "reply": (replies, reply), "deaths": (deaths, die_at_three), "write": (writing, write_lines)
    }[name]  # fmt: skip
    return {"own": ours(service, tasks), "loky": loky(work, tasks)}


def measured(name: str) -> None:
    """One measurement in a process of its own, so that each starts cold."""
    kind, layer = name.split("-")
    if kind == "start":
        ((seconds, _),) = layers("reply", [b"x"])[layer]
        print(seconds)
    elif kind == "tasks":
        times = [seconds for seconds, _ in layers("reply", [b"x" * 1000] * N_TASKS)[layer]]
        print((len(times) - 1) / (times[-1] - times[0]))
    elif kind == "killed":
        print([answer for _, answer in layers("deaths", list(range(8)))[layer]])
    else:
        print(list(layers("write", [sys.argv[2]])[layer]))


def command(name: str, *words: str) -> list[str]:
    """Run a measurement of this file as a module: working processes do not import from the folder of a script."""
    code = f"import sys; sys.path.append({str(HERE)!r}); import process_layers; process_layers.measured(sys.argv[1])"
    return [sys.executable, "-P", "-c", code, name, *words]


def orphans(layer: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "written"
        quiet = subprocess.DEVNULL
        words = command(f"orphan-{layer}", str(path))
        parent = subprocess.Popen(words, stdout=quiet, stderr=quiet, start_new_session=True)
        while not path.exists():
            time.sleep(0.05)
        parent.kill()
        parent.wait()
        time.sleep(0.1)
        before = path.stat().st_size
        time.sleep(1)
        after = path.stat().st_size
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)  # those that are left
        return f"{after - before} writes in the second after"


def main() -> None:
    for kind in ("start", "tasks"):
        found: dict[str, list[float]] = {"own": [], "loky": []}
        for _ in range(REPEATS):
            for layer, values in found.items():
                done = subprocess.run(command(f"{kind}-{layer}"), capture_output=True, text=True, check=True)
                values.append(float(done.stdout.split()[-1]))
        print(kind, {layer: f"{statistics.median(values):.3g}" for layer, values in found.items()})
    for layer in ("own", "loky"):
        done = subprocess.run(command(f"killed-{layer}"), capture_output=True, text=True, check=True)
        print("killed", layer, done.stdout.strip())
        print("parent killed", layer, orphans(layer))


if __name__ == "__main__":
    main()
