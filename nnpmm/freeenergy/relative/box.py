"""Protein, the first ligand in its site, and the second in the solvent, in one box of water."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from openmm import unit
from rdkit import Chem, rdBase
from rdkit.Geometry import Point3D
from scipy.spatial import cKDTree

from nnpmm.core.errors import InputFileError, RegionError
from nnpmm.core.units import in_md_units
from nnpmm.freeenergy.legs import require_network_of_ions
from nnpmm.freeenergy.relative.anchors import choose_anchors, pose
from nnpmm.freeenergy.relative.restraints import Restraints
from nnpmm.freeenergy.relative.settings import RelativeSettings
from nnpmm.structures import MMSystem, Structure, parameterize, read_structure, solvate
from nnpmm.structures.selection import is_water

__all__ = ["TransferBox", "build_box", "read_ligands"]

_FIRST, _SECOND = "MOL", "SEC"  # residue names
_AROUND = 0.8  # nm; receptor atoms nearer to the anchor than this define the centre of the site
_MARGIN, _STEP, _FARTHEST = 0.1, 0.05, 20.0  # nm, of the search for a position in the solvent
_DIRECTIONS = 400  # of the search


@dataclass(frozen=True, eq=False)
class TransferBox:
    """A box in which two ligands can change places.

    Attributes:
        mm: the MM system; ``ligand_atoms`` are those of the first ligand.
        second: (m,) atoms of the second ligand.
        restraints: of both.
        molecules: both, with their poses in the site.
        parameters: where their parameters come from.
    """

    mm: MMSystem
    second: NDArray[np.int64]
    restraints: Restraints
    molecules: tuple[Chem.Mol, Chem.Mol]
    parameters: str


def read_ligands(path: Path, names: tuple[str, ...]) -> dict[str, Chem.Mol]:
    """Read some ligands of an SDF file by their names.

    Args:
        path: of the file.
        names: of the wanted ligands.

    Raises:
        InputFileError: the file cannot be read, or has no or several molecules of a name.
    """
    if not path.is_file():
        raise InputFileError(f"{path}: no such file")
    found: dict[str, list[Chem.Mol]] = {}
    with rdBase.BlockLogs():
        for molecule in Chem.SDMolSupplier(str(path), removeHs=False):
            if molecule is not None:
                found.setdefault(molecule.GetProp("_Name"), []).append(molecule)
    for name in names:
        count = len(found.get(name, ()))
        if count != 1:
            raise InputFileError(
                f"{path.name}: found {count} readable molecules with the name {name!r}, allowed: "
                f"one; the names in it are {', '.join(found) or 'none'}"
            )
    return {name: found[name][0] for name in names}


def build_box(settings: RelativeSettings) -> TransferBox:
    """Build the box of the first edge of the settings.

    Args:
        settings: settings of the calculation.

    Raises:
        RegionError: the ligands have different charges, or charges that the network does not know.
        NnpmmError: a file cannot be read, the poses have no common core, or the box cannot be
            built.
    """
    ligands = read_ligands(settings.ligands, settings.edges[0])
    first, second = (ligands[name] for name in settings.edges[0])
    _check_charges(settings, ligands)
    anchors = choose_anchors(first, second)
    structure = read_structure(str(settings.protein))
    clearance = _clearance(settings, (first, second), anchors)
    moved = _in_solvent(structure, first, second, anchors, clearance)
    parameters = [
        parameterize(molecule, provider=settings.parameters) for molecule in ligands.values()
    ]
    mm = solvate(
        first,
        parameters[0],
        protein=(structure.topology, structure.positions),
        second=(moved, parameters[1], _SECOND),
        residue_name=_FIRST,
        padding=settings.padding,
        water_model=settings.water_model,
        box_shape=settings.box_shape,
        ionic_strength=settings.ionic_strength,
        nonbonded_cutoff=settings.cutoff,
        hydrogen_mass=settings.hydrogen_mass,
        seed=settings.seed,
    )
    assert mm.ligand_atoms is not None  # the box was built around it
    after = int(mm.ligand_atoms[-1]) + 1
    atoms = after + np.arange(second.GetNumAtoms(), dtype=np.int64)
    restraints = _restraints(settings, mm, atoms, anchors, clearance)
    providers = " and ".join(dict.fromkeys(found.provider for found in parameters))
    return TransferBox(mm, atoms, restraints, (first, second), providers)


def _check_charges(settings: RelativeSettings, ligands: dict[str, Chem.Mol]) -> None:
    """Refuse ligands whose charges differ, or are not known to the network."""
    charges = {name: Chem.GetFormalCharge(molecule) for name, molecule in ligands.items()}
    if len(set(charges.values())) > 1:
        found = " and ".join(f"{name} with {charge:+d} e" for name, charge in charges.items())
        raise RegionError(
            f"found {found}; allowed: ligands of the same net charge, since the free energy of "
            "moving one depends on the size of the box"
        )
    charge = charges[settings.edges[0][0]]
    if charge:
        require_network_of_ions(settings, charge)


_Anchors = tuple[tuple[int, int, int], tuple[int, int, int]]


def _clearance(
    settings: RelativeSettings, molecules: tuple[Chem.Mol, Chem.Mol], anchors: _Anchors
) -> float:
    """Return the minimum distance of the anchor in the solvent from the receptor, nm."""
    radius = 0.0  # of the larger ligand around its anchor
    for molecule, (anchor, *_) in zip(molecules, anchors, strict=True):
        atoms = pose(molecule)
        radius = max(radius, float(np.linalg.norm(atoms - atoms[anchor], axis=1).max()))
    return radius + settings.restraints.clearance


def _in_solvent(
    structure: Structure, first: Chem.Mol, second: Chem.Mol, anchors: _Anchors, clearance: float
) -> Chem.Mol:
    """Return the second ligand, moved to the position where all solutes fit the smallest sphere."""
    protein = in_md_units(structure.positions, unit.nanometer)
    others = np.concatenate([protein, pose(first)])
    tree, positions = cKDTree(others), pose(second)
    anchor = positions[anchors[1][0]]
    best: tuple[float, NDArray[np.float64]] | None = None
    for direction in _directions():
        for distance in np.arange(_STEP, _FARTHEST, _STEP):
            shift = distance * direction
            if tree.query(anchor + shift)[0] >= clearance + _MARGIN:
                solutes = np.concatenate([others, positions + shift])
                centre = 0.5 * (solutes.min(axis=0) + solutes.max(axis=0))
                radius = float(np.linalg.norm(solutes - centre, axis=1).max())
                if best is None or radius < best[0]:
                    best = radius, shift
                break
    assert best is not None  # no protein extends over 20 nm in all directions
    moved = Chem.Mol(second)
    conformer = moved.GetConformer()
    for index, position in enumerate(10 * (positions + best[1])):
        conformer.SetAtomPosition(index, Point3D(*position.tolist()))
    return moved


def _directions() -> NDArray[np.float64]:
    """Return unit vectors (n, 3) that are evenly distributed over a sphere: a Fibonacci lattice."""
    rank = np.arange(_DIRECTIONS) + 0.5
    z = 1 - 2 * rank / _DIRECTIONS
    angle = np.pi * (1 + 5**0.5) * rank
    ring = np.sqrt(1 - z**2)
    return np.column_stack([ring * np.cos(angle), ring * np.sin(angle), z])


def _restraints(
    settings: RelativeSettings,
    mm: MMSystem,
    second: NDArray[np.int64],
    anchors: _Anchors,
    clearance: float,
) -> Restraints:
    assert mm.ligand_atoms is not None  # the box was built around it
    ligands = set(mm.ligand_atoms.tolist()) | set(second.tolist())
    receptor = np.array(
        [
            atom.index
            for residue in mm.topology.residues()
            if not is_water(residue) and len(list(residue.atoms())) > 1
            for atom in residue.atoms()
            if atom.element is not None
            and atom.element.atomic_number > 1
            and atom.index not in ligands
        ]
    )
    anchor = mm.positions[mm.ligand_atoms[anchors[0][0]]]
    distances = np.linalg.norm(mm.positions[receptor] - anchor, axis=1)
    site = receptor[distances < _AROUND]
    if len(site) < 3:
        raise InputFileError(
            f"found {len(site)} heavy atoms of the protein within {_AROUND} nm of the middle of "
            "the first ligand, allowed: three or more; give poses in the binding site"
        )
    centre = mm.positions[site].mean(axis=0)
    options = settings.restraints
    a, b = (
        tuple(int(atoms[row]) for row in rows)
        for atoms, rows in zip((mm.ligand_atoms, second), anchors, strict=True)
    )
    return Restraints(
        first=a,  # type: ignore[arg-type]
        second=b,  # type: ignore[arg-type]
        site=site.tolist(),
        radius=float(np.linalg.norm(anchor - centre)) + options.site_radius,
        receptor=receptor.tolist(),
        clearance=clearance,
        alignment=options.alignment,
        strength=options.strength,
    )
