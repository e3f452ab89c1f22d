"""AMOEBA systems from a structure and OpenMM's ForceField files."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.core.errors import ConfigError, ForceFieldError, InputFileError
from nnpmm.structures.inputs.files import check_file, read_file
from nnpmm.structures.inputs.sources import AmoebaSystem
from nnpmm.structures.mm_system import MMSystem
from nnpmm.structures.placement import residue_label
from nnpmm.structures.readers import read_structure

__all__ = ["load_amoeba"]

_MOST = 4  # residues named in a message
# Elements of a ForceField file that run Python code, or read another file that may.
_CODE_IN_XML = ("Script", "InitializationScript", "Include")


def load_amoeba(source: AmoebaSystem) -> MMSystem:
    """Read a structure and give it AMOEBA's parameters.

    There are no constraints: AMOEBA has flexible bonds, also in water.

    Raises:
        InputFileError: a file cannot be read or would run code, or residues have no parameters.
        ForceFieldError: a parameter file adds fixed charges.
        ConfigError: PME without a box.
    """
    check_file(source.structure, (".pdb", ".cif"), "structure")
    for path in source.parameters:
        check_file(path, (".xml",), "ForceField file")
        _refuse_code(path)
    structure = read_structure(source.structure)
    if structure.positions is None:
        raise InputFileError(f"{source.structure}: contains no coordinates")
    force_field = read_file(
        ", ".join(path.name for path in source.parameters) or source.force_field,
        "ForceField files",
        lambda: app.ForceField(f"{source.force_field}.xml", *map(str, source.parameters)),
    )
    box = _box(source, structure.box)
    vectors = None if box is None else [openmm.Vec3(*row) for row in box] * unit.nanometer
    structure.topology.setPeriodicBoxVectors(vectors)
    _refuse_unknown(source, force_field, structure.topology)
    system = _create_system(source, force_field, structure.topology)
    return MMSystem(structure.topology, structure.positions, box, system)


def _refuse_code(path: Path) -> None:
    """Refuse a ForceField file that would run code when it is read."""
    root = read_file(path, "ForceField file", lambda: ElementTree.parse(path)).getroot()
    for name in _CODE_IN_XML:
        if root.find(f".//{name}") is not None:
            raise InputFileError(
                f"{path}: has an element {name}, allowed: parameters alone, since it could run "
                "code when it is read; remove it, or write the System with openmm.XmlSerializer "
                "(type: openmm)"
            )


def _box(source: AmoebaSystem, found: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Return the box of settings or structure, (3, 3), nm."""
    if source.nonbonded_method == "NoCutoff":
        return None
    if source.box is not None:
        return np.diag(source.box).astype(np.float64)
    if found is None:
        raise ConfigError(
            "system.nonbonded_method: found PME, but neither the structure nor system.box has a "
            "periodic box: give one, or set NoCutoff"
        )
    return found


def _refuse_unknown(source: AmoebaSystem, force_field: Any, topology: app.Topology) -> None:
    """Refuse residues without parameters, with OpenMM's explanation for the first one."""
    unmatched = force_field.getUnmatchedResidues(topology)
    if not unmatched:
        return
    try:
        force_field.createSystem(topology)
        reason = ""
    except ValueError as error:
        # "No template found for residue 5 (ALA).  The set of ... .  You may be able to ..."
        reason = " ".join(str(error).split(".  ")[1:2]).rstrip(".")
    labels = ", ".join(residue_label(residue) for residue in unmatched[:_MOST])
    more = f" and {len(unmatched) - _MOST} more" if len(unmatched) > _MOST else ""
    raise InputFileError(
        f"{source.structure}: {source.force_field} has no parameters for {labels}{more} ({reason}):"
        " add missing hydrogens, atoms and termini, for example with PDBFixer, or give the "
        "parameters of other molecules (system.parameters, or Tinker files with type: tinker)"
    )


def _create_system(source: AmoebaSystem, force_field: Any, topology: app.Topology) -> openmm.System:
    method = app.NoCutoff if source.nonbonded_method == "NoCutoff" else app.PME
    mass = None if source.hydrogen_mass is None else source.hydrogen_mass * unit.dalton
    system: openmm.System = read_file(
        source.structure,
        "structure as AMOEBA",
        lambda: force_field.createSystem(
            topology,
            nonbondedMethod=method,
            nonbondedCutoff=source.cutoff * unit.nanometer,
            vdwCutoff=source.vdw_cutoff * unit.nanometer,
            polarization=source.polarization,
            mutualInducedTargetEpsilon=source.polarization_tolerance,
            constraints=None,
            rigidWater=False,
            hydrogenMass=mass,
        ),
    )
    if any(isinstance(force, openmm.NonbondedForce) for force in system.getForces()):
        raise ForceFieldError(
            f"found fixed charges next to {source.force_field}, allowed: AMOEBA parameters; give "
            "ForceField files of AMOEBA in system.parameters"
        )
    return system
