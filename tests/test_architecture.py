"""The layout of the package: one import direction, importing does nothing, nothing of others is shipped."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import paraisite

PACKAGE = Path(paraisite.__file__).parent
LAYERS = [
    {"version", "errors", "elements", "atomic", "threads", "metrics", "processes", "smooth"},
    {"structures"},
    {"graphs", "datasets"},
    {"descriptors", "environments"},
    {"models"},
    {"uncertainty"},
    {"training", "prediction", "fetch"},
    {"evaluation", "explanation", "plots", "screening"},
    {"study", "analysis", "demo"},
    {"cli"},
]
"""Import direction, low to high; a module imports from its own layer or a lower one."""
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imported_parts(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return {name.split(".")[1] for name in names if name.startswith("paraisite.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    too_high = {name for name in imported_parts(path) if LEVEL[name] > LEVEL[part]}
    assert not too_high, f"{part} imports {too_high}, which lie above it"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_importing_does_nothing(tmp_path: Path) -> None:
    code = (
        "import logging, sys, torch\n"
        "threads, handlers = torch.get_num_threads(), list(logging.getLogger().handlers)\n"
        "import paraisite\n"
        "for name in paraisite.__all__: getattr(paraisite, name)\n"
        "assert torch.get_num_threads() == threads and logging.getLogger().handlers == handlers\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path.parent / "mpl")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_import_and_help_do_not_load_pytorch() -> None:
    for code in ("import paraisite", "import paraisite.cli.main", "import paraisite.structures"):
        check = f"import sys; {code}; assert 'torch' not in sys.modules and 'pymatgen' not in sys.modules"
        subprocess.run([sys.executable, "-c", check], check=True)


def test_shipped_models_are_small_and_hold_no_pickle() -> None:
    files = [path for folder in paraisite.shipped_models().values() for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in files) <= 25_000_000
    assert {path.suffix for path in files} == {".safetensors", ".json"}


def test_every_public_name_exists() -> None:
    for name in paraisite.__all__:
        assert getattr(paraisite, name) is not None
    with pytest.raises(AttributeError):
        _ = paraisite.no_such_name
