"""The user's own potentials: a function in an importable module that makes an ASE calculator."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable
from importlib import import_module, util
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from paraisite.atomic import sha256_of
from paraisite.phonons.potentials.loading import SHOWN_DIGITS, torch_device
from paraisite.phonons.potentials.potential import Potential, PotentialError
from paraisite.processes.child import import_path

FACTORY_NAME = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<factory>[^\W\d]\w*)")
"""`my_package.my_module:factory`."""


def load_user_potential(name: str, device: str) -> Potential:
    """Call a user's factory.

    Args:
        name: `my_package.my_module:factory`. The module must be installed or lie in a folder of `PYTHONPATH`; it is not
            looked for in the current folder or that of the script, where a data set may lie. The factory takes nothing,
            or `device` (`cpu` or `cuda`), and returns an ASE calculator with eV and Å.
        device: As for `load_potential`.

    Raises:
        PotentialError: There is no such module or function (`unknown_potential`), or it makes no calculator.
    """
    found = FACTORY_NAME.fullmatch(name)
    assert found is not None  # noqa: S101 - the registry matched it
    module = _import_module(found["module"], name)
    factory = getattr(module, found["factory"], None)
    if not callable(factory):
        raise PotentialError(
            f"The potential {name} cannot be made: the module {found['module']} has no function {found['factory']}.",
            code="unknown_potential",
        )
    calculator = _call(factory, name, device)
    if not all(
        callable(getattr(calculator, method, None)) for method in ("get_forces", "get_potential_energy", "reset")
    ):
        raise PotentialError(
            f"The potential {name} cannot be used: {found['factory']} returned {type(calculator).__name__}, "
            "and must return an ASE calculator."
        )
    return Potential(name, name, _version(module), f"potential {name}", None, calculator)


def _call(factory: Callable[..., Any], name: str, device: str) -> Any:
    try:
        takes_device = "device" in inspect.signature(factory).parameters
    except ValueError:  # what is written in C may have no signature
        takes_device = False
    options = {"device": torch_device(device)} if takes_device else {}
    try:
        return factory(**options)
    except Exception as error:
        raise PotentialError(f"The potential {name} cannot be made: {_reason(error)}.") from error


def _import_module(module: str, name: str) -> ModuleType:
    top = module.partition(".")[0]
    spec = util.find_spec(top)
    if spec is None:
        raise PotentialError(
            f"There is no potential {name!r}: no module {top} is installed or lies in a folder of PYTHONPATH "
            "(the current folder is not searched).",
            code="unknown_potential",
        )
    folder = _folder_of(spec)
    if folder is not None and folder in _refused_folders():
        raise PotentialError(
            f"The potential {name} would import {top} from {folder}, a folder that may hold data; "
            "name that folder in PYTHONPATH if the module is yours.",
            code="unknown_potential",
        )
    try:
        return import_module(module)
    except Exception as error:
        raise PotentialError(
            f"The potential {name} cannot be made: importing {module} failed with {_reason(error)}.",
            code="unknown_potential",
        ) from error


def _folder_of(spec: ModuleSpec) -> str | None:
    """The folder that a top-level module or package lies in."""
    locations = list(spec.submodule_search_locations or ())
    origin = locations[0] if locations else spec.origin
    return os.path.realpath(Path(origin).parent) if origin and Path(origin).is_absolute() else None


def _refused_folders() -> set[str]:
    """Folders that Python put first on its path on its own account."""
    allowed = {os.path.realpath(path) for path in import_path()}
    return {os.path.realpath(path or os.curdir) for path in sys.path} - allowed


def _version(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    digits = sha256_of(Path(file))[:SHOWN_DIGITS] if file else "without a file"
    return f"{module.__name__} {digits}"


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
