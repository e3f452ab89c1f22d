"""Torsion terms of a force field, fitted to the torsion profiles of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.models import Evaluator, OpenMMPotential
from nnpmm.structures import LigandParameters, create_ligand_system
from nnpmm.torsions.bonds import RotatableBond
from nnpmm.torsions.internal import dihedral, torsions_about, valence_terms
from nnpmm.torsions.scan import TorsionScan, energies_along, relax_along

__all__ = [
    "PERIODICITIES",
    "Refit",
    "bind_force_field",
    "fit_torsions",
    "torsion_classes",
    "without_torsions",
]

PERIODICITIES = (1, 2, 3, 4, 5, 6)
#: Weight of the squared force constants relative to the mean squared residual. It decides between
#: terms that the scans do not distinguish, and changes other terms little.
RIDGE = 1e-3
_NEGLIGIBLE = 1e-4  # kJ/mol: smaller terms are left out
_ROUNDS = 5

_Array = NDArray[np.float64]
Torsion = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Refit:
    """A force field with new torsion terms about the scanned bonds.

    Attributes:
        parameters: of the whole molecule, the new terms among them.
        classes: torsions of each symmetry class that has new terms.
        terms: of each class its (periodicity, phase in rad, k in kJ/mol).
    """

    parameters: LigandParameters
    classes: tuple[tuple[Torsion, ...], ...]
    terms: tuple[tuple[tuple[int, float, float], ...], ...]


def fit_torsions(
    molecule: Chem.Mol,
    parameters: LigandParameters,
    scan: TorsionScan,
    *,
    ridge: float = RIDGE,
    rounds: int = _ROUNDS,
) -> Refit:
    """Replace the torsion terms about the scanned bonds by terms fitted to the network's profiles.

    With ``E0`` the force field without any torsion term about the scanned bonds, least squares in
    ``E_network - E0 = c_b + sum_t k_t sum_{torsions of t} cos(n_t phi)`` over all points of all
    scans, with a constant c_b for each bond and ``ridge`` times the sum of k^2. Terms t are those
    of periodicity 1 to 6 of each class of torsions that the molecule's symmetry makes equal; a
    negative k becomes phase 180 degrees.

    The first round uses the network's geometries. Each further round adds geometries of the current
    force field, relaxed at the same angles, with the network's profile as the target. Without them,
    the torsion terms would absorb the strain of the network's bonds and angles, and minimisation
    with the force field would give other profiles.

    Args:
        molecule: n atoms.
        parameters: of the force field.
        scan: by the network.
        ridge: weight of the squared force constants, for each row of the equations.
        rounds: number of fits; 1 uses the network's geometries alone.

    Raises:
        SimulationError: a minimisation with the force field did not converge.
    """
    classes = torsion_classes(molecule, scan.bonds)
    rest = without_torsions(parameters, scan.bonds)
    evaluator = bind_force_field(molecule, rest)
    terms = valence_terms(molecule)
    equations = [_equations(scan, scan.energies - energies_along(evaluator, scan), classes)]
    refit = _with_terms(rest, classes, _solve(equations, ridge))
    for _ in range(rounds - 1):
        relaxed = relax_along(bind_force_field(molecule, refit.parameters), scan, terms)
        target = scan.energies - energies_along(evaluator, relaxed)
        equations.append(_equations(relaxed, target, classes))
        refit = _with_terms(rest, classes, _solve(equations, ridge))
    return refit


def torsion_classes(
    molecule: Chem.Mol, bonds: Sequence[RotatableBond]
) -> tuple[tuple[Torsion, ...], ...]:
    """Return all torsions about some bonds, grouped by the symmetry of the molecular graph.

    Args:
        molecule: n atoms, hydrogens explicit.
        bonds: of it.
    """
    rank = list(Chem.CanonicalRankAtoms(molecule, breakTies=False))
    classes: dict[tuple[int, ...], list[Torsion]] = {}
    for bond in bonds:
        for torsion in torsions_about(molecule, *bond.atoms):
            ranks = tuple(rank[atom] for atom in torsion)
            classes.setdefault(min(ranks, ranks[::-1]), []).append(torsion)
    return tuple(tuple(classes[key]) for key in sorted(classes))


def without_torsions(
    parameters: LigandParameters, bonds: Sequence[RotatableBond]
) -> LigandParameters:
    """Return parameters without the torsion terms about some bonds; impropers stay."""
    about = {frozenset(bond.atoms) for bond in bonds}
    others = tuple(t for t in parameters.torsions if frozenset(t[1:3]) not in about)
    return replace(parameters, torsions=others)


def bind_force_field(molecule: Chem.Mol, parameters: LigandParameters) -> Evaluator:
    """Return the force field of a molecule in vacuum, bound to its atoms."""
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    potential = OpenMMPotential(create_ligand_system(molecule, parameters))
    return potential.bind(numbers, Chem.GetFormalCharge(molecule))


def _equations(
    scan: TorsionScan, target: _Array, classes: Sequence[Sequence[Torsion]]
) -> tuple[_Array, _Array]:
    """Return the matrix and the right-hand side of the least-squares equations of one scan.

    Columns are sums of cosines. The constant of each bond is eliminated by subtracting the means
    over its angles.

    Args:
        scan: geometries of b bonds at a angles.
        target: energy that the terms should add up to, (b, a), kJ/mol.
        classes: c classes of torsions.

    Returns:
        Shapes (b a, 6 c) and (b a,).
    """
    b, a = target.shape
    columns = []
    for torsions in classes:
        angles = dihedral(scan.positions, np.array(torsions))  # (b, a, t)
        columns += [np.cos(n * angles).sum(axis=-1) for n in PERIODICITIES]
    matrix = np.stack([c - c.mean(axis=1, keepdims=True) for c in columns], axis=-1)
    return matrix.reshape(b * a, -1), (target - target.mean(axis=1, keepdims=True)).ravel()


def _solve(equations: Sequence[tuple[_Array, _Array]], ridge: float) -> _Array:
    """Return the force constants (c, 6), kJ/mol, by the equations of all rounds together."""
    rows = np.concatenate([matrix for matrix, _ in equations])
    target = np.concatenate([values for _, values in equations])
    penalty = ridge * len(rows) * np.eye(rows.shape[1])
    constants = np.linalg.solve(rows.T @ rows + penalty, rows.T @ target)
    return np.asarray(constants.reshape(-1, len(PERIODICITIES)))


def _with_terms(
    rest: LigandParameters, classes: tuple[tuple[Torsion, ...], ...], constants: _Array
) -> Refit:
    terms = tuple(
        tuple(
            (n, 0.0 if k > 0 else np.pi, abs(float(k)))
            for n, k in zip(PERIODICITIES, row, strict=True)
            if abs(k) > _NEGLIGIBLE
        )
        for row in constants
    )
    new = tuple(
        (*torsion, *term)
        for torsions, series in zip(classes, terms, strict=True)
        for torsion in torsions
        for term in series
    )
    provider = f"{rest.provider}; torsions about scanned bonds refitted"
    parameters = replace(rest, torsions=(*rest.torsions, *new), provider=provider)
    return Refit(parameters, classes, terms)
