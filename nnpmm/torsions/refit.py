"""Refit the torsions of a force field to scans with a network; write its files and errors."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from rdkit import Chem

from nnpmm._version import __version__
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ConfigError, ForceFieldError
from nnpmm.core.files import require_folder, write_atomically
from nnpmm.plots import plot_torsion_profiles
from nnpmm.plots.page import Page
from nnpmm.plots.saving import save_figure
from nnpmm.structures import create_ligand_system, forcefield_xml
from nnpmm.torsions.amber_files import frcmod_text, mol2_text
from nnpmm.torsions.conformers import conformer_errors, held_out_conformers
from nnpmm.torsions.fitting import Refit, bind_force_field, fit_torsions
from nnpmm.torsions.internal import valence_terms
from nnpmm.torsions.profiles import compare_profiles
from nnpmm.torsions.report import depict_bond
from nnpmm.torsions.scan import TorsionScan, relax_along
from nnpmm.torsions.settings import ScanSettings
from nnpmm.torsions.workflow import FORCE_FIELD, Report, ScanResult, run_scan

__all__ = ["REFITTED", "RefitResult", "run_refit"]

REFITTED = "refitted force field"
_FOLDER = "refit"


@dataclass(frozen=True, eq=False)
class RefitResult:
    """A refitted force field and its differences from the network.

    Attributes:
        scan: with the network, and the profiles before the refit.
        refit: the new terms.
        relaxed: scan with the refitted force field, from the network's geometries.
        before: RMSE of each bond's profile with the old force field, kJ/mol, (b,).
        after: with the refitted one.
        held_out: RMSE of conformers outside the scans, before and after the refit, kJ/mol.
        conformers: number of these conformers.
        without_frcmod: the reason if there is no frcmod file.
    """

    scan: ScanResult
    refit: Refit
    relaxed: TorsionScan
    before: tuple[float, ...]
    after: tuple[float, ...]
    held_out: tuple[float, float]
    conformers: int
    without_frcmod: str | None


def run_refit(
    settings: ScanSettings,
    directory: Path,
    *,
    conformers: int = 30,
    seed: int = 0,
    report: Report = lambda *_: None,
) -> RefitResult:
    """Fit torsion terms to the scans in a folder, and write the new force field.

    ::

        refit/refitted.xml       force field for OpenMM's ForceField
        refit/refitted.frcmod    and .mol2, for tleap
        refit/system.xml         the OpenMM System of the molecule in vacuum
        refit/refit.json         terms and errors
        refit/bond-C1-C2.png     a picture of each bond
        refit/report.html        a report with tables and pictures

    Args:
        settings: of the scan. Parts of it that the folder lacks are calculated first.
        directory: of the scan.
        conformers: number of conformers that test the refitted force field; see
            `held_out_conformers`.
        seed: of these conformers.
        report: called with the name of a stage, how much of it is done, and its length.

    Raises:
        ConfigError: the scan has no force field.
        NnpmmError: see `run_scan` and `fit_torsions`.
    """
    if not settings.force_field:
        raise ConfigError(f"{directory}: was scanned without a force field; scan it with one")
    scan = run_scan(settings, directory, report=report)
    assert scan.parameters is not None
    report("fit", 0, 1)
    refit = fit_torsions(scan.molecule, scan.parameters, scan.scan)
    relaxed = relax_along(
        bind_force_field(scan.molecule, refit.parameters), scan.scan, valence_terms(scan.molecule)
    )
    report("conformers", 0, 1)
    held_out = held_out_conformers(
        scan.molecule, scan.evaluator, scan.scan.bonds, count=conformers, seed=seed
    )
    errors = [
        conformer_errors(scan.molecule, bind_force_field(scan.molecule, parameters), held_out)
        for parameters in (scan.parameters, refit.parameters)
    ]
    folder = directory / _FOLDER
    require_folder(folder)
    result = RefitResult(
        scan,
        refit,
        relaxed,
        before=_rmse(scan, scan.profiles[FORCE_FIELD]),
        after=_rmse(scan, relaxed.energies),
        held_out=(errors[0], errors[1]),
        conformers=len(held_out.positions),
        without_frcmod=_write_force_field(folder, scan.molecule, refit),
    )
    _write_results(folder, result)
    return result


def _rmse(scan: ScanResult, energies: Any) -> tuple[float, ...]:
    pairs = zip(scan.scan.energies, energies, strict=True)
    return tuple(compare_profiles(network, other).rmse for network, other in pairs)


def _write_force_field(folder: Path, molecule: Chem.Mol, refit: Refit) -> str | None:
    """Write the force field's files; return why there is no frcmod file, if there is none."""
    parameters = refit.parameters
    system = create_ligand_system(molecule, parameters)
    write_atomically(folder / "refitted.xml", forcefield_xml(molecule, parameters) + "\n")
    write_atomically(folder / "system.xml", openmm.XmlSerializer.serialize(system))
    try:
        frcmod, mol2 = frcmod_text(molecule, parameters), mol2_text(molecule, parameters)
    except ForceFieldError as error:
        return str(error)
    write_atomically(folder / "refitted.frcmod", frcmod)
    write_atomically(folder / "refitted.mol2", mol2)
    return None


def _write_results(folder: Path, result: RefitResult) -> None:
    write_atomically(folder / "refit.json", json.dumps(_record(result), indent=1) + "\n")
    page = Page(f"Refitted torsions of {_smiles(result)}")
    bonds = result.scan.scan.bonds
    page.drawing(
        depict_bond(result.scan.molecule, bonds),
        "The bonds with new terms, with 0-based atom numbers.",
    )
    rows = [
        (bond.name, f"{before / KJ_PER_KCAL:.2f}", f"{after / KJ_PER_KCAL:.2f}")
        for bond, before, after in zip(bonds, result.before, result.after, strict=True)
    ]
    before, after = (f"{error / KJ_PER_KCAL:.2f}" for error in result.held_out)
    rows.append((f"{result.conformers} held-out conformers", before, after))
    page.table((f"RMSE to {result.scan.network}, kcal/mol", "before", "after"), rows)
    if result.without_frcmod is not None:
        page.paragraph(f"No frcmod file: {result.without_frcmod}.", note=True)
    for place, bond in enumerate(bonds):
        profiles = {
            result.scan.network: result.scan.scan.energies[place],
            FORCE_FIELD: result.scan.profiles[FORCE_FIELD][place],
            REFITTED: result.relaxed.energies[place],
        }
        figure = plot_torsion_profiles(
            result.scan.scan.angles,
            {name: np.asarray(values) / KJ_PER_KCAL for name, values in profiles.items()},
            dashed=(FORCE_FIELD,),
            title=bond.name,
        )
        save_figure(figure, folder / f"bond-{bond.name}")
        page.heading(bond.name)
        page.figure(
            figure,
            "Each potential is relaxed at the same angles; energies are relative to its minimum.",
        )
    page.heading("New terms")
    page.table(("torsions", "periodicity", "phase / degrees", "k / (kcal/mol)"), _terms(result))
    page.paragraph(
        f"nnpmm {__version__}. Force field: {result.refit.parameters.provider}. Each term acts on "
        "all torsions that are equivalent by symmetry. Conformers are from distance geometry. "
        "Their torsions are fixed while all other coordinates relax in each potential."
    )
    write_atomically(folder / "report.html", page.text())


def _terms(result: RefitResult) -> list[tuple[str, ...]]:
    return [
        (
            ", ".join("-".join(map(str, torsion)) for torsion in torsions),
            str(periodicity),
            f"{math.degrees(phase):.0f}",
            f"{k / KJ_PER_KCAL:.3f}",
        )
        for torsions, terms in zip(result.refit.classes, result.refit.terms, strict=True)
        for periodicity, phase, k in terms
    ]


def _smiles(result: RefitResult) -> str:
    return str(Chem.MolToSmiles(Chem.RemoveHs(result.scan.molecule)))


def _record(result: RefitResult) -> dict[str, Any]:
    names = [bond.name for bond in result.scan.scan.bonds]
    pairs = zip(names, result.before, result.after, strict=True)
    return {
        "smiles": _smiles(result),
        "network": result.scan.network,
        "parameters": result.refit.parameters.provider,
        "unit": "kJ/mol",
        "rmse": {name: {"before": first, "after": second} for name, first, second in pairs},
        "held_out": {
            "conformers": result.conformers,
            "before": result.held_out[0],
            "after": result.held_out[1],
        },
        "terms": [
            {
                "torsions": [list(torsion) for torsion in torsions],
                "terms": [
                    {"periodicity": n, "phase_degrees": math.degrees(phase), "k": k}
                    for n, phase, k in terms
                ],
            }
            for torsions, terms in zip(result.refit.classes, result.refit.terms, strict=True)
        ],
        "version": __version__,
    }
