"""Prepare a protein with its crystal waters and ions for the force field."""

from __future__ import annotations

from typing import Any

import numpy as np
from openmm import app, unit

from nnpmm.core.errors import ForceFieldError, InputFileError
from nnpmm.core.units import in_md_units
from nnpmm.structures.placement import residue_label
from nnpmm.structures.selection import is_water

__all__ = ["protein_modeller"]

_COMPLETE = "for example with PDBFixer (pdbfixer protein.pdb --ph=7.4 --output=complete.pdb)"


def protein_modeller(
    topology: app.Topology, positions: Any, force_field: app.ForceField
) -> app.Modeller:
    """Return a protein with the extra sites that its crystal waters have in the force field.

    Args:
        topology: all hydrogens are there; waters and ions may be.
        positions: (n_atoms, 3), a Quantity or in nm.
        force_field: describes protein, water and ions.

    Raises:
        InputFileError: positions of another shape, or hydrogens are missing.
        ForceFieldError: the force field has no template for a residue.
    """
    coordinates = in_md_units(positions, unit.nanometer)
    if coordinates.shape != (topology.getNumAtoms(), 3):
        raise InputFileError(
            f"found protein positions of shape {coordinates.shape} for "
            f"{topology.getNumAtoms()} atoms; give one (x, y, z) per atom in nm"
        )
    modeller = app.Modeller(topology, np.asarray(coordinates) * unit.nanometer)
    wet = [residue for residue in topology.residues() if is_water(residue, incomplete=True)]
    sites = [atom for residue in wet for atom in residue.atoms() if atom.element is None]
    if sites:  # of another water model, perhaps
        modeller.delete(sites)
    unmatched = force_field.getUnmatchedResidues(modeller.topology)
    waters = [residue for residue in unmatched if is_water(residue, incomplete=True)]
    others = [residue for residue in unmatched if residue not in waters]
    if others:
        _refuse(modeller, others, waters, force_field)
    dry = [residue for residue in waters if _count_hydrogens(residue) < 2]
    if dry:
        count = _count(dry, "crystal water")
        raise InputFileError(
            f"found {count} without all hydrogens in the protein's file, first "
            f"{residue_label(dry[0])}: add hydrogens, {_COMPLETE}, or remove them"
        )
    if waters:
        modeller.addExtraParticles(force_field)
    return modeller


def _count(things: list[Any], name: str) -> str:
    return f"{len(things)} {name}{'s' if len(things) > 1 else ''}"


def _count_hydrogens(residue: app.topology.Residue) -> int:
    return sum(a.element is not None and a.element.atomic_number == 1 for a in residue.atoms())


def _refuse(
    modeller: app.Modeller, unmatched: list[Any], waters: list[Any], force_field: app.ForceField
) -> None:
    """Raise an error that says what is wrong with residues that have no template."""
    first, count = residue_label(unmatched[0]), _count(unmatched, "residue")
    if not any(_count_hydrogens(residue) for residue in unmatched):
        raise InputFileError(
            f"found {count} without hydrogens in the protein's file, first "
            f"{first}: add all hydrogens at the pH that you want, {_COMPLETE}"
        )
    modeller.delete(waters)
    try:
        force_field.createSystem(modeller.topology)
        reason = ""
    except ValueError as error:
        # "No template found for residue 5 (ALA).  The set of ... .  You may be able to ..."
        reason = " ".join(str(error).split(".  ")[1:2])
    raise ForceFieldError(
        f"found {count} in the protein's file that Amber14 does not describe, "
        f"first {first} ({reason.rstrip('.')}): add missing atoms and termini, {_COMPLETE}, and "
        "remove ligands and cofactors"
    )
