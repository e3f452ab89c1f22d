"""Solvation free energies with a network and with the force field, from one ladder each."""

from nnpmm.freeenergy.solvation.result import SolvationResult, evaluate
from nnpmm.freeenergy.solvation.settings import (
    SoluteSettings,
    SolvationLadder,
    SolvationSettings,
    SolventSettings,
)
from nnpmm.freeenergy.solvation.workflow import run_solvation

__all__ = [
    "SoluteSettings",
    "SolvationLadder",
    "SolvationResult",
    "SolvationSettings",
    "SolventSettings",
    "evaluate",
    "run_solvation",
]
