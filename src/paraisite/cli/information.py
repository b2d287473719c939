"""What `paraisite info` shows."""

from __future__ import annotations

import platform
from typing import Any

import torch
from rich.console import Console

from paraisite.json_text import json_text
from paraisite.models.files import find_model, read_card, shipped_models
from paraisite.models.names import DEFAULT_MODEL
from paraisite.version import __version__


def describe_installation(console: Console) -> None:
    """Show versions, devices and the shipped models."""
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    console.print(
        f"paraisite {__version__}, Python {platform.python_version()}, PyTorch {torch.__version__}, GPU: {cuda}"
    )
    console.print("Shipped models (paraisite info NAME for the card):")
    for name, folder in shipped_models().items():
        card = read_card(folder)
        mark = ", the default" if name == DEFAULT_MODEL else ""
        console.print(f"  {name}{mark}: {card.get('description', '')}")
    console.print(
        "Data sets in the package: togo15 (95 crystals), hh143 (143), mix (both), literature (107). "
        "More by `paraisite data list`."
    )


def describe_model(name: str, console: Console, *, as_json: bool) -> None:
    """Show a model's card."""
    folder = find_model(name)
    card = read_card(folder)
    if as_json:
        console.print_json(json_text(card))
        return
    console.print(f"{card.get('name', folder.name)} (in {folder})")
    for key in ("description", "caution", "intended_domain", "not_for", "licence"):
        if key in card:
            console.print(f"{key.replace('_', ' ')}: {card[key]}")
    for item in card.get("training_data", []):
        console.print(f"trained on: {item}")
    errors = card.get("errors", {})
    if "comparison" in errors:
        _describe_comparison(errors["comparison"], console)
    elif errors:
        _describe_errors(errors, console)


def _describe_errors(errors: dict[str, Any], console: Console) -> None:
    labels = {
        "held_out": "held out (epoch and scale without the validation part)",
        "paper": "paper protocol (best epoch on the validation part itself: optimistic)",
        "last_epoch": "last epoch (never selected)",
        "paper_compressed": "compressed scale of the published step 3, paper protocol (not an error of κ)",
    }
    console.print("errors on the validation parts, mean ± standard deviation over the runs:")
    for protocol, label in labels.items():
        for metric, value in errors.get(protocol, {}).items():
            console.print(f"  {label}: {metric} {value['mean']:.3f} ± {value['standard_deviation']:.3f}")


def _describe_comparison(rows: list[dict[str, Any]], console: Console) -> None:
    """Show the scores of a model's design under the comparison's protocols, a line per candidate."""
    labels = {
        "mape": "MAPE",
        "mae_log10": "MAE log10",
        "within_factor_2": "within ×2",
        "coverage_90": "in 90 %",
    }
    console.print(
        "errors of the same design, fitted to the training part of each split (paraisite comparison), mean ± standard "
        "deviation over the splits; in 90 %: share in the 90 % interval; +data: with those data beside the protocol's own:"
    )
    for title in dict.fromkeys(row["title"] for row in rows):
        console.print(f"  {title}")
        for row in (row for row in rows if row["title"] == title):
            scores = ", ".join(f"{label} {_with_deviation(row[name])}" for name, label in labels.items())
            console.print(f"    {row['candidate']}: {scores}")


def _with_deviation(value: dict[str, float | None]) -> str:
    mean, deviation = value["mean"], value["standard_deviation"]
    if mean is None:
        return "–"
    return f"{mean:.2f}" + ("" if deviation is None else f" ± {deviation:.2f}")
