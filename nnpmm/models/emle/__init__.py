"""EMLE: charges of a molecule, spread out and polarizable, for electrostatic embedding."""

from nnpmm.models.emle.model import EmleCharges, load_emle

__all__ = ["EmleCharges", "load_emle"]
