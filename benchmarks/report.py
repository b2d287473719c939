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


def scan(result: Result) -> list[str]:
    """Section on scans of databases."""
    intro = (
        f"{result['crystals']} crystals by the command `paraisite scan`: {result['real_crystals']} real crystals of AFLOW "
        f"and the Materials Project, {number(result['atoms_per_cell'])} atoms in a cell on average, repeated, each copy with "
        "a strain of its own in all directions, so that hardly two are the same crystal to the model; a scan looks for no "
        "duplicates anyway. CIF files in turn in P1 and symmetrised. Default options: a working process a core. Rates by "
        "the wall time of the whole command, the median of its runs; 'after start' takes off what a scan of one crystal "
        "takes."
    )
    head = [
        "model", "source", "crystals/s, whole command", "after start", "CPU ms per crystal", "times",
        "cores busy with other things", "predicted", "different graphs", "bytes per row",
    ]  # fmt: skip
    rows, notes = [], []
    for model, found in result["models"].items():
        rows += [_scan_rate(model, one) for one in found["rates"]]
        apart = found["largest_relative_difference_to_parquet"]
        shown = ", ".join(f"{kind} {value:.1e}" for kind, value in apart.items())
        notes.append(
            f"- {model}: a scan of one crystal takes {number(found['start_up']['seconds'])} s. Largest relative difference "
            f"of a mean κ to that from Parquet: {shown} (pymatgen moves "
            "atoms by up to 0.01 Å where it symmetrises a CIF file)."
        )
    lines = ["## Scanning a database", "", intro, "", *table(head, rows), *notes, ""]
    return [*lines, *_scan_peer(result), *_scan_stages(result), *_scan_memory(result)]


def _scan_rate(model: str, one: Result) -> list[Any]:
    return [
        model, one["kind"], f"**{one['crystals_per_second']:.0f}**", f"{one['crystals_per_second_after_start']:.0f}",
        number(one["cpu_ms_per_crystal"]), ", ".join(f"{run['seconds']:.1f} s" for run in one["runs"]),
        ", ".join(f"{run['others_cores']:.2f}" for run in one["runs"]), one["predicted"], one["different_crystals"],
        f"{one['bytes_per_row']:.0f}",
    ]  # fmt: skip


_LOOPS = {
    "loop": "`predict_structure`, structure by structure and model by model",
    "shared_graph": "each graph made once, 9 forward passes",
}


def _scan_peer(result: Result) -> list[str]:
    loops, cifs = result["peer"], result["models"][result["network"]]["rates"][0]
    rate, running = cifs["crystals_per_second"], cifs["crystals_per_second_after_start"]
    rows = [
        [
            text, loops[job]["threads"], number(loops[job]["ms_per_crystal"]), f"**{number(result['ratios'][job])}×**",
            f"{number(loops[job]['ms_per_crystal'] * running / 1000)}×",
            f"{number(loops[job]['ms_per_crystal_if_on_every_core'] * rate / 1000)}×",
        ]
        for job, text in _LOOPS.items()
    ]  # fmt: skip
    intro = (
        f"MatGL in a loop over {loops['files']} of the same CIF files, 9 models, after warming up, against the scan from CIF "
        f"files with {result['network']}. The last column is a bound: as if one loop a core shared the files without any "
        "loss, against the whole command."
    )
    head = ["MatGL", "thread(s)", "ms per crystal", "whole command against it", "after start", "if it used every core"]
    return [intro, "", *table(head, rows)]


EXAMPLE_GPU_MS = 0.02


def _scan_stages(result: Result) -> list[str]:
    columns = {
        f"{model}, {kind}": one["stage_ms_per_crystal"]
        for model, found in result["models"].items()
        for kind, one in found["stages"].items()
    }
    rows = [[stage, *(number(one[stage]) for one in columns.values())] for stage in next(iter(columns.values()))]
    rows.append(["sum", *(number(sum(one.values())) for one in columns.values())])
    beside = {name: sum(one.values()) - one["model"] for name, one in columns.items()}
    rows.append(["all but the model", *(number(value) for value in beside.values())])
    intro = (
        "Where the time goes, in one process with one thread, in ms per crystal. `cut` and `send` are done by the command's "
        "own process for all workers."
    )
    network = {name: value for name, value in beside.items() if name.startswith(result["network"])}
    most = ", ".join(f"{1000 / value:.0f} ({name})" for name, value in network.items())
    feeders = ", ".join(f"{value / EXAMPLE_GPU_MS:.0f} ({name})" for name, value in network.items())
    gpu_note = (
        "What follows for a GPU, from these times and not from a measurement on one: a core that leaves the network to "
        f"something infinitely fast still scans no more crystals per second than {most}. A GPU that takes {EXAMPLE_GPU_MS} "
        "ms "
        f"a crystal would be kept busy only by as many such cores as {feeders}; with fewer, reading and graphs are the "
        "bottleneck and not the model."
    )
    return [intro, "", *table(["stage", *columns], rows), gpu_note, ""]


def _scan_memory(result: Result) -> list[str]:
    rows = [
        [
            one["kind"], one["crystals"], one["processes"], f"{one['early_mib']:.0f} MiB", f"{one['late_mib']:.0f} MiB",
            f"**{one['peak_mib']:.0f} MiB**", f"{one['crystals'] / one['seconds']:.0f}",
        ]
        for one in result["memory"]
    ]  # fmt: skip
    intro = (
        f"Memory of all processes together with {result['network']}, as the sum of their proportional set sizes (a page "
        "that n processes share counts "
        "1/n in each), sampled 4 times per second in single scans; `early` and `late` are medians between 30 and 50 % and "
        "between 70 and 90 % of the time."
    )
    head = ["source", "crystals", "processes", "early", "late", "peak", "crystals/s"]
    return [intro, "", *table(head, rows)]


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
        measured = (
            "On a machine with one, `gpu.py` compares predictions and losses with those of the CPU, times an epoch, the "
            "model and whole predictions, and scans by 1, 2, 4, … processes that share the GPU: where the rate stops to "
            "grow, the GPU is the bottleneck, before that reading and graphs are."
        )
        return ["## GPU", "", f"Not measured: {result['reason']} {measured}", ""]
    rows = [
        [key, number(result["cpu"][key]), number(result["cuda"][key]), f"{number(ratio)}×"]
        for key, ratio in result["ratio_cpu_to_gpu"].items()
    ]
    same = "the same" if result["same_numbers"] else "**not the same**"
    intro = (
        f"{result['card']} against one CPU thread. The numbers are {same} within {result['tolerance']:g}: the largest "
        f"relative difference of a prediction is {result['largest_relative_difference']:.1e}."
    )
    lines = ["## GPU", "", intro, "", *table(["what", "CPU", "GPU", "ratio"], rows)]
    scans = result["scans"]
    shared = [[one["processes"], f"{one['crystals_per_second']:.0f}"] for one in scans["rates"]]
    stages = ", ".join(f"{name} {number(ms)}" for name, ms in scans["stages"]["stage_ms_per_crystal"].items())
    lines += [f"Scans of {scans['crystals']} crystals from extxyz by processes that share the GPU, whole command:", ""]
    lines += table(["processes", "crystals/s"], shared)
    return [*lines, f"One of them spends, in ms per crystal: {stages}.", ""]


SECTIONS: dict[str, Callable[[Result], list[str]]] = {
    "train_epoch": training, "predict_files": prediction, "profile_predict": profile,
    "scaling": scaling, "scan": scan, "memory": memory, "gpu": gpu,
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
        "Versions: " + _versions(results["versions"]) + ".", "",
    ]  # fmt: skip
    for name, result in results["benchmarks"].items():
        if "error" in result:
            last = result["error"].splitlines()[-1]
            lines += [f"## {name}", "", f"Failed: {last}", ""]
        else:
            title, *body = SECTIONS[name](result)
            lines += [title, "", _measured(name, result, results), *body]
    return "\n".join(lines).rstrip() + "\n"


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _measured(name: str, result: Result, results: Result) -> str:
    """The line of a section that tells how it was measured, and with which other versions than the page says."""
    quick = " --quick" if results["quick"] else ""
    other = {key: value for key, value in result["versions"].items() if results["versions"].get(key) != value}
    told = f" With {_versions(other)}." if other else ""
    load = f"load {result['load_before']:.2f} before it"
    return (
        f"`python benchmarks/{name}.py{quick}`, {result['date']}, {load}, {result['took_seconds'] / 60:.1f} min.{told}"
    )
