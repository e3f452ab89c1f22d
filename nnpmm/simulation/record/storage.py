"""Files that a run stores with its output: settings, MM system, structure, and provenance."""

from __future__ import annotations

import io
import json
import os
import platform as platform_module
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import openmm
import yaml
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm._version import __version__
from nnpmm.core import run_folder
from nnpmm.core.errors import ConfigError, InputFileError, SimulationError
from nnpmm.core.files import sha256_of
from nnpmm.core.versions import installed_version
from nnpmm.sampling.record import remove_exchange
from nnpmm.simulation.record.bias_log import BIAS_LOG
from nnpmm.simulation.record.checkpoint import CHECKPOINT
from nnpmm.simulation.record.files import replacing, write_atomically, writing
from nnpmm.simulation.settings.config import ProtocolConfig
from nnpmm.structures.inputs import read_system_xml
from nnpmm.structures.mm_system import MMSystem

__all__ = [
    "EXCHANGE",
    "PROVENANCE",
    "SETTINGS",
    "check_directory",
    "dump_settings",
    "has_run",
    "load_arrays",
    "load_mm_system",
    "load_structure",
    "remove_run",
    "require_run",
    "save_arrays",
    "save_mm_system",
    "save_provenance",
    "save_settings",
    "settings_hash",
    "write_structure",
]

SETTINGS = "settings.yaml"
#: Folder of the replicas of a run with replica exchange.
EXCHANGE = "exchange"
PROVENANCE = "provenance.json"
_SYSTEM, _STRUCTURE = "mm_system.xml", "structure.npz"
_OWN_FILES = (
    SETTINGS,
    CHECKPOINT,
    PROVENANCE,
    _SYSTEM,
    _STRUCTURE,
    "restraints.npz",
    "topology.pdb",
    "topology.cif",
    "ligand.sdf",
    "trajectory.cif",
    "trajectory.dcd",
    "trajectory.pdb",
    "trajectory.xtc",
    "log.csv",
    BIAS_LOG,
    "final.pdb",
    "final.cif",
    "report.png",
)
# Settings that may differ between a run and its continuation: none changes what was simulated.
_MAY_CHANGE = ("stages.production", "output.checkpoint_interval", "platform.threads")
_MOST_PDB_ATOMS = 99_999
_AGAIN = "start again with overwrite=True"


def dump_settings(settings: ProtocolConfig, directory: Path) -> dict[str, Any]:
    """Return the resolved settings as plain data, paths relative to the folder of the run."""
    return settings.model_dump(mode="json", context={"base": directory})


def settings_hash(data: dict[str, Any]) -> str:
    """Return the SHA-256 of the settings that a continuation must share."""
    return sha256_of(
        json.dumps(run_folder.fixed_settings(data, _MAY_CHANGE), sort_keys=True).encode()
    )


def has_run(directory: Path) -> bool:
    """Return whether a folder contains a run."""
    return (directory / SETTINGS).exists() or (directory / CHECKPOINT).exists()


def require_run(directory: Path) -> None:
    """Check that a folder contains a run.

    Raises:
        InputFileError: it contains none, or does not exist.
    """
    if not has_run(directory):
        raise InputFileError(f"{directory}: found no run; give the output folder of nnpmm run")


def check_directory(settings: ProtocolConfig, *, resume: bool, overwrite: bool) -> bool:
    """Return whether there is a run to continue; change nothing.

    Raises:
        ConfigError: the folder has a run that was neither to be resumed nor overwritten, or the
            settings differ from those of the run to be resumed.
    """
    directory = settings.output.directory
    for path in (directory / name for name in (*_OWN_FILES, run_folder.LOCK)):
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no regular file"
            raise ConfigError(
                f"{path}: is {kind}, where a run keeps a file: move it away, or choose another "
                "output.directory"
            )
    resuming = run_folder.check_resume(
        directory, has_run=has_run(directory), resume=resume, overwrite=overwrite
    )
    if resuming:
        data = dump_settings(settings, directory)
        run_folder.require_same_settings(directory / SETTINGS, data, _MAY_CHANGE)
    return resuming


def save_settings(settings: ProtocolConfig, directory: Path) -> str:
    """Write ``settings.yaml`` and return the hash of its fixed part."""
    data = dump_settings(settings, directory)
    head = f"# resolved settings of this run, written by nnpmm {__version__}\n"
    write_atomically(directory / SETTINGS, head + yaml.safe_dump(data, sort_keys=False))
    return settings_hash(data)


def remove_run(directory: Path) -> None:
    """Delete only the files of an earlier run from a folder."""
    with writing(directory):
        for name in _OWN_FILES:  # settings first: without them the folder is no longer a run
            (directory / name).unlink(missing_ok=True)
        for path in directory.glob("checkpoint-*.chk*"):
            path.unlink(missing_ok=True)
        remove_exchange(directory / EXCHANGE)


def save_mm_system(mm: MMSystem, directory: Path) -> None:
    """Write the MM system, so that a continuation need not read or build it again."""
    write_atomically(directory / _SYSTEM, openmm.XmlSerializer.serialize(mm.system))
    arrays = _topology_arrays(mm.topology)
    arrays["positions"] = mm.positions
    arrays["box"] = np.zeros((0, 3)) if mm.box_vectors is None else mm.box_vectors
    ligand = mm.ligand_atoms
    arrays["ligand"] = np.zeros(0, dtype=np.int64) if ligand is None else ligand
    save_arrays(directory / _STRUCTURE, arrays)


def load_mm_system(directory: Path) -> MMSystem:
    """Read what ``save_mm_system`` wrote.

    Raises:
        InputFileError: a file is missing or damaged.
    """
    _require(directory / _SYSTEM)
    system = read_system_xml(directory / _SYSTEM)
    topology, positions, box = load_structure(directory)
    ligand = load_arrays(directory / _STRUCTURE)["ligand"]
    return MMSystem(topology, positions, box, system, ligand if len(ligand) else None)


def load_structure(
    directory: Path,
) -> tuple[app.Topology, NDArray[np.float64], NDArray[np.float64] | None]:
    """Return topology, positions (n_atoms, 3) and box (3, 3) or None, in nm, of the MM system.

    Raises:
        InputFileError: the file is missing or damaged.
    """
    _require(directory / _STRUCTURE)
    data = load_arrays(directory / _STRUCTURE)
    box = data["box"] if len(data["box"]) else None
    topology = _topology(data)
    if box is not None:
        topology.setPeriodicBoxVectors([openmm.Vec3(*row) for row in box] * unit.nanometer)
    return topology, data["positions"], box


def _require(path: Path) -> None:
    if not path.is_file():
        raise InputFileError(f"{path}: is missing; {_AGAIN}")


def save_arrays(path: Path, arrays: dict[str, NDArray]) -> None:
    """Write arrays to an npz file atomically."""
    with replacing(path) as handle:
        np.savez(handle, allow_pickle=False, **arrays)


def load_arrays(path: Path) -> dict[str, NDArray]:
    """Read arrays from an npz file, never unpickling.

    Raises:
        InputFileError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return dict(data)
    except Exception as error:
        raise InputFileError(
            f"{path}: is missing or damaged ({type(error).__name__}); {_AGAIN}"
        ) from error


def _topology_arrays(topology: app.Topology) -> dict[str, NDArray]:
    """Return a topology as arrays; a PDB file would lose names, bond orders and long residues."""
    atoms, residues = list(topology.atoms()), list(topology.residues())
    return {
        "atom_name": np.array([a.name for a in atoms], dtype=str),
        "atom_id": np.array([str(a.id) for a in atoms], dtype=str),
        "atomic_number": np.array([a.element.atomic_number if a.element else 0 for a in atoms]),
        "atom_residue": np.array([a.residue.index for a in atoms]),
        "residue_name": np.array([r.name for r in residues], dtype=str),
        "residue_id": np.array([str(r.id) for r in residues], dtype=str),
        "residue_code": np.array([r.insertionCode for r in residues], dtype=str),
        "residue_chain": np.array([r.chain.index for r in residues]),
        "chain_id": np.array([str(c.id) for c in topology.chains()], dtype=str),
        "bonds": np.array([(a.index, b.index) for a, b in topology.bonds()]).reshape(-1, 2),
        "bond_order": np.array([bond.order or 0 for bond in topology.bonds()]),
    }


def _topology(data: dict[str, NDArray]) -> app.Topology:
    topology = app.Topology()
    chains = [topology.addChain(str(name)) for name in data["chain_id"]]
    residues = [
        topology.addResidue(str(name), chains[chain], str(number), str(code))
        for name, chain, number, code in zip(
            data["residue_name"],
            data["residue_chain"],
            data["residue_id"],
            data["residue_code"],
            strict=True,
        )
    ]
    atoms = [
        topology.addAtom(
            str(name),
            app.Element.getByAtomicNumber(int(number)) if number else None,
            residues[residue],
            str(identifier),
        )
        for name, number, residue, identifier in zip(
            data["atom_name"],
            data["atomic_number"],
            data["atom_residue"],
            data["atom_id"],
            strict=True,
        )
    ]
    for (i, j), order in zip(data["bonds"].tolist(), data["bond_order"].tolist(), strict=True):
        topology.addBond(atoms[i], atoms[j], order=order or None)
    return topology


def write_structure(
    directory: Path,
    stem: str,
    topology: app.Topology,
    positions: NDArray[np.float64],
) -> Path:
    """Write a structure as PDB, and also as mmCIF if it has more atoms than PDB can number."""
    in_nm = positions * unit.nanometer
    files = [(directory / f"{stem}.pdb", app.PDBFile)]
    if topology.getNumAtoms() > _MOST_PDB_ATOMS:
        files.append((directory / f"{stem}.cif", app.PDBxFile))
    for path, writer in files:
        with replacing(path) as handle:
            text = io.TextIOWrapper(handle, encoding="utf-8", write_through=True)
            writer.writeFile(topology, in_nm, text, keepIds=True)
            text.detach()
    return files[0][0]


def save_provenance(
    directory: Path, context: openmm.Context, model: dict[str, Any], *, resumed: bool
) -> None:
    """Append a session to ``provenance.json``: versions, platform, model, command line, time."""
    path = directory / PROVENANCE
    sessions: list[Any] = []
    if resumed and path.is_file():
        try:
            sessions = [*json.loads(path.read_text(encoding="utf-8"))["sessions"]]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise SimulationError(
                f"{path}: is damaged ({type(error).__name__}): restore it, or delete it to "
                "continue without the record of earlier sessions"
            ) from error
    platform = context.getPlatform()
    properties = {n: platform.getPropertyValue(context, n) for n in platform.getPropertyNames()}
    sessions.append(
        {
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "resumed": resumed,
            "command": sys.argv,
            "versions": _versions(),
            "machine": {"system": platform_module.platform(), "cpus": os.cpu_count()},
            "platform": {"name": platform.getName(), "properties": properties},
            "model": model,
        }
    )
    content = json.dumps({"sessions": sessions}, indent=1, default=str)
    write_atomically(path, content + "\n")


def _versions() -> dict[str, str]:
    """Return the versions of what a result may depend on."""
    found = {"nnpmm": __version__, "python": platform_module.python_version()}
    for name in ("openmm", "torch", "torchani", "numpy", "rdkit", "mdtraj"):
        found[name] = installed_version(name) or "not installed"
    return found
