"""Read or build the MM system of a run and check it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import openmm
from openmm import unit

from nnpmm.core.errors import InputFileError
from nnpmm.core.geometry import make_whole
from nnpmm.core.units import in_md_units
from nnpmm.structures.amoeba_terms import shorten_amoeba_terms
from nnpmm.structures.bonds import constrained_pairs
from nnpmm.structures.inputs.amber import load_amber
from nnpmm.structures.inputs.amoeba import load_amoeba
from nnpmm.structures.inputs.build import build_system
from nnpmm.structures.inputs.charmm import load_charmm
from nnpmm.structures.inputs.checks import (
    check_accepted,
    check_contacts,
    check_cutoffs,
    check_positive_masses,
)
from nnpmm.structures.inputs.ensemble_forces import remove_ensemble_forces
from nnpmm.structures.inputs.gromacs import load_gromacs
from nnpmm.structures.inputs.openmm_xml import load_openmm
from nnpmm.structures.inputs.sources import (
    AmberSystem,
    AmoebaSystem,
    CharmmSystem,
    Ensemble,
    GromacsSystem,
    OpenmmSystem,
    SystemSource,
    TinkerSystem,
)
from nnpmm.structures.inputs.tinker import load_tinker
from nnpmm.structures.mm_system import MMSystem

__all__ = ["load_system"]

# Name of the cutoff in messages; a serialized System contains its cutoff.
_CUTOFF = {
    "openmm": "system.system: the cutoff in the serialized System",
    "amoeba": "system.vdw_cutoff",
    "tinker": "system.vdw_cutoff (vdw-cutoff in the key file)",
}


def load_system(
    source: SystemSource,
    *,
    ensemble: Ensemble = "NVT",
    seed: int = 0,
    constrain_hydrogens: bool = True,
) -> MMSystem:
    """Read or build an MM system, check it, and join molecules that the boundary splits.

    Thermostats and barostats in its files are removed; the caller adds those of the ensemble.

    Args:
        source: the files and their options, or what to build.
        ensemble: the ensemble to be sampled; decides which barostat is removed without a warning.
        seed: of a built system's conformer and ions.
        constrain_hydrogens: whether a built system's solute has constrained bonds to hydrogen.

    Raises:
        InputFileError: a file is missing, has the wrong type, or disagrees with another.
        ConfigError: an option does not fit the input.
    """
    if isinstance(source, AmberSystem):
        loaded = load_amber(source)
    elif isinstance(source, GromacsSystem):
        loaded = load_gromacs(source)
    elif isinstance(source, CharmmSystem):
        loaded = load_charmm(source)
    elif isinstance(source, TinkerSystem):
        loaded = load_tinker(source)
    elif isinstance(source, AmoebaSystem):
        loaded = load_amoeba(source)
    elif isinstance(source, OpenmmSystem):
        loaded = load_openmm(source)
    else:
        loaded = build_system(source, seed, constrain_hydrogens=constrain_hydrogens)
    return _finish(loaded, ensemble, source.type)


def _finish(loaded: MMSystem, ensemble: Ensemble, kind: str) -> MMSystem:
    """Check the counts and values, drop barostats, and join split molecules."""
    n_atoms, n_particles = loaded.topology.getNumAtoms(), loaded.system.getNumParticles()
    if not n_atoms == n_particles == len(loaded.positions):
        raise InputFileError(
            f"the topology has {n_atoms} atoms, the system {n_particles} and the coordinates "
            f"{len(loaded.positions)}: give files of the same structure"
        )
    if not np.isfinite(loaded.positions).all():
        atom = int(np.flatnonzero(~np.isfinite(loaded.positions).all(axis=1))[0])
        raise InputFileError(f"the coordinates of atom {atom + 1} are not finite numbers")
    box = loaded.box_vectors if loaded.system.usesPeriodicBoundaryConditions() else None
    if box is None and loaded.system.usesPeriodicBoundaryConditions():
        box = in_md_units(loaded.system.getDefaultPeriodicBoxVectors(), unit.nanometer)
    remove_ensemble_forces(loaded.system, ensemble)
    shorten_amoeba_terms(loaded.system)
    vectors = None if box is None else [openmm.Vec3(*row) for row in box] * unit.nanometer
    loaded.topology.setPeriodicBoxVectors(vectors)
    if vectors is not None and box is not None:
        loaded.system.setDefaultPeriodicBoxVectors(*vectors)
        check_cutoffs(loaded.system, box, ensemble, _CUTOFF.get(kind, "system.cutoff"))
    check_positive_masses(loaded.topology, loaded.system)
    check_accepted(loaded.system)
    check_contacts(loaded.topology, loaded.system, loaded.positions, box)
    # Rigid water may have only constraints, and no bonds in the topology.
    bonds = [(a.index, b.index) for a, b in loaded.topology.bonds()]
    pairs = bonds + constrained_pairs(loaded.system)
    positions = make_whole(loaded.positions, box, pairs, gather=False)
    return replace(loaded, positions=positions, box_vectors=box)
