"""Mapping of a molecule to beads: its fragments, their types, and the graph of the beads.

Beads are the normal beads of Martini 2 at a distance of 0.47 nm, the only ones that
``martini.solute`` supports. Rings therefore have three heavy atoms per bead, instead of the
published ring beads, which are smaller, closer and more numerous.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.core.errors import ConfigError
from nnpmm.permeation.mapping.bead_types import count_hydrogen_bonds, nearest_type, published_type
from nnpmm.permeation.mapping.fragments import Division, divisions
from nnpmm.permeation.mapping.lipophilicity import estimate_log_p
from nnpmm.permeation.mapping.molecules import read_molecule
from nnpmm.permeation.mapping.octanol import BEAD_FREE_ENERGIES, KJ_PER_LOGP, atomic_log_p
from nnpmm.permeation.martini.solute import solute_graph

__all__ = ["MappedBead", "Mapping", "map_molecule", "map_smiles"]


@dataclass(frozen=True)
class MappedBead:
    """A bead and the atoms that it represents.

    Attributes:
        type: of Martini 2.
        atoms: sorted indices of heavy atoms.
        free_energy: contribution of the atoms to the molecule's octanol/water free energy, kJ/mol.
        published: whether the type is that of a published building block.
    """

    type: str
    atoms: tuple[int, ...]
    free_energy: float
    published: bool


@dataclass(frozen=True)
class Mapping:
    """A molecule as beads.

    Attributes:
        molecule: hydrogens implicit, atoms in canonical order.
        beads: in the order of the graph.
        graph: of the beads, as ``martini.parse_solute`` reads it.
        log_p_error: standard deviation of the estimate of logP; None if it was given.
    """

    molecule: Chem.Mol
    beads: tuple[MappedBead, ...]
    graph: str
    log_p_error: float | None = None

    @property
    def smiles(self) -> str:
        """Canonical SMILES."""
        return str(Chem.MolToSmiles(self.molecule))

    @property
    def log_p(self) -> float:
        """The molecule's octanol/water logP, estimated unless it was given."""
        return sum(bead.free_energy for bead in self.beads) / KJ_PER_LOGP

    @property
    def bead_log_p(self) -> float:
        """The logP of the beads, as the sum of their free energies."""
        return sum(BEAD_FREE_ENERGIES[bead.type] for bead in self.beads) / KJ_PER_LOGP


def map_smiles(smiles: str, *, published: bool = True, log_p: float | None = None) -> Mapping:
    """Return the beads of a molecule.

    Args:
        smiles: of one neutral molecule.
        published: give building blocks of the Martini 2 paper their published types; if False,
            every type is estimated.
        log_p: octanol/water logP of the molecule, measured or from another model; None: estimated.

    Raises:
        ConfigError: a logP that is not finite.
        InputFileError: not a SMILES, or a molecule that beads cannot represent.
    """
    return map_molecule(read_molecule(smiles), published=published, log_p=log_p)


def map_molecule(
    molecule: Chem.Mol, *, published: bool = True, log_p: float | None = None
) -> Mapping:
    """Return the beads of a molecule as ``molecules.read_molecule`` returns it.

    Among equally good divisions, the one is chosen whose beads best reproduce the octanol/water
    free energy of the molecule. The difference between its logP and the sum of its atoms'
    contributions is divided evenly among the atoms. Other arguments and errors are those of
    `map_smiles`.
    """
    if log_p is not None and not np.isfinite(log_p):
        raise ConfigError(f"found a logP of {log_p}, expected a number")
    value, error = estimate_log_p(molecule) if log_p is None else (log_p, None)
    shares = atomic_log_p(molecule)
    shares = (shares + (value - shares.sum()) / len(shares)) * KJ_PER_LOGP
    candidates = [_beads(molecule, d, shares, published) for d in divisions(molecule)]
    total = value * KJ_PER_LOGP
    beads = min(candidates, key=lambda beads: abs(_sum_of_types(beads) - total))
    order, graph = solute_graph([bead.type for bead in beads], _bonds(molecule, beads))
    return Mapping(molecule, tuple(beads[n] for n in order), graph, error)


def _beads(
    molecule: Chem.Mol, division: Division, shares: NDArray[np.float64], published: bool
) -> list[MappedBead]:
    """Return a bead for each fragment of a division."""
    beads = []
    for fragment in division:
        atoms = tuple(sorted(fragment))
        free_energy = float(shares[list(atoms)].sum())
        known = published_type(molecule, fragment) if published else None
        estimated = nearest_type(free_energy, count_hydrogen_bonds(molecule, fragment))
        beads.append(MappedBead(known or estimated, atoms, free_energy, known is not None))
    return beads


def _sum_of_types(beads: Sequence[MappedBead]) -> float:
    return sum(BEAD_FREE_ENERGIES[bead.type] for bead in beads)


def _bonds(molecule: Chem.Mol, beads: Sequence[MappedBead]) -> list[tuple[int, int]]:
    """Return the pairs of beads whose atoms are bonded, each once."""
    bead_of_atom = {atom: n for n, bead in enumerate(beads) for atom in bead.atoms}
    pairs = {
        tuple(sorted((bead_of_atom[b.GetBeginAtomIdx()], bead_of_atom[b.GetEndAtomIdx()])))
        for b in molecule.GetBonds()
    }
    return sorted((i, j) for i, j in pairs if i != j)
