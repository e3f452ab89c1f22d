"""A search for conformers as a game: an angle for each rotor, a minimisation, the score gained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.conformers.distance_geometry import etkdg_conformers
from nnpmm.conformers.gibbs import THERMAL_ENERGY, THRESHOLD, GibbsReference, GrowingScore
from nnpmm.conformers.monte_carlo import Turns
from nnpmm.conformers.screening import ForceField
from nnpmm.conformers.torsionnet.graph import MoleculeGraph
from nnpmm.core.errors import ConfigError
from nnpmm.torsions.internal import dihedral

__all__ = ["SCALARS", "Episode", "Observation", "Task"]

#: Number of features of the whole molecule in an observation.
SCALARS = 3
_SCALE = 0.1  # of energies in units of kT, so that inputs of the network are of order 1

_Array = NDArray[np.float64]
_Rows = NDArray[np.int64]


class Observation(NamedTuple):
    """The input of the policy for a conformer, in addition to its `MoleculeGraph`.

    Attributes:
        positions: of the nodes, nm, (n, 3).
        torsions: of the rotors, radians, (r,).
        scalars: energy of the last conformer and of the present one above the lowest so far, in
            units of 10 kT, and the fraction of conformers found, (3,).
    """

    positions: _Array
    torsions: _Array
    scalars: _Array


@dataclass(frozen=True, eq=False)
class Task:
    """A molecule to search, and the settings of its score.

    Attributes:
        molecule: n atoms, hydrogens explicit, with a conformer.
        turns: its rotors.
        graph: input of the policy.
        field: force field of minimisations and energies.
        reference: of the Gibbs score.
        thermal_energy: kT of the score and of the acceptance, kJ/mol.
        threshold: of the torsion fingerprint deviation.
        relaxation: largest number of steps of a minimisation.
    """

    molecule: Chem.Mol
    turns: Turns
    graph: MoleculeGraph
    field: ForceField
    reference: GibbsReference
    thermal_energy: float = THERMAL_ENERGY
    threshold: float = THRESHOLD
    relaxation: int = 200

    @classmethod
    def of(
        cls,
        molecule: Chem.Mol,
        reference: GibbsReference,
        *,
        variant: str = "MMFF94s",
        thermal_energy: float = THERMAL_ENERGY,
        threshold: float = THRESHOLD,
        relaxation: int = 200,
    ) -> Task:
        """Return the task of a molecule; for the arguments see the attributes.

        Raises:
            ConfigError: the molecule has nothing to turn, or no force field knows all its atoms.
        """
        turns = Turns.of(molecule)
        if len(turns.counts) == 0:
            raise ConfigError(
                "found no rotatable bond, of which the generator torsionnet needs at least one; "
                "use the generator etkdg"
            )
        graph, field = MoleculeGraph.of(molecule, turns), ForceField(molecule, variant=variant)
        return cls(molecule, turns, graph, field, reference, thermal_energy, threshold, relaxation)


class Episode:
    """One search, which starts from a minimised conformer of distance geometry.

    The next change starts from the new conformer if the Metropolis criterion accepts its energy,
    otherwise from the previous one.

    Args:
        task: molecule and settings.
        steps: number of conformers after the first.
        seed: of the first conformer and of the acceptance.
    """

    def __init__(self, task: Task, steps: int, *, seed: int) -> None:
        self._task, self._steps = task, steps
        self._random = np.random.default_rng(seed)
        start = etkdg_conformers(task.molecule, 1, seed=seed)[0]
        self.present, self._energy = task.field.relax(start, steps=task.relaxation)
        self._last = self._energy
        self.gibbs = GrowingScore(
            task.molecule,
            task.reference,
            most=steps + 1,
            thermal_energy=task.thermal_energy,
            threshold=task.threshold,
        )
        self.gibbs.add(self.present, self._energy)
        self.positions, self.energies = [self.present], [self._energy]

    @property
    def is_done(self) -> bool:
        """Whether all conformers are found."""
        return len(self.positions) > self._steps

    def observe(self) -> Observation:
        """Return the input of the policy."""
        lowest, kt = min(self.energies), self._task.thermal_energy
        above = [_SCALE * min((e - lowest) / kt, 50.0) for e in (self._last, self._energy)]
        return Observation(
            self.present[self._task.graph.atoms],
            dihedral(self.present, self._task.turns.torsions),
            np.array([*above, len(self.positions) / (self._steps + 1)]),
        )

    def step(self, action: _Rows) -> float:
        """Turn each rotor to an angle, minimise, and return the gain of the Gibbs score.

        Args:
            action: index of the new angle of each rotor, (r,); a rotor whose nearest angle this
                already is does not turn.
        """
        turns = self._task.turns
        torsions = dihedral(self.present, turns.torsions)
        new = self.present[None]
        for rotor in np.flatnonzero(turns.nearest(torsions) != action).tolist():
            turn = turns.angles[rotor, action[rotor]] - torsions[rotor]
            new = turns.turn(new, np.array([rotor]), np.array([turn]))
        relaxed, energy = self._task.field.relax(new[0], steps=self._task.relaxation)
        gained = self.gibbs.add(relaxed, energy)
        self.positions.append(relaxed)
        self.energies.append(energy)
        self._last = energy
        chance = np.exp(min(0.0, (self._energy - energy) / self._task.thermal_energy))
        if self._random.random() < chance:
            self.present, self._energy = relaxed, energy
        return gained
