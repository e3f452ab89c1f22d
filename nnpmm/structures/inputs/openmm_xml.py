"""Serialized OpenMM Systems with a structure."""

from __future__ import annotations

import re
from pathlib import Path

import openmm

from nnpmm.core.errors import InputFileError
from nnpmm.structures.inputs.files import check_file, read_file
from nnpmm.structures.inputs.sources import OpenmmSystem
from nnpmm.structures.inputs.xml_check import check_xml
from nnpmm.structures.mm_system import MMSystem
from nnpmm.structures.readers import read_structure

__all__ = ["load_openmm", "read_system_xml"]

# These forces run code from the file: PythonForce is stored as a pickle, TorchForce as a
# TorchScript module.
_CODE_IN_XML = (b"PythonForce", b"TorchForce")
# Character references could spell such a name unseen ("&#80;ythonForce"), but not those that OpenMM
# itself writes: of control characters, such as the newlines of energy expressions.
_FOREIGN_REFERENCE = re.compile(rb"&#(?!x(?:0[1-9A-F]|1[0-9A-F]);)")


def read_system_xml(path: Path) -> openmm.System:
    """Read a serialized System; refuse one that contains code.

    OpenMM stores a PythonForce as a pickle, which can run any code when it is read. Document types
    and character references that could hide its name are also refused.

    Raises:
        InputFileError: not a serialized System, one that contains code, or one with values that are
            not finite numbers.
    """
    data = read_file(path, "OpenMM System", path.read_bytes)
    for name in _CODE_IN_XML:
        if name in data:
            raise InputFileError(
                f"{path}: has a {name.decode()}, which would run code when it is read: give the "
                "MM system alone and name the network under 'region'"
            )
    hidden = any(word in data for word in (b"<!DOCTYPE", b"<!ENTITY", b"\0"))
    if hidden or _FOREIGN_REFERENCE.search(data):
        raise InputFileError(
            f"{path}: not a plain OpenMM XML file (a document type, zero bytes, or character "
            "references other than of control characters): write it with openmm.XmlSerializer"
        )
    check_xml(data, path)
    system = read_file(
        path, "OpenMM System", lambda: openmm.XmlSerializer.deserialize(data.decode("utf-8"))
    )
    if not isinstance(system, openmm.System):
        raise InputFileError(f"{path}: contains a {type(system).__name__}, expected a System")
    return system


def load_openmm(source: OpenmmSystem) -> MMSystem:
    """Read a serialized System and the structure that it was made from.

    Raises:
        InputFileError: a file cannot be read, or the two disagree.
    """
    check_file(source.system, (".xml",), "OpenMM System")
    check_file(source.structure, (".pdb", ".cif"), "structure")
    system = read_system_xml(source.system)
    structure = read_structure(source.structure)
    n_atoms, positions = structure.topology.getNumAtoms(), structure.positions
    if positions is None or n_atoms != system.getNumParticles():
        raise InputFileError(
            f"{source.structure.name} has {n_atoms} atoms and {source.system.name} has "
            f"{system.getNumParticles()} particles: give files of the same structure"
        )
    return MMSystem(structure.topology, positions, structure.box, system)
