"""CHARMM structure files with coordinates and parameters."""

from __future__ import annotations

import numpy as np
from openmm import app, unit

from nnpmm.core.errors import ConfigError
from nnpmm.structures.inputs.agreement import check_same_atoms
from nnpmm.structures.inputs.coordinates import read_coordinates
from nnpmm.structures.inputs.files import check_file, read_file, system_options
from nnpmm.structures.inputs.sources import CharmmSystem
from nnpmm.structures.mm_system import MMSystem

__all__ = ["load_charmm"]

_PARAMETERS = (".prm", ".par", ".rtf", ".top", ".str", ".inp")


def load_charmm(source: CharmmSystem) -> MMSystem:
    """Read a CHARMM PSF, its coordinates and the parameters.

    Raises:
        InputFileError: a file cannot be read, or two disagree.
        ConfigError: the nonbonded method needs a box and there is none, or the switching distance
            exceeds the cutoff.
    """
    psf_file = check_file(source.psf, (".psf",), "CHARMM structure")
    check_file(source.coordinates, (".crd", ".cor", ".pdb"), "CHARMM coordinates")
    parameter_files = [
        check_file(path, _PARAMETERS, "CHARMM parameters") for path in source.parameters
    ]
    if source.switch_distance is not None and source.switch_distance >= source.cutoff:
        raise ConfigError(
            f"system.switch_distance: found {source.switch_distance:g} nm, must be less than "
            f"the cutoff of {source.cutoff:g} nm"
        )
    coordinates = read_coordinates(source.coordinates)
    box = coordinates.box
    if source.box is not None:
        box = np.diag(source.box).astype(np.float64)
    vectors = None if box is None else box * unit.nanometer
    psf = read_file(
        psf_file,
        "CHARMM structure",
        lambda: app.CharmmPsfFile(psf_file, periodicBoxVectors=vectors),
    )
    parameters = read_file(
        ", ".join(parameter_files),
        "CHARMM parameters",
        lambda: app.CharmmParameterSet(*parameter_files),
    )
    check_same_atoms(psf.topology, source.psf, coordinates)
    options = system_options(source, box is not None)
    if source.switch_distance is not None:
        options["switchDistance"] = source.switch_distance * unit.nanometer
    system = read_file(
        psf_file, "CHARMM structure", lambda: psf.createSystem(parameters, **options)
    )
    return MMSystem(psf.topology, coordinates.positions, box, system)
