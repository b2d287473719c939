"""One training epoch of 9 members on 1 000 AFLOW crystals: ParAIsite's stacked ensemble against 9 MatGL MEGNets.

Both start from ready-made graphs. ParAIsite sends batches of all crystals through the whole ensemble, `batch / 0.8` of
them at a time, and masks the validation crystals of each member out of its loss: as many steps as a member takes alone.
The peer trains one member after the other in batches of `batch`: on the same 1 000 crystals (the ratio), and on the
member's own 80 % alone, which leaves the validation predictions out that ParAIsite's pass gives along the way.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from measure import Result, fastest, main, middle, run_job, run_settings, say, thread_counts, timed

BATCH_SIZES = (64, 8)
LOADER_WORKERS = (0, 2)
WARM_UP_STEPS = 5


def ours_job(spec: Result) -> Result:
    """Time epochs of ParAIsite."""
    import torch
    from ours import stage_data, start_training, train_epoch

    from paraisite.datasets.catalogue import read_labelled
    from paraisite.threads import torch_settings
    from paraisite.training.network.loop import _validate

    data = read_labelled(Path(spec["folder"]) / "train.extxyz")
    with torch_settings(spec["threads"]):
        start = time.perf_counter()
        prepared = stage_data(data)
        graph_seconds = time.perf_counter() - start
        state = start_training(prepared)
        first = timed(lambda: train_epoch(state, prepared, spec["batch_size"]), 1)[0]
        seconds = timed(lambda: train_epoch(state, prepared, spec["batch_size"]), spec["repeats"])
        masks = {name: torch.as_tensor(getattr(prepared.splits, name)) for name in ("selection", "validation")}
        validation = timed(lambda: _validate(state.model, prepared.store, prepared.kappa, masks), spec["repeats"])
    return {
        "seconds": middle(seconds), "all_seconds": seconds, "first_seconds": first, "graph_seconds": graph_seconds,
        "validation_seconds": middle(validation), "batch_size": spec["batch_size"], "threads": spec["threads"],
        "crystals": len(data.crystals), "edges": prepared.store.n_edges, "nodes": prepared.store.n_nodes,
    }  # fmt: skip


def peer_job(spec: Result) -> Result:
    """Time epochs of MatGL for some members, one after the other."""
    import numpy as np
    import peer
    import torch

    peer.setup(spec["threads"])
    structures, kappa = peer.read_structures(Path(spec["folder"]) / "train.extxyz")
    splits = json.loads((Path(spec["folder"]) / "splits.json").read_text())
    logarithm = np.log10(np.array(kappa) + 1)
    scale = (float(logarithm.mean()), float(logarithm.std()))
    start = time.perf_counter()
    data = peer.make_dataset(structures, kappa)
    graph_seconds = time.perf_counter() - start
    members = []
    for member in range(spec["members"]):
        model = peer.make_model(member)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        chosen = splits[member] if spec["train_part"] else list(range(len(structures)))
        loader = peer.make_loader(data, chosen, spec["batch_size"], spec["workers"])
        peer.train_epoch(model, optimizer, loader, scale, WARM_UP_STEPS)
        arguments = (model, optimizer, loader, scale)
        members.append(timed(lambda given=arguments: peer.train_epoch(*given), spec["repeats"]))
    return {
        "seconds": sum(middle(seconds) for seconds in members), "all_seconds": members, "graph_seconds": graph_seconds,
        "members": spec["members"], "batch_size": spec["batch_size"], "threads": spec["threads"],
        "workers": spec["workers"], "crystals_of_member": len(chosen), "crystals": len(structures),
        "edges": int(sum(graph.edge_index.shape[1] for graph in data.graphs)),
        "nodes": int(sum(graph.num_nodes for graph in data.graphs)),
    }  # fmt: skip


def compare(options: Result, folder: str, batch_size: int) -> Result:
    """Both sides at one batch size, each at its fastest setting."""
    quick = options["quick"]
    repeats = 1 if quick else 3
    spec: Result = {"folder": folder, "batch_size": batch_size, "repeats": repeats}
    say(f"training epoch, batch {batch_size}: ParAIsite")
    ours = run_settings(__file__, "ours", [{**spec, "threads": threads} for threads in thread_counts()])
    say(f"training epoch, batch {batch_size}: MatGL, one member at each setting")
    settings = [(threads, workers) for threads in thread_counts() for workers in LOADER_WORKERS]
    if quick:
        settings = settings[:1]
    one = {**spec, "members": 1, "train_part": False}
    trials = run_settings(
        __file__, "peer", [{**one, "threads": threads, "workers": workers} for threads, workers in settings]
    )
    chosen = fastest(trials, "seconds")
    members = 2 if quick else 9
    say(f"training epoch, batch {batch_size}: MatGL, {members} members at the fastest setting")
    winner = {**spec, "members": members, "workers": chosen["workers"], "repeats": 1 if quick else 2}
    peer, part = (
        run_job(__file__, "peer", {**winner, "train_part": only}, chosen["threads"]) for only in (False, True)
    )
    peer_seconds, part_seconds = (found["seconds"] * 9 / members for found in (peer, part))
    best = fastest(ours, "seconds")
    return {
        "batch_size": batch_size,
        "ours_seconds": best["seconds"],
        "peer_seconds": peer_seconds,
        "ratio": peer_seconds / best["seconds"],
        "peer_train_part_seconds": part_seconds,
        "ratio_train_part": part_seconds / best["seconds"],
        "ratio_if_peer_used_every_core": _every_core_ratio(trials, best, peer_seconds),
        "peer_scaled_from_members": members,
        "ours": best,
        "peer": peer,
        "peer_train_part": part,
        "ours_settings": ours,
        "peer_settings": trials,
    }


def _every_core_ratio(trials: list[Result], best: Result, peer_seconds: float) -> float:
    """A bound: as if one peer process a core, each with 1 thread and no loader, shared the members perfectly."""
    single = [trial["seconds"] * 9 for trial in trials if trial["threads"] == 1 and trial["workers"] == 0]
    bound = min([peer_seconds, *(seconds / len(thread_counts()) for seconds in single)])
    return float(bound / best["seconds"])


def benchmark(options: Result) -> Result:
    """Both batch sizes."""
    from inputs import training_set

    n = 60 if options["quick"] else 1000
    folder = str(training_set(options["work"], options["data"], n))
    return {"crystals": n, "members": 9, "batches": [compare(options, folder, size) for size in BATCH_SIZES]}


if __name__ == "__main__":
    main(__doc__.splitlines()[0], {"ours": ours_job, "peer": peer_job}, benchmark)
