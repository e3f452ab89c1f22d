"""model.json: a prepared region and its network on disk, written by prepare-nnp."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from openmm.app import Topology
from openmm.app.element import hydrogen
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nnpmm.core.errors import InputFileError, WeightsError, shortened

__all__ = [
    "SCHEMA_VERSION",
    "ModelFile",
    "StoredFile",
    "StoredLinkAtom",
    "fingerprint",
    "read_model_file",
]

SCHEMA_VERSION = 1


class StoredFile(BaseModel):
    """A file next to model.json and the checksum of its content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(description="name, relative to model.json")
    sha256: str = Field(description="checksum of the content")

    @classmethod
    def from_content(cls, name: str, content: bytes) -> StoredFile:
        """Return the entry of a file with this content."""
        return cls(file=name, sha256=hashlib.sha256(content).hexdigest())

    def verified(self, folder: Path) -> Path:
        """Return the path of the file, after comparing its checksum.

        Raises:
            WeightsError: the file is missing, or its content has another checksum.
        """
        path = folder / self.file
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise WeightsError(
                f"{path}: cannot be read ({error.strerror}); run prepare-nnp again"
            ) from error
        if found != self.sha256:
            raise WeightsError(
                f"{path}: sha256 {found[:12]}... differs from {self.sha256[:12]}... in model.json; "
                "the file is truncated or was changed: run prepare-nnp again"
            )
        return path


class StoredLinkAtom(BaseModel):
    """A hydrogen on a bond that the region cuts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inside: int = Field(description="0-based index of the region's atom")
    outside: int = Field(description="0-based index of its neighbour outside")
    distance: float = Field(gt=0, description="of the hydrogen from the atom inside, nm")


class ModelFile(BaseModel):
    """Content of model.json; see ``docs/files.md``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = Field(description="version of this format")
    model: str = Field(description="published name, for example ANI-2x or AIMNet2")
    members: tuple[int, ...] = Field(description="which networks of the ensemble, 0-based")
    atoms: tuple[int, ...] = Field(
        min_length=1, description="0-based indices of the region's atoms, ascending"
    )
    elements: tuple[str, ...] = Field(description="chemical symbol of each region atom")
    selection: str = Field(description="the selection that gave the atoms")
    formal_charge: int | None = Field(description="formal charge of the region; null if not known")
    structure_file: str = Field(description="name of the structure that the region was selected in")
    n_structure_atoms: int = Field(description="number of atoms of that structure")
    fingerprint: str = Field(description="checksum of atom count, region atoms and their elements")
    link_bonds: tuple[str, ...] = Field((), description="kinds of bonds that may be cut")
    link_atoms: tuple[StoredLinkAtom, ...] = Field((), description="caps of the cut bonds")
    weights: StoredFile = Field(description="the networks, safetensors")
    torchscript: StoredFile = Field(description="the same model as a TorchScript module")
    nnpmm_version: str = Field(description="version that wrote this file")

    def check_topology(self, topology: Topology) -> None:
        """Check that a topology has the atoms that the region was selected in.

        Raises:
            InputFileError: another number of atoms, or another element at a region atom.
        """
        remedy = "give the structure that the region was prepared from, or run prepare-nnp again"
        atoms = list(topology.atoms())
        if len(atoms) != self.n_structure_atoms:
            raise InputFileError(
                f"model.json was prepared for {self.n_structure_atoms} atoms "
                f"({self.structure_file}), but the topology has {len(atoms)}; {remedy}"
            )
        for index, expected in zip(self.atoms, self.elements, strict=True):
            element = atoms[index].element
            if element is not None and element.atomic_number == 1:
                element = hydrogen  # deuterium too
            if element is None or element.symbol != expected:
                found = "no element" if element is None else element.symbol
                raise InputFileError(
                    f"atom {index} is {found} in the topology but {expected} in model.json; "
                    f"{remedy}"
                )

    def check_cut_bonds(self, cut: Iterable[tuple[int, int]]) -> None:
        """Check that a system cuts the bonds on which the file has link atoms.

        Args:
            cut: bonds as (atom in, atom out).

        Raises:
            InputFileError: it cuts others.
        """
        expected = {(link.inside, link.outside) for link in self.link_atoms}
        others = sorted(expected.symmetric_difference(cut))
        if others:
            raise InputFileError(
                f"model.json has {len(expected)} link atoms, but the system's bonds and the file "
                f"disagree about the one between atoms {others[0][0]} and {others[0][1]}; give the "
                "structure that the region was prepared from, or run prepare-nnp again"
            )


def fingerprint(n_structure_atoms: int, atoms: Sequence[int], elements: Sequence[str]) -> str:
    """Return the checksum of a structure's size, the region's atom indices and their elements."""
    text = f"{n_structure_atoms};{','.join(map(str, atoms))};{','.join(elements)}"
    return hashlib.sha256(text.encode()).hexdigest()


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Read model.json.

    Returns:
        Its content, checked against its fingerprint.

    Raises:
        InputFileError: the file is missing, not of this format, or contradicts itself.
    """
    try:
        text = Path(path).read_text()
        _check_version(text, path)
        content = ModelFile.model_validate_json(text)
    except OSError as error:
        raise InputFileError(
            f"{path}: cannot be read ({error.strerror}); run prepare-nnp"
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        where = ".".join(map(str, first["loc"])) + ": " + first["msg"] if first else "not text"
        where = shortened(where)
        raise InputFileError(
            f"{path}: not a model.json of nnpmm ({where}); run prepare-nnp"
        ) from error
    _check_consistency(content, path)
    return content


def _check_consistency(content: ModelFile, path: str | os.PathLike[str]) -> None:
    """Check what the types of the entries do not guarantee.

    Raises:
        InputFileError: atoms, elements, fingerprint or link atoms contradict each other.
    """
    if len(content.atoms) != len(content.elements):
        raise InputFileError(
            f"{path}: found {len(content.atoms)} atoms and {len(content.elements)} elements, "
            "expected one element for each atom; the file was edited: run prepare-nnp again"
        )
    if content.fingerprint != fingerprint(
        content.n_structure_atoms, content.atoms, content.elements
    ):
        raise InputFileError(
            f"{path}: the fingerprint does not match the atoms and elements; the file was edited: "
            "run prepare-nnp again"
        )
    if list(content.atoms) != sorted(set(content.atoms)) or not (
        0 <= content.atoms[0] and content.atoms[-1] < content.n_structure_atoms
    ):
        raise InputFileError(
            f"{path}: the atoms are not ascending indices of the structure's "
            f"{content.n_structure_atoms} atoms; run prepare-nnp again"
        )
    members = set(content.atoms)
    for link in content.link_atoms:
        outside = 0 <= link.outside < content.n_structure_atoms and link.outside not in members
        if link.inside not in members or not outside:
            raise InputFileError(
                f"{path}: found a link atom between atoms {link.inside} and {link.outside}, "
                "expected one of the region and one outside; the file was edited: run prepare-nnp "
                "again"
            )


def _check_version(text: str, path: str | os.PathLike[str]) -> None:
    """Refuse another version before its entries, which may have other names, cause errors."""
    try:
        version = json.loads(text)["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return  # not a model.json at all, which the validation reports
    if version != SCHEMA_VERSION:
        raise InputFileError(
            f"{path}: schema version {shortened(repr(version))}, but this version of nnpmm reads "
            f"{SCHEMA_VERSION}; run prepare-nnp again"
        )
