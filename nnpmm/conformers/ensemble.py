"""Conformers with energies and populations, and their spread over the networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.core.constants import GAS_CONSTANT

__all__ = ["Ensemble", "populations"]

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Distinct minima of a molecule of n atoms, k of them, the lowest energy first.

    Attributes:
        molecule: with its stereochemistry and the conformer from which the search started.
        positions: nm, (k, n, 3).
        energies: kJ/mol, (k,).
        member_energies: kJ/mol, (k, m), of each network of the model.
        weights: (k,), how many copies a conformer stands for, relative to the others: one over its
            symmetry number, see `nnpmm.conformers.symmetry`.
        temperature: K.
        corrections: kJ/mol, (k,), from energy to free energy by harmonic vibrations and rotation;
            None if they are not known.
    """

    molecule: Chem.Mol
    positions: _Array
    energies: _Array
    member_energies: _Array
    weights: _Array
    temperature: float
    corrections: _Array | None = None

    @property
    def free_energies(self) -> _Array:
        """Energies with corrections, (k,), kJ/mol, the lowest at zero."""
        free = self.energies if self.corrections is None else self.energies + self.corrections
        return free - free.min()

    @property
    def populations(self) -> _Array:
        """Boltzmann populations, (k,)."""
        return populations(self.free_energies, self.weights, self.temperature)

    @property
    def population_spread(self) -> _Array:
        """The standard deviation of the populations over the networks, (k,); zero for one."""
        correction = 0.0 if self.corrections is None else self.corrections
        members = [
            populations(energies + correction, self.weights, self.temperature)
            for energies in self.member_energies.T
        ]
        return _spread(np.array(members).T)

    @property
    def energy_spread(self) -> _Array:
        """The standard deviation over the networks of energies above the lowest, (k,), kJ/mol."""
        return _spread(self.member_energies - self.member_energies[:1])


def populations(energies: _Array, weights: _Array, temperature: float) -> _Array:
    """Return ``w_i exp(-E_i/RT) / sum_j w_j exp(-E_j/RT)``, (k,).

    Args:
        energies: (k,), kJ/mol.
        weights: (k,).
        temperature: K.
    """
    factors = weights * np.exp(-(energies - energies.min()) / (GAS_CONSTANT * temperature))
    return np.asarray(factors / factors.sum())


def _spread(members: _Array) -> _Array:
    """Return the standard deviation over the last axis."""
    if members.shape[-1] < 2:
        return np.zeros(len(members))
    return np.asarray(members.std(axis=-1, ddof=1))
