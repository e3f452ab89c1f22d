"""A System in which two molecules can exchange their positions.

V = V_0 + V(u0, u1; lambda), where u0 is the energy of all terms that depend on the positions of the
two molecules, and u1 the same energy after the transfer: the first molecule is displaced by a
vector d, the second by -d. The vector d points from an atom of the first to an atom of the second
molecule, so it does not refer to axes of the laboratory: complex and molecules may rotate and
drift. The transfer is its own inverse and preserves volume, so the free energy between its ends
needs no correction.

Terms within a molecule do not change when it moves as a rigid body. Bonded terms and the network on
a molecule therefore stay outside and are evaluated only once in each step. This also holds for
subtractive embedding, because the subtracted energy depends only on the region. It does not hold
for electrostatic embedding, which is refused.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.atom_indices import atom_indices
from nnpmm.core.errors import ForceFieldError, RegionError
from nnpmm.coupling import Role, role_of
from nnpmm.coupling.boundary import attached_sites
from nnpmm.coupling.forces import FORCELESS, find_nonbonded_force
from nnpmm.coupling.region_charge import CHARGE_ROUNDING
from nnpmm.coupling.roles import NETWORKS
from nnpmm.coupling.terms import BONDED, term_atoms
from nnpmm.freeenergy.relative.states import ENERGY_FUNCTION, PARAMETERS
from nnpmm.structures.bonds import constrained_pairs

__all__ = ["create_transfer_system", "transfer_positions"]

# Terms within a region. Whether the region is one molecule is checked for its network.
_WITHIN_REGION = (Role.REGION_FORCE_FIELD, Role.NEGATED_INNER_POTENTIAL, Role.CONNECTIVITY)
_MOVED = (
    openmm.NonbondedForce,
    openmm.CustomNonbondedForce,
    openmm.GBSAOBCForce,
    openmm.CustomGBForce,
    openmm.LCPOForce,
)
_INDEPENDENT_OF_POSITIONS = (*FORCELESS, openmm.CustomVolumeForce)


def create_transfer_system(
    system: openmm.System,
    first: Iterable[int] | NDArray[Any],
    second: Iterable[int] | NDArray[Any],
    anchors: tuple[int, int],
    *,
    network_inside: bool = False,
) -> openmm.System:
    """Return a System in which two molecules can change places.

    Its energy at the default parameters is that of the given System. The parameters are those of
    `nnpmm.freeenergy.relative.TransferState`.

    Args:
        system: an MM system, or a hybrid system. It is not changed. If networks describe both
            molecules, each must be a separate region.
        first: 0-based indices of the atoms of the molecule in the site.
        second: indices of the atoms of the molecule far from the site.
        anchors: an atom of the first and one of the second molecule, which define the vector d.
        network_inside: evaluate networks before and after the transfer, as a slow reference that
            gives the same energies.

    Raises:
        RegionError: the molecules share atoms, an anchor is in neither, a bond is cut, their
            charges differ, or a network depends on other atoms than those of one of them.
        ForceFieldError: not exactly one NonbondedForce, or a force that is not supported.
    """
    sets = _whole_molecules(system, first, second)
    for anchor, atoms in zip(anchors, sets, strict=True):
        if anchor not in atoms:
            raise RegionError(f"found the anchor {anchor}, allowed: an atom of the same molecule")
    for force in system.getForces():
        if role_of(force) in NETWORKS:
            _refuse_shared_network(force, sets)
    nonbonded = find_nonbonded_force(system)
    pairs = (nonbonded.getExceptionParameters(n)[:2] for n in range(nonbonded.getNumExceptions()))
    _refuse_joined(pairs, sets, "a 1-2, 1-3 or 1-4 pair")
    _refuse_joined(constrained_pairs(system), sets, "a constraint")
    _refuse_other_charge(nonbonded, sets)
    new = copy.deepcopy(system)
    transfer = _create_force(new.getNumParticles(), sets, anchors)
    for index in reversed(range(new.getNumForces())):
        force = new.getForce(index)
        if _changes(force, sets) or (network_inside and role_of(force) in NETWORKS):
            transfer.addForce(copy.deepcopy(force))
            new.removeForce(index)
    transfer.setForceGroup(nonbonded.getForceGroup())
    new.addForce(transfer)
    return new


def transfer_positions(
    positions: NDArray[np.float64],
    first: Iterable[int],
    second: Iterable[int],
    anchors: tuple[int, int],
) -> NDArray[np.float64]:
    """Return positions (n, 3) in which two molecules have changed places.

    Args:
        positions: (n, 3) in nm.
        first: atoms of the first molecule.
        second: of the second.
        anchors: an atom of each.
    """
    moved = np.array(positions, dtype=np.float64)
    shift = moved[anchors[1]] - moved[anchors[0]]
    moved[list(first)] += shift
    moved[list(second)] -= shift
    return moved


def _whole_molecules(
    system: openmm.System,
    first: Iterable[int] | NDArray[Any],
    second: Iterable[int] | NDArray[Any],
) -> tuple[set[int], set[int]]:
    """Return the particles of both molecules, their virtual sites included."""
    found = []
    for molecule in (first, second):
        members = set(atom_indices(molecule, system.getNumParticles()).tolist())
        found.append(members | set(attached_sites(system, members).tolist()))
    shared = found[0] & found[1]
    if shared:
        raise RegionError(
            f"the two molecules share {len(shared)} atoms, the first is {min(shared)}; allowed: "
            "two molecules"
        )
    return found[0], found[1]


def _refuse_other_charge(force: openmm.NonbondedForce, sets: tuple[set[int], set[int]]) -> None:
    charges = [sum(force.getParticleParameters(i)[0]._value for i in atoms) for atoms in sets]
    if abs(charges[0] - charges[1]) > CHARGE_ROUNDING:
        raise RegionError(
            f"the molecules have charges of {charges[0]:+.3f} and {charges[1]:+.3f} e; allowed: "
            "the same charge, since moving a net charge depends on the size of the box"
        )


def _refuse_joined(
    groups: Iterable[Iterable[int]], sets: tuple[set[int], set[int]], what: str
) -> None:
    """Refuse a term that joins a part of a molecule with other atoms."""
    for group in groups:
        atoms = set(group)
        for molecule in sets:
            if atoms & molecule and not atoms <= molecule:
                raise RegionError(
                    f"{what} joins atoms {sorted(atoms)}, of which one molecule contains "
                    f"{sorted(atoms & molecule)}; select whole molecules"
                )


def _create_force(
    count: int, sets: tuple[set[int], set[int]], anchors: tuple[int, int]
) -> openmm.ATMForce:
    force = openmm.ATMForce(ENERGY_FUNCTION)
    for name, value in PARAMETERS.items():
        force.addGlobalParameter(name, value)
    # Destination and origin of the displacement of each molecule.
    displacements = ((anchors[1], anchors[0]), anchors)
    for atom in range(count):
        molecule = next((n for n, atoms in enumerate(sets) if atom in atoms), None)
        if molecule is None:
            force.addParticle()
            continue
        displacement = openmm.ParticleOffsetDisplacement(*displacements[molecule])
        displacement.thisown = 0  # the force deletes it, but OpenMM 8.6 leaves it to Python too
        force.addParticle(displacement)
    return force


def _changes(force: openmm.Force, sets: tuple[set[int], set[int]]) -> bool:
    """Return whether the energy of a force changes in the transfer.

    Raises:
        RegionError: a bonded term joins a part of a molecule with other atoms.
        ForceFieldError: a class of force that is not supported.
    """
    role = role_of(force)
    if role in (*NETWORKS, *_WITHIN_REGION) or type(force) in _INDEPENDENT_OF_POSITIONS:
        return False
    if type(force) in BONDED:
        _refuse_joined(term_atoms(force), sets, f"a term of the {type(force).__name__}")
        return False
    if type(force) in _MOVED:
        return True
    allowed = ", ".join(kind.__name__ for kind in (*BONDED, *_MOVED))
    raise ForceFieldError(
        f"found a {type(force).__name__} named {force.getName()!r}, which alchemical transfer does "
        f"not support; supported: {allowed}, and the networks of hybrid systems"
    )


def _refuse_shared_network(force: openmm.Force, sets: tuple[set[int], set[int]]) -> None:
    if not hasattr(force, "getParticles"):
        raise ForceFieldError(
            f"found a network in a {type(force).__name__}, which does not state its atoms; couple "
            "with transport='python'"
        )
    atoms = set(force.getParticles()) or set.union(*sets)  # an empty list stands for all atoms
    for molecule in sets:
        if atoms & molecule and not atoms <= molecule:
            raise RegionError(
                "found one network on both molecules, or one that depends on one and other atoms, "
                "so that its energy changes with their distance; couple each molecule as a "
                "separate region, by Mechanical or Subtractive"
            )
