"""Lattice thermal conductivity from forces: relaxation, phonons, and Boltzmann transport by phono3py."""
