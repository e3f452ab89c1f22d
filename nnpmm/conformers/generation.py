"""Starting geometries of a molecule: the generators by their names."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.conformers.confab import confab_conformers
from nnpmm.conformers.distance_geometry import etkdg_conformers
from nnpmm.conformers.monte_carlo import monte_carlo_conformers
from nnpmm.conformers.rotors import rotatable_bonds, rotors
from nnpmm.core.errors import ConfigError
from nnpmm.torsions.relaxation import FixedTorsions, set_angles

if TYPE_CHECKING:
    from nnpmm.conformers.torsionnet import TrainedPolicy

__all__ = [
    "MOST_COMBINATIONS",
    "Generator",
    "count_for",
    "generate",
    "systematic_conformers",
]

Generator = Literal["etkdg", "systematic", "confab", "monte-carlo", "torsionnet"]
#: Largest number of combinations of torsions in a systematic search.
MOST_COMBINATIONS = 5000
_CLASH = 0.5  # of the sum of the van der Waals radii

_Array = NDArray[np.float64]


def generate(
    molecule: Chem.Mol,
    generators: Sequence[Generator],
    *,
    count: int | None = None,
    seed: int = 0,
    threads: int = 1,
    policy: TrainedPolicy | None = None,
) -> _Array:
    """Return starting geometries (k, n, 3), nm, of several generators, one after the other.

    The molecule's own conformer is the first of them.

    Args:
        molecule: n atoms, hydrogens explicit, stereochemistry assigned, with a conformer.
        generators: by their names.
        count: of conformers by each generator but ``"systematic"``; None: by `count_for`.
        seed: of the distance geometry and the Monte Carlo search.
        threads: of the distance geometry.
        policy: for ``"torsionnet"``.

    Raises:
        ConfigError: too many rotatable bonds for a systematic search, atoms that no force field
            knows for a search by energy, or no policy.
        InputFileError: no conformer could be built.
        OptionalDependencyError: Open Babel is not installed.
    """
    number = count_for(molecule) if count is None else count
    searches: dict[Generator, Callable[[], _Array]] = {
        "etkdg": lambda: etkdg_conformers(molecule, number, seed=seed, threads=threads),
        "systematic": lambda: systematic_conformers(molecule),
        "confab": lambda: confab_conformers(molecule, number),
        "monte-carlo": lambda: monte_carlo_conformers(molecule, number, seed=seed),
        "torsionnet": lambda: _by_policy(molecule, number, policy, seed),
    }
    own = 0.1 * np.array(molecule.GetConformer().GetPositions())[None]
    return np.concatenate([own, *(searches[name]() for name in generators)])


def _by_policy(molecule: Chem.Mol, count: int, policy: TrainedPolicy | None, seed: int) -> _Array:
    if policy is None:
        raise ConfigError(
            "found the generator torsionnet without a policy; give the folder of one that nnpmm "
            "torsionnet train has made"
        )
    from nnpmm.conformers.torsionnet import torsionnet_conformers  # imports torch

    return torsionnet_conformers(molecule, count, policy, seed=seed)


def count_for(molecule: Chem.Mol) -> int:
    """Return how many conformers of distance geometry a molecule needs.

    50, 200 or 300 for up to 7, 12 or more rotatable bonds (J.-P. Ebejer, G. M. Morris and
    C. M. Deane, J. Chem. Inf. Model. 2012, 52, 1146); hydroxyls count here.
    """
    bonds = len(rotatable_bonds(molecule))
    return 50 if bonds <= 7 else 200 if bonds <= 12 else 300


def systematic_conformers(molecule: Chem.Mol, *, most: int = MOST_COMBINATIONS) -> _Array:
    """Return geometries (k, n, 3), nm, with all combinations of the angles of `rotors`.

    Rings stay as they are in the molecule's conformer. Geometries in which heavy atoms more than
    three bonds apart are closer than half the sum of their van der Waals radii are left out.

    Args:
        molecule: n atoms, hydrogens explicit, with a conformer.
        most: largest number of combinations.

    Raises:
        ConfigError: there are more combinations.
    """
    found = rotors(molecule)
    number = int(np.prod([len(angles) for _, angles in found], dtype=np.float64))
    if number > most:
        raise ConfigError(
            f"found {len(found)} rotatable bonds with {number} combinations of their angles, a "
            f"systematic search takes up to {most}; use the generator etkdg or monte-carlo"
        )
    bonds = [bond for bond, _ in found]
    angles = np.radians(list(itertools.product(*(values for _, values in found))))
    own = 0.1 * np.array(molecule.GetConformer().GetPositions())
    start = np.repeat(own[None], len(angles), axis=0)
    turned = set_angles(start, FixedTorsions.of([bonds] * len(angles), angles, len(own)))
    return turned[~_clashing(molecule, turned)]


def _clashing(molecule: Chem.Mol, positions: _Array) -> NDArray[np.bool_]:
    table = Chem.GetPeriodicTable()
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    radii = 0.1 * np.array([table.GetRvdw(int(number)) for number in numbers])
    heavy = np.outer(numbers > 1, numbers > 1)
    i, j = np.nonzero(np.triu(heavy & (Chem.GetDistanceMatrix(molecule) > 3)))
    distances = np.linalg.norm(positions[:, i] - positions[:, j], axis=-1)
    return np.asarray((distances < _CLASH * (radii[i] + radii[j])).any(axis=1))
