"""Sections of a GROMACS topology that OpenMM's reader ignores.

The reader silently ignores every section that it does not know. The directives of GROMACS are those
of the reference manual 2025, "Topology file formats", table 18.
"""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

from openmm import app

from nnpmm.core.errors import InputFileError

__all__ = ["TopologyFile", "check_directives"]

_LOGGER = logging.getLogger(__name__)

_READ = frozenset(
    "defaults atomtypes bondtypes pairtypes angletypes dihedraltypes cmaptypes nonbond_params "
    "moleculetype atoms bonds pairs angles dihedrals exclusions constraints settles cmap "
    "virtual_sites2 dummies2 virtual_sites3 dummies3 molecules".split()
)
# The title, and tables that are used only together with something that OpenMM refuses, or that
# GROMACS itself no longer supports.
_WITHOUT_EFFECT = frozenset(
    "system constrainttypes implicit_genborn_params implicit_surface_params".split()
)
_RESTRAINTS = frozenset(
    "position_restraints angle_restraints angle_restraints_z dihedral_restraints "
    "distance_restraints orientation_restraints".split()
)
# These are part of the force field: without them the energy would be different.
_BETWEEN_MOLECULES = "intermolecular_interactions"
_FORCE_FIELD = frozenset(
    f"{_BETWEEN_MOLECULES} pairs_nb polarization water_polarization thole_polarization "
    "virtual_sites1 virtual_sites4 virtual_sitesn dummies1 dummies4 dummiesn".split()
)


class TopologyFile(app.GromacsTopFile):
    """OpenMM's reader, which also counts the lines of every section outside of false #ifdefs.

    Attributes:
        section_lines: number of lines by section and by molecule type (None before the first).
    """

    def __init__(self, file: str, **options: Any):
        self.section_lines: Counter[tuple[str, str | None]] = Counter()
        super().__init__(file, **options)

    def _processLine(self, line: str, file: str) -> None:
        super()._processLine(line, file)
        text = line.partition(";")[0].strip()
        if not text or text[0] in "*#" or not all(self._ifStack) or self._currentCategory is None:
            return
        molecule = self._currentMoleculeType
        if text[0] != "[":
            self.section_lines[self._currentCategory, molecule and molecule.name] += 1
        elif self._currentCategory == _BETWEEN_MOLECULES:
            # OpenMM would add the terms of the following sections to the last molecule type.
            self.section_lines[_BETWEEN_MOLECULES, None] += 1
        if molecule is not None:
            molecule.has_virtual_sites = False  # OpenMM's error would not name the section


def check_directives(top: TopologyFile, path: Path) -> None:
    """Warn of restraints that OpenMM's reader ignores, and refuse ignored force-field sections.

    Sections of molecule types that the system does not contain are not checked.

    Args:
        top: the topology.
        path: its file.

    Raises:
        InputFileError: OpenMM's reader ignores a section of the force field.
    """
    used = {name for name, count in top._molecules if count > 0}
    dropped: Counter[str] = Counter()
    for (section, molecule), lines in top.section_lines.items():
        if section not in _READ | _WITHOUT_EFFECT and (molecule is None or molecule in used):
            dropped[section] += lines
    for section in dropped:
        if section not in _RESTRAINTS:
            raise InputFileError(f"{path}: {_reason(section)}")
    _check_constraints(top, used, path)
    if dropped:
        listed = ", ".join(f"[ {name} ] (lines: {lines})" for name, lines in dropped.items())
        _LOGGER.warning(
            "%s: %s: left out, because a run reads no restraints from the topology; to restrain "
            "atoms while the system heats up, name them under stages.warmup.restraint",
            path.name,
            listed,
        )


def _reason(section: str) -> str:
    """Return why a section cannot be ignored, for a message."""
    spelling = section.lower().replace("-", "_")
    if section in _FORCE_FIELD:
        return (
            f"found the section [ {section} ], which is part of the force field and which OpenMM "
            "does not read: convert the system to another format (for example with ParmEd), or "
            "leave the section out"
        )
    if spelling in _READ | _RESTRAINTS | _FORCE_FIELD:
        return f"found the section [ {section} ]: write [ {spelling} ], as OpenMM reads it"
    return (
        f"found the section [ {section} ], which is not a directive of GROMACS: correct its name, "
        "or leave it out"
    )


def _check_constraints(top: TopologyFile, used: set[str], path: Path) -> None:
    """Refuse constraints of type 1 that replace a bond.

    GROMACS excludes the interaction of their atoms like that of bonded atoms. OpenMM derives
    exclusions only from bonds, so it would let the atoms interact.
    """
    for name in sorted(used):
        molecule = top._moleculeTypes[name]
        excluded = {frozenset(fields[:2]) for fields in molecule.bonds}
        excluded |= {frozenset((f[0], other)) for f in molecule.exclusions for other in f[1:]}
        for fields in molecule.constraints:
            if fields[2] == "1" and frozenset(fields[:2]) not in excluded:
                raise InputFileError(
                    f"{path}: the constraint between atoms {fields[0]} and {fields[1]} of {name} "
                    "replaces a bond, and OpenMM would let the two atoms interact: list the bond "
                    "under [ bonds ] too, or the excluded pairs under [ exclusions ]"
                )
