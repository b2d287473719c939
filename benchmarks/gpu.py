"""CPU against GPU: the same numbers, and the speed of a training epoch and of prediction; without CUDA it says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import Result, main, middle, run_job, say, timed

RELATIVE_TOLERANCE = 1e-3
"""Float32 sums in another order, through 3 blocks and an exponential."""
BATCH_SIZES = (8, 64)


def device_job(spec: Result) -> Result:
    """Everything on one device."""
    import numpy as np
    import torch
    from ours import stage_data, start_training, train_epoch

    from paraisite.datasets.catalogue import read_labelled
    from paraisite.prediction.predict import Predictor
    from paraisite.threads import torch_settings
    from paraisite.training.loop import predict_store

    device = spec["device"]
    data = read_labelled(Path(spec["folder"]) / "train.extxyz")
    prepared = stage_data(data)
    predictor = Predictor(spec["model"], device=device)
    result: Result = {"device": device, "card": torch.cuda.get_device_name() if device == "cuda" else "CPU"}

    def measured(function: Callable[[], Any], warm_up: int) -> float:
        def finished() -> None:
            function()
            if device == "cuda":
                torch.cuda.synchronize()

        return middle(timed(finished, warm_up + spec["repeats"])[warm_up:])

    n = len(prepared.store)
    with torch_settings(spec["threads"]):
        result["model_ms_per_crystal"] = 1000 * measured(lambda: predict_store(predictor.model, prepared.store), 2) / n
        kappa = predictor.model.target.inverse(predict_store(predictor.model, prepared.store))
        np.save(spec["save"], kappa.cpu().numpy())
        for size in BATCH_SIZES:
            state = start_training(prepared, device)
            result[f"first_epoch_loss_batch_{size}"] = train_epoch(state, prepared, size).tolist()
            seconds = measured(lambda chosen=state, size=size: train_epoch(chosen, prepared, size), 0)
            result[f"epoch_seconds_batch_{size}"] = seconds
    whole = measured(lambda: predictor.predict_files(spec["paths"]), 1)
    result["files_ms_per_crystal"] = 1000 * whole / len(spec["paths"])
    return result


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
        **results,
    }


if __name__ == "__main__":
    main(__doc__.splitlines()[0], {"device": device_job}, benchmark)
