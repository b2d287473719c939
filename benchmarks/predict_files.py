"""From 1 000 CIF files to a table by 9 members: ParAIsite against MatGL in a loop and against MatGL in batches.

Half of the files are in P1, half symmetrised by pymatgen; a second set is rattled, so that no symmetry is left and the
quotient graph cannot help.
"""

from __future__ import annotations

import time
from itertools import pairwise

from measure import Result, fastest, main, middle, run_job, run_settings, say, thread_counts, timed

N_MEMBERS = 9
BATCH_SIZES = (32, 64, 128)


def ours_job(spec: Result) -> Result:
    """Predict by ParAIsite, repeatedly."""
    from ours import count_good, predict

    tables = []
    first, *seconds = timed(
        lambda: tables.append(predict(spec["paths"], spec["model"], spec["processes"])), 1 + spec["repeats"]
    )
    return {
        "seconds": middle(seconds), "all_seconds": seconds, "first_seconds": first, "files": len(spec["paths"]),
        "good": count_good(tables[-1]), "rows": len(tables[-1]),
        "ms_per_crystal": 1000 * middle(seconds) / len(spec["paths"]), "asked_processes": spec["processes"],
    }  # fmt: skip


def loop_job(spec: Result) -> Result:
    """Predict by MatGL as its documentation does: file by file, model by model."""
    import pandas as pd
    import peer
    import torch
    from pymatgen.core import Structure

    peer.setup(spec["threads"])
    models = [peer.make_model(member).eval() for member in range(N_MEMBERS)]

    def predict(paths: list[str]) -> pd.DataFrame:
        rows = []
        for path in paths:
            structure = Structure.from_file(path)
            with torch.no_grad():
                rows.append([float(model.predict_structure(structure)) for model in models])
        return pd.DataFrame(rows)

    predict(spec["paths"][:5])
    start = time.perf_counter()
    table = predict(spec["paths"])
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds, "files": len(table), "good": int(table.notna().all(axis=1).sum()),
        "ms_per_crystal": 1000 * seconds / len(table), "threads": spec["threads"],
    }  # fmt: skip


def batched_job(spec: Result) -> Result:
    """Predict by MatGL in batches: pymatgen parses, each graph is made once, all models take the same batch."""
    import pandas as pd
    import peer
    import torch
    from pymatgen.core import Structure

    peer.setup(spec["threads"])
    models = [peer.make_model(member).eval() for member in range(N_MEMBERS)]
    convert = peer.converter()
    stages = {"read": 0.0, "graphs": 0.0, "model": 0.0}

    def predict(paths: list[str]) -> pd.DataFrame:
        parts = []
        for begin in range(0, len(paths), spec["batch_size"]):
            marks = [time.perf_counter()]
            structures = [Structure.from_file(path) for path in paths[begin : begin + spec["batch_size"]]]
            marks.append(time.perf_counter())
            graphs = [peer.add_positions(*convert.get_graph(structure)[:2]) for structure in structures]
            marks.append(time.perf_counter())
            with torch.no_grad():
                parts.append(peer.predict_batch(models, graphs))
            marks.append(time.perf_counter())
            for stage, step in zip(stages, pairwise(marks), strict=True):
                stages[stage] += step[1] - step[0]
        values = torch.cat(parts, dim=1).numpy()
        return pd.DataFrame({"path": paths, "mean": values.mean(axis=0), "std": values.std(axis=0)})

    predict(spec["paths"][: min(2 * spec["batch_size"], len(spec["paths"]))])
    stages.update(dict.fromkeys(stages, 0.0))
    seconds = timed(lambda: predict(spec["paths"]), spec["repeats"])
    per_crystal = {name: 1000 * value / spec["repeats"] / len(spec["paths"]) for name, value in stages.items()}
    return {
        "seconds": middle(seconds), "all_seconds": seconds, "files": len(spec["paths"]),
        "ms_per_crystal": 1000 * middle(seconds) / len(spec["paths"]), "stage_ms_per_crystal": per_crystal,
        "threads": spec["threads"], "batch_size": spec["batch_size"],
    }  # fmt: skip


def compare(options: Result, paths: list[str], *, loop: bool) -> Result:
    """All sides on one set of files."""
    from ours import model_folder

    quick = options["quick"]
    repeats = 1 if quick else 3
    spec: Result = {"paths": paths, "model": model_folder(options["work"]), "repeats": repeats}
    say("prediction: ParAIsite, default settings and one process")
    default = run_job(__file__, "ours", {**spec, "processes": None})
    single = run_job(__file__, "ours", {**spec, "processes": 1})
    subset = paths[:10] if quick else paths[:: max(1, len(paths) // 200)]
    result: Result = {"ours": default, "ours_one_process": single}
    if loop:
        say(f"prediction: MatGL in a loop, {len(subset)} files")
        loops = run_settings(__file__, "loop", [{"paths": subset, "threads": threads} for threads in thread_counts()])
        result["peer_loop"] = fastest(loops, "ms_per_crystal")
        result["peer_loop_settings"] = loops
    say(f"prediction: MatGL in batches, {len(subset)} files at each setting, then {len(paths)}")
    settings = [(threads, size) for threads in thread_counts() for size in BATCH_SIZES]
    some = {"paths": subset, "repeats": 1}
    trials = run_settings(
        __file__,
        "batched",
        [{**some, "threads": threads, "batch_size": size} for threads, size in (settings[:1] if quick else settings)],
    )
    chosen = fastest(trials, "ms_per_crystal")
    full = {"paths": paths, "batch_size": chosen["batch_size"], "repeats": 1}
    result["peer_batched"] = run_job(__file__, "batched", full, chosen["threads"])
    result["peer_batched_settings"] = trials
    for name in ("peer_loop", "peer_batched"):
        if name in result:
            result[f"ratio_{name}"] = result[name]["ms_per_crystal"] / default["ms_per_crystal"]
            result[f"ratio_{name}_one_process"] = result[name]["ms_per_crystal"] / single["ms_per_crystal"]
    return result


def benchmark(options: Result) -> Result:
    """Files with symmetry, and files without."""
    from inputs import aflow_cifs, rattled_cifs

    n = 20 if options["quick"] else 1000
    say(f"writing CIF files: {n} of AFLOW, {n} rattled")
    aflow = aflow_cifs(options["work"], options["data"], n)
    rattled = rattled_cifs(options["work"], options["data"], n)
    return {
        "files": len(aflow),
        "members": N_MEMBERS,
        "aflow": compare(options, aflow, loop=True),
        "rattled": compare(options, rattled, loop=False),
    }


if __name__ == "__main__":
    jobs = {"ours": ours_job, "loop": loop_job, "batched": batched_job}
    main(__doc__.splitlines()[0], jobs, benchmark)
