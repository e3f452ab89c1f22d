"""Conformers outside the scans, on which refitted torsions are tested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from nnpmm.core.errors import SimulationError
from nnpmm.models import Evaluator
from nnpmm.torsions.bonds import RotatableBond
from nnpmm.torsions.internal import dihedral, valence_terms
from nnpmm.torsions.relaxation import FixedTorsions, relax_with_fixed_torsions

__all__ = ["HeldOut", "conformer_errors", "held_out_conformers"]


class HeldOut(NamedTuple):
    """Conformers with all torsions of interest fixed at the values from distance geometry.

    Attributes:
        positions: nm, (k, n, 3), all else relaxed by the network.
        energies: of the network, kJ/mol, (k,).
        fixed: torsions and angles.
    """

    positions: NDArray[np.float64]
    energies: NDArray[np.float64]
    fixed: FixedTorsions


def held_out_conformers(
    molecule: Chem.Mol,
    evaluator: Evaluator,
    bonds: Sequence[RotatableBond],
    *,
    count: int,
    seed: int = 0,
) -> HeldOut:
    """Return conformers from distance geometry, relaxed by the network with their torsions fixed.

    Without the torsion preferences that rdkit takes from crystal structures; esters and amides stay
    planar.

    Args:
        molecule: n atoms.
        evaluator: the network, bound to them.
        bonds: whose torsions are fixed.
        count: of conformers.
        seed: of distance geometry.

    Raises:
        SimulationError: no conformers could be built, or a minimisation did not end.
    """
    copy = Chem.Mol(molecule)
    settings: Any = rdDistGeom.ETKDGv3()
    settings.useExpTorsionAnglePrefs = False
    settings.randomSeed = seed + 1  # rdkit gives identical conformers with a seed of 0
    numbers = list(rdDistGeom.EmbedMultipleConfs(copy, count, settings))
    if len(numbers) < 2:
        raise SimulationError("found no conformers of the molecule; check its ring strain")
    positions = 0.1 * np.array([copy.GetConformer(i).GetPositions() for i in numbers])
    angles = np.stack([dihedral(positions, np.array(b.torsion)) for b in bonds], axis=1)
    fixed = FixedTorsions.of([bonds] * len(positions), angles, molecule.GetNumAtoms())
    relaxed = relax_with_fixed_torsions(evaluator, positions, fixed, valence_terms(molecule))
    return HeldOut(relaxed.positions, relaxed.energies, fixed)


def conformer_errors(molecule: Chem.Mol, evaluator: Evaluator, conformers: HeldOut) -> float:
    """Return the RMSE, kJ/mol, of another potential's energies of conformers, without their mean.

    Each conformer is first relaxed with that potential at the same torsions.

    Args:
        molecule: n atoms.
        evaluator: the other potential, bound to them.
        conformers: from `held_out_conformers`.

    Raises:
        SimulationError: a minimisation did not end.
    """
    positions, energies, fixed = conformers
    relaxed = relax_with_fixed_torsions(evaluator, positions, fixed, valence_terms(molecule))
    return float(np.std(relaxed.energies - energies))
