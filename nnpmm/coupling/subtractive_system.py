"""The force field of a region alone, extracted from an MM system, without cutoff or box."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import openmm

from nnpmm.core.errors import ForceFieldError, RegionError
from nnpmm.coupling.binding import Region
from nnpmm.coupling.boundary import attached_sites
from nnpmm.coupling.forces import UNTOUCHED
from nnpmm.coupling.nonbonded import refuse_offsets
from nnpmm.coupling.roles import role_of
from nnpmm.coupling.terms import VALENCE
from nnpmm.models.openmm_potential import OpenMMPotential
from nnpmm.models.protocol import Evaluator

__all__ = ["IMPLICIT_SOLVENT", "PAIRWISE", "bind_force_field", "create_region_system"]

#: AMOEBA's implicit solvent, which like other implicit solvents does not act in vacuum.
IMPLICIT_SOLVENT = (openmm.AmoebaGeneralizedKirkwoodForce, openmm.AmoebaWcaDispersionForce)
#: Forces with parameters for every particle, and the XML element that lists these.
PAIRWISE: dict[type[openmm.Force], str] = {
    openmm.NonbondedForce: "Particles",
    openmm.CustomNonbondedForce: "Particles",
    openmm.AmoebaVdwForce: "VdwParticles",
    openmm.AmoebaMultipoleForce: "MultipoleParticles",
}
# Attributes of OpenMM's XML that are indices of particles: p1, p2, ... of terms, exceptions and
# virtual sites; a1 ... a4 and b1 ... b4 of the two torsions of a CMAP; the axis atoms and covalent
# maps of a multipole; the parent and the exclusions of a van der Waals particle.
_AXES = {"multipoleAtomX", "multipoleAtomY", "multipoleAtomZ"}
_INDICES = {
    *(f"{letter}{number}" for letter in "pab" for number in range(1, 21)),
    *_AXES,
    "ivIndex",
    "chiralCheckAtomIndex",
}
_TAGGED_INDICES = {("Cv", "v"), ("excl", "index")}  # element and attribute
_NONE = -1  # in place of an atom that a multipole's frame or a check of chirality does not need
_REASONS = {
    openmm.DrudeForce: ": the network does not describe Drude particles; use a force field with "
    "fixed charges, or AMOEBA",
    openmm.HippoNonbondedForce: ": it has charge penetration and charge transfer (HIPPO); use "
    "AMOEBA",
}


def create_region_system(system: openmm.System, atoms: list[int]) -> openmm.System:
    """Return a System of some atoms alone, in vacuum, with their force field.

    It contains the valence terms among these atoms, their pairs without cutoff and with all
    exceptions and exclusions, multipoles with axis atoms, covalent maps and polarization groups,
    and virtual sites. It contains no constraints, restraints, thermostats, barostats, implicit
    solvent, or forces of an earlier coupling.

    Args:
        system: a complete MM system.
        atoms: indices of its particles; virtual sites come after their atoms.

    Raises:
        RegionError: an exception, an exclusion, a multipole's frame or a polarization group joins
            these atoms and others.
        ForceFieldError: a force of a class that is not supported, or one whose parameters can
            change in a simulation.
    """
    rows = {atom: row for row, atom in enumerate(atoms)}
    region = _particles(system, rows)
    for force in system.getForces():
        if role_of(force) is not None or type(force) in (*UNTOUCHED, *IMPLICIT_SOLVENT):
            continue
        if type(force) in VALENCE:
            root = _valence(force, rows)
        elif type(force) in PAIRWISE:
            root = _pairs(force, rows)
        else:
            raise ForceFieldError(
                f"found a {type(force).__name__} named {force.getName()!r}, which subtractive "
                f"embedding does not support{_REASONS.get(type(force), '')}"
            )
        if root is not None:
            region.addForce(_in_vacuum(_deserialize(root)))
    return region


def bind_force_field(system: openmm.System, region: Region) -> Evaluator:
    """Return V_FF(R), the force field of the region alone in vacuum, as an evaluator of its atoms.

    Args:
        system: a complete MM system.
        region: whole molecules of it.

    Raises:
        RegionError, ForceFieldError: see `create_region_system`.
    """
    atoms = region.atoms.tolist()
    sites = attached_sites(system, set(atoms)).tolist()
    alone = OpenMMPotential(create_region_system(system, [*atoms, *sites]))
    numbers = [element.atomic_number for element in region.elements]
    return alone.bind(numbers, charge=region.charge)


def _particles(system: openmm.System, rows: dict[int, int]) -> openmm.System:
    """Return a System of the particles with their masses and virtual sites, without forces."""
    if not any(system.isVirtualSite(atom) for atom in rows):
        region = openmm.System()
        for atom in rows:
            region.addParticle(system.getParticleMass(atom))
        return region
    # The XML of a system without forces defines virtual sites of every kind.
    emptied = copy.deepcopy(system)
    while emptied.getNumForces():
        emptied.removeForce(0)
    root = _serialize(emptied)
    _find(root, "Constraints", "System")[:] = []
    listed = _find(root, "Particles", "System")
    listed[:] = [listed[atom] for atom in rows]
    _renumber(root, rows)
    particles: openmm.System = _deserialize(root)
    return particles


def _valence(force: openmm.Force, rows: dict[int, int]) -> ElementTree.Element | None:
    """Return the XML of a force with only the terms among the atoms, None if there are none."""
    root = _serialize(force)
    listed = _find(root, VALENCE[type(force)], type(force).__name__)
    listed[:] = [
        term
        for term in listed
        if all(index in rows or index == _NONE for _, _, index in _indices(term))
    ]
    if not len(listed):
        return None
    _refuse_parameters(force)
    _renumber(root, rows)
    return root


def _pairs(force: openmm.Force, rows: dict[int, int]) -> ElementTree.Element | None:
    """Return the XML of a force with the parameters, exceptions and exclusions of the atoms."""
    if type(force) is openmm.NonbondedForce:
        refuse_offsets(force, set(rows))
    root = _serialize(force)
    listed = _find(root, PAIRWISE[type(force)], type(force).__name__)
    listed[:] = [listed[atom] for atom in rows]
    for name in ("ParticleOffsets", "ExceptionOffsets"):  # of other atoms
        for found in root.iter(name):
            found[:] = []
    for name in ("Exceptions", "Exclusions"):
        for found in root.iter(name):
            found[:] = [pair for pair in found if _belongs(pair, rows)]
    if type(force) is openmm.CustomNonbondedForce:
        if not _keep_interaction_groups(root, rows):
            return None
        _refuse_parameters(force)
    _renumber(root, rows)
    return root


def _belongs(pair: ElementTree.Element, rows: dict[int, int]) -> bool:
    """Return whether a pair is inside the region; refuse one that joins it to other atoms."""
    inside = [index in rows for _, _, index in _indices(pair)]
    if any(inside) and not all(inside):
        raise RegionError(
            f"the region cuts the 1-2, 1-3 or 1-4 pair of atoms {pair.get('p1')} and "
            f"{pair.get('p2')}; select whole molecules"
        )
    return all(inside)


def _keep_interaction_groups(root: ElementTree.Element, rows: dict[int, int]) -> bool:
    """Restrict interaction groups to the atoms, in place; return whether any pair remains."""
    groups = _find(root, "InteractionGroups", "CustomNonbondedForce")
    if not len(groups):
        return True
    for group in groups:
        for members in group:
            members[:] = [m for m in members if int(m.get("index", _NONE)) in rows]
            for member in members:
                member.set("index", str(rows[int(member.get("index", _NONE))]))
    groups[:] = [group for group in groups if all(len(members) for members in group)]
    return bool(len(groups))


def _indices(root: ElementTree.Element) -> Iterator[tuple[ElementTree.Element, str, int]]:
    """Yield each attribute that is the index of a particle: element, name, index."""
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name in _INDICES or (element.tag, name) in _TAGGED_INDICES:
                yield element, name, int(value)


def _renumber(root: ElementTree.Element, rows: dict[int, int]) -> None:
    """Turn indices of the system's particles into those of the region's, in place."""
    for element, name, index in _indices(root):
        if index == _NONE:
            continue
        if index not in rows:
            raise RegionError(
                f"the region cuts a molecule of the force field: a {_description(element, name)} "
                f"joins it to atom {index}; select whole molecules"
            )
        element.set(name, str(rows[index]))


def _description(element: ElementTree.Element, name: str) -> str:
    """Return what an index belongs to, for a message."""
    if name in _AXES:
        return "multipole's frame"
    return {
        "Cv": "polarization group or covalent map of a multipole",
        "excl": "van der Waals exclusion",
    }.get(element.tag, "van der Waals centre" if name == "ivIndex" else "term")


def _refuse_parameters(force: openmm.Force) -> None:
    """Refuse a force whose energy depends on parameters that a context can change."""
    count: Callable[[], int] = getattr(force, "getNumGlobalParameters", lambda: 0)
    if count():
        names = [force.getGlobalParameterName(index) for index in range(count())]
        raise ForceFieldError(
            f"found a {type(force).__name__} named {force.getName()!r} that acts inside the region "
            f"and has global parameters ({', '.join(names)}), which the region's own energy would "
            "not follow; couple the region first, and add such a force afterwards"
        )


def _in_vacuum(force: Any) -> Any:
    """Remove the cutoff and the box from a force, in place, and return it."""
    kind = type(force)
    force.setForceGroup(0)
    if kind in VALENCE:
        force.setUsesPeriodicBoundaryConditions(False)
        return force
    force.setNonbondedMethod(kind.NoCutoff)
    if kind is openmm.NonbondedForce:
        force.setExceptionsUsePeriodicBoundaryConditions(False)
        force.setReciprocalSpaceForceGroup(-1)
        force.setIncludeDirectSpace(True)
    if kind is openmm.CustomNonbondedForce:
        force.setUseLongRangeCorrection(False)
    return force


def _find(root: ElementTree.Element, tag: str, kind: str) -> ElementTree.Element:
    found = root.find(tag)
    if found is None:
        raise RuntimeError(f"OpenMM's XML of a {kind} has changed")
    return found


def _serialize(what: Any) -> ElementTree.Element:
    return ElementTree.fromstring(openmm.XmlSerializer.serialize(what))


def _deserialize(root: ElementTree.Element) -> Any:
    return openmm.XmlSerializer.deserialize(ElementTree.tostring(root, encoding="unicode"))
