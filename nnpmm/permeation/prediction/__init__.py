"""Predict the free energy of permeation from a molecule and a lipid."""

from nnpmm.permeation.prediction.molecules import (
    Molecule,
    molecule_from_beads,
    molecule_from_smiles,
)
from nnpmm.permeation.prediction.predictor import Prediction, predict_molecules

__all__ = [
    "Molecule",
    "Prediction",
    "molecule_from_beads",
    "molecule_from_smiles",
    "predict_molecules",
]
