"""The 89 elements that the formation-energy MEGNet knows, in the order of its embedding rows.

Order of MatGL's `DEFAULT_ELEMENTS` (https://github.com/materialsvirtuallab/matgl, BSD-3-Clause): H to Bi by atomic number
without Po, At, Rn, Fr and Ra, then Ac, Th, Pa, U, Np, Pu.
"""

from __future__ import annotations

import numpy as np
from ase.data import chemical_symbols

ELEMENTS: tuple[str, ...] = (*chemical_symbols[1:84], *chemical_symbols[89:95])
"""Element symbols, [89], in embedding order."""

EMBEDDING_INDEX: np.ndarray = np.full(len(chemical_symbols), -1, dtype=np.int64)
"""Embedding row by atomic number, [119]; -1 for an element that the model does not know."""
EMBEDDING_INDEX[1:84] = np.arange(83)
EMBEDDING_INDEX[89:95] = np.arange(83, 89)
EMBEDDING_INDEX.setflags(write=False)
