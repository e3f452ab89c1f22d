"""Create a box of a liquid around a solute as Tinker coordinates, from one molecule of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm
from numpy.typing import NDArray
from rdkit import Chem
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nnpmm.core.constants import DALTON_PER_NM3_IN_G_PER_ML
from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.structures.inputs.sources import TinkerSystem
from nnpmm.structures.inputs.tinker import LONG_VDW_CUTOFF, load_tinker
from nnpmm.structures.liquids import typical_density
from nnpmm.structures.mm_system import MMSystem
from nnpmm.structures.packing import least_liquid_width, pack_loosely

__all__ = ["TinkerLiquid", "dissolve_tinker"]

_ANGSTROM_PER_NM = 10.0
_MAX_CHARGE = 0.01  # e, of a neutral molecule: multipoles are rounded to five decimals


@dataclass(frozen=True)
class TinkerLiquid:
    """A loosely packed box of a liquid with a solute.

    Attributes:
        text: the Tinker coordinates, the solute first, with the box.
        n_solute: number of the solute's atoms.
        typical: density of the liquid, g/ml, estimated by `nnpmm.structures.typical_density`.
    """

    text: str
    n_solute: int
    typical: float


def dissolve_tinker(
    solute: TinkerSystem, solvent: Path, *, padding: float, seed: int = 0
) -> TinkerLiquid:
    """Put a molecule into a loosely packed cubic box of a liquid with Tinker parameters.

    Args:
        solute: the molecule alone, with the parameters of both.
        solvent: Tinker coordinates of one molecule of the liquid.
        padding: distance between the solute's enclosing sphere and the faces of the box, nm, once
            the box has the typical density of such a liquid.
        seed: seed of positions and orientations.

    Raises:
        InputFileError: a file cannot be read, has more than one molecule, or parameters are
            missing (classes and atoms are named).
        ConfigError: the solvent is charged.
    """
    solute_mm, solvent_mm = (_molecule(solute, path) for path in (solute.xyz, solvent))
    charge = _charge(solvent_mm)
    if abs(charge) > _MAX_CHARGE:
        raise ConfigError(
            f"{solvent.name}: found a solvent molecule of charge {charge:+.2f}, allowed: neutral "
            "molecules"
        )
    positions = solute_mm.positions
    centred = positions - 0.5 * (positions.min(axis=0) + positions.max(axis=0))
    width = 2 * (float(np.linalg.norm(centred, axis=1).max()) + padding)
    width = max(width, least_liquid_width(solute.vdw_cutoff or LONG_VDW_CUTOFF))
    typical = typical_density(_as_rdkit(solvent_mm))
    count = max(1, round((width**3 - _volume(solute_mm)) / _volume(solvent_mm)))
    packed, width = pack_loosely(solvent_mm.positions, count, width, solute=centred, seed=seed)
    solute_atoms, solvent_atoms = _read_atoms(solute.xyz), _read_atoms(solvent)
    molecules = [(solute_atoms, centred + 0.5 * width)]
    molecules += [(solvent_atoms, molecule) for molecule in packed]
    title = f"{solute.xyz.stem} in {count} molecules of {solvent.stem}"
    return TinkerLiquid(_text(title, molecules, width), len(centred), typical)


def _molecule(source: TinkerSystem, path: Path) -> MMSystem:
    """Return one molecule in vacuum."""
    options = {"xyz": path, "nonbonded_method": "NoCutoff", "box": None, "hydrogen_mass": None}
    mm = load_tinker(source.model_copy(update=options))
    bonds = [(a.index, b.index) for a, b in mm.topology.bonds()]
    count = _count_molecules(len(mm.positions), bonds)
    if count != 1:
        raise InputFileError(f"{path}: found {count} molecules, allowed: one molecule")
    return mm


def _count_molecules(n_atoms: int, bonds: list[tuple[int, int]]) -> int:
    pairs = np.array(bonds, dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n_atoms, n_atoms))
    return int(connected_components(graph, directed=False)[0])


def _charge(mm: MMSystem) -> float:
    """Return the sum of a molecule's monopoles, e."""
    (force,) = [f for f in mm.system.getForces() if isinstance(f, openmm.AmoebaMultipoleForce)]
    indices = range(force.getNumMultipoles())
    return float(sum(force.getMultipoleParameters(index)[0]._value for index in indices))


def _as_rdkit(mm: MMSystem) -> Chem.Mol:
    """Return the elements and positions of a molecule, without bonds."""
    molecule = Chem.RWMol()
    for atom in mm.topology.atoms():
        molecule.AddAtom(Chem.Atom(atom.element.atomic_number))
    conformer = Chem.Conformer(len(mm.positions))
    for index, position in enumerate((_ANGSTROM_PER_NM * mm.positions).tolist()):
        conformer.SetAtomPosition(index, position)
    molecule.AddConformer(conformer)
    return molecule.GetMol()


def _volume(mm: MMSystem) -> float:
    """Return the volume of a molecule in its liquid, nm^3."""
    molecule = _as_rdkit(mm)
    mass = sum(atom.GetMass() for atom in molecule.GetAtoms())
    return DALTON_PER_NM3_IN_G_PER_ML * mass / typical_density(molecule)


@dataclass(frozen=True)
class _TinkerAtom:
    """An atom of a Tinker file: symbol, type, and bonded atoms counted from 0."""

    symbol: str
    kind: str
    bonded: tuple[int, ...]


def _read_atoms(path: Path) -> list[_TinkerAtom]:
    """Return the atoms of Tinker coordinates that OpenMM has read without complaint."""
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    count = int(lines[0][0])
    return [
        _TinkerAtom(fields[1], fields[5], tuple(int(number) - 1 for number in fields[6:]))
        for fields in lines[-count:]
    ]


def _text(
    title: str, molecules: list[tuple[list[_TinkerAtom], NDArray[np.float64]]], width: float
) -> str:
    """Return Tinker coordinates of molecules with their positions (n, 3), nm, in a cube."""
    edge = _ANGSTROM_PER_NM * width
    lines, first = [], 1
    for atoms, positions in molecules:
        for number, (atom, position) in enumerate(zip(atoms, positions, strict=True), first):
            x, y, z = (_ANGSTROM_PER_NM * position).tolist()
            bonded = "".join(f"{first + other:7d}" for other in atom.bonded)
            lines.append(
                f"{number:7d}  {atom.symbol:<3} {x:12.6f}{y:12.6f}{z:12.6f} {atom.kind:>6}{bonded}"
            )
        first += len(atoms)
    header = f"{len(lines):7d}  {title}"
    box = "".join(f"{value:12.6f}" for value in (edge, edge, edge, 90.0, 90.0, 90.0))
    return "\n".join([header, box, *lines]) + "\n"
