"""Restraints of two ligands: one in the site, one in the solvent, both with the same orientation.

None of them changes the free energy between the ends of a transfer. The positional restraints act
on the anchors. They restrain one anchor to the site and the other to the solvent, whichever ligands
are there. The alignment depends on the relative orientation of the ligands. The ligand in the
solvent may rotate freely, so the contribution of the alignment at both ends is the same integral
over all rotations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import openmm

__all__ = ["SITE", "Restraints", "add_restraints"]

#: Name of the restraint to the site.
SITE = "site"

# Three atoms of each ligand define a frame. With vectors a and b from the first atom to the others,
# e is the unit vector along a, and n that along the normal c = a x b. OpenMM requires that
# definitions follow their use.
_FRAMES = ((1, (1, 2, 3)), (2, (4, 5, 6)))
_ALIGNMENT = ";".join(
    [
        "0.5*k*(2-ex1*ex2-ey1*ey2-ez1*ez2-nx1*nx2-ny1*ny2-nz1*nz2)",
        *(f"e{x}{i}=a{x}{i}/a{i};n{x}{i}=c{x}{i}/c{i}" for i, _ in _FRAMES for x in "xyz"),
        *(f"a{i}=sqrt(ax{i}^2+ay{i}^2+az{i}^2)" for i, _ in _FRAMES),
        *(f"c{i}=sqrt(cx{i}^2+cy{i}^2+cz{i}^2)" for i, _ in _FRAMES),
        *(
            f"c{x}{i}=a{y}{i}*b{z}{i}-a{z}{i}*b{y}{i}"
            for i, _ in _FRAMES
            for x, y, z in ("xyz", "yzx", "zxy")
        ),
        *(
            f"a{x}{i}={x}{q}-{x}{p};b{x}{i}={x}{r}-{x}{p}"
            for i, (p, q, r) in _FRAMES
            for x in "xyz"
        ),
    ]
)


@dataclass(frozen=True)
class Restraints:
    """Which atoms are restrained, and how strongly.

    Attributes:
        first: three atoms of the ligand in the site that are not on a line; the first one is the
            anchor.
        second: the corresponding three atoms of the other ligand.
        site: receptor atoms around the site; empty without a receptor.
        radius: largest distance of the anchor from the centre of these atoms, nm.
        receptor: atoms from which the anchor in the solvent is kept away.
        clearance: smallest distance of that anchor from these atoms, nm.
        alignment: energy of turning one ligand's axis by 180 degrees, kJ/mol.
        strength: force constant beyond radius and below clearance, kJ/mol/nm^2.
    """

    first: tuple[int, int, int]
    second: tuple[int, int, int]
    site: Sequence[int]
    radius: float
    receptor: Sequence[int]
    clearance: float
    alignment: float
    strength: float


def add_restraints(system: openmm.System, restraints: Restraints) -> None:
    """Add the restraints of a transfer to a System, in place.

    Args:
        system: from `create_transfer_system`.
        restraints: to add. An alignment of zero is left out, as are restraints to no atoms.
    """
    periodic = system.usesPeriodicBoundaryConditions()
    if restraints.alignment > 0:
        system.addForce(_alignment(restraints))
    if len(restraints.site):
        system.addForce(_site(restraints, periodic))
    if len(restraints.receptor):
        system.addForce(_separation(restraints, periodic))


def _alignment(restraints: Restraints) -> openmm.Force:
    """Return k/2 [(1 - e1.e2) + (1 - n1.n2)] of the axes and the normals of both frames.

    The frames depend only on vectors within a molecule, so the force needs no periodic box.
    """
    force = openmm.CustomCompoundBondForce(6, _ALIGNMENT)
    force.addPerBondParameter("k")
    force.addBond([*restraints.first, *restraints.second], [restraints.alignment])
    force.setName("alignment")
    return force


def _site(restraints: Restraints, periodic: bool) -> openmm.Force:
    """Return the restraint of the first anchor to its distance from the centre of the site."""
    force = openmm.CustomCentroidBondForce(2, "0.5*k*max(0, distance(g1, g2)-radius)^2")
    force.addPerBondParameter("k")
    force.addPerBondParameter("radius")
    force.addGroup(list(restraints.site), [1.0] * len(restraints.site))
    force.addGroup([restraints.first[0]], [1.0])
    force.addBond([0, 1], [restraints.strength, restraints.radius])
    force.setUsesPeriodicBoundaryConditions(periodic)
    force.setName(SITE)
    return force


def _separation(restraints: Restraints, periodic: bool) -> openmm.Force:
    """Return the repulsion of the second anchor from every atom of the receptor."""
    force = openmm.CustomBondForce("0.5*apart_strength*max(0, clearance-r)^2")
    force.addGlobalParameter("apart_strength", restraints.strength)
    force.addGlobalParameter("clearance", restraints.clearance)
    for atom in restraints.receptor:
        force.addBond(restraints.second[0], int(atom))
    force.setUsesPeriodicBoundaryConditions(periodic)
    force.setName("apart")
    return force
