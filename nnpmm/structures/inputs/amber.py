"""Amber topologies with coordinates."""

from __future__ import annotations

from openmm import app, unit

from nnpmm.structures.inputs.agreement import check_same_atoms
from nnpmm.structures.inputs.coordinates import read_coordinates
from nnpmm.structures.inputs.files import check_file, read_file, system_options
from nnpmm.structures.inputs.sources import AmberSystem
from nnpmm.structures.mm_system import MMSystem

__all__ = ["load_amber"]

_TOPOLOGY = (".prmtop", ".parm7", ".prm7", ".top")
_COORDINATES = (".inpcrd", ".rst7", ".crd", ".rst", ".pdb")


def load_amber(source: AmberSystem) -> MMSystem:
    """Read an Amber topology and its coordinates.

    Raises:
        InputFileError: a file cannot be read, or the two disagree.
        ConfigError: the nonbonded method needs a box and there is none.
    """
    topology_file = check_file(source.topology, _TOPOLOGY, "Amber topology")
    check_file(source.coordinates, _COORDINATES, "Amber coordinates")
    coordinates = read_coordinates(source.coordinates)
    box = coordinates.box
    vectors = None if box is None else box * unit.nanometer
    prmtop = read_file(
        topology_file,
        "Amber topology",
        lambda: app.AmberPrmtopFile(topology_file, periodicBoxVectors=vectors),
    )
    check_same_atoms(prmtop.topology, source.topology, coordinates)
    options = system_options(source, box is not None)
    system = read_file(topology_file, "Amber topology", lambda: prmtop.createSystem(**options))
    return MMSystem(prmtop.topology, coordinates.positions, box, system)
