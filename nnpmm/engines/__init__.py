"""Engines other than OpenMM: whole systems described by a network on LAMMPS."""
