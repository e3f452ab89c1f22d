"""A torsion scan from settings to report, in one folder; finished parts are not repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.core.files import sha256_of
from nnpmm.core.locks import locked_folder
from nnpmm.core.settings.folder import read_stored_settings, store_settings
from nnpmm.models import Evaluator, load_model
from nnpmm.structures import LigandParameters, create_ligand_system
from nnpmm.structures.ligands.source import read_molecule, read_molecule_alone
from nnpmm.torsions.bonds import RotatableBond, bond_from_text, find_rotatable_bonds
from nnpmm.torsions.fitting import bind_force_field
from nnpmm.torsions.internal import valence_terms
from nnpmm.torsions.reference import read_reference
from nnpmm.torsions.scan import (
    Chains,
    TorsionScan,
    energies_along,
    grid,
    relax_along,
    scan_torsions,
)
from nnpmm.torsions.settings import ScanSettings
from nnpmm.torsions.store import ScanFile, scan_key

__all__ = ["FORCE_FIELD", "REFERENCE", "ScanResult", "read_settings_of", "run_scan"]

#: Names of the profiles that are not those of networks.
FORCE_FIELD, REFERENCE = "force field", "reference"
_SETTINGS, _SCANS = "settings.json", "scans"
#: Called with the name of a stage, how much of it is done, and its length.
Report = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class ScanResult:
    """Torsion profiles of one molecule; b bonds, a angles.

    Attributes:
        evaluator: the first network, bound to the molecule.
        molecule: n atoms, with the conformer from which the scan started.
        parameters: of the force field; None without one.
        scan: with the first network: bonds, angles, geometries, hysteresis.
        profiles: energies (b, a), kJ/mol, by the name of the potential: the networks and the force
            field, each relaxed; the force field at the first network's geometries; the reference.
    """

    evaluator: Evaluator
    molecule: Chem.Mol
    parameters: LigandParameters | None
    scan: TorsionScan
    profiles: dict[str, NDArray[np.float64]]

    @property
    def network(self) -> str:
        """The name of the first network."""
        return next(iter(self.profiles))

    @property
    def unrelaxed(self) -> str:
        """The name of the force field's profile at the network's geometries."""
        return f"{FORCE_FIELD} at the geometries of {self.network}"


def run_scan(
    settings: ScanSettings, directory: Path, *, report: Report = lambda *_: None
) -> ScanResult:
    """Scan the torsions of a molecule with networks and a force field.

    ::

        settings.json     what is scanned
        scans/            energies and geometries of each potential; unfinished scans continue
        result.json       profiles, rotamers, barriers, errors
        profiles.csv      the profiles as a table
        bond-C1-C2.png    a picture of each bond, also as SVG, and its geometries as SDF
        report.html       a report with tables and pictures

    Args:
        settings: of the scan.
        directory: output folder, created if necessary.
        report: called with the name of a stage, how much of it is done, and its length.

    Raises:
        ConfigError: the folder belongs to another molecule, or another process works in it.
        SelectionError: a bond that cannot be scanned, or none.
        NnpmmError: the molecule, a network or the force field cannot be used.
    """
    from nnpmm.torsions.report import write_results

    angles = grid(settings.spacing)
    molecule, parameters = _read(settings)
    bonds = _bonds(settings, molecule)
    reference = None
    if settings.reference is not None:
        reference = read_reference(settings.reference, bonds, angles)
    with locked_folder(directory):
        store_settings(settings, directory / _SETTINGS, ("molecule", "seed"))
        evaluators = _networks(settings, molecule)
        profiles: dict[str, NDArray[np.float64]] = {}
        scans = directory / _SCANS
        (name, (network, origin)), *others = evaluators.items()
        scan = _scanned(scans, name, network, origin, molecule, bonds, settings.spacing, report)
        profiles[name] = scan.energies
        for name, (evaluator, origin) in others:
            report(name, 0, 1)
            profiles[name] = _relaxed(scans, name, evaluator, origin, molecule, scan).energies
        result = ScanResult(network, molecule, parameters, scan, profiles)
        if parameters is not None:
            report(FORCE_FIELD, 0, 1)
            _add_force_field(scans, result)
        if reference is not None:
            profiles[REFERENCE] = reference
        write_results(directory, result)
    return result


def read_settings_of(directory: Path) -> ScanSettings:
    """Return the settings of the scan in a folder.

    Raises:
        InputFileError: there is none, or its settings cannot be read.
    """
    path = directory / _SETTINGS
    if not path.exists():
        raise InputFileError(f"{directory}: contains no torsion scan; make one with nnpmm scan")
    return read_stored_settings(ScanSettings, path)


def _read(settings: ScanSettings) -> tuple[Chem.Mol, LigandParameters | None]:
    if settings.force_field:
        return read_molecule(settings.molecule, settings.seed)
    return read_molecule_alone(settings.molecule, settings.seed), None


def _bonds(settings: ScanSettings, molecule: Chem.Mol) -> tuple[RotatableBond, ...]:
    if not settings.bonds:
        return find_rotatable_bonds(molecule, hydrogen_rotors=settings.hydrogen_rotors)
    found = [bond_from_text(molecule, text) for text in settings.bonds]
    if len({frozenset(bond.atoms) for bond in found}) < len(found):
        raise ConfigError(f"found the bonds {', '.join(settings.bonds)}, allowed: each once")
    return tuple(found)


def _networks(
    settings: ScanSettings, molecule: Chem.Mol
) -> dict[str, tuple[Evaluator, dict[str, Any]]]:
    """Return the bound networks and where they come from, by their names."""
    numbers, charge = _numbers(molecule), Chem.GetFormalCharge(molecule)
    found = {}
    for name in settings.models:
        model = load_model(name)
        found[Path(name).name] = (model.bind(numbers, charge), dict(model.provenance))
    return found


def _numbers(molecule: Chem.Mol) -> list[int]:
    return [atom.GetAtomicNum() for atom in molecule.GetAtoms()]


def _scanned(
    folder: Path,
    name: str,
    evaluator: Evaluator,
    origin: Any,
    molecule: Chem.Mol,
    bonds: Sequence[RotatableBond],
    spacing: float,
    report: Report,
) -> TorsionScan:
    """Return the scan of a network; finished and unfinished ones in the folder are used."""
    positions = 0.1 * np.array(molecule.GetConformer().GetPositions())
    file = ScanFile(folder, name, scan_key(origin, _numbers(molecule), positions, bonds, spacing))
    found = file.load(bonds)
    if found is None:
        total = len(grid(spacing))
        chains = file.load_chains()
        report(name, 0 if chains is None else chains.done, total)

        def store_progress(chains: Chains) -> None:
            file.save_chains(chains)
            report(name, chains.done, total)

        found = scan_torsions(
            evaluator,
            positions,
            bonds,
            valence_terms(molecule),
            spacing=spacing,
            chains=chains,
            report=store_progress,
        )
        file.save(found)
    return found


def _relaxed(
    folder: Path,
    name: str,
    evaluator: Evaluator,
    origin: Any,
    molecule: Chem.Mol,
    scan: TorsionScan,
) -> TorsionScan:
    """Return the geometries of a scan relaxed with another potential, from the folder or new."""
    spacing = float(scan.angles[1] - scan.angles[0])
    key = scan_key(origin, _numbers(molecule), scan.positions, scan.bonds, spacing)
    file = ScanFile(folder, name, key)
    found = file.load(scan.bonds)
    if found is None:
        found = relax_along(evaluator, scan, valence_terms(molecule))
        file.save(found)
    return found


def _add_force_field(folder: Path, result: ScanResult) -> None:
    assert result.parameters is not None
    evaluator = bind_force_field(result.molecule, result.parameters)
    system = create_ligand_system(result.molecule, result.parameters)
    origin = sha256_of(openmm.XmlSerializer.serialize(system).encode())
    relaxed = _relaxed(folder, FORCE_FIELD, evaluator, origin, result.molecule, result.scan)
    result.profiles[FORCE_FIELD] = relaxed.energies
    result.profiles[result.unrelaxed] = energies_along(evaluator, result.scan)
