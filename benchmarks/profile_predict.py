"""Where the time of a prediction goes, in one process: reading, neighbours, quotient, collate, model, table."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from measure import Result, main, middle, run_job, say, timed

if TYPE_CHECKING:
    from paraisite.graphs.build import BuiltGraphs
    from paraisite.graphs.neighbours import NeighbourPairs
    from paraisite.graphs.settings import GraphSettings
    from paraisite.prediction.predict import Predictor
    from paraisite.structures import Crystal

STAGES = ("read", "neighbours", "quotient", "rows", "collate", "model", "table")
COUNTS = ("crystals", "atoms", "nodes", "plain_edges", "edges")


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        """All zero."""
        self.seconds = dict.fromkeys(STAGES, 0.0)

    def run(self, stage: str, function: Callable[[], Any]) -> Any:
        """Call a function and count its time to a stage."""
        start = time.perf_counter()
        result = function()
        self.seconds[stage] += time.perf_counter() - start
        return result


def profile_job(spec: Result) -> Result:
    """Run the stages one after the other on each chunk of the same files, and the whole call for comparison."""
    from ours import predict

    from paraisite.prediction.predict import Predictor

    load = middle(timed(lambda: Predictor(spec["model"]), 3))
    predictor = Predictor(spec["model"])
    passes = [_one_pass(predictor, spec["paths"]) for _ in range(1 + spec["repeats"])]
    n = passes[0]["crystals"]
    whole = timed(lambda: predict(spec["paths"], spec["model"], 1), spec["repeats"])
    stages = {name: 1000 * median(one["seconds"][name] for one in passes[1:]) / n for name in STAGES}
    return {
        "stage_ms_per_crystal": stages,
        "sum_ms_per_crystal": sum(stages.values()),
        "whole_call_ms_per_crystal": 1000 * middle(whole) / n,
        "model_loading_seconds": load,
        **{name: passes[0][name] for name in COUNTS},
    }


def _one_pass(predictor: Predictor, paths: list[str]) -> Result:
    import numpy as np
    import torch

    from paraisite.graphs.build import build_graphs
    from paraisite.graphs.neighbours import find_neighbours
    from paraisite.models.network.batch import GraphBatch
    from paraisite.prediction.prepare import CHUNK_CRYSTALS, prepare
    from paraisite.prediction.table import make_table
    from paraisite.readers import iter_crystals
    from paraisite.threads import torch_settings
    from paraisite.uncertainty.judgement import Judgement

    clock, counts = Clock(), dict.fromkeys(COUNTS, 0)
    network, needs = predictor.model.network, predictor.needs
    pairs, crystals = [], []

    # Neighbours are searched inside of the building of graphs, and that inside of `prepare`: each is timed where it is
    # called, and the inner times are taken off the outer ones below.
    def neighbours(crystal: Crystal, settings: GraphSettings) -> NeighbourPairs:
        found = clock.run("neighbours", lambda: find_neighbours(crystal, settings))
        pairs.append(len(found.distance))
        return found

    def graphs(some: list[Crystal], settings: GraphSettings) -> BuiltGraphs:
        crystals.extend(some)
        return clock.run("quotient", lambda: build_graphs(some, settings))

    for start in range(0, len(paths), CHUNK_CRYSTALS):
        chosen = paths[start : start + CHUNK_CRYSTALS]
        items = clock.run("read", lambda chosen=chosen: list(iter_crystals(chosen)))
        with (
            patch("paraisite.graphs.build.find_neighbours", neighbours),
            patch("paraisite.prediction.prepare.build_graphs", graphs),
        ):
            chunk = clock.run("rows", lambda items=items: prepare(items, needs))
        with torch_settings(1), torch.no_grad():
            every = np.arange(len(chunk.inputs.store))
            batch = clock.run(
                "collate", lambda store=chunk.inputs.store, every=every: GraphBatch.from_arrays(store.collate(every))
            )
            kappa = clock.run("model", lambda batch=batch: network.predict_kappa(batch).double().numpy())
        judgement = Judgement.unknown(len(chunk.inputs.store))
        clock.run(
            "table",
            lambda chunk=chunk, kappa=kappa, said=judgement: make_table(chunk.rows, chunk.predicted, kappa, said),
        )
        counts["nodes"] += chunk.inputs.store.n_nodes
        counts["edges"] += chunk.inputs.store.n_edges
    counts |= {"crystals": len(crystals), "plain_edges": sum(pairs), "atoms": sum(one.n_atoms for one in crystals)}
    seconds = clock.seconds
    seconds["rows"] -= seconds["quotient"]
    seconds["quotient"] -= seconds["neighbours"]
    return {"seconds": seconds, **counts}


def benchmark(options: Result) -> Result:
    """On files with symmetry and on files without."""
    from inputs import aflow_cifs, rattled_cifs
    from ours import model_folder

    n = 20 if options["quick"] else 1000
    spec: Result = {"model": model_folder(options["work"]), "repeats": 1 if options["quick"] else 3}
    result: Result = {"files": n}
    for name, make in (("aflow", aflow_cifs), ("rattled", rattled_cifs)):
        say(f"profile of prediction: {name}")
        paths = make(options["work"], options["data"], n)
        result[name] = run_job(__file__, "profile", {**spec, "paths": paths})
    return result


if __name__ == "__main__":
    main(__doc__.splitlines()[0], {"profile": profile_job}, benchmark)
