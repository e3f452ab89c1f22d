"""Solvation free energies with AMOEBA, of the force field and of a network in it."""

from nnpmm.freeenergy.polarizable.pilot import run_amoeba_pilot
from nnpmm.freeenergy.polarizable.result import PolarizableResult, evaluate
from nnpmm.freeenergy.polarizable.settings import (
    AmoebaLadder,
    AmoebaSolvationSettings,
    AmoebaSolvent,
)
from nnpmm.freeenergy.polarizable.workflow import run_amoeba_solvation

__all__ = [
    "AmoebaLadder",
    "AmoebaSolvationSettings",
    "AmoebaSolvent",
    "PolarizableResult",
    "evaluate",
    "run_amoeba_pilot",
    "run_amoeba_solvation",
]
