"""The page `RESULTS.md`, made of the measurements of one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Result = dict[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return [*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows), ""]


def number(value: float, digits: int = 3) -> str:
    """A number to some significant figures, never in powers of ten."""
    if value == 0:
        return "0"
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e" in text or abs(value) >= 10 ** (digits - 1) else text


def training(result: Result) -> list[str]:
    """Section on the training epoch."""
    rows, notes = [], []
    for batch in result["batches"]:
        ours, peer = batch["ours"], batch["peer"]
        rows.append([
            batch["batch_size"], f"{number(batch['ours_seconds'])} s", f"{number(batch['peer_seconds'])} s",
            f"**{number(batch['ratio'])}×**", f"{number(batch['peer_train_part_seconds'])} s",
            f"{number(batch['ratio_train_part'])}×", f"{number(batch['ratio_if_peer_used_every_core'])}×",
            f"{ours['peak_mib']:.0f} MiB", f"{peer['peak_mib']:.0f} MiB",
        ])  # fmt: skip
        members = batch["peer_scaled_from_members"]
        scaled = "" if members == 9 else f" (measured for {members} members and scaled to 9)"
        notes.append(
            f"- Batch {batch['batch_size']}: ParAIsite with {ours['threads']} thread(s); MatGL with {peer['threads']} "
            f"thread(s) and {peer['workers']} loader worker(s), the fastest of the settings tried{scaled}. Building the "
            f"graphs, which is not counted, took {number(ours['graph_seconds'])} s and {number(peer['graph_seconds'])} s; "
            f"they have {ours['edges']} edges and {ours['nodes']} nodes, those of MatGL {peer['edges']} and "
            f"{peer['nodes']}. A validation of all crystals by all members takes ParAIsite "
            f"{number(ours['validation_seconds'])} s more."
        )
    crystals = result["batches"][0]["ours"]["crystals"]
    member = result["batches"][0]["peer_train_part"]["crystals_of_member"]
    head = [
        "batch", "ParAIsite", "MatGL", "ratio", f"MatGL on {member}", f"ratio on {member}", "ratio if MatGL used every core",
        "peak, ParAIsite", "peak, MatGL",
    ]  # fmt: skip
    intro = (
        f"One epoch over the same {crystals} AFLOW crystals with ready-made graphs, the same loss, Adam. ParAIsite passes "
        f"every crystal forward and back through all members; {member} count in the loss of a member, the others are its "
        f"validation predictions. MatGL's members are trained one after the other by a plain loop, on all {crystals}; "
        f"the columns 'on {member}' are for its training part alone, without predictions of the others. MatGL's batches "
        "are made by its own code. Its network is the smaller one (no perceptron at the end), which is to its advantage."
    )
    bound = (
        "The column before the peaks is a bound, not a measurement: as if one MatGL process a core, with one thread each, "
        "shared the members without any loss."
    )
    return ["## Training: one epoch of 9 members", "", intro, "", *table(head, rows), bound, "", *notes, ""]


def prediction(result: Result) -> list[str]:
    """Section on prediction from files."""
    intro = (
        f"{result['files']} files; milliseconds per crystal; the median of repeated calls for ParAIsite, each with loading "
        "the model and starting its processes. `AFLOW`: half in P1, half symmetrised. `rattled`: atoms moved and cells "
        "strained, so that the quotient graph cannot help."
    )
    lines = ["## Prediction: from CIF files to a table, 9 members", "", intro, ""]
    rows = []
    for name, label in (("aflow", "AFLOW"), ("rattled", "rattled")):
        part = result[name]
        base = part["ours"]["ms_per_crystal"]
        for key, who in (
            ("ours", "ParAIsite, default"), ("ours_one_process", "ParAIsite, one process"),
            ("peer_batched", "MatGL in batches"), ("peer_loop", "MatGL `predict_structure` in a loop"),
        ):  # fmt: skip
            if key not in part:
                continue
            one = part[key]
            setting = ", ".join(f"{one[item]} {text}" for item, text in _SETTINGS if one.get(item) is not None)
            rows.append([
                label, who, setting, number(one["ms_per_crystal"]), f"{number(one['ms_per_crystal'] / base)}×",
                f"{one['peak_mib']:.0f} MiB",
            ])  # fmt: skip
    lines += table(["files", "who", "setting", "ms per crystal", "against the default", "peak memory"], rows)
    for name in ("aflow", "rattled"):
        ours, batched = result[name]["ours"], result[name]["peer_batched"]
        stages = ", ".join(f"{stage} {number(ms)}" for stage, ms in batched["stage_ms_per_crystal"].items())
        lines.append(
            f"- {name}: first call of ParAIsite {number(ours['first_seconds'])} s, later ones {number(ours['seconds'])} s; "
            f"{ours['good']} of {ours['rows']} rows carry a prediction. MatGL in batches spends, in ms per crystal: "
            f"{stages}."
        )
    return [*lines, ""]


_SETTINGS = (
    ("files", "files"), ("processes", "process(es)"), ("threads", "thread(s)"), ("batch_size", "crystals a batch")
)  # fmt: skip


def profile(result: Result) -> list[str]:
    """Section on where the time goes."""
    sets = ("aflow", "rattled")
    stages = list(result["aflow"]["stage_ms_per_crystal"])
    rows = [[stage, *(number(result[name]["stage_ms_per_crystal"][stage]) for name in sets)] for stage in stages]
    rows.append(["sum", *(number(result[name]["sum_ms_per_crystal"]) for name in sets)])
    rows.append(["whole call", *(number(result[name]["whole_call_ms_per_crystal"]) for name in sets)])
    sizes = [
        f"- {name}: {one['atoms']} atoms → {one['nodes']} nodes, {one['plain_edges']} pairs → {one['edges']} edges; "
        f"loading the model takes {number(one['model_loading_seconds'])} s of the whole call."
        for name, one in ((name, result[name]) for name in sets)
    ]
    intro = f"ParAIsite, {result['files']} CIF files, one process, one thread, ms per crystal:"
    shown = table(["stage", "AFLOW", "rattled"], rows)
    return ["## Where the time goes", "", intro, "", *shown, *sizes, ""]


def scaling(result: Result) -> list[str]:
    """Section on the number of crystals."""
    rows, notes = [], []
    for one in result["series"]:
        rows += [
            [one["kind"], point["n"], point["good"], f"{number(point['seconds'])} s", number(point["ms_per_crystal"]),
             point["processes"], f"{point['peak_mib']:.0f} MiB"]
            for point in one["points"]
        ]  # fmt: skip
        if one["exponent"] is not None:
            notes.append(
                f"- {one['kind']}: t ~ n^{one['exponent']:.2f}; each further crystal costs "
                f"{number(one['marginal_ms_per_crystal'])} ms and {number(one['marginal_mib_per_1000'])} MiB per 1 000."
            )
    intro = (
        "Prediction by 9 members in a fresh process, loading the model included. Made of AFLOW's crystals by substitution "
        "within a group of the periodic table and by strain; `rattled` ones also have their atoms moved by 0.01 to 0.05 Å."
    )
    head = ["files", "crystals", "predicted", "time", "ms per crystal", "processes", "peak memory"]
    return ["## Cost against the number of crystals", "", intro, "", *table(head, rows), *notes, ""]


def memory(result: Result) -> list[str]:
    """Section on memory."""
    run = result["training"]
    rows = [
        ["ParAIsite with its model, before any work", f"{result['imports_ours']['peak_mib']:.0f} MiB"],
        ["MatGL with one model, before any work", f"{result['imports_peer']['peak_mib']:.0f} MiB"],
        [f"ParAIsite, training on all of {run['set']}, {run['epochs']} epochs", f"{run['peak_mib']:.0f} MiB"],
    ]
    intro = (
        "Highest resident memory of a fresh process; for several processes the highest sum, in which shared pages count "
        "twice. Other peaks stand in the tables above."
    )
    epochs = (
        f"The {run['epochs']} epochs with reading, graphs, validation and checkpoint took {number(run['seconds'])} s."
    )
    return ["## Peak memory", "", intro, "", *table(["what", "peak"], rows), epochs, ""]


def gpu(result: Result) -> list[str]:
    """Section on the GPU."""
    if not result["available"]:
        return ["## GPU", "", f"Not measured: {result['reason']}", ""]
    rows = [
        [key, number(result["cpu"][key]), number(result["cuda"][key]), f"{number(ratio)}×"]
        for key, ratio in result["ratio_cpu_to_gpu"].items()
    ]
    same = "the same" if result["same_numbers"] else "**not the same**"
    intro = (
        f"{result['card']} against one CPU thread. The numbers are {same} within {result['tolerance']:g}: the largest "
        f"relative difference of a prediction is {result['largest_relative_difference']:.1e}."
    )
    return ["## GPU", "", intro, "", *table(["what", "CPU", "GPU", "ratio"], rows)]


SECTIONS: dict[str, Callable[[Result], list[str]]] = {
    "train_epoch": training, "predict_files": prediction, "profile_predict": profile,
    "scaling": scaling, "memory": memory, "gpu": gpu,
}  # fmt: skip


def make_report(results: Result) -> str:
    """The whole page."""
    machine = results["machine"]
    lines = ["# Benchmark results", "", f"Written by `benchmarks/run_all.py` on {results['date']}.", ""]
    if results["quick"]:
        lines += ["**A quick run of tiny sizes: it shows that the benchmarks work, not how fast anything is.**", ""]
    if results["busy"]:
        load = machine["load_average_1_minute"]
        lines += [f"**The machine was busy when the run began (load {load}); take no time from this page.**", ""]
    lines += [
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}.", "",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in results["versions"].items()) + ".", "",
        "Commands, each also on its own:", "", "```", *results["commands"], "```", "",
    ]  # fmt: skip
    for name, result in results["benchmarks"].items():
        if "error" in result:
            last = result["error"].splitlines()[-1]
            lines += [f"## {name}", "", f"Failed: {last}", ""]
        else:
            lines += SECTIONS[name](result)
    return "\n".join(lines).rstrip() + "\n"
