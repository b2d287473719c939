"""Error of the multi-fidelity model by its own domain flag, on crystals that it was not fitted to.

Every protocol of `paraisite compare` in turn: fitted to a training part, the model predicts and judges the others.

    python scripts/measure_domain.py
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from paraisite.comparison.protocols import COMPARISON_PROTOCOLS, load_pool, protocol_splits
from paraisite.features.descriptors import DESCRIPTOR_GRAPHS
from paraisite.graphs.build import build_store
from paraisite.models.files import find_model
from paraisite.models.multi_fidelity.files import load_multi_fidelity
from paraisite.training.multi_fidelity.fit import TrainingCrystals, fit_domains, fit_multi_fidelity
from paraisite.uncertainty.domain import LEVELS

RUNS = (("held_out", ()), ("grouped", ()), ("prototype", ()), ("hh143", ()), ("literature", ()),
        ("grouped", ("literature",)), ("prototype", ("literature",)), ("hh143", ("literature",)))  # fmt: skip


def main() -> None:
    """Print a table."""
    pool = load_pool(["togo15", "hh143", "literature"])
    surrogates = load_multi_fidelity(find_model()).surrogates
    everything = TrainingCrystals.describe(pool.crystals, pool.kappa, [pool.sources[name] for name in pool.source])
    rows = []
    for protocol, further in RUNS:
        for split in protocol_splits(COMPARISON_PROTOCOLS[protocol], pool, further):
            part = everything.take(split.training)
            model, _ = fit_multi_fidelity(surrogates, part)
            domain = fit_domains(model, "training", None).domain
            descriptors = everything.descriptors[split.predicted]
            store = build_store(pool.take(split.predicted), DESCRIPTOR_GRAPHS)
            features = torch.as_tensor(descriptors, dtype=torch.float32).unsqueeze(0)
            level, distance, _ = domain.judge(features, store, pool.formula[split.predicted].tolist())
            prediction = model.predict(descriptors)
            low, high = prediction.interval()
            truth = everything.log10_kappa[split.predicted]
            rows.append(pd.DataFrame({
                "protocol": "+".join((protocol, *further)), "level": np.array(LEVELS)[level], "distance": distance,
                "error": np.abs(prediction.log10_point - truth), "covered": (truth >= low) & (truth <= high),
                "std": prediction.log10_std,
            }))  # fmt: skip
    table = pd.concat(rows)
    groups = table.groupby(["protocol", "level"])
    print(groups.agg(n=("error", "size"), mae_log10=("error", "mean"), coverage=("covered", "mean")).round(3))
    print(
        table.groupby("level")
        .agg(n=("error", "size"), mae_log10=("error", "mean"), coverage=("covered", "mean"))
        .round(3)
    )
    correlations = table.groupby("protocol")[["distance", "std", "error"]].corr(method="spearman")["error"].unstack()
    print(correlations[["distance", "std"]].round(2).to_string())


if __name__ == "__main__":
    main()
