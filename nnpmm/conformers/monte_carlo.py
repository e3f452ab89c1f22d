"""Low conformers by a Monte Carlo search with minimisation in the space of torsions.

G. Chang, W. C. Guida and W. C. Still (J. Am. Chem. Soc. 1989, 111, 4379): a few torsions of a low
conformer are changed, and the new geometry is minimised and added to the set. Several changes are
tried, and the one with the lowest energy is minimised. This costs little and avoids clashes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.conformers.distance_geometry import etkdg_conformers
from nnpmm.conformers.fingerprints import FingerprintTorsions
from nnpmm.conformers.rotors import rotors
from nnpmm.conformers.screening import ForceField
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.torsions.internal import dihedral, rotate_about_bonds, wrap_angles

__all__ = ["Turns", "monte_carlo_conformers"]

_STARTS = 10  # conformers of distance geometry at the start
_TRIALS = 60  # changes, the best of which is minimised
_MOST_CHANGED = 3  # torsions in one change
_IDLE = 20  # rounds without a new combination of angles, after which the search ends

_Array = NDArray[np.float64]
_Rows = NDArray[np.int64]


class Turns(NamedTuple):
    """The r rotors of a molecule with up to a angles each.

    Attributes:
        torsions: atoms, (r, 4).
        moved: which of the n atoms turn, (r, n).
        angles: radians, (r, a); rotors with fewer angles have NaN behind them.
        counts: of angles, (r,).
    """

    torsions: NDArray[np.int64]
    moved: NDArray[np.bool_]
    angles: _Array
    counts: _Rows

    @staticmethod
    def of(molecule: Chem.Mol) -> Turns:
        """Return the rotors of a molecule."""
        found = rotors(molecule)
        n, most = molecule.GetNumAtoms(), max((len(a) for _, a in found), default=1)
        angles = np.full((len(found), most), np.nan)
        for row, (_, values) in enumerate(found):
            angles[row, : len(values)] = np.radians(values)
        return Turns(
            np.array([bond.torsion for bond, _ in found], dtype=np.int64).reshape(-1, 4),
            np.array([bond.mask(n) for bond, _ in found], dtype=bool).reshape(-1, n),
            angles,
            np.array([len(values) for _, values in found], dtype=np.int64),
        )

    def nearest(self, torsions: _Array) -> _Rows:
        """Return which angle of each rotor is nearest to torsions (k, r), radians; (k, r)."""
        apart = np.abs(wrap_angles(self.angles - torsions[..., None]))
        return np.asarray(np.where(np.isnan(apart), np.inf, apart).argmin(axis=-1))

    def turn(self, positions: _Array, rotor: _Rows, angle: _Array) -> _Array:
        """Return positions (k, n, 3) with one rotor (k,) of each turned by an angle (k,)."""
        j, k = self.torsions[rotor, 1], self.torsions[rotor, 2]
        return rotate_about_bonds(positions, (j, k), self.moved[rotor], angle)


class _ConformerSet:
    """The conformers that a search has found so far."""

    def __init__(self, turns: Turns, torsions: FingerprintTorsions) -> None:
        self._turns, self._torsions = turns, torsions
        self.positions: list[_Array] = []
        self.energies: list[float] = []
        self.angles: list[_Array] = []  # of the rotors
        self.fingerprints: list[_Array] = []
        self.seen: set[bytes] = set()  # combinations of the rotors' angles

    def add(self, positions: _Array, energy: float) -> None:
        angles = dihedral(positions, self._turns.torsions)
        self.positions.append(positions)
        self.energies.append(energy)
        self.angles.append(angles)
        self.fingerprints.append(self._torsions.angles(positions[None])[0])
        self.seen.add(self._turns.nearest(angles).tobytes())

    def is_apart(self, positions: _Array, threshold: float) -> bool:
        if threshold == 0.0:
            return True
        new = self._torsions.angles(positions[None])[0]
        deviations = self._torsions.deviations(new, np.array(self.fingerprints))
        return bool((deviations >= threshold).all())


def monte_carlo_conformers(
    molecule: Chem.Mol,
    count: int,
    *,
    seed: int = 0,
    apart: float = 0.0,
    thermal_energy: float = KJ_PER_KCAL,
    variant: str = "MMFF94s",
) -> _Array:
    """Return conformers (k, n, 3), nm, minimised with a force field, in the order of the search.

    The search starts from ten conformers of distance geometry; only these vary rings. Each further
    one starts from an earlier conformer, drawn by its Boltzmann factor, with up to three rotors
    turned to other angles of `rotors`, in a combination that is new. Of 60 such changes the one of
    lowest energy is minimised.

    Args:
        molecule: n atoms, hydrogens explicit, with a conformer.
        count: of conformers; k is smaller if no new combination is found.
        seed: the same gives the same conformers.
        apart: least torsion fingerprint deviation of a change from all conformers so far, from 0
            to 1; 0.05 to collect a high Gibbs score.
        thermal_energy: kT of the Boltzmann factors, kJ/mol.
        variant: of MMFF94, or UFF where it lacks an atom type.

    Raises:
        InputFileError: no conformer could be built.
        ConfigError: no force field knows all atoms.
    """
    random, field = np.random.default_rng(seed), ForceField(molecule, variant=variant)
    turns = Turns.of(molecule)
    found = _ConformerSet(turns, FingerprintTorsions.of(molecule))
    for start in etkdg_conformers(molecule, min(count, _STARTS), seed=seed):
        found.add(*field.relax(start))
    idle = 0
    while len(found.positions) < count and len(turns.counts) and idle < _IDLE:
        changed, keys = _changes(found, turns, thermal_energy, random)
        idle += 1
        for row in np.argsort(field.energies(changed), kind="stable").tolist():
            if keys[row] not in found.seen and found.is_apart(changed[row], apart):
                found.seen.add(keys[row])
                found.add(*field.relax(changed[row]))
                idle = 0
                break
    return np.array(found.positions)


def _changes(
    found: _ConformerSet, turns: Turns, thermal_energy: float, random: np.random.Generator
) -> tuple[_Array, list[bytes]]:
    """Return geometries (m, n, 3) with new combinations of angles, and these combinations."""
    energies = np.array(found.energies)
    weights = np.exp(-(energies - energies.min()) / thermal_energy)
    parents = random.choice(len(energies), _TRIALS, p=weights / weights.sum())
    present = np.array(found.angles)[parents]
    states = turns.nearest(present)
    width = min(_MOST_CHANGED, len(turns.counts))
    chosen = random.random(states.shape).argsort(axis=1)[:, :width]
    changes = np.arange(width) < random.integers(1, width + 1, _TRIALS)[:, None]
    rows = np.arange(_TRIALS)[:, None]
    step = 1 + np.floor(random.random(chosen.shape) * (turns.counts[chosen] - 1)).astype(np.int64)
    new = np.where(changes, (states[rows, chosen] + step) % turns.counts[chosen], 0)
    states[rows, chosen] = np.where(changes, new, states[rows, chosen])
    keys = [state.tobytes() for state in states]
    fresh = [row for row, key in enumerate(keys) if key not in found.seen]
    positions = np.array(found.positions)[parents[fresh]]
    for place in range(width):
        rotor = chosen[fresh, place]
        turn = turns.angles[rotor, new[fresh, place]] - present[fresh, rotor]
        positions = turns.turn(positions, rotor, np.where(changes[fresh, place], turn, 0.0))
    return positions, [keys[row] for row in fresh]
