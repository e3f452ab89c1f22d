"""GROMACS topologies with coordinates."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openmm import unit

from nnpmm.core.errors import InputFileError
from nnpmm.structures.inputs.agreement import check_same_atoms
from nnpmm.structures.inputs.coordinates import read_coordinates
from nnpmm.structures.inputs.elements import element_by_mass
from nnpmm.structures.inputs.files import check_file, read_file, system_options
from nnpmm.structures.inputs.gromacs_directives import TopologyFile, check_directives
from nnpmm.structures.inputs.sources import GromacsSystem
from nnpmm.structures.mm_system import MMSystem

__all__ = ["load_gromacs"]


def load_gromacs(source: GromacsSystem) -> MMSystem:
    """Read a GROMACS topology and its coordinates.

    Raises:
        InputFileError: a file cannot be read, or the two disagree.
        ConfigError: the nonbonded method needs a box and there is none.
    """
    topology_file = check_file(source.topology, (".top",), "GROMACS topology")
    check_file(source.coordinates, (".gro", ".pdb"), "GROMACS coordinates")
    coordinates = read_coordinates(source.coordinates)
    box = coordinates.box
    vectors = None if box is None else box * unit.nanometer
    with _merged_directories(source.include_directories) as include:
        top = read_file(
            topology_file,
            "GROMACS topology",
            lambda: TopologyFile(
                topology_file,
                periodicBoxVectors=vectors,
                includeDir=include,
                defines=dict(source.defines),
            ),
        )
    _set_elements_by_mass(top)
    check_directives(top, source.topology)
    check_same_atoms(top.topology, source.topology, coordinates)
    options = system_options(source, box is not None)
    system = read_file(topology_file, "GROMACS topology", lambda: top.createSystem(**options))
    return MMSystem(top.topology, coordinates.positions, box, system)


def _set_elements_by_mass(top: TopologyFile) -> None:
    """Replace elements that OpenMM guessed from an atom name and that the mass contradicts.

    If an atom type has no atomic number, OpenMM uses the first letter of the name: for BR, boron.
    """
    atoms = top.topology.atoms()
    for name, count in top._molecules:
        for _ in range(count):
            for fields, atom in zip(top._moleculeTypes[name].atoms, atoms, strict=False):
                kind = top._atomTypes[fields[1]]
                mass = float(fields[7] if len(fields) >= 8 else kind[3])
                other = element_by_mass(atom.element, mass) if kind[2] is None else None
                if other is not None:
                    atom.element = other


@contextmanager
def _merged_directories(directories: tuple[Path, ...]) -> Iterator[str | None]:
    """Yield one folder that links to the content of several, because OpenMM accepts only one.

    Of files with the same name, the first folder's is used; folders of the same name are merged.
    """
    for directory in directories:
        if not directory.is_dir():
            raise InputFileError(f"{directory}: no such folder; see system.include_directories")
    if len(directories) < 2:
        yield str(directories[0]) if directories else None
        return
    with tempfile.TemporaryDirectory(prefix="nnpmm-include-") as merged:
        for directory in directories:
            for folder, files in _folders(directory):
                target = Path(merged) / folder.relative_to(directory)
                target.mkdir(parents=True, exist_ok=True)
                for name in files:
                    if not (target / name).exists():
                        (target / name).symlink_to(folder / name)
        yield merged


def _folders(top: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield a folder and all its subfolders with their files; links are followed once."""
    above = {str(top): {os.path.realpath(top)}}  # each folder's parents, and itself
    for folder, folders, files in os.walk(top, followlinks=True):
        yield Path(folder), files
        for name in list(folders):
            path = os.path.join(folder, name)
            real = os.path.realpath(path)
            if real in above[folder]:
                folders.remove(name)  # a link to one of its own parents
            else:
                above[path] = above[folder] | {real}
