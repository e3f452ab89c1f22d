"""The Gibbs score of a set of conformers, the measure of TorsionNet."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rdkit import Chem
from rdkit.Chem import TorsionFingerprints

from nnpmm.conformers.fingerprints import FingerprintTorsions
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ConfigError

__all__ = [
    "GibbsReference",
    "GrowingScore",
    "gibbs_reference",
    "gibbs_score",
    "torsionally_distinct",
]

#: As published by T. Gogineni et al.: a kT of 1 kcal/mol (503 K) and a deviation of 0.05.
THERMAL_ENERGY, THRESHOLD = KJ_PER_KCAL, 0.05


class GibbsReference(NamedTuple):
    """The energy and the sum to which a score is relative.

    Attributes:
        energy: kJ/mol, E_0, at which a conformer has a Boltzmann factor of 1.
        normalization: Z_0, the sum of Boltzmann factors whose score is 1.
    """

    energy: float
    normalization: float = 1.0


def gibbs_score(
    molecule: Chem.Mol,
    energies: ArrayLike,
    reference: GibbsReference,
    *,
    thermal_energy: float = THERMAL_ENERGY,
    threshold: float = THRESHOLD,
) -> float:
    r"""Return the Gibbs score of conformers: ``sum_i exp(-(E_i - E_0)/kT) / Z_0``.

    Over conformers that differ from each lower one by ``threshold`` or more in their torsion
    fingerprint (T. Gogineni et al., NeurIPS 2020, with the torsions unweighted as there).

    Args:
        molecule: n atoms with k conformers.
        energies: (k,), kJ/mol.
        reference: E_0 and Z_0.
        thermal_energy: kT, kJ/mol; 4.184 as published.
        threshold: of the torsion fingerprint deviation, from 0 to 1.

    Raises:
        ConfigError: another number of energies than conformers.
    """
    values = np.asarray(energies, dtype=np.float64)
    kept = torsionally_distinct(molecule, values, threshold=threshold)
    factors = np.exp(-(values[kept] - reference.energy) / thermal_energy)
    return float(factors.sum() / reference.normalization)


def gibbs_reference(
    molecule: Chem.Mol,
    energies: ArrayLike,
    *,
    thermal_energy: float = THERMAL_ENERGY,
    threshold: float = THRESHOLD,
) -> GibbsReference:
    """Return the reference by which a set of conformers has a score of 1.

    Args:
        molecule: n atoms with k conformers.
        energies: (k,), kJ/mol; the lowest becomes E_0.
        thermal_energy: kT, kJ/mol.
        threshold: of the torsion fingerprint deviation.

    Raises:
        ConfigError: another number of energies than conformers.
    """
    lowest = GibbsReference(float(np.min(energies)))
    score = gibbs_score(
        molecule, energies, lowest, thermal_energy=thermal_energy, threshold=threshold
    )
    return lowest._replace(normalization=score)


def torsionally_distinct(
    molecule: Chem.Mol, energies: ArrayLike, *, threshold: float = THRESHOLD
) -> NDArray[np.int64]:
    """Return the rows of conformers that are not close to a lower one, the lowest first.

    The deviation is that of T. Schulz-Gasch et al. (J. Chem. Inf. Model. 2012, 52, 1499) by rdkit.

    Args:
        molecule: n atoms with k conformers.
        energies: (k,), by which the conformers are sorted.
        threshold: of the deviation.

    Raises:
        ConfigError: another number of energies than conformers, or none.
    """
    values = np.asarray(energies, dtype=np.float64)
    count = molecule.GetNumConformers()
    if values.shape != (count,) or count == 0:
        raise ConfigError(
            f"found energies of shape {values.shape} for {count} conformers, expected one for each"
        )
    lower = np.zeros((count, count))
    lower[np.tril_indices(count, -1)] = TorsionFingerprints.GetTFDMatrix(molecule, useWeights=False)
    return _distinct_rows(values, lower + lower.T, threshold)


def _distinct_rows(
    energies: NDArray[np.float64], deviations: NDArray[np.float64], threshold: float
) -> NDArray[np.int64]:
    """Return the rows (m,) that deviate by ``threshold`` or more from each lower row returned."""
    kept: list[int] = []
    near = np.zeros(len(energies), dtype=bool)
    for row in np.argsort(energies, kind="stable").tolist():
        if not near[row]:
            kept.append(row)
            near |= deviations[row] < threshold
    return np.array(kept, dtype=np.int64)


class GrowingScore:
    """The Gibbs score of a set to which conformers are added one by one.

    It equals `gibbs_score` of the set; only the deviations of a new conformer are calculated.

    Args:
        molecule: n atoms.
        reference: E_0 and Z_0.
        most: largest number of conformers that will be added.
        thermal_energy: kT, kJ/mol.
        threshold: of the torsion fingerprint deviation.
    """

    def __init__(
        self,
        molecule: Chem.Mol,
        reference: GibbsReference,
        *,
        most: int,
        thermal_energy: float = THERMAL_ENERGY,
        threshold: float = THRESHOLD,
    ) -> None:
        self._torsions = FingerprintTorsions.of(molecule)
        self._reference, self._kt, self._threshold = reference, thermal_energy, threshold
        self._deviations = np.zeros((most, most))
        self._energies = np.zeros(most)
        self._fingerprints: list[NDArray[np.float64]] = []
        self.score = 0.0

    def add(self, positions: NDArray[np.float64], energy: float) -> float:
        """Add a conformer and return by how much the score grew, or fell.

        It falls if the conformer replaces several that were distinct from each other.

        Args:
            positions: (n, 3), nm.
            energy: kJ/mol.
        """
        new = self._torsions.angles(positions[None])[0]
        count = len(self._fingerprints)
        if count:
            others = self._torsions.deviations(new, np.array(self._fingerprints))
            self._deviations[count, :count] = self._deviations[:count, count] = others
        self._fingerprints.append(new)
        self._energies[count] = energy
        used = slice(count + 1)
        kept = _distinct_rows(self._energies[used], self._deviations[used, used], self._threshold)
        factors = np.exp(-(self._energies[kept] - self._reference.energy) / self._kt)
        before, self.score = self.score, float(factors.sum() / self._reference.normalization)
        return self.score - before
