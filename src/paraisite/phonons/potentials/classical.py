"""Potentials that need no weights and no other package: Lennard-Jones argon and effective-medium theory."""

from __future__ import annotations

import ase
from ase.data import atomic_numbers

from paraisite.phonons.potentials.potential import Potential

ARGON_EPSILON_EV = 0.0104
ARGON_SIGMA_ANGSTROM = 3.40
"""Parameters of argon, fitted to its gas: Ashcroft and Mermin, Solid State Physics (1976), table 20.1, from Bernardes,
Phys. Rev. 112, 1534 (1958), doi 10.1103/PhysRev.112.1534."""
ARGON_CUTOFF_SIGMA = 3.0
ARGON_ONSET_SIGMA = 2.0
"""Between these distances energy and force go to zero without a step."""


def lennard_jones_argon() -> Potential:
    """Solid argon by a Lennard-Jones potential with a smooth cutoff from 2σ to 3σ."""
    from ase.calculators.lj import LennardJones  # noqa: PLC0415 - slow to import

    calculator = LennardJones(
        epsilon=ARGON_EPSILON_EV,
        sigma=ARGON_SIGMA_ANGSTROM,
        rc=ARGON_CUTOFF_SIGMA * ARGON_SIGMA_ANGSTROM,
        ro=ARGON_ONSET_SIGMA * ARGON_SIGMA_ANGSTROM,
        smooth=True,
    )
    return Potential(
        "lennard-jones:argon",
        "Lennard-Jones argon",
        f"ase {ase.__version__}",
        "Lennard-Jones argon, not DFT",
        frozenset({18}),
        calculator,
    )


def effective_medium_theory() -> Potential:
    """Seven fcc metals by ASE's effective-medium theory: for tests and exercises."""
    from ase.calculators.emt import EMT  # noqa: PLC0415 - slow to import

    metals = frozenset(atomic_numbers[symbol] for symbol in ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au"))
    return Potential("emt", "EMT", f"ase {ase.__version__}", "EMT, not DFT", metals, EMT())
