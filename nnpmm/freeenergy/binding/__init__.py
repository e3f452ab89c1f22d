"""Absolute binding free energies with a network and with the force field."""
