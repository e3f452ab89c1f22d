"""Collective variables: named functions of the atoms, for biases, records and surfaces."""

from nnpmm.sampling.variables.geometric import Angle, Distance, Position, Torsion
from nnpmm.sampling.variables.neighbours import Coordination
from nnpmm.sampling.variables.puckering import Puckering
from nnpmm.sampling.variables.rmsd import Rmsd
from nnpmm.sampling.variables.settings import VariableSettings, bind_variables
from nnpmm.sampling.variables.variable import Structure, Variable

__all__ = [
    "Angle",
    "Coordination",
    "Distance",
    "Position",
    "Puckering",
    "Rmsd",
    "Structure",
    "Torsion",
    "Variable",
    "VariableSettings",
    "bind_variables",
]
