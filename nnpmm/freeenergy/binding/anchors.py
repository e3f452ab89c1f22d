"""Six anchors for a Boresch restraint, chosen from a run of the complex without one.

The chosen set perturbs the complex least: among all sets without collinear anchors, its restraint,
with reference values at the averages of the run, has the smallest mean energy in the run. The
search is a beam search in three steps (a and the ligand's chain; b; c), which keeps the best sets
after each step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from openmm import app

from nnpmm.core.errors import SimulationError
from nnpmm.core.superposition import superposed
from nnpmm.freeenergy.binding.boresch import (
    COORDINATES,
    BoreschRestraint,
    anchor_coordinates,
    bond_angle,
    deviations,
    least_angle,
    require_no_collinear_anchors,
    restraint_energies,
    torsion_angle,
)
from nnpmm.freeenergy.binding.candidates import (
    fluctuations,
    ligand_chains,
    receptor_candidates,
)
from nnpmm.freeenergy.binding.site import Site, Solute
from nnpmm.freeenergy.estimators import thermal_energy
from nnpmm.structures.selection import atom_label

__all__ = ["AnchorChoice", "choose_anchors", "describe_anchors", "reference_values"]

_FRAMES = 200  # of the run, which the search uses
_BEAM = 30  # sets that the search keeps after each step
_BENT = np.radians([30.0, 150.0])  # range of the angles c-b-a of the receptor and A-B-C
_SAME_POSE = np.radians(60.0)  # largest deviation of an angle from the most typical frame


@dataclass(frozen=True, eq=False)
class AnchorChoice:
    """A restraint and why it was chosen.

    Attributes:
        restraint: with 0-based indices of the whole system's atoms.
        coordinates: (frames, 6) of the run, nm and rad.
        fluctuations: (6,) root-mean-square fluctuations of the anchors, receptor superposed, nm.
        labels: (6,) of the anchors.
        reasons: sentences.
    """

    restraint: BoreschRestraint
    coordinates: NDArray[np.float64]
    fluctuations: NDArray[np.float64]
    labels: tuple[str, ...]
    reasons: tuple[str, ...]


def choose_anchors(
    topology: app.Topology,
    solute: Solute,
    site: Site,
    frames: NDArray[np.float64],
    *,
    springs: tuple[float, float],
    temperature: float,
) -> AnchorChoice:
    """Choose the anchors of a restraint.

    Args:
        topology: of the whole system.
        solute: receptor and ligand.
        site: that the ligand is in.
        frames: (frames, n, 3) of the solute in a run without restraint, whole, nm.
        springs: constants of the distance (kJ/mol/nm^2) and of the angles (kJ/mol/rad^2).
        temperature: K.

    Raises:
        SimulationError: the ligand has no chain of three heavy atoms, the receptor has too few
            rigid atoms, or all sets have collinear anchors.
    """
    frames = superposed(frames, site.receptor, site.reference)
    chains, of_ligand = ligand_chains(topology, solute)
    receptor, of_receptor = receptor_candidates(topology, solute, frames)
    search = _Search(frames[:: max(1, len(frames) // _FRAMES)], springs, temperature)
    best, count = search.best(receptor, chains)
    if best is None:
        raise SimulationError(
            f"found no anchors among {len(receptor)} atoms of the receptor and {len(chains)} "
            "chains of the ligand whose angles stay away from 0 and 180 degrees; give anchors, or "
            "a larger angle constant"
        )
    comparison = (
        f"{count} sets that are not collinear were compared; the least restraining was chosen"
    )
    rows = tuple(best)
    return describe_anchors(
        *(topology, solute, site, frames, rows),
        springs=springs,
        temperature=temperature,
        reasons=(of_ligand, of_receptor, comparison),
    )


def describe_anchors(
    topology: app.Topology,
    solute: Solute,
    site: Site,
    frames: NDArray[np.float64],
    rows: tuple[int, ...],
    *,
    springs: tuple[float, float],
    temperature: float,
    reasons: tuple[str, ...] = (),
) -> AnchorChoice:
    """Return the restraint of given anchors, with reference values at the averages of a run.

    Args:
        topology: of the whole system.
        solute: receptor and ligand.
        site: that the ligand is in.
        frames: (frames, n, 3) of the solute, whole, nm.
        rows: of c, b, a, A, B, C in the solute.
        springs: constants of the distance (kJ/mol/nm^2) and of the angles (kJ/mol/rad^2).
        temperature: K.
        reasons: sentences that come first.

    Raises:
        ConfigError: the anchors are nearly collinear.
    """
    coordinates = anchor_coordinates(frames[:, list(rows)])
    reference = reference_values(coordinates, springs)
    atoms = tuple(int(solute.atoms[row]) for row in rows)
    restraint = BoreschRestraint(
        atoms=atoms,
        reference=tuple(reference.tolist()),
        distance_constant=springs[0],
        angle_constant=springs[1],
    )
    require_no_collinear_anchors(restraint, temperature)
    aligned = superposed(frames, site.receptor, site.reference)
    all_atoms = list(topology.atoms())
    return AnchorChoice(
        restraint,
        coordinates,
        fluctuations(aligned)[list(rows)],
        tuple(atom_label(all_atoms[index]) for index in atoms),
        (*reasons, *_evidence(restraint, coordinates, thermal_energy(temperature))),
    )


def reference_values(
    coordinates: NDArray[np.float64], springs: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the averages (6,) of a run's coordinates (frames, 6), circular ones for torsions.

    If the ligand moves between several poses, averages over all frames would describe none of them.
    The averages are therefore over one pose: the frames whose angles and torsions are within 60
    degrees of the most typical frame. For a restraint with its reference at that frame, the mean
    energy of the run is lowest.

    Args:
        coordinates: nm and rad.
        springs: constants of the distance (kJ/mol/nm^2) and of the angles (kJ/mol/rad^2).
    """
    constants = np.array([springs[0], *(5 * [springs[1]])])
    candidates = coordinates[:: max(1, len(coordinates) // _FRAMES)]
    costs = [(deviations(coordinates, frame) ** 2 @ constants).mean() for frame in candidates]
    typical = candidates[int(np.argmin(costs))]
    difference = deviations(coordinates, typical)
    same_pose = (np.abs(difference[:, 1:]) < _SAME_POSE).all(axis=1)
    mean = typical + difference[same_pose].mean(axis=0)
    mean[3:] -= 2 * np.pi * np.floor(mean[3:] / (2 * np.pi) + 0.5)
    return np.asarray(mean)


class _Search:
    """Finds the anchors whose restraint has the least mean energy in some frames."""

    def __init__(
        self, frames: NDArray[np.float64], springs: tuple[float, float], temperature: float
    ) -> None:
        self._frames = frames
        self._distance, self._angle = (
            0.5 * spring / thermal_energy(temperature) for spring in springs
        )
        self._least = least_angle(springs[1], temperature)

    def best(
        self, receptor: NDArray[np.int64], chains: NDArray[np.int64]
    ) -> tuple[list[int] | None, int]:
        """Return the rows of c, b, a, A, B, C (None without a valid set), and the sets compared."""
        count = 0
        sets: list[_ScoredSet] = []
        candidates = self._frames[:, receptor]
        for chain in chains.tolist():
            first, second, third = (self._frames[:, [row]] for row in chain)
            if not _bent(first, second, third).all():
                continue
            distance = np.linalg.norm(candidates - first, axis=-1)
            theta = bond_angle(candidates, first, second)
            phi = torsion_angle(candidates, first, second, third)
            cost = self._distance * distance.var(axis=0)
            cost += self._angle * (theta.var(axis=0) + _circular_variance(phi))
            cost = np.where(self._out_of_line(theta), cost, np.inf)
            count += int(np.isfinite(cost).sum())
            sets += [(value, (row, *chain)) for value, row in zip(cost, receptor, strict=True)]
        sets = _cheapest(sets)
        for step in ("b", "c"):
            longer: list[_ScoredSet] = []
            for before, rows in sets:
                cost = before + self._added_cost(step, candidates, rows)
                cost = np.where(np.isin(receptor, rows), np.inf, cost)
                count += int(np.isfinite(cost).sum())
                longer += [(value, (row, *rows)) for value, row in zip(cost, receptor, strict=True)]
            sets = _cheapest(longer)
        return ([int(row) for row in sets[0][1]] if sets else None), count

    def _added_cost(
        self, step: str, candidates: NDArray[np.float64], rows: tuple[int, ...]
    ) -> NDArray[np.float64]:
        """Return the contribution of each candidate for anchor b or c to the mean energy, kT."""
        first, second, third = (self._frames[:, [row]] for row in rows[:3])
        with np.errstate(invalid="ignore", divide="ignore"):  # atoms that are anchors already
            theta = bond_angle(candidates, first, second)
            phi = torsion_angle(candidates, first, second, third)
        if step == "c":
            allowed = _bent(candidates, first, second).all(axis=0)
            return np.where(allowed, self._angle * _circular_variance(phi), np.inf)
        cost = self._angle * (theta.var(axis=0) + _circular_variance(phi))
        return np.where(self._out_of_line(theta), cost, np.inf)

    def _out_of_line(self, angles: NDArray[np.float64]) -> NDArray[np.bool_]:
        mean = angles.mean(axis=0)
        return np.asarray(np.minimum(mean, np.pi - mean) > self._least)


# The mean energy of a restraint, kT, and the rows of its anchors.
_ScoredSet = tuple[float, tuple[int, ...]]


def _cheapest(sets: list[_ScoredSet]) -> list[_ScoredSet]:
    """Return the sets that the search continues with."""
    return sorted(entry for entry in sets if np.isfinite(entry[0]))[:_BEAM]


def _bent(
    first: NDArray[np.float64], middle: NDArray[np.float64], last: NDArray[np.float64]
) -> NDArray[np.bool_]:
    angle = bond_angle(first, middle, last)
    return np.asarray((angle > _BENT[0]) & (angle < _BENT[1]))


def _circular_variance(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean square deviation of angles (frames, k) from their circular mean."""
    difference = angles - np.angle(np.exp(1j * angles).mean(axis=0))
    difference -= 2 * np.pi * np.round(difference / (2 * np.pi))
    return np.asarray((difference**2).mean(axis=0))


def _evidence(
    restraint: BoreschRestraint, coordinates: NDArray[np.float64], kt: float
) -> tuple[str, ...]:
    """Return sentences about the energy and the coordinates of a restraint in the run."""
    energy = restraint_energies(restraint, coordinates).mean() / kt
    widths = np.sqrt((deviations(coordinates, restraint.reference) ** 2).mean(axis=0))
    parts = [f"r {restraint.reference[0]:.3f} ± {widths[0]:.3f} nm"]
    for name, value, width in zip(
        COORDINATES[1:], np.degrees(restraint.reference[1:]), np.degrees(widths[1:]), strict=True
    ):
        parts.append(f"{name} {value:.0f} ± {width:.0f}")
    values = ", ".join(parts)
    text = f"in the run the restraint's energy would be {energy:.1f} kT on average ({values})"
    if energy <= 10:
        return (text,)
    return (
        text,
        "the ligand rotates in its site: the ladder has to restrain it to one pose, and equivalent "
        "poses that it reaches without a restraint do not count as a symmetry number",
    )
