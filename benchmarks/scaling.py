"""Cost against the number of crystals: prediction from one extxyz file or from CIFs to the table, 1 000 to 30 000.

The crystals are made from AFLOW's by substitution and scaling (`symmetric`), or also by strain and rattling
(`rattled`), the worst case, where no two atoms are alike.
"""

from __future__ import annotations

from math import log

from measure import Result, main, run_job, say, timed

SIZES = (1000, 3000, 10000, 30000)
CIF_SIZES = (1000, 3000)


def predict_job(spec: Result) -> Result:
    """Predict once in a fresh process, first call and all."""
    from ours import count_good, predict

    tables = []
    seconds = timed(lambda: tables.append(predict(spec["paths"], spec["model"], None)), 1)[0]
    return {"seconds": seconds, "good": count_good(tables[0]), "rows": len(tables[0])}


def series(name: str, sizes: list[int], paths: dict[int, list[str]], model: str) -> Result:
    """One kind of input at all its sizes, with the exponent of t ~ n^p."""
    points = []
    for n in sizes:
        say(f"scaling: {name}, {n} crystals")
        result = run_job(__file__, "predict", {"paths": paths[n], "model": model})
        points.append({"n": n, "ms_per_crystal": 1000 * result["seconds"] / n, **result})
    seconds = [point["seconds"] for point in points]
    result = {"kind": name, "points": points, "exponent": exponent(sizes, seconds)}
    if len(points) > 1:
        result["marginal_ms_per_crystal"] = 1000 * (seconds[-1] - seconds[0]) / (sizes[-1] - sizes[0])
        result["marginal_mib_per_1000"] = (
            1000 * (points[-1]["peak_mib"] - points[0]["peak_mib"]) / (sizes[-1] - sizes[0])
        )
    return result


def exponent(sizes: list[int], seconds: list[float]) -> float | None:
    """Slope of log t against log n by least squares; None for one point."""
    if len(sizes) < 2:
        return None
    x, y = [log(size) for size in sizes], [log(value) for value in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return slope / sum((a - mean_x) ** 2 for a in x)


def benchmark(options: Result) -> Result:
    """All series."""
    from inputs import perturbed_extxyz, rattled_cifs
    from ours import model_folder

    sizes = [20, 60] if options["quick"] else list(SIZES)
    cif_sizes = [20, 60] if options["quick"] else list(CIF_SIZES)
    work, data, model = options["work"], options["data"], model_folder(options["work"])
    result = []
    for rattle in (False, True):
        say("scaling: writing inputs")
        files = {n: [perturbed_extxyz(work, data, n, rattle=rattle)] for n in sizes}
        name = f"extxyz, {'rattled' if rattle else 'symmetric'}"
        result.append(series(name, sizes, files, model))
    say("scaling: writing CIF files")
    cifs = {n: rattled_cifs(work, data, n) for n in cif_sizes}
    result.append(series("CIF in P1, rattled", cif_sizes, cifs, model))
    return {"series": result}


if __name__ == "__main__":
    main(__doc__.splitlines()[0], {"predict": predict_job}, benchmark)
