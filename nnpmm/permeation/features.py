"""The eight features of a permeation run, in one pass over each of its two trajectories.

A run in water gives four and a run in a membrane the other four (Dutta et al., Digital Discovery
2023). The same pass records phi, the energies at unit well depth from which free energies of other
solutes follow (see ``martini.pair_energy``), and quantities that identify bad runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import SimulationError
from nnpmm.core.superposition import superposed_rmsd
from nnpmm.permeation.martini.engines import Frame
from nnpmm.permeation.martini.geometry import make_whole, minimum_image, solute_height
from nnpmm.permeation.martini.pair_energy import (
    channels,
    solute_epsilons,
    solute_phi,
    unit_lennard_jones,
)
from nnpmm.permeation.martini.system import MartiniSystem

__all__ = [
    "FEATURES",
    "FEATURE_NAMES",
    "MEMBRANE_FEATURES",
    "WATER_FEATURES",
    "Feature",
    "FeatureTable",
    "bead_sasa",
    "membrane_features",
    "water_features",
]


class Feature(NamedTuple):
    """A column: its published name, its unit and what it is."""

    name: str
    unit: str
    description: str


WATER_FEATURES = (
    Feature("bondener", "kJ/mol", "bond energy of the molecule"),
    Feature("lj-mol-wat", "kJ/mol", "Lennard-Jones energy molecule-water per bead"),
    Feature("molwat-enthalpy", "kJ/mol", "enthalpy (potential + kinetic + pV) of the water box"),
    Feature("sasa", "nm^2", "solvent-accessible surface of the molecule per bead"),
)
MEMBRANE_FEATURES = (
    Feature("lj-mol-lip", "kJ/mol", "Lennard-Jones energy molecule-lipids per bead"),
    Feature("apl", "nm^2", "area per lipid"),
    Feature("rmsd-lip", "nm", "RMSD of the lipids from the start of production, superposed"),
    Feature("rmsd-mollip", "nm", "the same of molecule and lipids"),
)
FEATURES = (*WATER_FEATURES, *MEMBRANE_FEATURES)
FEATURE_NAMES = tuple(feature.name for feature in FEATURES)

#: Half the distance of the potential's minimum at sigma = 0.47 nm; the probe is a bead of water.
BEAD_RADIUS = 2.0 ** (1.0 / 6.0) * 0.47 / 2.0
PROBE_RADIUS = BEAD_RADIUS
_SPHERE_POINTS = 4000
_LONGEST_BOND = 1.2  # nm; longer ones only occur in a system that blows up


@dataclass(frozen=True)
class FeatureTable:
    """The features of one trajectory.

    Attributes:
        values: (frames, 4) float32, the columns of ``WATER_FEATURES`` or ``MEMBRANE_FEATURES``.
        phi: (frames, beads, channels) float32, energies at unit well depth.
        inner: (frames, pairs) float32, the same between beads of the molecule that are not bonded.
        heights: (frames,) float32, nm above the centre of the lipids; NaN in water.
    """

    values: NDArray[np.float32]
    phi: NDArray[np.float32]
    inner: NDArray[np.float32]
    heights: NDArray[np.float32]

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the tables by name, for a file."""
        return {
            "features": self.values,
            "phi": self.phi,
            "inner": self.inner,
            "heights": self.heights,
        }


def inner_pairs(system: MartiniSystem) -> list[tuple[int, int]]:
    """Return the pairs of the solute's beads that interact: those that are not bonded."""
    beads = system.select("solute").tolist()
    bonded = {frozenset(bond[:2]) for bond in system.bonds}
    return [(i, j) for i in beads for j in beads if i < j and frozenset((i, j)) not in bonded]


def bead_sasa(molecules: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the solvent-accessible surface, nm^2, of whole molecules (frames, beads, 3), nm.

    By mdtraj's Shrake-Rupley algorithm with the radii of Martini beads.
    """
    import mdtraj

    topology = mdtraj.Topology()
    residue = topology.add_residue("SOL", topology.add_chain())
    for _ in range(molecules.shape[1]):
        topology.add_atom("C", mdtraj.element.carbon, residue)
    return np.asarray(
        mdtraj.shrake_rupley(
            mdtraj.Trajectory(molecules.astype(np.float32), topology),
            probe_radius=PROBE_RADIUS,
            n_sphere_points=_SPHERE_POINTS,
            change_radii={"C": BEAD_RADIUS},
            mode="residue",
        )[:, 0],
        dtype=np.float64,
    )


def water_features(
    system: MartiniSystem, frames: Iterable[Frame], enthalpies: NDArray[np.float64]
) -> FeatureTable:
    """Return the features of a solute in water; the first frame is the start and gives no row.

    Args:
        system: water and one solute.
        frames: of the production.
        enthalpies: (rows,) kJ/mol, of the frames but the first.

    Raises:
        SimulationError: the run blew up.
    """
    beads = system.select("solute")
    rows, molecules = _Rows(system), []
    for frame in islice(frames, 1, None):
        whole = make_whole(system, frame.positions, frame.box)
        rows.add(frame, whole, "water")
        molecules.append(whole[beads])
    surfaces = bead_sasa(np.array(molecules)) / len(beads)
    values = np.column_stack([rows.bonds, rows.lennard_jones, enthalpies, surfaces])
    return rows.table(values, np.full(len(values), np.nan))


def membrane_features(system: MartiniSystem, frames: Iterable[Frame]) -> FeatureTable:
    """Return the features of a solute in a membrane; RMSDs are from the first frame.

    Molecules are followed across the box, as ``gmx trjconv -pbc nojump`` does.

    Raises:
        SimulationError: the run blew up.
    """
    lipids, solute = system.select("lipid"), system.select("solute")
    both = np.concatenate([lipids, solute])
    rows = _Rows(system)
    values, heights = [], []
    first = last = None
    for frame in frames:
        if first is None or last is None:
            first = last = make_whole(system, frame.positions, frame.box)
            continue
        last = last + minimum_image(frame.positions - last, frame.box)
        rows.add(frame, make_whole(system, frame.positions, frame.box), "lipid")
        area = 2.0 * frame.box[0] * frame.box[1] / system.count("lipid")
        values.append(
            (
                rows.lennard_jones[-1],
                area,
                superposed_rmsd(last[lipids], first[lipids]),
                superposed_rmsd(last[both], first[both]),
            )
        )
        heights.append(solute_height(system, frame.positions, frame.box))
    return rows.table(np.array(values), np.array(heights))


class _Rows:
    """Collects what both kinds of run have in common."""

    def __init__(self, system: MartiniSystem):
        self._system = system
        self._channels = channels(system)
        self._beads = system.select("solute")
        self._pairs = inner_pairs(system)
        members = set(self._beads.tolist())
        self._bonds = [bond for bond in system.bonds if bond[0] in members]
        types = tuple(system.types[n] for n in self._beads)
        self._epsilons = solute_epsilons(types, self._channels)
        self.bonds: list[float] = []
        self.lennard_jones: list[float] = []
        self._phi: list[NDArray[np.float64]] = []
        self._inner: list[NDArray[np.float64]] = []

    def add(self, frame: Frame, whole: NDArray[np.float64], role: str) -> None:
        """Add a frame.

        Args:
            frame: as the engine wrote it.
            whole: its positions with whole molecules, nm.
            role: of the beads whose Lennard-Jones energy with the solute is a feature.

        Raises:
            SimulationError: the solute's bonds are broken.
        """
        bonds = np.array([np.linalg.norm(whole[i] - whole[j]) for i, j, _, _ in self._bonds])
        if not np.all(np.isfinite(frame.positions)) or np.any(bonds > _LONGEST_BOND):
            raise SimulationError(f"the solute flew apart at {frame.time:g} ps")
        constants = np.array([(length, k) for _, _, length, k in self._bonds]).reshape(-1, 2)
        self.bonds.append(float(np.sum(constants[:, 1] / 2.0 * (bonds - constants[:, 0]) ** 2)))
        phi = solute_phi(self._system, frame.positions, frame.box)
        chosen = np.array([channel.role == role for channel in self._channels])
        energy = float(np.sum((self._epsilons * phi)[:, chosen]))
        self.lennard_jones.append(energy / len(self._beads))
        self._phi.append(phi)
        distances = np.array([np.linalg.norm(whole[i] - whole[j]) for i, j in self._pairs])
        self._inner.append(unit_lennard_jones(distances, 0.47))

    def table(self, values: NDArray[np.float64], heights: NDArray[np.float64]) -> FeatureTable:
        """Return the table of all frames, with given columns of features and heights.

        Raises:
            SimulationError: some feature is not a number.
        """
        if not np.all(np.isfinite(values)):
            raise SimulationError("some features are not finite: the run blew up")
        return FeatureTable(
            values.astype(np.float32),
            np.array(self._phi, dtype=np.float32),
            np.array(self._inner, dtype=np.float32),
            heights.astype(np.float32),
        )
