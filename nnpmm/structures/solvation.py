"""The solvated box: ligand, optionally a protein, water and ions as an ordinary OpenMM System."""

from __future__ import annotations

import io
import logging
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import openmm
from openmm import app, unit
from rdkit import Chem

from nnpmm.core.errors import ConfigError, ForceFieldError
from nnpmm.core.units import in_md_units
from nnpmm.structures.ligands.openmm_system import forcefield_xml, to_openmm_topology
from nnpmm.structures.ligands.parameters import LigandParameters
from nnpmm.structures.mm_system import MMSystem
from nnpmm.structures.periodic_system import (
    as_force_field_error,
    checked_hydrogen_mass,
    periodic_system,
    positive,
)
from nnpmm.structures.placement import check_placement
from nnpmm.structures.protein import protein_modeller
from nnpmm.structures.selection import is_water

__all__ = ["BoxShape", "box_vectors", "solvate"]

_LOGGER = logging.getLogger(__name__)

WaterModel = Literal["tip3p", "tip3pfb", "spce", "opc3", "opc", "tip4pew", "tip4pfb"]
BoxShape = Literal["cube", "dodecahedron", "octahedron"]

# Force-field file, and the pre-equilibrated box with the same number of sites.
_WATER_MODELS = {
    "tip3p": ("amber14/tip3p.xml", "tip3p"),
    "tip3pfb": ("amber14/tip3pfb.xml", "tip3p"),
    "spce": ("amber14/spce.xml", "spce"),
    "opc3": ("amber14/opc3.xml", "tip3p"),
    "opc": ("amber14/opc.xml", "tip4pew"),
    "tip4pew": ("amber14/tip4pew.xml", "tip4pew"),
    "tip4pfb": ("amber14/tip4pfb.xml", "tip4pew"),
}
# Names that OpenMM and mdtraj treat as water whatever the atoms, and HIS: not in Amber14.
_OTHER_TAKEN_NAMES = frozenset(
    "WAT SOL H2O HHO OHH OH2 TIP TIP2 TIP3 TIP3P TP3 TIP4 TIP4P TIP5 SPC SPCE HIS".split()
)
_WATER_MOLARITY = 55.4  # mol/l, as in OpenMM's Modeller
_IONIC_STRENGTH_TOLERANCE = 0.3
# OpenMM ends a run whose box shrinks to less than twice the cutoff. A new box loses 2 to 3 % of its
# width until it has the density of the liquid.
_SHRINKAGE = 1.05
# Box vectors of unit width, in OpenMM's reduced form.
_BOX_SHAPES = {
    "cube": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "dodecahedron": ((1, 0, 0), (0, 1, 0), (0.5, 0.5, math.sqrt(0.5))),
    "octahedron": (
        (1, 0, 0),
        (1 / 3, 2 * math.sqrt(2) / 3, 0),
        (-1 / 3, math.sqrt(2) / 3, math.sqrt(6) / 3),
    ),
}


def solvate(
    molecule: Chem.Mol,
    parameters: LigandParameters,
    *,
    protein: tuple[app.Topology, Any] | None = None,
    second: tuple[Chem.Mol, LigandParameters, str] | None = None,
    padding: float | unit.Quantity = 1.0,
    water_model: WaterModel = "tip3p",
    box_shape: BoxShape = "cube",
    ionic_strength: float | unit.Quantity = 0.0,
    neutralize: bool = True,
    nonbonded_cutoff: float | unit.Quantity = 0.9,
    constrain_hydrogens: bool = True,
    hydrogen_mass: float | unit.Quantity | None = None,
    residue_name: str = "MOL",
    seed: int = 0,
) -> MMSystem:
    """Put a ligand, optionally bound to a protein, into a periodic box of water.

    Args:
        molecule: the ligand, with a conformer (in the protein's frame if there is one).
        parameters: of the same atoms in the same order.
        protein: Topology with all hydrogens and positions (n, 3) in nm; Amber14 describes it.
            Crystal waters and ions may be among its residues.
        second: another molecule in the same box, at the position of its conformer, with its
            parameters and residue name. It follows the ligand; overlaps with other molecules are
            not checked.
        padding: minimum distance between the solute's enclosing sphere and the box faces, nm.
        water_model: one of tip3p, tip3pfb, spce, opc3, opc, tip4pew, tip4pfb.
        box_shape: cube, dodecahedron or octahedron.
        ionic_strength: of NaCl, neutralising ions not counted, mol/l.
        neutralize: add Na+ or Cl- until the box is neutral.
        nonbonded_cutoff: of PME's real-space part and of Lennard-Jones, nm.
        constrain_hydrogens: constrain bonds to hydrogen (water is rigid in any case).
        hydrogen_mass: repartition masses so that solute hydrogens weigh this many amu.
        residue_name: of the ligand; not a name in the force field.
        seed: for the choice of waters that ions replace.

    Returns:
        The box; nothing is minimised.

    Raises:
        ConfigError: an unknown water model or shape, a number out of range, hydrogens heavier than
            their molecule allows, or a residue name that the force field has.
        InputFileError: hydrogens of the protein are missing, atoms overlap, or the ligand is more
            than 1 nm from the protein.
        ForceFieldError: a residue of the protein that Amber14 has no template for.
    """
    _check_choice("water model", water_model, _WATER_MODELS)
    _check_choice("box shape", box_shape, _BOX_SHAPES)
    cutoff = positive("nonbonded_cutoff", nonbonded_cutoff, unit.nanometer)
    margin = positive("padding", padding, unit.nanometer)
    molar = positive("ionic_strength", ionic_strength, unit.molar, allow_zero=True)
    mass = None if hydrogen_mass is None else checked_hydrogen_mass(hydrogen_mass)
    solutes = [(molecule, parameters, residue_name), *([second] if second is not None else [])]
    _refuse_water(molecule)
    force_field = _force_field(solutes, water_model)
    modeller, ligand = _solute(molecule, protein, residue_name, force_field)
    check_placement(modeller.topology, in_md_units(modeller.positions, unit.nanometer), ligand)
    number = ligand.index
    for other, _, name in solutes[1:]:
        topology, places = to_openmm_topology(other, name)
        modeller.add(topology, places * unit.nanometer)
    solute = in_md_units(modeller.positions, unit.nanometer)
    box = box_vectors(solute, margin, cutoff, box_shape)
    before = _count_ions(modeller.topology)
    with as_force_field_error(), _seeded(seed):
        modeller.addSolvent(
            force_field,
            model=_WATER_MODELS[water_model][1],
            boxVectors=tuple(openmm.Vec3(*row) for row in box) * unit.nanometer,
            ionicStrength=molar * unit.molar,
            neutralize=neutralize,
            residueTemplates=_templates(modeller.topology, number, solutes),
        )
    _log_ions(before, modeller.topology, molar)
    templates = _templates(modeller.topology, number, solutes)
    system = periodic_system(
        force_field, modeller.topology, templates, cutoff, constrain_hydrogens, mass
    )
    ligand = next(iter(templates))
    ligand_atoms = np.array([atom.index for atom in ligand.atoms()], dtype=np.int64)
    positions = in_md_units(modeller.positions, unit.nanometer)
    return MMSystem(modeller.topology, positions, box, system, ligand_atoms, parameters.provider)


_Solute = tuple[Chem.Mol, LigandParameters, str]


def _templates(
    topology: app.Topology, number: int, solutes: Sequence[_Solute]
) -> dict[app.topology.Residue, str]:
    """Return the residue of each solute, the first with this number, and its template's name."""
    residues = list(topology.residues())[number:]
    return {residue: name for residue, (*_, name) in zip(residues, solutes, strict=False)}


def _solute(
    molecule: Chem.Mol,
    protein: tuple[app.Topology, Any] | None,
    residue_name: str,
    force_field: app.ForceField,
) -> tuple[app.Modeller, app.topology.Residue]:
    """Return the protein, if any, with the ligand as its last residue."""
    topology, positions = to_openmm_topology(molecule, residue_name)
    if protein is None:
        modeller = app.Modeller(topology, positions * unit.nanometer)
    else:
        with as_force_field_error():
            modeller = protein_modeller(*protein, force_field)
        modeller.add(topology, positions * unit.nanometer)
    return modeller, list(modeller.topology.residues())[-1]


def _refuse_water(molecule: Chem.Mol) -> None:
    if sorted(atom.GetAtomicNum() for atom in molecule.GetAtoms()) == [1, 1, 8]:
        raise ForceFieldError(
            "found water as the ligand, whose template cannot be distinguished from that of the "
            "solvent; prepare a box of water, and select one of its molecules"
        )


def _force_field(solutes: Sequence[_Solute], water_model: str) -> app.ForceField:
    """Return Amber14, the water model with its ions, and the ligands."""
    force_field = app.ForceField("amber14-all.xml", _WATER_MODELS[water_model][0])
    for molecule, parameters, name in solutes:
        taken = name in _OTHER_TAKEN_NAMES
        try:
            force_field.loadFile(io.StringIO(forcefield_xml(molecule, parameters, name)))
        except ValueError as error:
            if "already exists" not in str(error):
                raise
            taken = True
        if taken:
            raise ConfigError(
                f"found residue_name {name!r}, which stands for water, an ion, or a residue of "
                "Amber14; choose another for the ligand, such as MOL or LIG"
            )
    return force_field


def _count_ions(topology: app.Topology) -> Counter[str]:
    """Count sodium and chloride ions."""
    names = (residue.name for residue in topology.residues() if len(list(residue.atoms())) == 1)
    return Counter(name for name in names if name in ("NA", "CL"))


def _log_ions(before: Counter[str], topology: app.Topology, molar: float) -> None:
    """Log which ions were added, and warn where their number cannot match the ionic strength."""
    added = _count_ions(topology) - before
    if added:
        _LOGGER.info("added %d Na+ and %d Cl-", added["NA"], added["CL"])
    waters = sum(is_water(residue) for residue in topology.residues())
    found = _WATER_MOLARITY * min(added["NA"], added["CL"]) / max(waters, 1)
    if abs(found - molar) > _IONIC_STRENGTH_TOLERANCE * molar:
        _LOGGER.warning(
            "the box of %d waters holds %d pairs of Na+ and Cl-, %.3f M where ionic_strength asks "
            "for %.3f M: a whole number of pairs cannot come closer; use a larger padding, or "
            "leave out ionic_strength",
            waters,
            min(added["NA"], added["CL"]),
            found,
            molar,
        )


def box_vectors(
    positions: np.ndarray, padding: float, cutoff: float, box_shape: BoxShape
) -> np.ndarray:
    """Return periodic box vectors as rows (3, 3), nm, of a box around a solute.

    Args:
        positions: (n, 3) of the solute, nm.
        padding: minimum distance between its enclosing sphere and the faces of the box, nm. The box
            is larger where the cutoff requires it: 2.1 times the cutoff wide, as it shrinks by a
            few per cent under pressure control.
        cutoff: of the non-bonded interactions, nm.
        box_shape: cube, dodecahedron or octahedron.
    """
    # Modeller uses the centre of the bounding box when it adds water.
    centre = 0.5 * (positions.min(axis=0) + positions.max(axis=0))
    radius = float(np.linalg.norm(positions - centre, axis=1).max())
    shape = np.array(_BOX_SHAPES[box_shape], dtype=np.float64)
    box = 2.0 * (radius + padding) * shape
    width, least = float(np.diag(box).min()), 2.0 * _SHRINKAGE * cutoff
    if width < least:
        _LOGGER.info(
            "the box is %.2f nm wide because of the cutoff of %g nm; the padding of %g nm alone "
            "would make it %.2f nm wide",
            least,
            cutoff,
            padding,
            width,
        )
        box *= least / width
    return box


def _check_choice(what: str, found: str, allowed: dict[str, Any]) -> None:
    if found not in allowed:
        raise ConfigError(f"found the {what} {found!r}, allowed: {', '.join(allowed)}")


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    # Modeller uses Python's global random generator; restore its state afterwards.
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
