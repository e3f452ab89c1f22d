"""LAMMPS data files, read by LAMMPS itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.core.errors import ConfigError, InputFileError, shortened
from nnpmm.core.geometry import make_whole
from nnpmm.engines.lammps.molecules import bonds_by_distance, molecules_of
from nnpmm.engines.lammps.parallel import import_package
from nnpmm.engines.lammps.system import WholeSystem
from nnpmm.engines.lammps.units import NM_PER_ANGSTROM, PS_PER_FS

__all__ = ["read_data_file"]

_MASS_TOLERANCE = 0.1  # amu; cobalt and nickel differ by 0.24
# What read_data needs to know before it reads the terms of a force field, which are not used.
_TERMS = ("bond_style zero", "angle_style zero", "dihedral_style zero", "improper_style zero")
_WITH_TERMS = ("bond", "angle", "molecular", "full", "template")


def read_data_file(
    path: Path, *, atom_style: str | None = None, elements: Sequence[str] | None = None
) -> WholeSystem:
    """Read a data file in units real or metal lengths (angstrom); its force field is not used.

    Args:
        path: the file.
        atom_style: where the section Atoms does not name it.
        elements: chemical symbols of the types, in their order; None: by their masses.

    Raises:
        InputFileError: the file cannot be read, or a type has no element.
        ConfigError: the atom style is not known.
        OptionalDependencyError: LAMMPS, MPI or mpi4py is missing.
    """
    style = _atom_style(path, atom_style)
    comm = import_package("mpi4py.MPI").COMM_SELF
    cmdargs = ["-log", "none", "-screen", "none", "-nocite"]
    engine = import_package("lammps").lammps(cmdargs=cmdargs, comm=comm)
    try:
        commands = ["units real", "boundary p p p", f"atom_style {style}", "atom_modify map yes"]
        if style in _WITH_TERMS:
            commands += _TERMS
        engine.commands_list(commands)
        engine.command(f'read_data "{path}" nocoeff')
        return _system(engine, path, elements)
    except InputFileError:
        raise
    except Exception as error:  # LAMMPS' errors are plain Exceptions
        raise InputFileError(
            f"{path}: cannot be read as a LAMMPS data file of atom style {style} "
            f"({shortened(error)})"
        ) from error
    finally:
        engine.close()


def _atom_style(path: Path, given: str | None) -> str:
    """Return the atom style of a data file."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputFileError(
            f"{path}: cannot be read ({error.strerror}); check the path"
        ) from error
    heading = re.search(r"^\s*Atoms\b\s*(?:#\s*(\S+))?", text, flags=re.MULTILINE)
    if heading is None:
        raise InputFileError(f"{path}: found no section Atoms, expected a LAMMPS data file")
    written = heading.group(1)
    if written is None and given is None:
        raise ConfigError(
            f"{path}: found no atom style after the heading Atoms, allowed: 'Atoms # full' and "
            "the like; write it there, or give atom_style=..."
        )
    if written is not None and given is not None and written != given:
        raise ConfigError(
            f"{path}: found the atom style {written}, the setting says {given}; leave it out"
        )
    return written or str(given)


def _system(engine: Any, path: Path, elements: Sequence[str] | None) -> WholeSystem:
    n_atoms = int(engine.get_natoms())
    array = engine.numpy.extract_atom
    order = np.argsort(array("id", nelem=n_atoms).ravel())
    types = array("type", nelem=n_atoms).ravel()[order]
    masses = np.array(array("mass")).ravel()[1 : types.max() + 1]
    positions = array("x", nelem=n_atoms)[order] * NM_PER_ANGSTROM
    velocities = array("v", nelem=n_atoms)[order] * NM_PER_ANGSTROM / PS_PER_FS
    images = array("image", nelem=n_atoms).ravel()[order]
    low, high, xy, yz, xz, *_ = engine.extract_box()
    lx, ly, lz = np.subtract(high, low)
    box = np.array([[lx, 0, 0], [xy, ly, 0], [xz, yz, lz]]) * NM_PER_ANGSTROM
    shifts = [engine.decode_image_flags(int(image)) for image in images]
    positions = positions - np.array(low) * NM_PER_ANGSTROM + np.array(shifts) @ box
    elements_of_types = _elements(masses, elements, path)
    numbers = np.array([elements_of_types[kind - 1].atomic_number for kind in types.tolist()])
    bonds = _bonds(engine)
    if not len(bonds):
        bonds = bonds_by_distance(numbers, positions, box)
    return WholeSystem(
        molecules_of(numbers, bonds, box),
        make_whole(positions, box, bonds, gather=False),
        box,
        masses[types - 1],
        bonds,
        velocities if velocities.any() else None,
    )


def _bonds(engine: Any) -> NDArray[np.int64]:
    """Return the bonds that the file lists, (m, 2), counted from 0."""
    if not engine.extract_setting("molecule_flag") or not engine.extract_global("nbonds"):
        return np.zeros((0, 2), np.int64)
    found = np.array(engine.numpy.gather_bonds()).reshape(-1, 3)[:, 1:]
    return np.sort(found.astype(np.int64) - 1, axis=1)


def _elements(
    masses: NDArray[np.float64], given: Sequence[str] | None, path: Path
) -> list[app.Element]:
    """Return the element of each type."""
    if given is not None:
        if len(given) != len(masses):
            raise InputFileError(
                f"{path}: found {len(masses)} types of atoms and {len(given)} elements; give one "
                "for each type"
            )
        try:
            return [app.Element.getBySymbol(symbol) for symbol in given]
        except KeyError as error:
            raise InputFileError(f"{path}: found {error}, which is not a chemical symbol") from None
    known = [app.Element.getByAtomicNumber(number) for number in range(1, 104)]
    of_known = np.array([element.mass.value_in_unit(unit.dalton) for element in known])
    found = []
    for kind, mass in enumerate(masses, start=1):
        place = int(np.abs(of_known - mass).argmin())
        if abs(of_known[place] - mass) > _MASS_TOLERANCE:
            raise InputFileError(
                f"{path}: found the mass {mass:g} of type {kind}, which no element has; give the "
                "elements of the types, elements=..."
            )
        found.append(known[place])
    return found
