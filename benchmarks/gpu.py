"""CPU against GPU: the same numbers, the speed of an epoch and of prediction, and scans by processes that share the GPU.

Without CUDA it says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import Result, main, middle, run_command, run_job, say, timed
from scan import N_CRYSTALS, STAGE_CRYSTALS, scan_command, stages_job

RELATIVE_TOLERANCE = 1e-3
"""Float32 sums in another order, through 3 blocks and an exponential."""
BATCH_SIZES = (8, 64)
SHARING_PROCESSES = (1, 2, 4, 8, 16, 32)


def device_job(spec: Result) -> Result:
    """Everything on one device."""
    import numpy as np
    import torch
    from ours import stage_data, start_training, train_epoch

    from paraisite.datasets.catalogue import read_labelled
    from paraisite.prediction.predict import Predictor
    from paraisite.threads import torch_settings
    from paraisite.training.network.loop import predict_store

    device = spec["device"]
    data = read_labelled(Path(spec["folder"]) / "train.extxyz")
    prepared = stage_data(data)
    predictor = Predictor(spec["model"], device=device)
    network = predictor.model.network
    result: Result = {"device": device, "card": torch.cuda.get_device_name() if device == "cuda" else "CPU"}

    def measured(function: Callable[[], Any], warm_up: int) -> float:
        def finished() -> None:
            function()
            if device == "cuda":
                torch.cuda.synchronize()

        return middle(timed(finished, warm_up + spec["repeats"])[warm_up:])

    n = len(prepared.store)
    with torch_settings(spec["threads"]):
        result["model_ms_per_crystal"] = 1000 * measured(lambda: predict_store(network, prepared.store), 2) / n
        kappa = network.target.inverse(predict_store(network, prepared.store))
        np.save(spec["save"], kappa.cpu().numpy())
        for size in BATCH_SIZES:
            state = start_training(prepared, device)
            result[f"first_epoch_loss_batch_{size}"] = train_epoch(state, prepared, size).tolist()
            seconds = measured(lambda chosen=state, size=size: train_epoch(chosen, prepared, size), 0)
            result[f"epoch_seconds_batch_{size}"] = seconds
    whole = measured(lambda: predictor.predict_files(spec["paths"]), 1)
    result["files_ms_per_crystal"] = 1000 * whole / len(spec["paths"])
    return result


def scans(options: Result, device: str) -> Result:
    """Scans by more and more processes that share a device, and the stages of one.

    Where the rate stops to grow, the device is the bottleneck; before that, reading and graphs are.
    """
    from inputs import database_extxyz
    from ours import model_folder

    n = 300 if options["quick"] else N_CRYSTALS
    work, model = options["work"], model_folder(options["work"])
    source, out = database_extxyz(work, options["data"], n), str(Path(work) / "scan-gpu")
    spec = {"work": work, "model": model, "device": device, "crystals": STAGE_CRYSTALS, "source": source}
    rates = []
    for processes in (number for number in SHARING_PROCESSES if number <= (os.cpu_count() or 1)):
        say(f"GPU: scan by {processes} process(es)")
        command = scan_command(source, out, "--model", model, "--device", device, "--processes", str(processes))
        run = run_command(command)
        rates.append({"processes": processes, "crystals_per_second": n / run["seconds"], **run})
    return {"crystals": n, "rates": rates, "stages": run_job(__file__, "stages", spec, 1)}


def benchmark(options: Result) -> Result:
    """Both devices, and the comparison."""
    import numpy as np
    import torch
    from inputs import aflow_cifs, training_set
    from ours import model_folder

    if not torch.cuda.is_available():
        say("GPU: PyTorch finds no CUDA device on this machine")
        return {"available": False, "reason": f"PyTorch {torch.__version__} finds no CUDA device on this machine."}
    n = 60 if options["quick"] else 1000
    work = options["work"]
    spec: Result = {
        "folder": str(training_set(work, options["data"], n)), "paths": aflow_cifs(work, options["data"], n),
        "model": model_folder(work), "repeats": 1 if options["quick"] else 3,
    }  # fmt: skip
    results, kappa = {}, {}
    for device in ("cpu", "cuda"):
        say(f"GPU: {device}")
        save = str(Path(work) / f"kappa-{device}.npy")
        results[device] = run_job(__file__, "device", {**spec, "device": device, "save": save}, 1)
        kappa[device] = np.load(save)
    difference = np.abs(kappa["cuda"] - kappa["cpu"]) / np.maximum(np.abs(kappa["cpu"]), 1e-3)
    speed = [key for key in results["cpu"] if key.endswith("per_crystal") or key.startswith("epoch_seconds")]
    return {
        "available": True,
        "card": results["cuda"]["card"],
        "largest_relative_difference": float(difference.max()),
        "same_numbers": bool(difference.max() < RELATIVE_TOLERANCE),
        "tolerance": RELATIVE_TOLERANCE,
        "ratio_cpu_to_gpu": {key: results["cpu"][key] / results["cuda"][key] for key in speed},
        "scans": scans(options, "cuda"),
        **results,
    }


if __name__ == "__main__":
    main(__doc__.splitlines()[0], {"device": device_job, "stages": stages_job}, benchmark)
