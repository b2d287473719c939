"""A model that gives no finite number: no row is ok without κ, in Python, files, JSON and scans."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import paraisite
from paraisite.cli.main import main
from paraisite.datasets.tables import load_togo15
from paraisite.json_text import json_text
from paraisite.models.files import find_model
from paraisite.models.interface import Model
from paraisite.models.network.files import save_network
from paraisite.models.network.kind import NetworkModel
from paraisite.prediction.predict import Predictor
from paraisite.structures import to_ase

CRYSTALS = load_togo15()[:3]


@pytest.fixture(scope="module")
def network() -> NetworkModel:
    return NetworkModel.load(find_model("FEAFTG15"), threads=1)


@pytest.fixture(scope="module")
def broken(network: NetworkModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network's folder with a scale that is no number for its last member."""
    folder = tmp_path_factory.mktemp("model") / "broken"
    broken = NetworkModel.load(find_model("FEAFTG15"), threads=1).network
    broken.target.mean[-1] = float("nan")
    save_network(broken, folder, {"name": "broken"})
    return folder


def said(model: str | Path | Model, *, members: bool = False) -> None:
    table = Predictor(model, members=members).predict(CRYSTALS)
    assert table["status"].tolist() == ["not_finite"] * 3
    assert table["error"].str.contains("no finite κ").all()
    numbers = [name for name in table if name.startswith("kappa") or name == "domain_distance"]
    assert table[numbers].isna().all(axis=None)
    assert (table["domain"] == "").all()


def test_python_says_not_finite(broken: Path) -> None:
    said(broken)
    said(broken, members=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e3])
def test_the_default_model_says_not_finite(value: float) -> None:
    """A surrogate whose last bias is no number, or gives a κ beyond all numbers."""
    model = paraisite.load_model()
    fitted = model.multi_fidelity  # type: ignore[attr-defined]
    surrogate = fitted.surrogates[0]
    biases = (*surrogate.biases[:-1], np.full_like(surrogate.biases[-1], value))
    model.multi_fidelity = replace(fitted, surrogates=(replace(surrogate, biases=biases),))  # type: ignore[attr-defined]
    with np.errstate(invalid="ignore"):
        said(model)


def test_other_rows_stay(network: NetworkModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """One crystal without a finite κ costs its own row alone."""
    good = Predictor(network).predict(CRYSTALS)
    predict = NetworkModel.predict

    def spoilt(self: NetworkModel, inputs: paraisite.models.inputs.Inputs) -> paraisite.models.interface.ModelOutput:  # type: ignore[name-defined]
        output = predict(self, inputs)
        kappa = output.kappa.copy()
        kappa[0, 1] = np.inf
        return replace(output, kappa=kappa)

    monkeypatch.setattr(NetworkModel, "predict", spoilt)
    table = Predictor(network).predict(CRYSTALS)
    assert table["status"].tolist() == ["ok", "not_finite", "ok"]
    assert table.drop(index=1).equals(good.drop(index=1))


def test_command_line_and_scan(broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "a.extxyz"
    to_ase(CRYSTALS[0]).write(source, format="extxyz")
    table = tmp_path / "table.json"
    assert main(["predict", str(source), "-m", str(broken), "--json", str(table), "--members"]) == 3
    assert "1 not_finite" in capsys.readouterr().err
    (row,) = json.loads(table.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert (row["status"], row["kappa"], row["kappa_1"]) == ("not_finite", None, None)
    assert main(["scan", str(source), "-o", str(tmp_path / "scan"), "-m", str(broken), "-p", "1"]) == 3
    capsys.readouterr()
    sql = "SELECT kappa IS NULL AS missing, status FROM scan"
    assert main(["query", str(tmp_path / "scan"), sql, "--json", str(tmp_path / "query.json")]) == 0
    assert json.loads((tmp_path / "query.json").read_text()) == [{"missing": True, "status": "not_finite"}]
    assert main(["top", str(tmp_path / "scan"), "--highest", "5"]) == 0
    assert "No row" in capsys.readouterr().err


def test_a_model_without_its_last_layer_is_refused(tmp_path: Path) -> None:
    """The layers before would give a number too: the first of a hidden layer."""
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    folder = Path(shutil.copytree(find_model(), tmp_path / "model"))
    path = folder / "model.safetensors"
    with safe_open(path, "np") as handle:
        metadata = handle.metadata()
    tensors = load_file(path)
    del tensors["surrogate.2.weight"], tensors["surrogate.2.bias"]
    save_file(tensors, path, metadata)
    with pytest.raises(paraisite.ParaisiteError, match=r"model\.safetensors"):
        Predictor(folder)


def test_json_holds_null_for_what_is_not_finite() -> None:
    content = {"a": [1.0, float("nan"), {"b": float("inf")}], "c": (float("-inf"), "NaN"), "d": None}
    assert json.loads(json_text(content), parse_constant=pytest.fail) == {
        "a": [1.0, None, {"b": None}],
        "c": [None, "NaN"],
        "d": None,
    }
    assert json_text({"κ": 1.5}, ensure_ascii=False) == '{"κ": 1.5}'
    with pytest.raises(TypeError):
        json_text({"a": object()})
