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

__all__ = [
    "AmberSystem",
    "AmoebaSystem",
    "BuildSystem",
    "CharmmSystem",
    "Ensemble",
    "GromacsSystem",
    "OpenmmSystem",
    "SystemSource",
    "TinkerSystem",
    "load_system",
    "read_system_xml",
]
