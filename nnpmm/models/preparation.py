"""Prepare a region: from a structure and a selection to model.json, weights and TorchScript."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnpmm._version import __version__
from nnpmm.core.errors import ConfigError, ModelError, RegionError
from nnpmm.models import aimnet, ani
from nnpmm.models.aimnet.torchscript import export_torchscript as export_aimnet
from nnpmm.models.ani.torchscript import export_torchscript as export_ani
from nnpmm.models.model_file import (
    SCHEMA_VERSION,
    ModelFile,
    StoredFile,
    StoredLinkAtom,
    fingerprint,
)
from nnpmm.models.region_check import check_region
from nnpmm.models.registry import load_model
from nnpmm.structures.link_bonds import checked_kinds
from nnpmm.structures.readers import read_structure
from nnpmm.structures.region import RegionSummary, describe_region
from nnpmm.structures.selection import select_atoms

__all__ = ["Prepared", "prepare_nnp"]

_MODEL_JSON, _WEIGHTS, _TORCHSCRIPT = "model.json", "model.safetensors", "model.pt"


@dataclass(frozen=True)
class Prepared:
    """A selected region and the files that were written.

    Args:
        region: the region's atoms, formula, charge and residues.
        model: the model that was exported.
        model_file: path of model.json; weights and TorchScript are in the same folder.
    """

    region: RegionSummary
    model: ani.AniModel | aimnet.AimnetModel
    model_file: Path


def prepare_nnp(
    structure: str | os.PathLike[str],
    selection: str,
    model: str = "ANI-2x",
    *,
    members: int | Sequence[int] | None = None,
    weights: str | os.PathLike[str] | None = None,
    coordinates: str | os.PathLike[str] | None = None,
    charge: int | None = None,
    link_atoms: str | Sequence[str] | None = None,
    output: str | os.PathLike[str] = ".",
    overwrite: bool = False,
) -> Prepared:
    """Select a region, check it, and write model.json, model.safetensors and model.pt.

    Args:
        structure: PDB, mmCIF, GRO, Amber, SDF or MOL2 file.
        selection: the region in mdtraj's language.
        model: ``"ANI-2x"``, ``"ANI-1x"``, ``"ANI-1ccx"`` or ``"AIMNet2"``.
        members: which networks of the ensemble; None keeps all.
        weights: as for `nnpmm.load_model`.
        coordinates: inpcrd or rst7 of an Amber topology.
        charge: formal charge of the region, e, if the structure does not state it.
        link_atoms: kinds of single bonds that the selection may cut, which link atoms then cap,
            such as ``"C-C"``; see `nnpmm.coupling.LinkAtoms`. None: a cut bond is an error.
        output: folder for the files; created if necessary.
        overwrite: replace existing files.

    Returns:
        The region, its model, and the path of model.json.

    Raises:
        ConfigError: the kind of bond is unknown, the files exist already, or the folder cannot be
            written to.
        ModelError: a model that is neither ANI nor AIMNet2.
        RegionError: the model cannot describe the region; see
            `nnpmm.models.region_check.check_region`.
        NnpmmError: others of `nnpmm.structures.readers.read_structure`, `nnpmm.select_atoms` and
            `nnpmm.load_model`. Whatever the error, nothing is written.
    """
    output = Path(output)
    present = [name for name in (_MODEL_JSON, _WEIGHTS, _TORCHSCRIPT) if (output / name).exists()]
    if present and not overwrite:
        raise ConfigError(
            f"{output}: {', '.join(present)} exists already; choose another output, or replace it "
            "with overwrite=True"
        )
    found = read_structure(structure, coordinates)
    atoms = select_atoms(found.topology, selection)
    potential = load_model(model, members, weights=weights)
    if not isinstance(potential, (ani.AniModel, aimnet.AimnetModel)):
        raise ModelError(f"found the model {model!r}, but prepare-nnp exports only ANI and AIMNet2")
    kinds = None if link_atoms is None else checked_kinds(link_atoms)
    try:
        region = describe_region(found, atoms, charge, link_bonds=kinds)
        check_region(region, potential)
    except RegionError as error:
        if found.guesses is None:
            raise
        raise RegionError(f"{error} ({Path(structure).name}: {found.guesses})") from error
    try:
        path = _write(
            output,
            potential,
            region,
            selection=selection,
            link_bonds=kinds or (),
            structure_file=Path(structure).name,
            n_structure_atoms=found.topology.getNumAtoms(),
        )
    except OSError as error:
        raise ConfigError(
            f"{output}: cannot write there ({error.strerror}); choose another output"
        ) from error
    return Prepared(region, potential, path)


def _write(
    output: Path,
    model: ani.AniModel | aimnet.AimnetModel,
    region: RegionSummary,
    *,
    selection: str,
    link_bonds: tuple[str, ...],
    structure_file: str,
    n_structure_atoms: int,
) -> Path:
    """Write all three files before the first is renamed into place; model.json comes last."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".prepare-nnp-") as temporary:
        folder = Path(temporary)
        script = _export(model, region, folder / _WEIGHTS)
        (folder / _TORCHSCRIPT).write_bytes(script)
        atoms = tuple(region.atoms.tolist())
        content = ModelFile(
            schema_version=SCHEMA_VERSION,
            model=model.name,
            members=model.parameters.member_indices,
            atoms=atoms,
            elements=region.symbols,
            selection=selection,
            formal_charge=region.formal_charge,
            structure_file=structure_file,
            n_structure_atoms=n_structure_atoms,
            link_bonds=link_bonds,
            link_atoms=tuple(StoredLinkAtom(**link._asdict()) for link in region.link_atoms),
            fingerprint=fingerprint(n_structure_atoms, atoms, region.symbols),
            weights=StoredFile.from_content(_WEIGHTS, (folder / _WEIGHTS).read_bytes()),
            torchscript=StoredFile.from_content(_TORCHSCRIPT, script),
            nnpmm_version=__version__,
        )
        (folder / _MODEL_JSON).write_text(content.model_dump_json(indent=2) + "\n")
        for name in (_WEIGHTS, _TORCHSCRIPT, _MODEL_JSON):
            os.replace(folder / name, output / name)
    return output / _MODEL_JSON


def _export(
    model: ani.AniModel | aimnet.AimnetModel, region: RegionSummary, weights: Path
) -> bytes:
    """Write the weights and return the TorchScript file."""
    rows = {atom: row for row, atom in enumerate(region.atoms.tolist())}
    links = [(rows[i], j, distance) for i, j, distance in region.link_atoms]
    if isinstance(model, ani.AniModel):
        ani.save_parameters(model.parameters, weights)
        return export_ani(model.parameters, region.symbols, region.atoms, links)
    assert region.formal_charge is not None  # check_region refuses it
    aimnet.save_parameters(model.parameters, weights)
    return export_aimnet(
        model.parameters, region.symbols, region.formal_charge, region.atoms, links
    )
