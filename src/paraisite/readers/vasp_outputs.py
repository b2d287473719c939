"""What VASP writes: `vasprun.xml` and OUTCAR, by ASE. Of a relaxation or a trajectory, the final structure is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from io import BytesIO, StringIO
from typing import Any

from paraisite.errors import StructureError
from paraisite.readers.external import call_reader, float_or_none
from paraisite.structures.checks import unreadable
from paraisite.structures.convert import from_ase
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin, Record
from paraisite.structures.statements import Statements, check_statements, contradiction

# Potentials of hydrogen with a fraction of its charge, such as H.5 and H1.25.
_FRACTIONAL_HYDROGEN = re.compile(r"(?:PAW\w*|US)\s+H(?:\d*\.\d+)\s")
_MIXING = re.compile(r'name="VCA">([^<]*)<|^[ \t]*VCA\s*=(.*)$', re.MULTILINE)
_MAX_DIGITS = 9
_UNFINISHED = "the calculation has not finished, so its last structure is not the final one"
_FINISH = "let it finish, or give its CONTCAR"


class _NamedText(StringIO):
    """A text with the name that ASE's reader of OUTCAR asks for."""

    name = "OUTCAR"


def vasprun_records(text: str) -> Iterator[Record]:
    """The final structure of a `vasprun.xml`."""
    yield partial(_parse_vasprun, text)


def outcar_records(text: str) -> Iterator[Record]:
    """The final structure of an OUTCAR."""
    yield partial(_parse_outcar, text)


def looks_like_vasprun(text: str) -> bool:
    """Whether the first characters are those of a `vasprun.xml`."""
    return "<modeling>" in text and 'name="program"' in text


def looks_like_outcar(text: str) -> bool:
    """Whether the first characters are those of an OUTCAR."""
    return re.match(r"\s*vasp\.\d[^\n]*\n\s*executed on", text) is not None


def _parse_vasprun(text: str, origin: Origin) -> Crystal:
    from ase.io.vasp import read_vasp_xml  # noqa: PLC0415 - slow to import and seldom needed

    name = origin.source
    if not text.rstrip().endswith("</modeling>"):
        raise unreadable(name, _UNFINISHED, _FINISH)
    _check_potentials(text, name)
    untyped: Any = read_vasp_xml
    frames = call_reader(lambda: list(untyped(BytesIO(text.encode()), index=-1)), name, "ASE")
    if not frames:
        raise unreadable(name, _UNFINISHED, _FINISH)
    counts = re.search(r"<atoms>\s*(\d+)\s*</atoms>", text)
    volumes = re.findall(r'<i name="volume">\s*([\d.]+)\s*</i>', text)
    return check_statements(
        from_ase(frames[-1], origin.material_id, name, properties={}), _statements(counts and counts[1], volumes)
    )


def _parse_outcar(text: str, origin: Origin) -> Crystal:
    from ase.io.vasp_parsers.vasp_outcar_parsers import (  # noqa: PLC0415 - slow to import and seldom needed
        OutcarHeaderParser,
        outcarchunks,
    )

    name = origin.source
    if "General timing and accounting" not in text:
        raise unreadable(name, _UNFINISHED, _FINISH)
    _check_potentials(text, name)
    counts = re.search(r"NIONS\s*=\s*(\d+)", text)
    _check_counts(text, counts and counts[1], name)
    # Without a working directory: ASE would look for a CONTCAR beside the program.
    untyped: Any = outcarchunks
    chunks = call_reader(
        lambda: list(untyped(_NamedText(text), header_parser=OutcarHeaderParser(workdir=None))), name, "ASE"
    )
    if not chunks:
        raise unreadable(name, _UNFINISHED, _FINISH)
    atoms = call_reader(chunks[-1].build, name, "ASE")
    volumes = re.findall(r"volume of cell\s*:\s*([\d.]+)", text)
    return check_statements(
        from_ase(atoms, origin.material_id, name, properties={}), _statements(counts and counts[1], volumes)
    )


def _check_counts(text: str, n_atoms: str | None, name: str) -> None:
    """Refuse numbers of atoms that contradict each other or the text, for which ASE would make lists of any length."""
    for line in re.findall(r"ions per type =([^\n]*)", text):
        words = line.split()
        total = sum(int(word) for word in words if word.isdecimal() and len(word) <= _MAX_DIGITS)
        if not all(word.isdecimal() and len(word) <= _MAX_DIGITS for word in words) or total > text.count("\n"):
            raise unreadable(name, f"the numbers of ions per type, '{line.strip()}', are not those of its atoms")
        if n_atoms is not None and n_atoms != str(total):
            raise contradiction(name, f"{n_atoms} ions (NIONS)", f"its numbers of ions per type add up to {total}")


def _statements(n_atoms: str | None, volumes: list[str]) -> Statements:
    """What a file says of its atoms, and of its volume where it says that last."""
    volume = float_or_none(volumes[-1]) if volumes else None
    return Statements(n_atoms=int(n_atoms) if n_atoms else None, volume_angstrom3=volume)


def _check_potentials(text: str, name: str) -> None:
    """Refuse pseudo-atoms and mixed ones, which stand among the elements by name."""
    if _FRACTIONAL_HYDROGEN.search(text):
        raise StructureError(
            f"{name}: the file holds hydrogen with a fraction of its charge; leave this structure out.",
            code="unsupported_element",
        )
    for first, second in _MIXING.findall(text):
        words = (first or second).split()
        if any(re.fullmatch(r"\d+\.?\d*", word) and float(word) != 1.0 for word in words):
            raise StructureError(
                f"{name}: the file mixes atoms on one site (VCA); only ordered crystals can be used.",
                code="partial_occupancy",
            )
