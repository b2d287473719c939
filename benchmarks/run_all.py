"""Run every benchmark and write `results/results.json` and `RESULTS.md`.

With `--only` the sections of the other benchmarks stay as an earlier run measured them; every section tells when it was
measured. One benchmark that fails does not stop the others: its error is written in its place, and the exit status is 1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from measure import Result, machine, options, say, versions, work_folder
from report import make_report

HERE = Path(__file__).resolve().parent
BENCHMARKS = ("train_epoch", "predict_files", "profile_predict", "scaling", "scan", "memory", "gpu")
BUSY_LOAD = 0.5


def run_one(name: str, arguments: list[str], out: Path) -> Result:
    """Run a benchmark in its own process; its result, or its error."""
    say(f"== {name}")
    out.unlink(missing_ok=True)
    load = os.getloadavg()[0]
    start = time.perf_counter()
    command = [sys.executable, str(HERE / f"{name}.py"), *arguments, "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stderr or ():
            sys.stderr.write(line)
            lines.append(line)
    if process.returncode == 0 and out.exists():
        result: Result = json.loads(out.read_text())
    else:
        result = {"error": "".join(lines[-40:]).strip() or f"ended with code {process.returncode}"}
    result["took_seconds"] = time.perf_counter() - start
    result["load_before"] = load
    result["date"] = time.strftime("%Y-%m-%d")
    result["versions"] = versions()
    return result


def earlier(out: Path) -> Result:
    """Results of an earlier run, by benchmark, each with what that run tells of itself."""
    if not out.exists():
        return {}
    before = json.loads(out.read_text())
    own = {"date": before["date"], "versions": before["versions"]}
    return {name: {**own, **result} for name, result in before["benchmarks"].items()}


def main() -> int:
    """Run all; 0 if all went well."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS, help="run only these")
    given = parser.parse_args()
    out = given.out or (HERE / "results" / ("quick.json" if given.quick else "results.json"))
    report = HERE / "RESULTS.md" if not (given.quick or given.out) else out.with_suffix(".md")
    out.parent.mkdir(parents=True, exist_ok=True)
    start = machine()
    if start["load_average_1_minute"] > BUSY_LOAD:
        say(f"The machine is busy (load {start['load_average_1_minute']}): the times will be worse than they could be.")
    results: Result = {
        "date": time.strftime("%Y-%m-%d"),
        "quick": given.quick,
        "busy": start["load_average_1_minute"] > BUSY_LOAD,
        "machine": start,
        "versions": versions(),
        "benchmarks": earlier(out),
    }
    with work_folder(given.work) as work:
        arguments = ["--work", str(work), *(["--quick"] if given.quick else [])]
        arguments += ["--data", given.data] if given.data else []
        for name in given.only:
            measured = {**results["benchmarks"], name: run_one(name, arguments, work / f"{name}.json")}
            results["benchmarks"] = {one: measured[one] for one in BENCHMARKS if one in measured}
            # Written after each: what was measured is kept if the run is stopped.
            out.write_text(json.dumps(results, indent=2) + "\n")
            report.write_text(make_report(results))
    failed = [name for name in given.only if "error" in results["benchmarks"][name]]
    say(f"wrote {out} and {report}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
