"""Coarse-grained Martini 2 systems: force field, builder and engines."""

from nnpmm.permeation.martini.force_field import MoleculeType, interaction, lipid, water
from nnpmm.permeation.martini.solute import canonical_chain, dimers, parse_solute
from nnpmm.permeation.martini.system import Configuration, MartiniSystem

__all__ = [
    "Configuration",
    "MartiniSystem",
    "MoleculeType",
    "canonical_chain",
    "dimers",
    "interaction",
    "lipid",
    "parse_solute",
    "water",
]
