"""Phonons and lattice thermal conductivity by interatomic potentials: from a crystal to κ by anharmonic lattice dynamics."""
