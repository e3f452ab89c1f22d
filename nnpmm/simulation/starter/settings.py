"""Write a short settings file for given input files, and check it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from nnpmm.core.errors import ConfigError, InputFileError, NnpmmError
from nnpmm.core.fields import MODEL_FILES
from nnpmm.core.files import replacing
from nnpmm.integrators import surroundings_limit
from nnpmm.simulation.preparation import narration
from nnpmm.simulation.preparation.loading import load_run_system
from nnpmm.simulation.settings.config import parse_config
from nnpmm.simulation.starter.files import recognize
from nnpmm.simulation.starter.ligand import find_region
from nnpmm.structures import MMSystem
from nnpmm.structures.selection import is_water

__all__ = ["write_settings"]

_HEADER = """\
# {title}
# All settings and what they mean: nnpmm run --template"""
_PROTOCOL = """\
ensemble:
  type: {ensemble}
  temperature: 300 K
timestep: {timestep}
stages:
  minimize: {{}}
  warmup: {{length: 20 ps}}  # heavy atoms of the solute are restrained
  equilibrate: {{length: 100 ps}}
  production: {{length: 1 ns}}
output:
  directory: {directory}
  trajectory_interval: 10 ps
  log_interval: 1 ps
  checkpoint_interval: 20 ps
"""
_HYDROGEN_MASS = "3 amu"


def write_settings(
    files: Sequence[str] = (),
    output: str | os.PathLike[str] = "md.yaml",
    *,
    smiles: str | None = None,
    ligand: str | None = None,
    selection: str | None = None,
    model: str = "ANI-2x",
    box: str | None = None,
    include: Sequence[Path] = (),
    overwrite: bool = False,
) -> list[str]:
    """Write settings for a system: 4 fs, hydrogens of 3 amu, constrained X-H bonds, NPT, 300 K.

    The files are read as a run would read them, so unreadable files are refused here. Complete
    systems are also created; a ligand and a protein are not yet solvated.

    Args:
        files: the system's files in any order, or one SMILES.
        smiles: SMILES of a ligand in water, in place of files.
        output: YAML file to write; paths in it are relative to its folder.
        ligand: residue name of the region; not needed if only one residue may be a ligand.
        selection: the region in mdtraj's language, in place of ``ligand``.
        model: name of the network.
        box: edges of a CHARMM system's box in nm, separated by commas.
        include: folders of ``#include`` files of a GROMACS topology.
        overwrite: replace the file.

    Returns:
        The decisions and the written file, as lines of text.

    Raises:
        ConfigError: the file already exists, or the input files are not a system.
        NnpmmError: an input file cannot be read, or the ligand is not clear.
    """
    output = Path(output)
    if output.exists() and not overwrite:
        raise ConfigError(
            f"{output}: exists already; choose another output, or replace it with overwrite=True"
        )
    section = recognize(files, smiles=smiles, box=box, include=include)
    model = _known_model(model, output.absolute().parent)
    if section["type"] == "build":
        if ligand or selection:
            raise ConfigError(
                "found ligand=... or selection=... with a system that is built: its region is the "
                "ligand, leave them out"
            )
        text, decisions = _settings_to_build(section, model, output, may_be_file=smiles is None)
    else:
        text, decisions = _settings_from_files(section, model, output, ligand, selection)
    parse_config(yaml.safe_load(text), source=output.name, base=output.absolute().parent)
    _write(output, text)
    return [*decisions, f"written: {output}"]


def _known_model(name: str, folder: Path) -> str:
    """Return the published spelling of a model's name, or the path of its file from a folder.

    Raises:
        InputFileError: no such file.
        ModelError: no such model.
    """
    from nnpmm.models import aimnet, ani
    from nnpmm.models.registry import find_family

    if name.endswith(MODEL_FILES):
        if not Path(name).is_file():
            raise InputFileError(f"{name}: no such file; give an existing model file")
        return os.path.relpath(name, folder)
    find_family(name)
    return ani.published_name(name) or aimnet.published_name(name) or name


def _write(output: Path, text: str) -> None:
    try:
        with replacing(output) as handle:
            handle.write(text.encode("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{output}: cannot write there ({error.strerror}); choose another output"
        ) from error


def _settings_to_build(
    section: dict[str, Any], model: str, output: Path, *, may_be_file: bool
) -> tuple[str, list[str]]:
    """Return the settings for a ligand to be solvated, and the decisions.

    ``may_be_file``: the SMILES was given as a file, so an invalid one may be a missing file.
    """
    from nnpmm import structures

    if "smiles" in section:
        try:
            molecule = structures.molecule_from_smiles(section["smiles"], seed=1)
        except InputFileError as error:
            if not may_be_file:
                raise
            raise InputFileError(f"{error}, and there is no file of that name") from error
    else:
        molecule = structures.molecule_from_file(section["ligand"])
    section = {**section, "padding": "1.2 nm", "hydrogen_mass": _HYDROGEN_MASS}
    title = f"{section.get('smiles') or section['ligand'].name} in water"
    if "protein" in section:
        structures.read_structure(section["protein"])
        section |= {"padding": "1.0 nm", "ionic_strength": "0.15 M", "box_shape": "dodecahedron"}
        title = f"{section['ligand'].name} and {section['protein'].name} in water"
    region = {"model": model, "constraints": "keep"}
    decisions = [f"region: the ligand, {molecule.GetNumAtoms()} atoms"]
    return _text(title, section, region, "NPT", 4, output), decisions


def _settings_from_files(
    section: dict[str, Any], model: str, output: Path, ligand: str | None, selection: str | None
) -> tuple[str, list[str]]:
    """Return the settings for a system that is read from files, and the decisions."""
    if section["type"] != "openmm":
        section = {**section, "hydrogen_mass": _HYDROGEN_MASS}
    mm, section = _load(section)
    found = find_region(mm.topology, ligand=ligand, selection=selection)
    region = {"selection": found.selection, "model": model, "constraints": "keep"}
    decisions = [f"region: {found.selection} ({found.reason})"]
    ensemble = "NVT" if mm.box_vectors is None else "NPT"
    if ensemble == "NVT":
        decisions.append("the files contain no periodic box and no water: vacuum, NVT")
    timestep = 4
    if section["type"] == "openmm":
        timestep = _longest_step(mm)
        if timestep < 4:
            decisions.append(
                f"time step {timestep} fs: the System's hydrogens are not both constrained and of "
                "3 amu; make it with constraints=HBonds and hydrogenMass=3*amu for 4 fs"
            )
    title = next(value.name for key, value in section.items() if key != "type")
    return _text(title, section, region, ensemble, timestep, output), decisions


def _load(section: dict[str, Any]) -> tuple[MMSystem, dict[str, Any]]:
    """Read the system, and return its section, which selects vacuum if there is no box or water."""

    def read(candidate: dict[str, Any]) -> MMSystem:
        region = {"selection": "all", "model": "ANI-2x"}
        config = parse_config({"system": candidate, "region": region}, source="nnpmm init")
        narration.working(narration.describe_system_source(config.system))
        return load_run_system(config)

    try:
        return read(section), section
    except ConfigError as error:
        if section["type"] == "openmm":
            raise
        in_vacuum = {**section, "nonbonded_method": "NoCutoff"}
        try:
            mm = read(in_vacuum)
        except NnpmmError:
            raise error from None
        if any(is_water(residue) for residue in mm.topology.residues()):
            remedy = "with box=..." if section["type"] == "charmm" else "in the coordinates file"
            raise ConfigError(
                f"found water and no periodic box: give the box {remedy} ({error})"
            ) from error
        return mm, in_vacuum


def _longest_step(mm: MMSystem) -> int:
    """Return the time step in fs, at most 4, that the hydrogens of a finished System allow."""
    return min(4, round(1000 * surroundings_limit(mm.system, mm.topology).longest))


def _text(
    title: str,
    section: dict[str, Any],
    region: dict[str, str],
    ensemble: str,
    timestep: int,
    output: Path,
) -> str:
    """Return the settings file."""
    folder = output.absolute().parent
    system = {key: _relative(value, folder) for key, value in section.items()}
    return "\n".join(
        [
            _HEADER.format(title=title),
            _section("system", system),
            _section("region", region),
            _PROTOCOL.format(
                ensemble=ensemble,
                timestep=f"{timestep} fs",
                directory=_scalar(f"{output.stem}-output"),
            ),
        ]
    )


def _relative(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_relative(item, folder) for item in value]
    return os.path.relpath(value, folder) if isinstance(value, Path) else value


def _section(name: str, values: dict[str, Any]) -> str:
    return "\n".join([f"{name}:", *(f"  {key}: {_scalar(value)}" for key, value in values.items())])


def _scalar(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).splitlines()[0]
