"""Torsion fingerprints of many geometries at once, and deviations between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import TorsionFingerprints

from nnpmm.torsions.internal import dihedral

__all__ = ["FingerprintTorsions"]

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FingerprintTorsions:
    """The torsions in a molecule's fingerprint, as rdkit defines them.

    T. Schulz-Gasch et al., J. Chem. Inf. Model. 2012, 52, 1499. A bond with equivalent ends has
    several torsions, of which the nearest two count; a ring has the mean of its absolute ones.

    Attributes:
        chains: atoms (t, q, 4); a bond with fewer than q torsions repeats its first.
        rings: atoms of each ring's torsions, (m, 4) each.
        largest: deviation that counts as 1, degrees, (t + rings,): 180, and less for rings.
    """

    chains: NDArray[np.int64]
    rings: tuple[NDArray[np.int64], ...]
    largest: _Array

    @classmethod
    def of(cls, molecule: Chem.Mol) -> FingerprintTorsions:
        """Return the fingerprint torsions of a molecule."""
        chains, rings = TorsionFingerprints.CalculateTorsionLists(molecule)
        lists = [[tuple(atoms) for atoms in torsions] for torsions, _ in chains]
        most = max(map(len, lists), default=1)
        padded = [torsions + torsions[:1] * (most - len(torsions)) for torsions in lists]
        return cls(
            np.array(padded, dtype=np.int64).reshape(len(lists), most, 4),
            tuple(np.array([tuple(a) for a in torsions], dtype=np.int64) for torsions, _ in rings),
            np.array([largest for _, largest in (*chains, *rings)], dtype=np.float64),
        )

    def angles(self, positions: _Array) -> _Array:
        """Return the fingerprints (k, t + rings, q), degrees, of positions (k, n, 3)."""
        t, q, _ = self.chains.shape
        flat = dihedral(positions, self.chains.reshape(-1, 4))
        parts = [np.degrees(flat).reshape(len(positions), t, q)]
        for atoms in self.rings:
            mean = np.degrees(np.abs(dihedral(positions, atoms))).mean(axis=1)
            parts.append(np.broadcast_to(mean[:, None, None], (len(positions), 1, q)))
        return np.concatenate(parts, axis=1)

    def deviations(self, one: _Array, others: _Array) -> _Array:
        """Return the deviations (k,), from 0 to 1, of fingerprints (k, t, q) from another (t, q).

        The mean over the torsions, unweighted, of the difference in units of the largest.
        """
        if len(self.largest) == 0:
            return np.zeros(len(others))
        apart = np.abs(one[:, :, None] - others[:, :, None, :]) % 360.0
        nearest = np.minimum(apart, 360.0 - apart).min(axis=(2, 3))
        return np.asarray((nearest / self.largest).mean(axis=1))
