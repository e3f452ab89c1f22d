"""Read or build the MM system that a run starts from."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.coupling import make_whole
from nnpmm.errors import ConfigError, InputFileError, NnpmmError
from nnpmm.simulation.config import EnsembleConfig, RunConfig
from nnpmm.simulation.ensemble_forces import remove_ensemble_forces
from nnpmm.simulation.system_config import (
    AmberSystem,
    BuildSystem,
    CharmmSystem,
    GromacsSystem,
    OpenmmSystem,
)

__all__ = ["MMSystem", "load_system", "read_system_xml"]

T = TypeVar("T")

_AMBER_TOPOLOGY = (".prmtop", ".parm7", ".prm7", ".top")
_AMBER_COORDINATES = (".inpcrd", ".rst7", ".crd", ".rst", ".pdb")
_CHARMM_PARAMETERS = (".prm", ".par", ".rtf", ".top", ".str", ".inp")
# An OpenMM XML file holds these only if its author wants code of his own to run here: PythonForce
# is stored as a pickle, TorchForce as a TorchScript module.
_CODE_IN_XML = (b"PythonForce", b"TorchForce")
# Character references could spell such a name unseen ("&#80;ythonForce"), but not those that OpenMM
# itself writes: of control characters, such as the newlines of energy expressions.
_FOREIGN_REFERENCE = re.compile(rb"&#(?!x(?:0[1-9A-F]|1[0-9A-F]);)")


@dataclass(frozen=True, eq=False)
class MMSystem:
    """An MM system ready to be coupled.

    Attributes:
        topology: atoms, residues and bonds; its box is that of ``box_vectors``.
        positions: (n_atoms, 3) in nm, molecules whole.
        box_vectors: (3, 3) rows in nm, or None without periodic boundaries.
        system: the OpenMM System, without thermostat and barostat.
        ligand_atoms: 0-based indices of the ligand, where it was built here.
    """

    topology: app.Topology
    positions: NDArray[np.float64]
    box_vectors: NDArray[np.float64] | None
    system: openmm.System
    ligand_atoms: NDArray[np.int64] | None = None


def load_system(config: RunConfig) -> MMSystem:
    """Read or build the MM system of a run and join molecules split over the boundary.

    Raises:
        InputFileError: a file is missing, has the wrong type, or disagrees with another.
        ConfigError: an option does not fit the input.
    """
    source = config.system
    if isinstance(source, AmberSystem):
        loaded = _load_amber(source)
    elif isinstance(source, GromacsSystem):
        loaded = _load_gromacs(source)
    elif isinstance(source, CharmmSystem):
        loaded = _load_charmm(source)
    elif isinstance(source, OpenmmSystem):
        loaded = _load_openmm(source)
    else:
        # Terms of constrained bonds are left out, and the force field's stand in for the network.
        bare = config.region.constraints == "none" and config.integrator.type == "respa"
        flexible = bare and config.integrator.stand_in == "force-field"
        loaded = _build(source, config.seed, constrain_hydrogens=not flexible)
    return _finish(loaded, config.ensemble)


def _finish(loaded: MMSystem, ensemble: EnsembleConfig) -> MMSystem:
    """Check the counts and values, drop barostats, and join split molecules."""
    n_atoms, n_particles = loaded.topology.getNumAtoms(), loaded.system.getNumParticles()
    if not n_atoms == n_particles == len(loaded.positions):
        raise InputFileError(
            f"the topology has {n_atoms} atoms, the system {n_particles} and the coordinates "
            f"{len(loaded.positions)}: give files of the same structure"
        )
    if not np.isfinite(loaded.positions).all():
        atom = int(np.flatnonzero(~np.isfinite(loaded.positions).all(axis=1))[0])
        raise InputFileError(f"the coordinates of atom {atom} are not finite numbers")
    box = loaded.box_vectors if loaded.system.usesPeriodicBoundaryConditions() else None
    if box is None and loaded.system.usesPeriodicBoundaryConditions():
        box = np.array(
            [v.value_in_unit(unit.nanometer) for v in loaded.system.getDefaultPeriodicBoxVectors()]
        )
    remove_ensemble_forces(loaded.system, ensemble)
    # Constraints hold rigid water together where a topology has no bonds.
    pairs = [(a.index, b.index) for a, b in loaded.topology.bonds()] + [
        loaded.system.getConstraintParameters(k)[:2]
        for k in range(loaded.system.getNumConstraints())
    ]
    positions = make_whole(loaded.positions, box, pairs, gather=False)
    vectors = None if box is None else [openmm.Vec3(*row) for row in box] * unit.nanometer
    loaded.topology.setPeriodicBoxVectors(vectors)
    if vectors is not None:
        loaded.system.setDefaultPeriodicBoxVectors(*vectors)
    return MMSystem(loaded.topology, positions, box, loaded.system, loaded.ligand_atoms)


def _checked(path: Path, suffixes: tuple[str, ...], what: str) -> str:
    """Return ``path`` as text after a check that it is a file of an allowed type."""
    if path.suffix.lower() not in suffixes:
        raise InputFileError(
            f"{path}: found {path.suffix or 'no suffix'!r} for the {what}, "
            f"allowed: {', '.join(suffixes)}"
        )
    if not path.is_file():
        reason = "is a folder" if path.is_dir() else "no such file"
        raise InputFileError(f"{path}: {reason}; give the {what} ({', '.join(suffixes)})")
    return str(path)


def _read(path: Path | str, what: str, reader: Callable[[], T]) -> T:
    """Call a reader of OpenMM and turn whatever it raises into one line that names the file."""
    try:
        return reader()
    except NnpmmError:
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise InputFileError(f"{path}: cannot read the {what}: {text[:300]}") from error


def _in_nm(vectors: Any) -> NDArray[np.float64] | None:
    """Return box vectors or positions as an array in nm, None staying None."""
    if vectors is None:
        return None
    if unit.is_quantity(vectors):
        vectors = vectors.value_in_unit(unit.nanometer)
    return np.array([[*row] for row in vectors], dtype=np.float64)


def _coordinates(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Read positions and box (nm) from any of the coordinate formats that OpenMM reads."""
    suffix = path.suffix.lower()
    box = None
    if suffix == ".pdb":
        pdb = app.PDBFile(str(path))
        positions, box = pdb.positions, pdb.topology.getPeriodicBoxVectors()
    elif suffix == ".cif":
        cif = app.PDBxFile(str(path))
        positions, box = cif.positions, cif.topology.getPeriodicBoxVectors()
    elif suffix == ".gro":
        gro = app.GromacsGroFile(str(path))
        positions, box = gro.positions, gro.getPeriodicBoxVectors()
    else:
        inpcrd = app.AmberInpcrdFile(str(path))
        positions, box = inpcrd.positions, inpcrd.boxVectors
    found = _in_nm(positions)
    if found is None or found.size == 0:
        raise InputFileError(f"{path}: holds no coordinates")
    return found, _in_nm(box)


def _system_options(source: AmberSystem | GromacsSystem | CharmmSystem, periodic: bool) -> dict:
    """Return the keyword arguments of ``createSystem``."""
    method = source.nonbonded_method
    needs_box = method in ("PME", "LJPME", "Ewald", "CutoffPeriodic")
    if needs_box and not periodic:
        raise ConfigError(
            f"system.nonbonded_method: found {method}, but the files hold no periodic box: "
            "set NoCutoff, or give coordinates with a box"
        )
    options: dict[str, Any] = {
        "nonbondedMethod": getattr(app, method),
        "nonbondedCutoff": source.cutoff * unit.nanometer,
        "constraints": None if source.constraints == "None" else getattr(app, source.constraints),
        "rigidWater": source.rigid_water,
        "ewaldErrorTolerance": source.ewald_error_tolerance,
        "removeCMMotion": True,
    }
    if source.hydrogen_mass is not None:
        options["hydrogenMass"] = source.hydrogen_mass * unit.dalton
    return options


def _same_count(topology: app.Topology, positions: NDArray, files: tuple[Path, Path]) -> None:
    if topology.getNumAtoms() != len(positions):
        raise InputFileError(
            f"{files[0].name} has {topology.getNumAtoms()} atoms and {files[1].name} has "
            f"{len(positions)}: give files of the same structure"
        )


def _load_amber(source: AmberSystem) -> MMSystem:
    topology_file = _checked(source.topology, _AMBER_TOPOLOGY, "Amber topology")
    _checked(source.coordinates, _AMBER_COORDINATES, "Amber coordinates")
    positions, box = _read(
        source.coordinates, "coordinates", lambda: _coordinates(source.coordinates)
    )
    vectors = None if box is None else box * unit.nanometer
    prmtop = _read(
        topology_file,
        "Amber topology",
        lambda: app.AmberPrmtopFile(topology_file, periodicBoxVectors=vectors),
    )
    _same_count(prmtop.topology, positions, (source.topology, source.coordinates))
    options = _system_options(source, box is not None)
    system = _read(topology_file, "Amber topology", lambda: prmtop.createSystem(**options))
    return MMSystem(prmtop.topology, positions, box, system)


@contextmanager
def _merged_directories(directories: tuple[Path, ...]) -> Iterator[str | None]:
    """Yield one folder that shows the content of several, for OpenMM takes a single one.

    Of entries with the same name the first folder's wins; folders of the same name are merged.
    """
    for directory in directories:
        if not directory.is_dir():
            raise InputFileError(f"{directory}: no such folder; see system.include_directories")
    if len(directories) < 2:
        yield str(directories[0]) if directories else None
        return
    with tempfile.TemporaryDirectory(prefix="nnpmm-include-") as merged:
        for directory in directories:
            for folder, _, files in os.walk(directory, followlinks=True):
                target = Path(merged) / Path(folder).relative_to(directory)
                target.mkdir(parents=True, exist_ok=True)
                for name in files:
                    if not (target / name).exists():
                        (target / name).symlink_to(Path(folder) / name)
        yield merged


def _load_gromacs(source: GromacsSystem) -> MMSystem:
    topology_file = _checked(source.topology, (".top",), "GROMACS topology")
    _checked(source.coordinates, (".gro", ".pdb"), "GROMACS coordinates")
    positions, box = _read(
        source.coordinates, "coordinates", lambda: _coordinates(source.coordinates)
    )
    vectors = None if box is None else box * unit.nanometer
    with _merged_directories(source.include_directories) as include:
        top = _read(
            topology_file,
            "GROMACS topology",
            lambda: app.GromacsTopFile(
                topology_file,
                periodicBoxVectors=vectors,
                includeDir=include,
                defines=dict(source.defines),
            ),
        )
    _same_count(top.topology, positions, (source.topology, source.coordinates))
    options = _system_options(source, box is not None)
    system = _read(topology_file, "GROMACS topology", lambda: top.createSystem(**options))
    return MMSystem(top.topology, positions, box, system)


def _charmm_coordinates(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    if path.suffix.lower() == ".pdb":
        return _coordinates(path)
    found = _in_nm(app.CharmmCrdFile(str(path)).positions)
    if found is None:
        raise InputFileError(f"{path}: holds no coordinates")
    return found, None


def _load_charmm(source: CharmmSystem) -> MMSystem:
    psf_file = _checked(source.psf, (".psf",), "CHARMM structure")
    _checked(source.coordinates, (".crd", ".cor", ".pdb"), "CHARMM coordinates")
    parameter_files = [
        _checked(path, _CHARMM_PARAMETERS, "CHARMM parameters") for path in source.parameters
    ]
    positions, box = _read(
        source.coordinates, "coordinates", lambda: _charmm_coordinates(source.coordinates)
    )
    if source.box is not None:
        box = np.diag(source.box).astype(np.float64)
    vectors = None if box is None else box * unit.nanometer
    psf = _read(
        psf_file,
        "CHARMM structure",
        lambda: app.CharmmPsfFile(psf_file, periodicBoxVectors=vectors),
    )
    parameters = _read(
        ", ".join(parameter_files),
        "CHARMM parameters",
        lambda: app.CharmmParameterSet(*parameter_files),
    )
    _same_count(psf.topology, positions, (source.psf, source.coordinates))
    options = _system_options(source, box is not None)
    if source.switch_distance is not None:
        if source.switch_distance >= source.cutoff:
            raise ConfigError(
                f"system.switch_distance: found {source.switch_distance:g} nm, must be less than "
                f"the cutoff of {source.cutoff:g} nm"
            )
        options["switchDistance"] = source.switch_distance * unit.nanometer
    system = _read(psf_file, "CHARMM structure", lambda: psf.createSystem(parameters, **options))
    return MMSystem(psf.topology, positions, box, system)


def read_system_xml(path: Path) -> openmm.System:
    """Read a serialized System, but none that carries code.

    OpenMM stores a PythonForce as a pickle, which runs what its author wished when it is read.
    Document types and character references that could hide the name are refused with it.

    Raises:
        InputFileError: not a serialized System, or one that carries code.
    """
    data = path.read_bytes()
    for name in _CODE_IN_XML:
        if name in data:
            raise InputFileError(
                f"{path}: holds a {name.decode()}, which would run code when it is read: give the "
                "MM system alone and name the network under 'region'"
            )
    hidden = any(word in data for word in (b"<!DOCTYPE", b"<!ENTITY", b"\0"))
    if hidden or _FOREIGN_REFERENCE.search(data):
        raise InputFileError(
            f"{path}: not a plain OpenMM XML file (a document type, zero bytes, or character "
            "references other than of control characters): write it with openmm.XmlSerializer"
        )
    system = _read(
        path, "OpenMM System", lambda: openmm.XmlSerializer.deserialize(data.decode("utf-8"))
    )
    if not isinstance(system, openmm.System):
        raise InputFileError(f"{path}: holds a {type(system).__name__}, expected a System")
    return system


def _load_openmm(source: OpenmmSystem) -> MMSystem:
    system_file = _checked(source.system, (".xml",), "OpenMM System")
    structure_file = _checked(source.structure, (".pdb", ".cif"), "structure")
    system = read_system_xml(Path(system_file))
    reader = app.PDBFile if source.structure.suffix.lower() == ".pdb" else app.PDBxFile
    structure = _read(structure_file, "structure", lambda: reader(structure_file))
    if structure.topology.getNumAtoms() != system.getNumParticles():
        raise InputFileError(
            f"{source.structure.name} has {structure.topology.getNumAtoms()} atoms and "
            f"{source.system.name} has {system.getNumParticles()} particles: "
            "give files of the same structure"
        )
    positions = np.array(structure.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
    box = _in_nm(structure.topology.getPeriodicBoxVectors())
    return MMSystem(structure.topology, positions, box, system)


def _build(source: BuildSystem, seed: int, *, constrain_hydrogens: bool) -> MMSystem:
    """Build a ligand, and perhaps a protein, in water."""
    from nnpmm import ligands  # rdkit takes a second to load and only this input needs it

    if source.ligand is not None:
        _checked(source.ligand, (".sdf", ".mol", ".mol2"), "ligand")
        molecule = ligands.molecule_from_file(source.ligand)
    elif source.smiles is not None:
        molecule = ligands.molecule_from_smiles(source.smiles, seed=seed)
    else:
        raise ConfigError("system: exactly one of 'smiles' and 'ligand' must be given")
    parameters = ligands.parameterize(molecule, provider=source.parameters)
    protein = None
    if source.protein is not None:
        _checked(source.protein, (".pdb", ".cif"), "protein")
        reader = app.PDBFile if source.protein.suffix.lower() == ".pdb" else app.PDBxFile
        structure = _read(source.protein, "protein", lambda: reader(str(source.protein)))
        protein = (structure.topology, structure.positions)
    solvated = ligands.solvate(
        molecule,
        parameters,
        protein=protein,
        padding=source.padding,
        water_model=source.water_model,
        ionic_strength=source.ionic_strength,
        nonbonded_cutoff=source.cutoff,
        box_shape=source.box_shape,
        hydrogen_mass=source.hydrogen_mass,
        constrain_hydrogens=constrain_hydrogens,
        residue_name=source.residue_name,
        seed=seed,
    )
    positions, box = _in_nm(solvated.positions), _in_nm(solvated.box_vectors)
    if positions is None:
        raise InputFileError("the built system holds no coordinates")
    ligand_atoms = np.asarray(solvated.ligand_atoms, dtype=np.int64)
    return MMSystem(solvated.topology, positions, box, solvated.system, ligand_atoms)
