"""Candidates for the anchors of a restraint: rigid parts of the ligand and the receptor.

In the ligand, these are chains of three bonded ring atoms, or of heavy atoms if there are no such
chains. In the receptor, these are atoms with small fluctuations: backbone atoms N, CA and C of
proteins and ring atoms of other molecules, or all heavy atoms if there are fewer than three.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from openmm import app
from rdkit import Chem

from nnpmm.core.errors import SimulationError
from nnpmm.freeenergy.binding.site import Solute, heavy_atoms

__all__ = ["fluctuations", "ligand_chains", "receptor_candidates"]

_RIGID = 0.1  # nm, largest root-mean-square fluctuation of a receptor's anchor
_NEAREST = 60  # most candidates of the receptor, for the cost of the search
_BACKBONE = ("N", "CA", "C")


def ligand_chains(topology: app.Topology, solute: Solute) -> tuple[NDArray[np.int64], str]:
    """Return the candidates for the anchors A-B-C of the ligand.

    Args:
        topology: of the whole system.
        solute: receptor and ligand.

    Returns:
        Rows (k, 3) of the solute, and a sentence about them.

    Raises:
        SimulationError: there are no three heavy atoms in a chain.
    """
    heavy = heavy_atoms(topology, solute.atoms)
    members = {int(row) for row in solute.ligand if heavy[row]}
    rings = {row for row in members if _in_rings(topology, solute)[row]}
    for kind, allowed in (("ring", rings), ("heavy", members)):
        chains = _chains(solute.bonds, allowed)
        if len(chains):
            text = f"ligand: {len(allowed)} of {len(members)} heavy atoms are {kind} atoms, in "
            if kind == "heavy":
                text = f"ligand: {len(members)} heavy atoms, no three of them in a ring, in "
            return chains, f"{text}{len(chains)} chains of three"
    raise SimulationError(
        f"the ligand has {len(members)} heavy atoms, no three of them bonded in a chain, as the "
        "restraint's six coordinates require; such a ligand is not supported"
    )


def _chains(bonds: list[tuple[int, int]], allowed: set[int]) -> NDArray[np.int64]:
    neighbours: dict[int, list[int]] = {row: [] for row in sorted(allowed)}
    for i, j in bonds:
        if i in allowed and j in allowed:
            neighbours[i].append(j)
            neighbours[j].append(i)
    found = [
        (first, middle, last)
        for middle, ends in neighbours.items()
        for first in ends
        for last in ends
        if first != last
    ]
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 3)


def _in_rings(topology: app.Topology, solute: Solute) -> NDArray[np.bool_]:
    """Return which atoms (n,) of the solute are in a ring."""
    atoms = list(topology.atoms())
    molecule = Chem.RWMol()
    for index in solute.atoms.tolist():
        element = atoms[index].element
        molecule.AddAtom(Chem.Atom(0 if element is None else element.atomic_number))
    for i, j in solute.bonds:
        molecule.AddBond(i, j, Chem.BondType.SINGLE)
    Chem.FastFindRings(molecule)
    return np.array([atom.IsInRing() for atom in molecule.GetAtoms()], dtype=bool)


def receptor_candidates(
    topology: app.Topology,
    solute: Solute,
    frames: NDArray[np.float64],
) -> tuple[NDArray[np.int64], str]:
    """Return the candidates for the anchors of the receptor, the nearest to the ligand first.

    Args:
        topology: of the whole system.
        solute: receptor and ligand.
        frames: (frames, n, 3) of the solute, superposed, nm.

    Returns:
        At most 60 rows of the solute, and a sentence about them.

    Raises:
        SimulationError: there are fewer than three.
    """
    spread = fluctuations(frames)
    heavy, rings = heavy_atoms(topology, solute.atoms), _in_rings(topology, solute)
    atoms = list(topology.atoms())
    chosen = []
    for row in solute.receptor.tolist():
        atom = atoms[int(solute.atoms[row])]
        names = {other.name for other in atom.residue.atoms()}
        wanted = atom.name in _BACKBONE if names.issuperset(_BACKBONE) else rings[row]
        if heavy[row] and wanted:
            chosen.append(row)
    kind = "backbone and ring"
    if len(chosen) < 3:
        chosen, kind = [row for row in solute.receptor.tolist() if heavy[row]], "heavy"
    rows = np.array(chosen, dtype=np.int64)
    rigid = rows[spread[rows] < _RIGID]
    if len(rigid) < 3:
        raise SimulationError(
            f"the receptor has {len(rigid)} {kind} atoms that fluctuate by less than {_RIGID:g} "
            "nm, allowed: 3 or more; equilibrate longer, or give anchors"
        )
    ligand = solute.ligand[heavy[solute.ligand]]
    centres = frames[:, ligand].mean(axis=1, keepdims=True)
    distances = np.linalg.norm(frames[:, rigid] - centres, axis=-1).mean(axis=0)
    nearest = rigid[np.argsort(distances, kind="stable")][:_NEAREST]
    return nearest, (
        f"receptor: {len(rigid)} of {len(rows)} {kind} atoms fluctuate by less than {_RIGID:g} nm; "
        f"the {len(nearest)} nearest to the ligand, within "
        f"{np.sort(distances)[len(nearest) - 1]:.2f} nm of its centre, were tried"
    )


def fluctuations(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return root-mean-square fluctuations (n,) around the mean of frames (frames, n, 3)."""
    return np.asarray(np.sqrt(((frames - frames.mean(axis=0)) ** 2).sum(axis=-1).mean(axis=0)))
