"""The layout of the package: one import direction, importing does nothing, nothing of others is shipped."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter, defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import paraisite
from paraisite.structures import to_pymatgen

PACKAGE = Path(paraisite.__file__).parent
LAYERS = [
    {
        "version",
        "errors",
        "elements",
        "atomic",
        "threads",
        "metrics",
        "outputs",
        "processes",
        "html_tables",
        "json_text",
    },
    {"structures"},
    {"readers"},
    {"sources"},
    {"graphs", "datasets"},
    {"features", "applicability"},
    {"models", "uncertainty"},
    {"training", "prediction", "fetch"},
    {"reporting", "screening"},
    {"comparison", "study", "demo", "phonons", "progress"},
    {"cli"},
    {"__main__"},
]
"""Import direction between folders, low to high; a module imports from its own layer or a lower one."""
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
HEAVY = {
    "torch", "ase", "pymatgen", "scipy", "matplotlib", "pandas", "pyarrow", "duckdb", "ray", "spglib", "requests", "jinja2",
    "phono3py", "phonopy", "sevenn",
}  # fmt: skip
"""What a start of the command line and a prediction of one file by the default model have no use for."""
LONGEST_FUNCTION = 50
"""Lines of a function without its docstring."""
LARGEST_SHARE = 0.15
"""Share of the package's lines that one folder may hold, its subfolders included."""


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(("paraisite", *(part for part in parts if part != "__init__")))


BY_NAME = {module_name(path): path for path in MODULES}


def imported_modules(path: Path) -> set[str]:
    """Modules of the package that a file imports, those inside functions and for type checkers included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("paraisite."):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in BY_NAME else node.module for name in inside}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    parts = {name.split(".")[1] for name in imported_modules(path)}
    too_high = {name for name in parts if LEVEL[name] > LEVEL[part]}
    assert not too_high, f"{part} imports {too_high}, which lie above it"


def test_no_file_imports_itself_by_way_of_others() -> None:
    sorter = TopologicalSorter({name: imported_modules(path) for name, path in BY_NAME.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(f"An import cycle: {' ← '.join(error.args[1])}")


def test_no_folder_is_a_heap() -> None:
    lines = Counter[str]()
    for path in MODULES:
        lines[path.relative_to(PACKAGE).parts[0]] += len(path.read_text(encoding="utf-8").splitlines())
    name, largest = lines.most_common(1)[0]
    assert largest <= LARGEST_SHARE * lines.total(), f"{name} holds {largest} of {lines.total()} lines; split it"


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


@pytest.mark.parametrize("words", [["--help"], ["predict", "--help"], ["--version"], ["predict", "{file}"]])
def test_a_start_loads_no_heavy_module(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "one.cif"
    to_pymatgen(paraisite.load_data_set("togo15").crystals[0]).to(filename=str(file))
    check = (
        "import sys\nfrom paraisite.cli.main import main\n"
        f"assert main({[word.format(file=file) for word in words]!r}) == 0\n"
        f"print(*({HEAVY!r} & sys.modules.keys()), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert not set(result.stderr.splitlines()[-1].split()) & HEAVY
    if words[0] == "predict" and "--help" not in words:
        assert "1 structures: 1 ok" in result.stderr


def test_importing_loads_no_heavy_module() -> None:
    for code in ("import paraisite", "import paraisite.structures", "from paraisite import predict, Predictor"):
        subprocess.run(
            [sys.executable, "-c", f"import sys; {code}; assert not {HEAVY!r} & sys.modules.keys()"], check=True
        )


def test_shipped_models_are_small_and_hold_no_pickle() -> None:
    files = [path for folder in paraisite.shipped_models().values() for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in files) <= 25_000_000
    assert {path.suffix for path in files} == {".safetensors", ".json"}


def test_every_public_name_exists() -> None:
    for name in paraisite.__all__:
        assert getattr(paraisite, name) is not None
    with pytest.raises(AttributeError):
        _ = paraisite.no_such_name


def test_public_names_are_unique() -> None:
    """One name, one thing. Commands carry the names of the functions that they call."""
    homes = defaultdict(list)
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] == "cli":
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names = [node.name]
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            else:
                continue
            for name in names:
                if not name.startswith("_"):
                    homes[name].append(str(path.relative_to(PACKAGE)))
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def test_functions_are_short() -> None:
    long = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                lines = (node.end_lineno or 0) - first.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long.append(f"{path.relative_to(PACKAGE)}:{node.name} has {lines} lines")
    assert long == []
