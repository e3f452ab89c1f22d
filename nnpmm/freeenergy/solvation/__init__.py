"""Solvation free energies with a network and with the force field, from one ladder each."""

from nnpmm.freeenergy.legs import LadderSettings
from nnpmm.freeenergy.solvation.result import SolvationResult, evaluate
from nnpmm.freeenergy.solvation.settings import (
    SoluteSettings,
    SolvationSettings,
    SolventSettings,
)
from nnpmm.freeenergy.solvation.workflow import run_solvation

__all__ = [
    "LadderSettings",
    "SoluteSettings",
    "SolvationResult",
    "SolvationSettings",
    "SolventSettings",
    "evaluate",
    "run_solvation",
]
