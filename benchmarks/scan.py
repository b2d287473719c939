"""`paraisite scan` of databases of 20 000 crystals, as CIF files, extxyz and Parquet: speed, memory, and where the time goes.

The crystals are real ones, repeated with a strain of its own for each copy, so that no two of them are alike; a scan looks
for no duplicates while it works. MatGL predicts some of the same CIF files one by one, as its documentation does.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Result, fastest, main, middle, run_command, run_job, run_settings, say, thread_counts
from predict_files import N_MEMBERS, loop_job

if TYPE_CHECKING:
    import pandas as pd

N_CRYSTALS = 20_000
MEMORY_SIZES = (5_000, 20_000, 100_000)
LARGEST = max(MEMORY_SIZES)
REPEATS = 3
EARLY, LATE = (0.3, 0.5), (0.7, 0.9)
"""Shares of a scan's time between which its memory is compared, after the start and before the end."""
STAGE_CRYSTALS = 8192
STAGES = ("cut", "send", "read", "graphs", "model", "rows", "write")
LOOP_STEP = 67
"""Every such file of 20 000 goes to MatGL too; an odd number, so that both kinds of CIF do."""
SCAN = "import sys; from paraisite.cli.main import main; sys.exit(main(sys.argv[1:]))"


def scan_command(source: str, out: str, *options: str) -> list[str]:
    """The command `paraisite scan SOURCE -o OUT`, as the installed program runs it; an earlier scan there is removed."""
    shutil.rmtree(out, ignore_errors=True)
    return [sys.executable, "-c", SCAN, "scan", source, "-o", out, *options]


def scanned(out: str, columns: list[str]) -> pd.DataFrame:
    """Columns of a scan, in the order of its rows."""
    import pyarrow.dataset

    parts = [str(path) for path in sorted(Path(out, "parts").glob("*.parquet"))]
    return pyarrow.dataset.dataset(parts, format="parquet").to_table(columns=columns).to_pandas()


def sources(options: Result, n: int) -> dict[str, str]:
    """A database of `n` crystals in each form."""
    from inputs import database_cifs, database_extxyz, database_parquet

    made = {"CIF files": database_cifs, "extxyz": database_extxyz, "Parquet": database_parquet}
    return {kind: make(options["work"], options["data"], n) for kind, make in made.items()}


def measured_rate(options: Result, kind: str, source: str, model: str, start_seconds: float) -> Result:
    """Scan a database several times: rates, and what came out."""
    out = str(Path(options["work"]) / f"scan-{model}-{kind.partition(' ')[0]}")
    runs = []
    for _ in range(1 if options["quick"] else REPEATS):
        say(f"scan: {source}")
        runs.append(run_command(scan_command(source, out, "--model", model)))
    rows = scanned(out, ["material_id", "status", "graph_hash", "kappa"])
    seconds, n = middle([run["seconds"] for run in runs]), len(rows)
    size = sum(path.stat().st_size for path in Path(out, "parts").iterdir())
    return {
        "kind": kind,
        "crystals": n,
        "seconds": seconds,
        "crystals_per_second": n / seconds,
        "crystals_per_second_after_start": n / (seconds - start_seconds),
        "cpu_ms_per_crystal": 1000 * middle([run["cpu_seconds"] for run in runs]) / n,
        "predicted": int(rows["kappa"].notna().sum()),
        "different_crystals": int(rows["graph_hash"].nunique()),
        "bytes_per_row": size / n,
        "out": out,
        "runs": runs,
    }


def start_up(options: Result, source: str, model: str) -> Result:
    """Scan one crystal: what every scan takes, however short."""
    one = Path(options["work"]) / "one.extxyz"
    with Path(source).open() as lines:
        head = next(lines)
        one.write_text(head + "".join(islice(lines, int(head) + 1)))
    out = str(Path(options["work"]) / "scan-one")
    runs = [
        run_command(scan_command(str(one), out, "--model", model)) for _ in range(1 if options["quick"] else REPEATS)
    ]
    return {"seconds": middle([run["seconds"] for run in runs]), "runs": runs}


def measured_memory(options: Result, kind: str, n: int, source: str, model: str) -> Result:
    """Scan a database with its memory sampled."""
    say(f"scan, memory: {source}")
    out = str(Path(options["work"]) / "scan-memory")
    run = run_command(scan_command(source, out, "--model", model), sample=True)
    samples = run.pop("samples_mib")
    early, late = (middle(_between(samples, *share)) for share in (EARLY, LATE))
    shown = [round(value) for value in samples[:: max(1, len(samples) // 20)]]
    shutil.rmtree(out)
    return {"kind": kind, "crystals": n, **run, "early_mib": early, "late_mib": late, "some_samples_mib": shown}


def _between(samples: list[float], begin: float, end: float) -> list[float]:
    return samples[int(begin * len(samples)) : int(end * len(samples)) + 1]


def stages_job(spec: Result) -> Result:
    """Do in one process, one piece after the other, what the processes of a scan do; the time of each stage."""
    import gc
    import pickle

    import pyarrow.parquet as pq

    from paraisite.models.files import find_model
    from paraisite.prediction.prepare import CHUNK_CRYSTALS, prepare
    from paraisite.screening.rows import describe, make_rows
    from paraisite.screening.scan import PIECE_SIZE
    from paraisite.screening.scanner import Scanner, ScannerSettings
    from paraisite.screening.sources import open_source

    scanner = Scanner(ScannerSettings(Path(spec["work"]), find_model(spec["model"]).absolute(), spec["device"]))
    gc.freeze()  # as a scan's workers do
    seconds = dict.fromkeys(STAGES, 0.0)
    counts = dict.fromkeys(("crystals", "atoms", "nodes", "edges"), 0)

    def clocked(stage: str, function: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = function()
        seconds[stage] += time.perf_counter() - start
        return result

    def one_piece(piece: Any) -> None:
        items = piece.items()
        writer = pq.ParquetWriter(Path(spec["work"]) / "stages.parquet", scanner.schema, compression="zstd")
        while chunk := clocked("read", lambda: list(islice(items, CHUNK_CRYSTALS))):
            prepared = clocked("graphs", lambda chunk=chunk: prepare(chunk, scanner.predictor.needs))
            outputs = clocked("model", lambda prepared=prepared: scanner.predictor.outputs(prepared))
            described = clocked("rows", lambda chunk=chunk: describe(chunk, symmetry=False))
            table = clocked("rows", lambda a=prepared, b=described, c=outputs: make_rows(a, b, c.kappa, c.judgement))
            clocked("write", lambda table=table: writer.write_table(table))
            counts["crystals"] += len(chunk)
            counts["atoms"] += sum(item.n_atoms for item in chunk)
            counts["nodes"] += prepared.inputs.store.n_nodes
            counts["edges"] += prepared.inputs.store.n_edges
        clocked("write", writer.close)

    def pieces() -> Iterator[Any]:
        left = open_source(spec["source"]).pieces(PIECE_SIZE)
        while (piece := clocked("cut", lambda: next(left, None))) is not None:
            yield clocked("send", lambda piece=piece: pickle.loads(pickle.dumps(piece, pickle.HIGHEST_PROTOCOL)))

    every = pieces()
    one_piece(next(every))  # warms up
    seconds.update(dict.fromkeys(STAGES, 0.0))
    counts.update(dict.fromkeys(counts, 0))
    while counts["crystals"] < spec["crystals"] and (piece := next(every, None)) is not None:
        one_piece(piece)
    n = max(counts["crystals"], 1)
    return {"stage_ms_per_crystal": {name: 1000 * value / n for name, value in seconds.items()}, **counts}


def shared_graph_job(spec: Result) -> Result:
    """MatGL file by file, each graph made once and given to one model after the other."""
    import peer
    import torch
    from pymatgen.core import Structure

    peer.setup(spec["threads"])
    models = [peer.make_model(member).eval() for member in range(N_MEMBERS)]
    convert, state = peer.converter(), torch.zeros(1, 2)

    def predict(path: str) -> list[float]:
        graph = peer.add_positions(*convert.get_graph(Structure.from_file(path))[:2])
        with torch.no_grad():
            return [float(model(graph, state_attr=state)) for model in models]

    for path in spec["paths"][:5]:
        predict(path)
    start = time.perf_counter()
    rows = [predict(path) for path in spec["paths"]]
    seconds = time.perf_counter() - start
    return {"files": len(rows), "ms_per_crystal": 1000 * seconds / len(rows), "threads": spec["threads"]}


def peer_loops(folder: str) -> Result:
    """MatGL in two loops, each at its fastest number of threads."""
    paths = [str(path) for path in sorted(Path(folder).glob("*.cif"))[::LOOP_STEP]]
    result: Result = {"files": len(paths)}
    for job in ("loop", "shared_graph"):
        say(f"scan: MatGL, {job}, {len(paths)} files")
        trials = run_settings(__file__, job, [{"paths": paths, "threads": threads} for threads in thread_counts()])
        best = fastest(trials, "ms_per_crystal")
        one_thread = next((trial for trial in trials if trial["threads"] == 1), best)
        bound = min(best["ms_per_crystal"], one_thread["ms_per_crystal"] / (os.cpu_count() or 1))
        result[job] = {**best, "ms_per_crystal_if_on_every_core": bound, "settings": trials}
    return result


def differences(rates: list[Result]) -> dict[str, float]:
    """Largest relative difference of a mean κ between the first form of the database and each other one."""
    import numpy as np

    tables = {rate["kind"]: scanned(rate["out"], ["kappa"])["kappa"].to_numpy() for rate in rates}
    reference = tables.pop("Parquet")
    return {kind: float(np.abs(kappa / reference - 1).max()) for kind, kappa in tables.items()}


def models(work: str) -> list[str]:
    """The ensemble of networks, and the model that the command takes by default, if that is another one and is shipped."""
    from ours import model_folder

    from paraisite.errors import ModelFileError
    from paraisite.models.files import find_model
    from paraisite.models.names import DEFAULT_MODEL

    network = model_folder(work)
    try:
        find_model(DEFAULT_MODEL)
    except ModelFileError:
        return [network]
    return list(dict.fromkeys((network, DEFAULT_MODEL)))


def one_model(options: Result, model: str, made: dict[str, str]) -> Result:
    """Rates and stages of a model."""
    start = start_up(options, made["extxyz"], model)
    rates = [measured_rate(options, kind, source, model, start["seconds"]) for kind, source in made.items()]
    spec = {"work": options["work"], "model": model, "device": "cpu", "crystals": STAGE_CRYSTALS}
    say(f"scan: stages, {model}")
    stages = {kind: run_job(__file__, "stages", {**spec, "source": source}, 1) for kind, source in made.items()}
    apart = differences(rates)
    return {"start_up": start, "rates": rates, "stages": stages, "largest_relative_difference_to_parquet": apart}


def benchmark(options: Result) -> Result:
    """Rates and stages of each model, MatGL's loops, memory."""
    from inputs import database_size

    quick = options["quick"]
    n = 1100 if quick else N_CRYSTALS
    say("scan: writing inputs")
    made = {size: sources(options, size) for size in ([n] if quick else sorted({n, *MEMORY_SIZES}))}
    network, *others = models(options["work"])
    by_model = {model: one_model(options, model, made[n]) for model in (network, *others)}
    loops = peer_loops(made[n]["CIF files"])
    rate = by_model[network]["rates"][0]["crystals_per_second"]
    memory = [
        measured_memory(options, kind, size, source, network)
        for size, by_kind in made.items()
        for kind, source in by_kind.items()
        if size < LARGEST or kind == "CIF files"  # the form whose reading holds most
    ]
    crystals, atoms = database_size(options["data"])
    return {
        "real_crystals": crystals,
        "atoms_per_cell": atoms,
        "crystals": n,
        "network": network,
        "models": by_model,
        "peer": loops,
        "ratios": {job: loops[job]["ms_per_crystal"] * rate / 1000 for job in ("loop", "shared_graph")},
        "memory": memory,
    }


if __name__ == "__main__":
    jobs = {"loop": loop_job, "shared_graph": shared_graph_job, "stages": stages_job}
    main(__doc__.splitlines()[0], jobs, benchmark)
