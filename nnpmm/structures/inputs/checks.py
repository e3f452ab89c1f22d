"""Checks of an MM system before anything slow starts: cutoffs, contacts, indices."""

from __future__ import annotations

import logging

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit
from openmm.app.topology import Atom
from scipy.spatial import cKDTree

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.core.geometry import wrapped
from nnpmm.structures.inputs.sources import Ensemble

__all__ = ["check_accepted", "check_contacts", "check_cutoffs", "check_positive_masses"]

_LOGGER = logging.getLogger(__name__)
# nm: half the shortest bond between heavy atoms. Hydrogens may be closer, as in water that OpenMM
# has added, because a minimisation separates them.
_CLOSEST = 0.055
_NEIGHBOURS = 4  # per atom; a Drude particle or a copy of the atom may be among them
_AT_ONE_POINT = 10  # atoms; if more coincide, their coordinates were never set
_SHRINKS_BY = 0.05  # of the box's width, during the equilibration of a newly built box


def check_cutoffs(
    system: openmm.System, box: NDArray[np.float64], ensemble: Ensemble, setting: str
) -> None:
    """Check that no cutoff exceeds half the width of the periodic box.

    Args:
        system: the MM system.
        box: rows (3, 3) in nm, in OpenMM's reduced form.
        ensemble: with NPT, a cutoff just below the limit causes a warning.
        setting: the setting that the cutoffs come from.

    Raises:
        ConfigError: a cutoff is too long.
    """
    half = 0.5 * float(np.diag(box).min())
    for force in system.getForces():
        if not (hasattr(force, "getCutoffDistance") and force.usesPeriodicBoundaryConditions()):
            continue
        cutoff = force.getCutoffDistance()
        value = cutoff.value_in_unit(unit.nanometer) if unit.is_quantity(cutoff) else cutoff
        if value > half:
            raise ConfigError(
                f"{setting}: found {value:.6g} nm, allowed: at most {half:.6g} nm, half the width "
                "of the box: use a shorter cutoff or a larger box"
            )
        if ensemble == "NPT" and value > (1 - _SHRINKS_BY) * half:
            _LOGGER.warning(
                "%s: %.4g nm is nearly half the width of the box (%.4g nm): the run ends where "
                "constant pressure makes the box smaller",
                setting,
                value,
                half,
            )
            return


def check_contacts(
    topology: app.Topology,
    system: openmm.System,
    positions: NDArray[np.float64],
    box: NDArray[np.float64] | None,
) -> None:
    """Check that no two heavy atoms lie on top of each other.

    Virtual sites do not count, nor do pairs that the force field excludes (bonded atoms, Drude
    particles, two descriptions of one atom).

    Args:
        topology: names and elements of the atoms.
        system: the MM system.
        positions: (n_atoms, 3) in nm.
        box: rows (3, 3) in nm, or None. Contacts across its faces are not checked.

    Raises:
        InputFileError: two atoms overlap.
    """
    names = list(topology.atoms())
    heavy = [k for k, name in enumerate(names) if _is_heavy(name) and not system.isVirtualSite(k)]
    atoms = np.array(heavy, dtype=np.int64)
    points = positions[atoms]
    if box is not None:
        points = wrapped(points, box)
    most = int(np.unique(points, axis=0, return_counts=True)[1].max(initial=0))
    if most > _AT_ONE_POINT:
        raise InputFileError(
            f"{most} atoms lie at the same point: give coordinates for all of them"
        )
    close = _close_pairs(points, atoms, system)
    if close:
        distance, *pair = min(close)
        first, second = (
            f"{names[k].name} of {names[k].residue.name} {names[k].residue.id} (atom {k + 1})"
            for k in pair
        )
        raise InputFileError(
            f"overlapping atoms: {first} and {second} are {distance:.3f} nm apart (pairs like "
            f"this: {len(close)}): give better starting coordinates"
        )


def _close_pairs(
    points: NDArray[np.float64], atoms: NDArray[np.int64], system: openmm.System
) -> set[tuple[float, int, int]]:
    """Return distance (nm) and indices of the pairs that overlap and are not excluded."""
    if len(atoms) < 2:
        return set()
    distances, rows = cKDTree(points).query(
        points, k=min(_NEIGHBOURS, len(atoms)), distance_upper_bound=_CLOSEST
    )
    found = set()
    for row, column in zip(*np.nonzero(np.isfinite(distances)), strict=True):
        i, j = sorted((int(atoms[row]), int(atoms[rows[row, column]])))
        if i < j:
            found.add((float(distances[row, column]), i, j))
    excluded = _excluded(system) if found else set()
    return {pair for pair in found if pair[1:] not in excluded}


def _is_heavy(atom: Atom) -> bool:
    return atom.element is not None and atom.element.atomic_number > 1


def _excluded(system: openmm.System) -> set[tuple[int, int]]:
    """Return the pairs of atoms that have a nonbonded exception, sorted."""
    pairs = set()
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            for k in range(force.getNumExceptions()):
                i, j = force.getExceptionParameters(k)[:2]
                pairs.add((min(i, j), max(i, j)))
    return pairs


def check_positive_masses(topology: app.Topology, system: openmm.System) -> None:
    """Check that mass repartitioning has left no negative mass, which OpenMM accepts.

    Hydrogens of 4.1 amu, for example, exceed the mass of methane.

    Args:
        topology: names of the atoms.
        system: the MM system.

    Raises:
        InputFileError: a mass is negative.
    """
    for atom in topology.atoms():
        mass = system.getParticleMass(atom.index).value_in_unit(unit.dalton)
        if mass < 0:
            raise InputFileError(
                f"{atom.name} of {atom.residue.name} {atom.residue.id} (atom {atom.index + 1}) has "
                f"a mass of {mass:.3f} amu: set a smaller system.hydrogen_mass"
            )


def check_accepted(system: openmm.System) -> None:
    """Check that OpenMM accepts the system: indices in range, parameters for every particle.

    Raises:
        InputFileError: OpenMM does not.
    """
    platform = openmm.Platform.getPlatformByName("Reference")
    try:
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    except openmm.OpenMMException as error:
        text = " ".join(str(error).split())
        raise InputFileError(f"OpenMM refuses the MM system: {text[:300]}") from error
    del context
