"""MM systems from the files of Amber, GROMACS, CHARMM, Tinker and OpenMM, or built here."""

from nnpmm.structures.inputs.loading import load_system
from nnpmm.structures.inputs.openmm_xml import read_system_xml
from nnpmm.structures.inputs.sources import (
    AmberSystem,
    AmoebaSystem,
    BuildSystem,
    CharmmSystem,
    Ensemble,
    GromacsSystem,
    OpenmmSystem,
    SystemSource,
    TinkerSystem,
)
from nnpmm.structures.inputs.tinker import LONG_VDW_CUTOFF
from nnpmm.structures.inputs.tinker_liquid import TinkerLiquid, dissolve_tinker

__all__ = [
    "LONG_VDW_CUTOFF",
    "AmberSystem",
    "AmoebaSystem",
    "BuildSystem",
    "CharmmSystem",
    "Ensemble",
    "GromacsSystem",
    "OpenmmSystem",
    "SystemSource",
    "TinkerLiquid",
    "TinkerSystem",
    "dissolve_tinker",
    "load_system",
    "read_system_xml",
]
