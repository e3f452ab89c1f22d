"""From a molecule to its low conformers and the strain of a pose, in one folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm._version import __version__
from nnpmm.conformers.ensemble import Ensemble
from nnpmm.conformers.generation import generate
from nnpmm.conformers.harmonic import thermal_correction
from nnpmm.conformers.pose import match_pose, read_pose
from nnpmm.conformers.potentials import WATER_DIELECTRIC, SumPotential, bind_implicit_water
from nnpmm.conformers.screening import force_field_of, relax_by_force_field
from nnpmm.conformers.settings import ConformerSettings
from nnpmm.conformers.store import Stages
from nnpmm.conformers.strain import RelaxedPose, Strain, relax_pose, strain_of
from nnpmm.conformers.structure import same_chemistry
from nnpmm.conformers.symmetry import SymmetricRmsd, distinct
from nnpmm.core.errors import SimulationError
from nnpmm.core.locks import locked_folder
from nnpmm.core.settings.folder import store_settings
from nnpmm.models import load_model
from nnpmm.models.threads import thread_count
from nnpmm.structures.ligands.source import read_molecule, read_molecule_alone
from nnpmm.torsions.internal import valence_terms
from nnpmm.torsions.relaxation import FORCE_TOLERANCE, BatchPotential, relax_all

if TYPE_CHECKING:
    from nnpmm.conformers.torsionnet import TrainedPolicy

__all__ = ["ConformerResult", "run_conformers"]

logger = logging.getLogger(__name__)

_SETTINGS, _STAGES = "settings.json", "stages"
_BLOCK = 64  # geometries that are relaxed together and stored in one file
_SCREEN_RMSD, _SCREEN_ENERGY = 0.05, 1.0  # nm and kJ/mol, of geometries of the force field
_SAME_ENERGY = 0.5  # kJ/mol
_LARGEST_SPREAD = 0.1  # of a population over the networks, from which on a warning is given
_IMAGINARY = 20.0  # 1/cm; smaller ones are rounding errors of single precision
#: Called with the name of a stage, how much of it is done, and its length.
Report = Callable[[str, int, int], None]

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ConformerResult:
    """Low conformers of a molecule.

    Attributes:
        settings: of the search.
        ensemble: the conformers within the window.
        counts: number of geometries at each stage, by the stage's name.
        methods: sentences that describe the calculation.
        warnings: sentences about doubtful results.
        pose: the relaxed pose, if there is one.
        strain: of the pose.
    """

    settings: ConformerSettings
    ensemble: Ensemble
    counts: dict[str, int]
    methods: tuple[str, ...]
    warnings: tuple[str, ...]
    pose: RelaxedPose | None = None
    strain: Strain | None = None


@dataclass(eq=False)
class _Search:
    """Input and state that the steps of a search share."""

    settings: ConformerSettings
    molecule: Chem.Mol
    potential: BatchPotential
    stages: Stages
    report: Report
    has_pose: bool
    policy: TrainedPolicy | None
    counts: dict[str, int] = field(default_factory=dict)
    methods: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def run_conformers(
    settings: ConformerSettings, directory: Path, *, report: Report = lambda *_: None
) -> ConformerResult:
    """Find the low conformers of a molecule with a network, and the strain of a pose.

    ::

        settings.json      of the search
        stages/            geometries after each step; unfinished searches continue
        conformers.sdf     the conformers with energies and populations
        conformers.csv     energies and populations as a table
        conformers.png     a picture, also as SVG
        pose.sdf           the pose, relaxed within the restraint and without it
        result.json        energies, populations, strain
        report.html        a report with tables and a picture

    Args:
        settings: of the search.
        directory: output folder, created if necessary.
        report: called with the name of a stage, how much of it is done, and its length.

    Raises:
        ConfigError: the folder belongs to another molecule, another process works in it, or there
            are too many rotatable bonds for a systematic search.
        InputFileError: no conformer can be built, or the pose is not one of the molecule.
        RegionError: elements or a charge that the network does not describe.
        NnpmmError: the molecule, the network or the parameters cannot be used.
    """
    from nnpmm.conformers.report import write_results

    search = _prepare(settings, directory, report)
    with locked_folder(directory):
        store_settings(settings, directory / _SETTINGS, ("molecule",))
        pose = _relaxed_pose(search) if search.has_pose else None
        ensemble = _ensemble(search, _candidates(search, pose))
        for text in search.warnings:
            logger.warning("%s", text)
        result = ConformerResult(
            settings=settings,
            ensemble=ensemble,
            counts=search.counts,
            methods=tuple(search.methods),
            warnings=tuple(search.warnings),
            pose=pose,
            strain=None if pose is None else strain_of(pose, ensemble),
        )
        write_results(directory, result)
    return result


def _prepare(settings: ConformerSettings, directory: Path, report: Report) -> _Search:
    """Read all input, so that errors in it are reported before anything is calculated."""
    water = settings.solvent == "water"
    if water:
        molecule, parameters = read_molecule(settings.molecule, settings.seed)
    else:
        molecule, parameters = read_molecule_alone(settings.molecule, settings.seed), None
    if settings.pose is not None and settings.selection is not None:
        molecule = match_pose(molecule, read_pose(settings.pose, settings.selection))
    Chem.AssignStereochemistryFrom3D(molecule)
    model = load_model(settings.model)
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    network = model.bind(numbers, Chem.GetFormalCharge(molecule))
    potential: BatchPotential = network
    name, field = Path(settings.model).name, force_field_of(molecule)
    window = f"{settings.screen_window:g} kJ/mol"
    first = (
        f"geometries were relaxed with {field}; those within {window} were passed to the network"
    )
    methods = [
        "no force field describes all atoms, so the network received all geometries"
        if field is None
        else first,
        f"{name} relaxed them with BFGS until forces were below {FORCE_TOLERANCE:g} kJ/mol/nm",
    ]
    if parameters is not None:
        potential = SumPotential(network, (bind_implicit_water(molecule, parameters),))
        methods.append(
            "implicit water: generalised Born (OBC2) and surface area with the charges of "
            f"{parameters.provider}"
        )
    charges = None if parameters is None else parameters.charges.tolist()
    content = [dict(model.provenance), Chem.MolToMolBlock(molecule), charges, __version__]
    return _Search(
        settings=settings,
        molecule=molecule,
        potential=potential,
        stages=Stages(directory / _STAGES, content),
        report=report,
        has_pose=settings.pose is not None,
        policy=_load_policy(settings),
        methods=methods,
    )


def _load_policy(settings: ConformerSettings) -> TrainedPolicy | None:
    if settings.policy is None:
        return None
    from nnpmm.conformers.torsionnet import load_policy  # imports torch

    return load_policy(settings.policy)


def _relaxed_pose(search: _Search) -> RelaxedPose:
    settings = search.settings
    width, constant = settings.restraint_width, settings.restraint_constant
    search.report("pose", 0, 1)
    search.methods.append(
        f"the pose was relaxed with a flat-bottomed restraint: heavy atoms move freely up to "
        f"{width:g} nm; beyond that, the force constant is {constant:g} kJ/mol/nm^2"
    )

    def relaxed() -> dict[str, _Array]:
        found = relax_pose(search.molecule, search.potential, width=width, constant=constant)
        return found.to_arrays()

    return RelaxedPose.from_arrays(search.stages.run("pose", [width, constant], None, relaxed))


def _candidates(search: _Search, pose: RelaxedPose | None) -> dict[str, _Array]:
    """Return relaxed geometries with energies that converged and kept their bonds."""
    settings = search.settings
    names = ("generators", "count", "seed", "solvent", "screen_window")
    content = {name: getattr(settings, name) for name in names}
    if search.policy is not None:
        content["policy"] = search.policy.card.weights_sha256
    found = search.stages.run("start", content, None, lambda: _starting_geometries(search))
    start = found["positions"]
    search.counts["generated"] = int(found["generated"][0])
    search.counts["relaxed by the network"] = len(start)
    if pose is not None:
        start = np.concatenate([pose.minimum[None], start])
    terms, blocks = valence_terms(search.molecule), []
    for first in range(0, len(start), _BLOCK):
        search.report("relaxation", first, len(start))
        block = start[first : first + _BLOCK]

        def relaxed(block: _Array = block) -> dict[str, _Array]:
            found = relax_all(search.potential, block, terms)
            members = search.potential.batch(found.positions).member_energies
            arrays = {"positions": found.positions, "energies": found.energies}
            return {**arrays, "members": members, "left": found.left}

        blocks.append(search.stages.run("relaxed", None, block, relaxed))
    return _without_failures(
        search, {key: np.concatenate([b[key] for b in blocks]) for key in blocks[0]}
    )


def _starting_geometries(search: _Search) -> dict[str, _Array]:
    """Return geometries for the network: generated, and screened by a force field."""
    settings, threads = search.settings, thread_count()
    search.report("generation", 0, 1)
    generated = generate(
        search.molecule,
        settings.generators,
        count=settings.count,
        seed=settings.seed,
        threads=threads,
        policy=search.policy,
    )
    count = np.array([len(generated)])
    search.report("force field", 0, 1)
    screened = relax_by_force_field(
        search.molecule,
        generated,
        dielectric=WATER_DIELECTRIC if settings.solvent == "water" else 1.0,
        threads=threads,
    )
    if screened is None:
        return {"positions": generated, "generated": count}
    near = np.flatnonzero(screened.energies - screened.energies.min() <= settings.screen_window)
    positions, energies = screened.positions[near], screened.energies[near]
    measure = SymmetricRmsd.of(search.molecule)
    rows = distinct(measure, positions, energies, rmsd=_SCREEN_RMSD, energy=_SCREEN_ENERGY)
    return {"positions": positions[rows], "generated": count}


def _without_failures(search: _Search, found: dict[str, _Array]) -> dict[str, _Array]:
    """Leave out geometries that did not converge or became another molecule."""
    converged = found["left"] <= 10 * FORCE_TOLERANCE
    same = same_chemistry(search.molecule, found["positions"])
    search.counts["not converged"] = int((~converged).sum())
    search.counts["other bonds or stereochemistry"] = int((~same).sum())
    kept = np.flatnonzero(converged & same)
    if len(kept) == 0:
        raise SimulationError(
            f"found no conformer of {len(same)} that the network relaxes to a minimum of the same "
            "molecule; use another network"
        )
    for name in ("not converged", "other bonds or stereochemistry"):
        if count := search.counts[name]:
            search.warnings.append(f"{count} of {len(same)} geometries left out: {name}")
    return {name: array[kept] for name, array in found.items()}


def _ensemble(search: _Search, found: dict[str, _Array]) -> Ensemble:
    settings, measure = search.settings, SymmetricRmsd.of(search.molecule)
    rows = distinct(
        measure, found["positions"], found["energies"], rmsd=settings.rmsd, energy=_SAME_ENERGY
    )
    search.counts["distinct"] = len(rows)
    low = rows[found["energies"][rows] - found["energies"].min() <= settings.window]
    search.counts["within the window"] = len(low)
    positions = found["positions"][low]
    weights = [1 / measure.symmetry_number(geometry, settings.rmsd) for geometry in positions]
    corrections = _corrections(search, positions) if settings.free_energies else None
    ensemble = Ensemble(
        molecule=search.molecule,
        positions=positions,
        energies=found["energies"][low],
        member_energies=found["members"][low],
        weights=np.array(weights),
        temperature=settings.temperature,
        corrections=corrections,
    )
    spread = ensemble.population_spread
    worst = int(spread.argmax())
    if spread[worst] > _LARGEST_SPREAD:
        search.warnings.append(
            f"the networks of {Path(settings.model).name} disagree on populations: that of "
            f"conformer {worst + 1} is {ensemble.populations[worst]:.2f} ± {spread[worst]:.2f}"
        )
    return ensemble


def _corrections(search: _Search, positions: _Array) -> _Array:
    table = Chem.GetPeriodicTable()
    masses = np.array(
        [table.GetAtomicWeight(atom.GetAtomicNum()) for atom in search.molecule.GetAtoms()]
    )
    temperature, found = search.settings.temperature, []
    for number, geometry in enumerate(positions):
        search.report("Hessians", number, len(positions))

        def thermal(geometry: _Array = geometry) -> dict[str, _Array]:
            values = thermal_correction(search.potential, geometry, masses, temperature)
            return {"thermal": np.array(values)}

        found.append(search.stages.run("thermal", temperature, geometry, thermal)["thermal"])
    correction, softest = np.array(found).T
    if saddles := int((softest < -_IMAGINARY).sum()):
        search.warnings.append(
            f"{saddles} conformers have an imaginary vibration beyond {_IMAGINARY:g} 1/cm: they "
            "are no minima, and their free energies are too low or too high"
        )
    search.methods.append(
        "populations are from free energies of quantum harmonic vibrations (frequencies below 100 "
        "1/cm are raised to it) and a classical rigid rotor"
    )
    return np.asarray(correction)
