"""Solvation free energies with a network and with the force field, from one ladder each."""
