"""Uncertainty beside a model: `uncertainty.safetensors`, and a summary in the model's card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from paraisite.atomic import atomic_path
from paraisite.elements import ELEMENTS
from paraisite.errors import ModelFileError
from paraisite.models.files import UNCERTAINTY_NAME, checked_file, read_card, write_card
from paraisite.structures.checks import one_line
from paraisite.uncertainty.conformal import LEVEL, Residuals
from paraisite.uncertainty.domain import Domain
from paraisite.uncertainty.judgement import Uncertainty

UNCERTAINTY_FORMAT = 1
_TENSORS = ("centres", "offset", "scale", "typical")


def save_uncertainty(uncertainty: Uncertainty, folder: str | Path) -> None:
    """Write a model's uncertainty into its folder, and a summary into its card.

    Args:
        uncertainty: What the model needs to judge its predictions.
        folder: Folder of the model, which is there already.
    """
    folder = Path(folder)
    content: dict[str, Any] = {"format": UNCERTAINTY_FORMAT}
    tensors: dict[str, np.ndarray] = {}
    residuals = uncertainty.residuals
    if residuals is not None:
        tensors["residuals"] = residuals.values.astype(np.float32)
        tensors["held_out"] = np.ascontiguousarray(residuals.held_out)
        content["residuals"] = {"source": residuals.source}
    for key, domain in (("domain", uncertainty.domain), ("earlier", uncertainty.earlier)):
        if domain is not None:
            tensors |= {f"{key}.{name}": np.ascontiguousarray(getattr(domain, name)) for name in _TENSORS}
            content[key] = _plain(domain)
    with atomic_path(folder / UNCERTAINTY_NAME) as temporary:
        # One entry: the order of several is not fixed, and equal runs leave equal files.
        save_file(tensors, temporary, {"content": json.dumps(content)})
    write_card(folder, {**read_card(folder), "uncertainty": _summary(uncertainty)})


def load_uncertainty(folder: str | Path) -> Uncertainty | None:
    """Read a model's uncertainty; None where the model has none.

    Raises:
        ModelFileError: The file is damaged, of another format, or belongs to another model.
    """
    folder = Path(folder)
    if not (folder / UNCERTAINTY_NAME).is_file():
        return None
    card = read_card(folder)
    path = checked_file(folder, UNCERTAINTY_NAME, card)
    try:
        with safe_open(path, framework="np") as handle:
            content = json.loads((handle.metadata() or {})["content"])
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
        if content["format"] != UNCERTAINTY_FORMAT:
            raise ValueError(f"its format is {content['format']!r}, not {UNCERTAINTY_FORMAT}")
        uncertainty = _read(content, tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelFileError(
            f"The uncertainty {path} cannot be read: {one_line(error)}; delete it to predict without intervals and domain."
        ) from error
    architecture = card["architecture"]
    # Members whose features are the same ones have one domain.
    _require_members(uncertainty, int(architecture.get("n_feature_sets", architecture["n_members"])), path)
    return uncertainty


def _require_members(uncertainty: Uncertainty, n_members: int, path: Path) -> None:
    counts = {len(domain.centres) for domain in (uncertainty.domain, uncertainty.earlier) if domain is not None}
    if uncertainty.residuals is not None:
        counts.add(len(uncertainty.residuals.held_out))
    if counts != {n_members}:
        raise ModelFileError(f"The uncertainty {path} belongs to another model, not one of {n_members} members.")


def _read(content: dict[str, Any], tensors: dict[str, np.ndarray]) -> Uncertainty:
    residuals = None
    if "residuals" in content:
        values, held_out = tensors["residuals"].astype(np.float64), tensors["held_out"].astype(bool)
        residuals = Residuals(values, held_out, str(content["residuals"]["source"]))
    domains = [
        _domain(content[key], {name: tensors[f"{key}.{name}"] for name in _TENSORS}) if key in content else None
        for key in ("domain", "earlier")
    ]
    if domains[0] is None:
        raise KeyError("domain")
    return Uncertainty(residuals, domains[0], domains[1])


def _plain(domain: Domain) -> dict[str, Any]:
    return {
        "name": domain.name,
        "elements": [symbol for symbol, known in zip(ELEMENTS, domain.elements, strict=True) if known],
        "formula_types": sorted(domain.formula_types),
        "limits": list(domain.limits),
        "unseen_elements": domain.unseen_elements,
        "unseen_formula_type": domain.unseen_formula_type,
    }


def _domain(content: dict[str, Any], tensors: dict[str, np.ndarray]) -> Domain:
    edge, outside = (float(limit) for limit in content["limits"])
    return Domain(
        name=str(content["name"]),
        **tensors,
        elements=np.isin(ELEMENTS, content["elements"]),
        formula_types=frozenset(content["formula_types"]),
        limits=(edge, outside),
        unseen_elements=float(content["unseen_elements"]),
        unseen_formula_type=float(content["unseen_formula_type"]),
    )


def _summary(uncertainty: Uncertainty) -> dict[str, Any]:
    """What the card says to people; the numbers that count are in the file."""
    domain, residuals = uncertainty.domain, uncertainty.residuals
    summary: dict[str, Any] = {
        "domain": domain.name,
        "edge_from_distance": round(domain.limits[0], 3),
        "outside_from_distance": round(domain.limits[1], 3),
        "n_elements": int(domain.elements.sum()),
    }
    if uncertainty.earlier is not None:
        summary["earlier_domain"] = uncertainty.earlier.name
    if residuals is None:
        return {"interval": None, **summary}
    interval = {
        "level": LEVEL,
        "method": "jackknife+ after bootstrap in ln κ (arXiv 2002.09025)",
        "residuals_from": residuals.source,
        "n_crystals": len(residuals.values),
        "median_error_factor": round(float(np.exp(np.median(residuals.values))), 3),
    }
    return {"interval": interval, **summary}
