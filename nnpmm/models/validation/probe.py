"""A molecule with a potential bound to it: what the checks work on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ModelError, RegionError
from nnpmm.models.protocol import Evaluator, Potential
from nnpmm.models.validation.relaxation import relaxed

if TYPE_CHECKING:
    from rdkit import Chem

__all__ = ["Probe", "create_probe", "is_of_one_molecule", "random_rotation"]

_DISTORTION = 0.005  # nm


@dataclass(frozen=True)
class Probe:
    """A molecule with a potential bound to it.

    Attributes:
        name: of the molecule.
        potential: that is bound to it.
        numbers: atomic numbers, (n,).
        symbols: chemical symbols, n of them.
        masses: (n,), amu.
        bonds: (m, 2).
        charge: total charge, e.
        evaluator: the potential bound to the molecule.
        conformer: (n, 3), nm, as the molecule came.
        positions: (n, 3), nm, off any minimum, so that forces act on all atoms.
    """

    name: str
    potential: Potential
    numbers: NDArray[np.int64]
    symbols: tuple[str, ...]
    masses: NDArray[np.float64]
    bonds: NDArray[np.int64]
    charge: int
    evaluator: Evaluator
    conformer: NDArray[np.float64]
    positions: NDArray[np.float64]

    @cached_property
    def minimum(self) -> NDArray[np.float64]:
        """The potential's minimum next to the positions, (n, 3), nm."""
        return relaxed(self.evaluator, self.positions)

    @cached_property
    def pair(self) -> Evaluator | None:
        """The potential bound to two of these molecules; None if it is for one alone."""
        if is_of_one_molecule(self.potential):
            return None
        try:
            return self.potential.bind(np.tile(self.numbers, 2), 2 * self.charge)
        except (RegionError, ModelError):
            return None

    def two(self, separation: float, seed: int = 0) -> NDArray[np.float64]:
        """Return two molecules, (2n, 3), nm: the minimum, and a rotated one further along x.

        Args:
            separation: of their centres, nm.
            seed: of both rotations.
        """
        generator = np.random.default_rng(seed)
        centred = self.minimum - self.minimum.mean(axis=0)
        first, second = (centred @ random_rotation(generator).T for _ in range(2))
        return np.concatenate([first, second + np.array([separation, 0.0, 0.0])])


def create_probe(potential: Potential, molecule: Chem.Mol, name: str) -> Probe:
    """Bind a potential to a molecule.

    Args:
        potential: that is to be checked.
        molecule: with all hydrogens and 3D coordinates.
        name: of the molecule.

    Raises:
        RegionError: the molecule is a single atom, or the potential cannot describe it.
        ModelError: a potential of another package cannot describe it.
    """
    from openmm.app import Element

    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], dtype=np.int64)
    if len(numbers) < 2:
        raise RegionError(f"found one atom in {name}, allowed: two or more, between which it acts")
    elements = [Element.getByAtomicNumber(int(number)) for number in numbers]
    charge = sum(atom.GetFormalCharge() for atom in molecule.GetAtoms())
    pairs = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in molecule.GetBonds()]
    conformer = 0.1 * molecule.GetConformer().GetPositions()
    noise = np.random.default_rng(1).normal(scale=_DISTORTION, size=conformer.shape)
    return Probe(
        name=name,
        potential=potential,
        numbers=numbers,
        symbols=tuple(element.symbol for element in elements),
        masses=np.array([element.mass._value for element in elements]),
        bonds=np.array(pairs, dtype=np.int64).reshape(-1, 2),
        charge=charge,
        evaluator=potential.bind(numbers, charge),
        conformer=conformer,
        positions=conformer + noise,
    )


def is_of_one_molecule(potential: Potential) -> bool:
    """Return whether a potential contains a composition that it does not name.

    TorchScript modules need not notice that they are given other atoms.
    """
    return potential.provenance.get("backend") in ("torchscript", "openmm")


def random_rotation(generator: np.random.Generator) -> NDArray[np.float64]:
    """Return a proper rotation matrix (3, 3), drawn from the uniform distribution."""
    q, r = np.linalg.qr(generator.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q
