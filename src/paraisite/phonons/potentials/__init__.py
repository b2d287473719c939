"""Interatomic potentials by name: a small registry over ASE calculators, with checked forces."""
