"""Peak memory of training on the whole AFLOW set: 2 epochs of a real run, with validation and checkpoint.

The peaks of the other benchmarks are measured there, each in a fresh process; here is also what a process holds before
it does anything, since PyTorch and the libraries are most of it.
"""

from __future__ import annotations

import tempfile
import time

from measure import Result, main, memory_mib, run_job, say


def imports_job(spec: Result) -> Result:
    """Load one side and nothing else."""
    if spec["side"] == "peer":
        import peer

        peer.make_model(0)
    else:
        import ours

        ours.predict([], spec["model"])
    return {"side": spec["side"]}


def training_job(spec: Result) -> Result:
    """Train on all of AFLOW as `paraisite train` does."""
    from paraisite.training.network.recipe import Recipe, StageRecipe
    from paraisite.training.network.run import train

    stage = StageRecipe(name="aflow", data=spec["set"], epochs=spec["epochs"], batch_size=64)
    before = memory_mib("VmRSS")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        train(Recipe(name="benchmark", stages=(stage,)), folder)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "epochs": spec["epochs"], "before_mib": before}


def benchmark(options: Result) -> Result:
    """Both."""
    from ours import model_folder

    model = model_folder(options["work"])
    say("memory: imports, and training on all of AFLOW")
    chosen = "togo15" if options["quick"] else "aflow_agl"
    return {
        "imports_ours": run_job(__file__, "imports", {"side": "ours", "model": model}),
        "imports_peer": run_job(__file__, "imports", {"side": "peer"}, 1),
        "training": {"set": chosen, **run_job(__file__, "training", {"set": chosen, "epochs": 2})},
    }


if __name__ == "__main__":
    main(__doc__.splitlines()[0], {"imports": imports_job, "training": training_job}, benchmark)
