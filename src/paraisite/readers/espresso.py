"""Inputs and outputs of Quantum ESPRESSO's `pw.x`, by ASE. Of a relaxation or a trajectory, the final structure is read.

Format: https://www.quantum-espresso.org/Doc/INPUT_PW.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from io import StringIO
from typing import Any

from paraisite.readers.external import call_reader, check_lines, elements_of_labels
from paraisite.structures.checks import unreadable
from paraisite.structures.convert import from_ase
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin, Record
from paraisite.structures.statements import Statements, check_statements, contradiction

_CARDS = frozenset({
    "ATOMIC_SPECIES", "ATOMIC_POSITIONS", "K_POINTS", "ADDITIONAL_K_POINTS", "CELL_PARAMETERS", "CONSTRAINTS",
    "OCCUPATIONS", "ATOMIC_VELOCITIES", "ATOMIC_FORCES", "SOLVENTS", "HUBBARD",
})  # fmt: skip
_LAST_WORDS = "JOB DONE"
_LISTED_SITE = re.compile(r"^[ \t]*(\d+)[ \t]+(\S+)[ \t]+tau\(", re.MULTILINE)
_VOLUME = re.compile(r"unit-cell volume\s*=\s*([\d.]+)\s*\(?a\.u\.")
_BOHR_ANGSTROM = 0.529177210903


def espresso_input_records(text: str) -> Iterator[Record]:
    """The structure of an input of `pw.x`."""
    yield partial(_parse_input, text)


def espresso_output_records(text: str) -> Iterator[Record]:
    """The final structure of an output of `pw.x`."""
    yield partial(_parse_output, text)


def looks_like_espresso_input(text: str) -> bool:
    """Whether the first characters are those of an input of `pw.x`."""
    return re.search(r"^[ \t]*&(control|system)\b", text, re.MULTILINE | re.IGNORECASE) is not None


def looks_like_espresso_output(text: str) -> bool:
    """Whether the first characters are those of an output of `pw.x`."""
    return "Program PWSCF" in text


def _parse_input(text: str, origin: Origin) -> Crystal:
    from ase.io.espresso import read_espresso_in, read_fortran_namelist  # noqa: PLC0415 - slow and seldom needed

    name = origin.source
    lines = list(map(_plain, text.splitlines(keepends=True)))
    check_lines(lines, name)
    plain = "".join(lines)
    untyped_namelist: Any = read_fortran_namelist
    groups, cards = call_reader(lambda: untyped_namelist(StringIO(plain)), name, "ASE")
    system = {str(key).lower(): value for key, value in dict(groups.get("system") or {}).items()}
    _check_system(system, name)
    untyped_reader: Any = read_espresso_in
    atoms = call_reader(lambda: untyped_reader(StringIO(plain)), name, "ASE")
    labels = _labels(cards)
    if system.get("nat") != len(labels):
        raise contradiction(name, f"nat = {system.get('nat')}", f"it lists {len(labels)} atoms")
    _check_labels(labels, atoms, name)
    return from_ase(atoms, origin.material_id, name, properties={})


def _plain(line: str) -> str:
    """A line of a card without its comment, its title in capitals as ASE wants it; other lines as they are."""
    if "=" in line or "'" in line:
        return line
    words = re.sub(r"[!#].*", "", line).split(None, 1)
    if words and (title := words[0].upper().rstrip("({")) in _CARDS:
        return " ".join([title, words[0][len(title) :], *words[1:]]).rstrip() + "\n"
    return " ".join(words).rstrip() + "\n"


def _check_system(system: Mapping[str, Any], name: str) -> None:
    """Refuse lattices and sites that ASE does not build."""
    if system.get("ibrav") != 0:
        raise unreadable(
            name,
            f"the lattice is given by ibrav = {system.get('ibrav')}",
            "write ibrav = 0 with CELL_PARAMETERS, or give the output",
        )
    if "space_group" in system:
        raise unreadable(name, "the sites are given by space_group", "list all atoms, or give the output")


def _labels(lines: Sequence[str]) -> list[str]:
    """The labels of the last list of positions, up to the next card or a line that is no position."""
    starts = [index for index, line in enumerate(lines) if line.strip().startswith("ATOMIC_POSITIONS")]
    labels: list[str] = []
    for line in lines[starts[-1] + 1 :] if starts else []:
        words = line.split()
        if len(words) < 4 or words[0] in _CARDS:
            break
        labels.append(words[0])
    return labels


def _listed_labels(text: str) -> list[str]:
    """The labels of the sites at the beginning of an output, which may list them again in crystal coordinates."""
    labels: list[str] = []
    for number, label in _LISTED_SITE.findall(text):
        if int(number) <= len(labels):
            break
        labels.append(label)
    return labels


def _check_labels(labels: list[str], atoms: Any, name: str) -> None:
    """Refuse more or fewer labels than atoms, and those of which ASE makes other elements than they say."""
    if len(labels) != len(atoms):
        raise contradiction(name, f"{len(atoms)} atoms", f"it lists {len(labels)}")
    symbols = elements_of_labels(labels, name)
    if symbols != list(atoms.symbols):
        raise unreadable(name, "ASE reads other elements than the labels say")


def _parse_output(text: str, origin: Origin) -> Crystal:
    from ase.io.espresso import read_espresso_out  # noqa: PLC0415 - slow to import and seldom needed

    name = origin.source
    if _LAST_WORDS not in text:
        raise unreadable(
            name, "the calculation has not finished, so its last structure is not the final one", "let it finish"
        )
    check_lines(text.splitlines(), name)
    untyped: Any = read_espresso_out
    frames = call_reader(
        lambda: list(untyped(StringIO(text), index=slice(-1, None), results_required=False)), name, "ASE"
    )
    if not frames:
        raise unreadable(name, "the file lists no atoms")
    atoms = frames[-1]
    counts, volumes = re.findall(r"number of atoms/cell\s*=\s*(\d+)", text), _VOLUME.findall(text)
    statements = Statements(
        n_atoms=int(counts[-1]) if counts else None,
        volume_angstrom3=float(volumes[-1]) * _BOHR_ANGSTROM**3 if volumes else None,
    )
    _check_labels(_labels(text.splitlines()) or _listed_labels(text), atoms, name)
    return check_statements(from_ase(atoms, origin.material_id, name, properties={}), statements)
